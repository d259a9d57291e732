//! Sockets and protocols of the main listener: TLS with a renewed certificate, ALPN, HTTP/2 with prior knowledge,
//! Unix sockets (contract, section 4).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use llm_sim::Answer;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::support::proxy::fresh_dir;
use super::super::support::{Proxy, until, within};
use super::{Pair, calls};

/// Writes a fresh certificate for `localhost` and its key; the certificate.
fn renew(dir: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// A folder with a certificate, and the lines of a config that use it.
struct Certified {
    dir: PathBuf,
    cert: CertificateDer<'static>,
}

impl Certified {
    fn new() -> Self {
        let dir = fresh_dir();
        let cert = renew(&dir);
        Self { dir, cert }
    }

    fn yaml(&self, pair: &Pair) -> String {
        let dir = self.dir.display();
        format!(
            "tls: {{cert: '{dir}/cert.pem', key: '{dir}/key.pem'}}\n{}",
            pair.yaml()
        )
    }
}

impl Drop for Certified {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A TLS connection that trusts `cert` alone and offers these protocols.
async fn tls(
    address: &str,
    cert: &CertificateDer<'static>,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

fn post(path: &str, body: &serde_json::Value, version: Version) -> Request<Full<Bytes>> {
    let uri = if version == Version::HTTP_2 {
        format!("http://localhost{path}")
    } else {
        path.to_owned()
    };
    Request::post(uri)
        .version(version)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .unwrap()
}

/// The status and the whole body of an answer.
async fn answered(response: http::Response<hyper::body::Incoming>) -> (StatusCode, String) {
    let status = response.status();
    let body = within("the end of the body", response.into_body().collect())
        .await
        .unwrap();
    (status, String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

type Io = Box<dyn Both>;

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

async fn over_http1(io: Io) -> http1::SendRequest<Full<Bytes>> {
    let (sender, connection) = http1::handshake(TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn over_http2(io: Io) -> http2::SendRequest<Full<Bytes>> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

/// A call of each dialect, JSON and stream, each at once on one HTTP/2 connection.
async fn converse_over_http2(io: Io) {
    let sender = over_http2(io).await;
    let all = calls("m", false).into_iter().chain(calls("m", true));
    let asked = all.map(|(path, body)| {
        let mut sender = sender.clone();
        async move {
            let response = sender
                .send_request(post(path, &body, Version::HTTP_2))
                .await
                .unwrap();
            assert_eq!(response.version(), Version::HTTP_2);
            assert_eq!(response.headers().get("connection"), None);
            let (status, text) = answered(response).await;
            assert_eq!(status, 200, "{path}: {text}");
            let end = ["[DONE]", "response.completed", "message_stop"]
                .iter()
                .any(|end| text.contains(end));
            assert_eq!(end, body["stream"] == true, "{path}: {text}");
        }
    });
    futures_util::future::join_all(asked).await;
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_spoken_on_the_plain_listener() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    converse_over_http2(Box::new(TcpStream::connect(proxy.address()).await.unwrap())).await;
    proxy.sent(6);
    assert_eq!(pair.seen().len(), 6);
    proxy.finish().await;
}

#[tokio::test]
async fn l14_over_http2_too_an_answer_says_how_its_limits_stand_and_not_those_of_its_backend() {
    let pair = Pair::start().await;
    pair.openai
        .always(Answer::healthy().header("x-ratelimit-remaining-requests", "77777"));
    let top = "rate_limit: {per_model: {m: {rpm: 3}}}";
    let proxy = Proxy::start(&format!("{top}\n{}", pair.yaml())).await;
    let mut sender = over_http2(Box::new(TcpStream::connect(proxy.address()).await.unwrap())).await;
    let (path, body) = &calls("m", false)[0];
    let response = sender
        .send_request(post(path, body, Version::HTTP_2))
        .await
        .unwrap();
    let all = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(all("x-ratelimit-limit-requests"), ["3"]);
    assert_eq!(all("x-ratelimit-remaining-requests"), ["2"]);
    assert_eq!(answered(response).await.0, 200);
    proxy.sent(1);
    proxy.finish().await;
}

#[tokio::test]
async fn x08_the_reset_of_one_http2_stream_ends_its_backend_connection_alone() {
    let pair = Pair::start().await;
    let endless = Answer::healthy()
        .deltas(100_000)
        .delay(std::time::Duration::from_millis(10));
    pair.openai.next(endless.clone()).next(endless);
    let proxy = Proxy::start(&pair.yaml()).await;
    let sender = over_http2(Box::new(TcpStream::connect(proxy.address()).await.unwrap())).await;
    let (path, body) = &calls("m", true)[0];
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let response = sender
            .clone()
            .send_request(post(path, body, Version::HTTP_2))
            .await
            .unwrap();
        bodies.push(response.into_body());
        pair.openai.wait_seen(bodies.len()).await;
    }
    let seen = pair.openai.seen();
    drop(bodies.remove(0));
    within(
        "the first backend connection to end",
        pair.openai.wait_closed(seen[0].connection),
    )
    .await;
    assert_eq!(seen[1].closed(), None, "the other goes on");
    within("more of the other", bodies[0].frame())
        .await
        .unwrap()
        .unwrap();
    drop(bodies);
    within("the second as well", pair.openai.wait_closed(seen[1].connection)).await;
    proxy.sent(2);
    assert!(
        proxy
            .recorded(2)
            .await
            .iter()
            .all(|record| record["cancelled"] == true)
    );
    proxy.finish().await;
}

#[tokio::test]
async fn o01_a_drain_tells_http2_clients_to_go_away_and_ends_their_streams_with_an_error_event() {
    let pair = Pair::start().await;
    let endless = Answer::healthy()
        .deltas(100_000)
        .delay(std::time::Duration::from_millis(10));
    pair.openai.always(endless.clone());
    pair.anthropic.always(endless);
    let mut proxy = Proxy::start(&format!("shutdown_grace: 300ms\n{}", pair.yaml())).await;
    let sender = over_http2(Box::new(TcpStream::connect(proxy.address()).await.unwrap())).await;
    let mut bodies = Vec::new();
    for (path, body) in calls("m", true) {
        bodies.push(
            sender
                .clone()
                .send_request(post(path, &body, Version::HTTP_2))
                .await
                .unwrap(),
        );
    }
    proxy.signal("-TERM");
    let mut told = sender.clone();
    until("GOAWAY", async || told.ready().await.is_err().then_some(())).await;
    for response in bodies {
        let (_, text) = answered(response).await;
        assert!(text.contains("shutting down"), "{text}");
        assert!(
            !text.contains("[DONE]")
                && !text.contains("message_stop")
                && !text.contains("response.completed")
        );
    }
    assert_eq!(proxy.ended().await, Some(0));
    proxy.sent(3);
    proxy.finish_ended().await;
}

#[tokio::test]
async fn tls_speaks_what_alpn_agrees_on() {
    let (pair, certified) = (Pair::start().await, Certified::new());
    let proxy = Proxy::start(&certified.yaml(&pair)).await;
    assert!(
        proxy
            .log()
            .iter()
            .any(|line| line.contains("serving on https://"))
    );
    let modern = tls(proxy.address(), &certified.cert, &["h2", "http/1.1"])
        .await
        .unwrap();
    assert_eq!(modern.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    converse_over_http2(Box::new(modern)).await;
    for (alpn, agreed) in [(&["http/1.1"][..], Some(&b"http/1.1"[..])), (&[], None)] {
        let plain = tls(proxy.address(), &certified.cert, alpn).await.unwrap();
        assert_eq!(plain.get_ref().1.alpn_protocol(), agreed);
        let mut sender = over_http1(Box::new(plain)).await;
        let (path, body) = &calls("m", true)[2];
        let response = sender
            .send_request(post(path, body, Version::HTTP_11))
            .await
            .unwrap();
        let (status, text) = answered(response).await;
        assert!(status == 200 && text.contains("message_stop"), "{text}");
    }
    proxy.sent(8);
    // Who does not speak TLS is nobody's request; the listener lives on.
    let mut confused = super::super::support::Client::plain(proxy.address())
        .raw(b"GET / HTTP/1.1\r\n\r\n")
        .await;
    confused.closed().await;
    tls(proxy.address(), &certified.cert, &[]).await.unwrap();
    proxy.finish().await;
}

#[tokio::test]
async fn k08_a_renewed_certificate_is_served_after_a_reload_and_a_broken_one_is_refused() {
    let (pair, certified) = (Pair::start().await, Certified::new());
    let proxy = Proxy::start(&certified.yaml(&pair)).await;
    let open = tls(proxy.address(), &certified.cert, &[]).await.unwrap();
    let mut old_connection = over_http1(Box::new(open)).await;
    let renewed = renew(&certified.dir);
    tls(proxy.address(), &renewed, &[])
        .await
        .expect_err("not before the reload");
    proxy.reload(&certified.yaml(&pair)).await;
    tls(proxy.address(), &renewed, &[])
        .await
        .expect("the new one after it");
    tls(proxy.address(), &certified.cert, &[])
        .await
        .expect_err("and no longer the old one");
    let (path, body) = &calls("m", false)[0];
    let response = old_connection
        .send_request(post(path, body, Version::HTTP_11))
        .await
        .unwrap();
    assert_eq!(answered(response).await.0, 200, "open connections go on");
    std::fs::write(certified.dir.join("cert.pem"), "no certificate").unwrap();
    proxy.signal("-HUP");
    proxy.logged("is refused").await;
    tls(proxy.address(), &renewed, &[])
        .await
        .expect("the last good one stays");
    assert_eq!(proxy.generation().await, 2);
    proxy.sent(1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_unix_socket_serves_http1_and_http2_and_is_gone_when_the_config_drops_it() {
    let pair = Pair::start().await;
    let dir = fresh_dir();
    let socket = dir.join("proxy.sock");
    let yaml = |more: &str| {
        format!(
            "listen: [127.0.0.1:0{more}]\nadmin: {{listen: 127.0.0.1:0}}\n{}",
            pair.yaml()
        )
    };
    let with_socket = yaml(&format!(", 'unix:{}'", socket.display()));
    let proxy = Proxy::start(&with_socket).await;
    let mut sender = over_http1(Box::new(UnixStream::connect(&socket).await.unwrap())).await;
    for (path, body) in calls("m", false) {
        let response = sender
            .send_request(post(path, &body, Version::HTTP_11))
            .await
            .unwrap();
        assert_eq!(answered(response).await.0, 200, "{path}");
    }
    converse_over_http2(Box::new(UnixStream::connect(&socket).await.unwrap())).await;
    let records = proxy.recorded(9).await;
    assert!(
        records.iter().all(|record| record["ip"].is_null()),
        "a Unix socket has no address"
    );
    proxy.reload(&yaml("")).await;
    until("the socket to be gone", async || (!socket.exists()).then_some(())).await;
    proxy.reload(&with_socket).await;
    UnixStream::connect(&socket).await.unwrap();
    proxy.sent(9);
    proxy.finish().await;
    std::fs::remove_dir_all(dir).unwrap();
}
