//! TLS towards backends: the system's authorities, or a file's, or none at all where the operator insists.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::base::trust::{self, Trust};
use crate::config::types::HttpVersion;

/// TLS towards a backend, with its file read: another file under the same path is another address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// PEM text of authorities to trust instead of the system's.
    pub ca: Option<Arc<[u8]>>,
    /// Whether certificates go unchecked. The config's loader warns about it.
    pub insecure: bool,
}

/// The TLS settings of a backend.
///
/// # Errors
/// A sentence: the authorities' text cannot be read or holds no certificate.
pub(super) fn client_config(tls: &Tls, http: HttpVersion) -> Result<Arc<ClientConfig>, String> {
    let trust = match (&tls.ca, tls.insecure) {
        (_, true) => Trust::Anybody,
        (Some(pem), false) => Trust::Authorities(pem),
        (None, false) => Trust::System,
    };
    let mut config = trust::client(trust)?;
    config.alpn_protocols = match http {
        HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![b"h2".to_vec()],
        HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(Arc::new(config))
}
