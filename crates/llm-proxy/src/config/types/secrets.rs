//! Every secret of a config, for whoever must keep them out of a text.

use super::{Config, OutboundProxy};
use crate::base::Secret;

/// What a header's or parameter's name has in it when its value is a credential.
const CREDENTIAL: [&str; 6] = ["auth", "key", "token", "secret", "cookie", "password"];

impl Config {
    /// All that this config keeps secret: keys of clients, backends and the admin, credentials in headers, queries and
    /// URLs. Keys that the file holds as a digest alone are not known.
    pub fn secrets(&self) -> Vec<Secret> {
        let mut all: Vec<Secret> = self.admin.key.iter().cloned().collect();
        all.extend(self.api_keys.iter().filter_map(|key| key.key.clone()));
        for backend in &self.backends {
            all.extend(backend.api_keys.iter().cloned());
            let headers = backend.headers.iter();
            let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
            let query = backend.query.iter();
            let query = query.map(|(name, value)| (name.as_str(), value.as_str()));
            let credentials = headers.chain(query).filter(|(name, _)| is_credential(name));
            all.extend(credentials.map(|(_, value)| Secret::new(value)));
            if let OutboundProxy::Url(url) = &backend.http_proxy {
                all.extend(password(url));
            }
        }
        if let Some(telemetry) = &self.telemetry {
            let headers = telemetry.headers.iter();
            let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
            let credentials = headers.filter(|(name, _)| is_credential(name));
            all.extend(credentials.map(|(_, value)| Secret::new(value)));
        }
        all.extend(self.ledger.iter().chain(&self.cluster).filter_map(password));
        all
    }
}

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIAL.iter().any(|part| name.contains(part))
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
    headers: {x-team: blue-team, x-extra-token: header-token}
    query: {api-version: '2026-01-01', key: query-key}
    http_proxy: socks5://user:proxy-pass@127.0.0.1:1
ledger: {url: 'postgres://me:ledger-pass@db/x'}
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
            "header-token",
            "ledger-pass",
            "proxy-pass",
            "query-key",
        ];
        assert_eq!(all, expected);
    }
}
