//! TLS towards PostgreSQL, over the rustls that everything here uses.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

use crate::base::trust;
use crate::config::database::Trust;

/// A connector by these settings.
#[derive(Clone)]
pub(super) struct Encrypted(TlsConnector);

impl Encrypted {
    /// It believes those certificates; none: any.
    ///
    /// # Errors
    /// A sentence without its full stop: the authorities cannot be read.
    pub(super) fn new(trust: Option<&Trust>) -> Result<Self, String> {
        let config = match trust {
            None => trust::client(trust::Trust::Anybody),
            Some(Trust::System) => trust::client(trust::Trust::System),
            Some(Trust::File(path)) => {
                let pem = std::fs::read(path).map_err(|error| format!("`sslrootcert`: {error}"))?;
                trust::client(trust::Trust::Authorities(&pem))
            }
        };
        config.map(|config| Self(TlsConnector::from(Arc::new(config))))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Encrypted {
    type Stream = Stream<S>;
    type TlsConnect = Towards;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Towards> {
        let name = ServerName::try_from(domain.to_owned()).map_err(io::Error::other)?;
        Ok(Towards(self.0.clone(), name))
    }
}

/// A connector for one host.
pub(super) struct Towards(TlsConnector, ServerName<'static>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Towards {
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let Self(connector, name) = self;
        Box::pin(async move {
            let inner = connector.connect(name, stream).await?;
            Ok(Stream { inner })
        })
    }
}

pin_project! {
    /// An encrypted connection.
    pub(super) struct Stream<S> {
        #[pin]
        inner: tokio_rustls::client::TlsStream<S>,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().inner.poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    // The password goes through SCRAM all the same, without being tied to the certificate.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
