//! Where the ledger is, as `ledger.url` says it.

use std::path::{Path, PathBuf};

use llm_dialect::path::percent_decoded;
use tokio_postgres::config::SslMode;

use super::formats;
use super::types::LedgerAt;
use crate::base::Secret;

/// A PostgreSQL to connect to.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Hosts, user, password, database.
    pub config: tokio_postgres::Config,
    /// Whose certificate is believed; none: whatever the server shows.
    pub trust: Option<Trust>,
}

/// Which authorities sign the certificates of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that this system trusts.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

/// Where `sqlite:PATH` or `postgres://...` leads; a path is relative to `dir`.
pub(super) fn ledger(text: &str, dir: &Path) -> Option<LedgerAt> {
    match text.strip_prefix("sqlite:") {
        Some("") => None,
        // `sqlite:///var/lib/x.db` is how others write an absolute path.
        Some(path) => Some(LedgerAt::Sqlite(formats::path(
            path.strip_prefix("//").unwrap_or(path),
            dir,
        ))),
        None => postgres(text).map(|_| LedgerAt::Postgres(Secret::new(text))),
    }
}

/// Reads a URL of PostgreSQL. `sslmode` is what libpq's is, with two exceptions: `verify-ca` checks the host's name too,
/// and where `sslrootcert` names authorities, they are always asked.
pub fn postgres(url: &str) -> Option<Postgres> {
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        return None;
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut rest, mut mode, mut file) = (Vec::new(), "prefer", None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("sslmode", value) => mode = value,
            ("sslrootcert", value) => file = Some(PathBuf::from(percent_decoded(value)?)),
            _ => rest.push(pair),
        }
    }
    let plain = if rest.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", rest.join("&"))
    };
    let mut config: tokio_postgres::Config = plain.parse().ok()?;
    let (mode, checked) = match mode {
        "disable" => (SslMode::Disable, false),
        "prefer" => (SslMode::Prefer, false),
        "require" => (SslMode::Require, false),
        "verify-ca" | "verify-full" => (SslMode::Require, true),
        _ => return None,
    };
    config.ssl_mode(mode);
    if config.get_hosts().is_empty() {
        return None;
    }
    let trust = match file {
        Some(file) => Some(Trust::File(file)),
        None => checked.then_some(Trust::System),
    };
    Some(Postgres { config, trust })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_relative_to_the_config_and_a_url_is_read_as_far_as_it_goes() {
        let dir = Path::new("/etc/llm-proxy");
        for (text, path) in [
            ("sqlite:a.db", "/etc/llm-proxy/a.db"),
            ("sqlite:data/a.db", "/etc/llm-proxy/data/a.db"),
            ("sqlite:/var/lib/a.db", "/var/lib/a.db"),
            ("sqlite:///var/lib/a.db", "/var/lib/a.db"),
        ] {
            assert_eq!(ledger(text, dir), Some(LedgerAt::Sqlite(path.into())), "{text}");
        }
        for good in [
            "postgres://u:p@h/d",
            "postgresql:///d?host=/run/pg&port=5433",
            "postgres://h1,h2:5433/d?sslmode=verify-full",
        ] {
            assert!(matches!(ledger(good, dir), Some(LedgerAt::Postgres(_))), "{good}");
        }
        for bad in [
            "sqlite:",
            "mysql://h/d",
            "postgres://",
            "postgres:///d",
            "postgres://h:port/d",
            "postgres://h/d?sslmode=maybe",
            "postgres://h/d?colour=blue",
            "postgres://h/d?sslmode",
        ] {
            assert_eq!(ledger(bad, dir), None, "{bad}");
        }
    }

    #[test]
    fn how_far_a_server_is_believed_is_said_by_the_url() {
        for (query, mode, trust) in [
            ("", SslMode::Prefer, None),
            ("?sslmode=disable", SslMode::Disable, None),
            ("?sslmode=require", SslMode::Require, None),
            ("?sslmode=verify-ca", SslMode::Require, Some(Trust::System)),
            (
                "?connect_timeout=3&sslmode=verify-full",
                SslMode::Require,
                Some(Trust::System),
            ),
            (
                "?sslmode=require&sslrootcert=%2Fetc%2Fca.pem",
                SslMode::Require,
                Some(Trust::File("/etc/ca.pem".into())),
            ),
        ] {
            let read = postgres(&format!("postgres://u:p@h/d{query}")).unwrap();
            assert_eq!((read.config.get_ssl_mode(), read.trust), (mode, trust), "{query}");
        }
    }
}
