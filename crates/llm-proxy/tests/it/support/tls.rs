//! A backend over TLS, with a certificate made for the occasion: HTTP/1.1 or HTTP/2, as the handshake agrees.

use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::until;

/// Whose certificate a backend shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Its own, which its `ca` file vouches for.
    Good,
    /// Its own, meant for one who does not know the `ca` file.
    Untrusted,
    /// One that the `ca` file vouches for, made out to another host.
    OfAnotherHost,
}

/// A request that came: its HTTP version, method, path and host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// Path and query.
    pub target: String,
    /// The authority, from the URL or from `host`.
    pub authority: String,
    /// The body.
    pub body: Bytes,
}

/// The backend. It answers every request with a small chat completion.
pub struct TlsBackend {
    scheme: &'static str,
    port: u16,
    ca: PathBuf,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    handshakes: AtomicUsize,
    connections: AtomicUsize,
    requests: Mutex<Vec<Came>>,
    open: AtomicUsize,
    closing: Notify,
}

impl TlsBackend {
    /// Starts one that offers these protocols by ALPN (`h2`, `http/1.1`); none: it does not speak of it.
    pub async fn start(certificate: Certificate, alpn: &[&str]) -> Self {
        let name = match certificate {
            Certificate::OfAnotherHost => "elsewhere.test",
            Certificate::Good | Certificate::Untrusted => "127.0.0.1",
        };
        let (acceptor, ca) = acceptor(name, alpn);
        Self::listening(Some(acceptor), ca).await
    }

    /// Starts one in the clear that speaks HTTP/2 to whoever begins with it.
    pub async fn in_the_clear() -> Self {
        Self::listening(None, PathBuf::new()).await
    }

    async fn listening(acceptor: Option<TlsAcceptor>, ca: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Seen>::default();
        Self {
            scheme: if acceptor.is_some() { "https" } else { "http" },
            port,
            ca,
            seen: Arc::clone(&seen),
            accepting: tokio::spawn(accept(listener, acceptor, seen)),
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The file for `tls: {ca}`.
    pub fn ca(&self) -> String {
        self.ca.display().to_string()
    }

    /// How many handshakes succeeded.
    pub fn handshakes(&self) -> usize {
        self.seen.handshakes.load(Ordering::SeqCst)
    }

    /// How many connections came.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Tells every connection to go, and waits until all have gone.
    pub async fn close_all(&self) {
        self.seen.closing.notify_waiters();
        until("all connections to go", async || {
            (self.seen.open.load(Ordering::SeqCst) == 0).then_some(())
        })
        .await;
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Came> {
        self.seen.requests.lock().unwrap().clone()
    }
}

impl Drop for TlsBackend {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.ca);
    }
}

/// What takes connections as the server of that name, and the file of the authority that vouches for it.
pub fn acceptor(name: &str, alpn: &[&str]) -> (TlsAcceptor, PathBuf) {
    let made = generate_simple_self_signed([name.to_owned()]).unwrap();
    let ca = ca_file(&made.cert.pem());
    (TlsAcceptor::from(Arc::new(config(&made, alpn))), ca)
}

fn config(made: &CertifiedKey<rcgen::KeyPair>, alpn: &[&str]) -> ServerConfig {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

fn ca_file(pem: &str) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let n = COUNT.fetch_add(1, Ordering::SeqCst);
    let path = std::env::temp_dir().join(format!("llm-proxy-ca-{}-{n}.pem", std::process::id()));
    std::fs::write(&path, pem).unwrap();
    path
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        tokio::spawn(serve(stream, acceptor, seen));
    }
}

async fn serve(stream: TcpStream, acceptor: Option<TlsAcceptor>, seen: Arc<Seen>) {
    let Some(acceptor) = acceptor else {
        return speak(stream, seen).await;
    };
    if let Ok(stream) = acceptor.accept(stream).await {
        seen.handshakes.fetch_add(1, Ordering::SeqCst);
        speak(stream, seen).await;
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, seen: Arc<Seen>) {
    seen.open.fetch_add(1, Ordering::SeqCst);
    let answering = Arc::clone(&seen);
    let service = service_fn(move |request| answer(request, Arc::clone(&answering)));
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // How a connection ends is the client's business.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = seen.closing.notified() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
    seen.open.fetch_sub(1, Ordering::SeqCst);
}

async fn answer(
    request: http::Request<Incoming>,
    seen: Arc<Seen>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let host = head.headers.get("host").and_then(|host| host.to_str().ok());
    let authority = head.uri.authority().map(ToString::to_string);
    let came = Came {
        version: format!("{:?}", head.version),
        target: head.uri.path_and_query().map(ToString::to_string).unwrap(),
        authority: authority.or(host.map(str::to_owned)).unwrap_or_default(),
        body: body.collect().await.unwrap().to_bytes(),
    };
    seen.requests.lock().unwrap().push(came);
    Ok(completion())
}

/// A whole answer of a chat backend that does not care what it was asked.
pub fn completion() -> http::Response<Full<Bytes>> {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "real",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    });
    let response = http::Response::builder().header("content-type", "application/json");
    response.body(Full::from(body.to_string())).unwrap()
}
