//! `http_proxy`: backends behind an HTTP or SOCKS proxy.

use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llm_sim::{Sim, Speaks};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::super::support::Proxy;
use super::super::support::proxy::fresh_dir;
use super::super::support::tls::{Certificate, TlsBackend};

/// What a test proxy speaks.
#[derive(Clone, Copy)]
enum Kind {
    /// HTTP `CONNECT`; with the credentials that it insists on, if any.
    Connect(Option<&'static str>),
    /// SOCKS 5 without authentication.
    Socks,
}

/// A proxy in the middle, which notes where it was asked to go.
struct Middle {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Middle {
    async fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&asked);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, kind, Arc::clone(&noted)));
            }
        });
        Self {
            address,
            asked,
            accepting,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut stream: TcpStream, kind: Kind, noted: Arc<Mutex<Vec<String>>>) {
    let target = match kind {
        Kind::Connect(credentials) => connect(&mut stream, credentials).await,
        Kind::Socks => Some(socks(&mut stream).await),
    };
    let Some(target) = target else { return };
    noted.lock().unwrap().push(target.clone());
    let mut backend = TcpStream::connect(target).await.unwrap();
    // How the connections end is the business of those at their ends.
    let _ = copy_bidirectional(&mut stream, &mut backend).await;
}

/// Reads a `CONNECT` and says whether it may pass; none: refused.
async fn connect(stream: &mut TcpStream, credentials: Option<&str>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    let allowed = credentials.is_none_or(|credentials| {
        let wanted = format!("basic {}", STANDARD.encode(credentials));
        let given = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("proxy-authorization")
                .then(|| value.trim())
        });
        given.is_some_and(|given| given.eq_ignore_ascii_case(&wanted))
    });
    let answer = if allowed {
        "HTTP/1.1 200 Connected\r\n\r\n"
    } else {
        "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
    allowed.then(|| target.to_owned())
}

/// Greets, reads the request for a connection (RFC 1928) to an IPv4 address or a name, and grants it.
async fn socks(stream: &mut TcpStream) -> String {
    assert_eq!(stream.read_u8().await.unwrap(), 5, "the version");
    let methods = stream.read_u8().await.unwrap();
    stream
        .read_exact(&mut vec![0; usize::from(methods)])
        .await
        .unwrap();
    stream.write_all(&[5, 0]).await.unwrap();
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[..2], [5, 1], "a request for a connection");
    let host = match head[3] {
        1 => {
            let mut address = [0; 4];
            stream.read_exact(&mut address).await.unwrap();
            std::net::Ipv4Addr::from(address).to_string()
        }
        3 => {
            let length = stream.read_u8().await.unwrap();
            let mut name = vec![0; usize::from(length)];
            stream.read_exact(&mut name).await.unwrap();
            String::from_utf8(name).unwrap()
        }
        other => panic!("an address of type {other}"),
    };
    let port = stream.read_u16().await.unwrap();
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    format!("{host}:{port}")
}

