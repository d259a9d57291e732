//! TLS towards clients. Read anew at each reload, so that a renewed certificate needs no restart.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::types::ServerTls;

/// What turns a TCP stream into a TLS one; none where the listeners are plain.
pub type Acceptor = Option<TlsAcceptor>;

/// Reads the certificate and its key.
///
/// # Errors
/// One sentence that names the file.
pub fn acceptor(tls: Option<&ServerTls>) -> Result<Acceptor, String> {
    let Some(tls) = tls else { return Ok(None) };
    let unreadable = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        format!("cannot use {} for TLS: {error}", path.display())
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&tls.cert).and_then(Iterator::collect);
    let chain = chain.map_err(|error| unreadable(&tls.cert, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| unreadable(&tls.key, &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unreadable(&tls.cert, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
