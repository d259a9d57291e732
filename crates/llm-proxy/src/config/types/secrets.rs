//! Every secret of a config, for whoever must keep them out of a text.

use http::{HeaderName, HeaderValue};

use super::{Backend, Config, LedgerAt, OutboundProxy};
use crate::base::Secret;
use crate::config::database;

/// What a header's or parameter's name has in it when its value is a credential.
const CREDENTIAL: [&str; 7] = [
    "auth",
    "key",
    "token",
    "secret",
    "cookie",
    "password",
    "signature",
];
/// Names that mean a credential where they are the whole name: Azure's functions and its signed addresses have them.
const CREDENTIAL_ITSELF: [&str; 4] = ["code", "sig", "pass", "pwd"];

impl Config {
    /// All that this config keeps secret: keys of clients, backends and the admin, credentials in headers, queries and
    /// URLs. Keys that the file holds as a digest alone are not known.
    pub fn secrets(&self) -> Vec<Secret> {
        let mut all: Vec<Secret> = self.admin.key.iter().cloned().collect();
        all.extend(self.api_keys.iter().filter_map(|key| key.key.clone()));
        all.extend(self.backends.iter().flat_map(Backend::secrets));
        if let Some(telemetry) = &self.telemetry {
            all.extend(in_headers(&telemetry.headers));
        }
        all.extend(self.cluster.iter().filter_map(password));
        if let Some(LedgerAt::Postgres(url)) = self.ledger.as_ref().map(|ledger| &ledger.at) {
            all.extend(password(url));
            all.extend(decoded(url));
        }
        all
    }
}

impl Backend {
    /// All that opens this backend, or the way to it: its keys, credentials in its headers, its query and the URL of the
    /// proxy before it.
    pub fn secrets(&self) -> Vec<Secret> {
        let mut all = self.api_keys.clone();
        all.extend(in_headers(&self.headers));
        let query = self.query.iter().filter(|(name, _)| is_credential(name));
        all.extend(query.map(|(_, value)| Secret::new(without_scheme(value))));
        if let OutboundProxy::Url(url) = &self.http_proxy {
            all.extend(password(url));
        }
        all
    }
}

/// The credentials among headers.
fn in_headers(headers: &[(HeaderName, HeaderValue)]) -> impl Iterator<Item = Secret> {
    let texts = headers.iter();
    let texts = texts.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let credentials = texts.filter(|(name, _)| is_credential(name));
    credentials.map(|(_, value)| Secret::new(without_scheme(value)))
}

/// `Bearer abc` is `abc`: whoever repeats it may leave the first word out.
fn without_scheme(value: &str) -> &str {
    let scheme = |word: &str| ["bearer", "basic"].contains(&word.to_ascii_lowercase().as_str());
    match value.split_once(' ') {
        Some((first, rest)) if scheme(first) => rest.trim_start(),
        _ => value,
    }
}

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIAL_ITSELF.contains(&name.as_str()) || CREDENTIAL.iter().any(|part| name.contains(part))
}

/// A password as PostgreSQL is told it, whether it stands in the user info or behind `?password=`.
fn decoded(url: &Secret) -> Option<Secret> {
    let read = database::postgres(url.expose())?;
    let password = String::from_utf8(read.config.get_password()?.to_vec()).ok()?;
    (!password.is_empty() && self::password(url).as_ref().map(Secret::expose) != Some(&password))
        .then(|| Secret::new(&password))
}

/// The password in a URL's user info.
fn password(url: &Secret) -> Option<Secret> {
    let (_, rest) = url.expose().split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user_info, _) = authority.rsplit_once('@')?;
    let (_, password) = user_info.split_once(':')?;
    (!password.is_empty()).then(|| Secret::new(password))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config;

    #[test]
    fn every_secret_of_a_config_is_known_and_nothing_else() {
        let yaml = "
admin: {listen: 127.0.0.1:0, key: admin-key-0123456789}
api_keys: {name: k, key: client-key-0123456789}
backends:
  - name: a
    protocol: openai
    url: http://a.example
    api_keys: [backend-one, backend-two]
    headers: {x-team: blue-team, x-extra-token: header-token, authorization: Bearer header-bearer, x-encoding: plain}
    query: {api-version: '2026-01-01', key: query-key, code: query-code}
    http_proxy: socks5://user:proxy-pass@127.0.0.1:1
ledger: {url: 'postgres://me:ledger%2Dpass@db/x'}
telemetry: {otlp: 'http://c', headers: {x-scope: all, x-api-token: collector-token}}
models: {m: {backend: a}}
";
        let loaded = config::parse(yaml, "test.yaml", Path::new("."), &|_| None);
        let config = loaded
            .unwrap_or_else(|report| panic!("{}", report.render(false)))
            .config;
        let secrets = config.secrets();
        let mut all: Vec<&str> = secrets.iter().map(crate::base::Secret::expose).collect();
        all.sort_unstable();
        let expected = [
            "admin-key-0123456789",
            "backend-one",
            "backend-two",
            "client-key-0123456789",
            "collector-token",
            "header-bearer",
            "header-token",
            "ledger%2Dpass",
            "ledger-pass",
            "proxy-pass",
            "query-code",
            "query-key",
        ];
        assert_eq!(all, expected);
    }
}
