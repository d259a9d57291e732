//! Opening a byte stream to a backend: names to addresses, TCP, a proxy in between, TLS on top.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::Fault;
use super::io::Io;
use super::tcp::{self, Reach};
use super::tls::{self, Tls};
use crate::config::types::{HttpVersion, OutboundProxy};

/// How a backend is reached: everything but its path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Its host name or IP literal (without brackets).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS or not.
    pub tls: Option<Tls>,
    /// HTTP version.
    pub http: HttpVersion,
    /// The way out.
    pub proxy: OutboundProxy,
    /// Whether its name may stand for an address at which clouds hand out credentials.
    pub allow_metadata: bool,
}

impl Address {
    /// Whether a connection to it may turn out to be HTTP/2.
    pub(super) fn may_be_http2(&self) -> bool {
        match self.http {
            HttpVersion::Http1 => false,
            HttpVersion::Http2 => true,
            HttpVersion::Auto => self.tls.is_some(),
        }
    }

    fn reach(&self) -> Reach {
        if self.allow_metadata {
            Reach::Anything
        } else {
            Reach::NoMetadata
        }
    }
}

/// Opens connections to one backend address.
#[derive(Debug)]
pub(super) struct Dialer {
    address: Address,
    /// Built on first use: reading the system's authorities takes longer than a start may.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

/// An open byte stream, and whether HTTP/2 was agreed on for it.
pub(super) struct Dialled {
    pub(super) io: Io,
    pub(super) http2: bool,
}

impl Dialer {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            tls: OnceLock::new(),
        }
    }

    /// Opens a connection within `limit`.
    pub(super) async fn dial(&self, limit: Duration) -> Result<Dialled, Fault> {
        match timeout(limit, self.open(limit)).await {
            Ok(done) => done.map_err(Fault::Connect),
            Err(_) => Err(too_slow(limit)),
        }
    }

    async fn open(&self, limit: Duration) -> Result<Dialled, String> {
        let raw = match self.proxy() {
            None => Io::Tcp(self.direct(limit).await?),
            Some(proxy) => Box::pin(self.through(proxy, limit)).await?,
        };
        if self.address.tls.is_none() {
            return Ok(Dialled {
                io: raw,
                http2: self.address.http == HttpVersion::Http2,
            });
        }
        self.handshake(raw).await
    }

    async fn direct(&self, limit: Duration) -> Result<TcpStream, String> {
        let Address { host, port, .. } = &self.address;
        tcp::connect(host, *port, self.address.reach(), limit).await
    }

    async fn handshake(&self, raw: Io) -> Result<Dialled, String> {
        let connector = TlsConnector::from(self.tls_config()?);
        let name = ServerName::try_from(self.address.host.clone()).map_err(|error| error.to_string())?;
        let (io, http2) = match raw {
            Io::Tcp(tcp) => {
                let stream = connector
                    .connect(name, tcp)
                    .await
                    .map_err(|error| error.to_string())?;
                let http2 = agreed_on_http2(stream.get_ref().1);
                (Io::Tls(Box::new(stream)), http2)
            }
            other => {
                let stream = connector
                    .connect(name, other)
                    .await
                    .map_err(|error| error.to_string())?;
                let http2 = agreed_on_http2(stream.get_ref().1);
                (Io::Boxed(Box::new(stream)), http2)
            }
        };
        Ok(Dialled { io, http2 })
    }

    fn tls_config(&self) -> Result<Arc<ClientConfig>, String> {
        let settings = self.address.tls.clone().unwrap_or_default();
        self.tls
            .get_or_init(|| tls::client_config(&settings, self.address.http))
            .clone()
    }

    fn proxy(&self) -> Option<Intercept> {
        let matcher = match &self.address.proxy {
            OutboundProxy::None => return None,
            OutboundProxy::Env => Matcher::from_env(),
            OutboundProxy::Url(url) => Matcher::builder().all(url.expose().to_owned()).build(),
        };
        matcher.intercept(&self.target()?)
    }

    fn target(&self) -> Option<Uri> {
        let scheme = if self.address.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let host = bracketed(&self.address.host);
        Uri::builder()
            .scheme(scheme)
            .authority(format!("{host}:{}", self.address.port))
            .path_and_query("/")
            .build()
            .ok()
    }

    /// A tunnel through an HTTP or SOCKS proxy to the backend.
    async fn through(&self, proxy: Intercept, limit: Duration) -> Result<Io, String> {
        let target = self.target().ok_or("the backend's address is no URL")?;
        let hop = proxy.uri().clone();
        let plain = ProxyHop { limit };
        if hop.scheme_str().is_some_and(|scheme| scheme.starts_with("socks")) {
            let mut socks = SocksV5::new(hop, plain);
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            let stream = socks
                .call(target)
                .await
                .map_err(|error| format!("the SOCKS proxy refused: {error}"))?;
            return Ok(stream.into_inner());
        }
        let mut tunnel = Tunnel::new(hop, plain);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let stream = tunnel
            .call(target)
            .await
            .map_err(|error| format!("the HTTP proxy refused: {error}"))?;
        Ok(stream.into_inner())
    }
}

/// What it means to have waited for a connection in vain.
#[cold]
pub(super) fn too_slow(limit: Duration) -> Fault {
    Fault::Connect(format!("no connection within {limit:?}"))
}

fn agreed_on_http2(connection: &rustls::ClientConnection) -> bool {
    connection.alpn_protocol() == Some(b"h2")
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// The hop to a proxy, as the service that hyper-util's proxy connectors build on.
#[derive(Clone)]
struct ProxyHop {
    limit: Duration,
}

impl Service<Uri> for ProxyHop {
    type Response = TokioIo<Io>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, hop: Uri) -> Self::Future {
        Box::pin(to_proxy(hop, self.limit))
    }
}

async fn to_proxy(hop: Uri, limit: Duration) -> io::Result<TokioIo<Io>> {
    let host = hop.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = hop.port_u16().unwrap_or_else(|| default_port(&hop));
    // The operator's own proxy: what it may reach is not a backend's matter.
    let stream = tcp::connect(&host, port, Reach::Anything, limit)
        .await
        .map_err(io::Error::other)?;
    if hop.scheme_str() != Some("https") {
        return Ok(TokioIo::new(Io::Tcp(stream)));
    }
    let config = tls::client_config(&Tls::default(), HttpVersion::Http1).map_err(io::Error::other)?;
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    Ok(TokioIo::new(Io::Tls(Box::new(stream))))
}

fn default_port(hop: &Uri) -> u16 {
    match hop.scheme_str() {
        Some("https") => 443,
        Some(scheme) if scheme.starts_with("socks") => 1080,
        _ => 80,
    }
}