/// A proxy before a backend at `url` that is reached through `way`, and a second one that is reached directly.
async fn before(url: &str, way: &str, more: &str, spare: &Sim) -> Proxy {
    Proxy::start(&format!(
        "backends:
  - {{name: a, protocol: openai, url: {url}, api_key: sk-canary-a, http_proxy: \"{way}\"{more}}}
  - {{name: b, protocol: openai, url: {}, api_key: sk-canary-b}}
models:
  m: {{routes: [{{backend: a, priority: 1}}, {{backend: b, priority: 2}}]}}
",
        spare.url()
    ))
    .await
}

#[tokio::test]
async fn a_backend_in_the_clear_is_reached_through_either_kind_of_proxy() {
    for (kind, scheme, user) in [
        (Kind::Connect(None), "http", ""),
        (
            Kind::Connect(Some("user:sk-canary-password")),
            "http",
            "user:sk-canary-password@",
        ),
        (Kind::Socks, "socks5", ""),
    ] {
        let (sim, spare) = (
            Sim::start(Speaks::All).await.unwrap(),
            Sim::start(Speaks::All).await.unwrap(),
        );
        let middle = Middle::start(kind).await;
        let way = format!("{scheme}://{user}{}", middle.address);
        let proxy = before(&sim.url(), &way, "", &spare).await;
        for stream in [false, true] {
            let reply = proxy.client().chat("m", stream).await.expect(200);
            assert_eq!(reply.header("x-llm-proxy-backend"), "a");
        }
        assert_eq!(middle.asked(), [sim.addr().to_string()], "one tunnel serves both");
        assert_eq!(sim.protocol_errors(), [""; 0]);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_backend_over_tls_is_reached_through_either_kind_of_proxy() {
    for (kind, scheme) in [(Kind::Connect(None), "http"), (Kind::Socks, "socks5")] {
        for alpn in ["http/1.1", "h2"] {
            let backend = TlsBackend::start(Certificate::Good, &[alpn]).await;
            let spare = Sim::start(Speaks::All).await.unwrap();
            let middle = Middle::start(kind).await;
            let way = format!("{scheme}://{}", middle.address);
            let tls = format!(", tls: {{ca: \"{}\"}}", backend.ca());
            let proxy = before(&backend.url(), &way, &tls, &spare).await;
            let reply = proxy.client().chat("m", false).await.expect(200);
            assert_eq!(reply.header("x-llm-proxy-backend"), "a");
            assert_eq!(middle.asked().len(), 1);
            assert_eq!(backend.handshakes(), 1);
            proxy.finish().await;
        }
    }
}

#[tokio::test]
async fn the_environments_proxy_is_used_where_the_config_says_so_and_only_there() {
    let (a, b) = (
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::All).await.unwrap(),
    );
    let middle = Middle::start(Kind::Connect(None)).await;
    let dir = fresh_dir();
    let config = format!(
        "listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
backends:
  - {{name: a, protocol: openai, url: {}, api_key: sk-canary-a, http_proxy: env}}
  - {{name: b, protocol: openai, url: {}, api_key: sk-canary-b}}
models: {{through: {{backend: a}}, past: {{backend: b}}}}
",
        a.url(),
        b.url()
    );
    std::fs::write(dir.join("config.yaml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
    command.arg("--config").arg(dir.join("config.yaml"));
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, format!("http://{}", middle.address));
    }
    command.env_remove("no_proxy").env_remove("NO_PROXY");
    let proxy = Proxy::launch(command, dir).await;
    proxy.client().chat("through", false).await.expect(200);
    proxy.client().chat("past", false).await.expect(200);
    assert_eq!(middle.asked(), [a.addr().to_string()]);
    proxy.finish().await;
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_gone_is_a_connection_that_failed() {
    let refusing = Middle::start(Kind::Connect(Some("user:other"))).await;
    // Bound, so that nobody else gets the port, and not listening.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = silent.local_addr().unwrap().to_string();
    for (scheme, address) in [
        ("http", refusing.address.as_str()),
        ("http", &gone),
        ("socks5", &gone),
    ] {
        let (sim, spare) = (
            Sim::start(Speaks::All).await.unwrap(),
            Sim::start(Speaks::All).await.unwrap(),
        );
        let way = format!("{scheme}://user:sk-canary-password@{address}");
        let proxy = before(&sim.url(), &way, "", &spare).await;
        for _ in 0..2 {
            let reply = proxy.client().chat("m", false).await.expect(200);
            assert_eq!(reply.header("x-llm-proxy-backend"), "b");
        }
        let records = proxy.recorded(2).await;
        assert_eq!(records[0]["attempts"][0]["class"], "connect");
        assert_eq!(sim.seen().len(), 0, "it is never gone around");
        proxy.finish().await;
    }
    assert_eq!(refusing.asked(), [""; 0]);
}
