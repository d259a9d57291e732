//! HTTP/2 towards a backend: as many connections as its limits ask for, and what becomes of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join_all;
use h2::Reason;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use super::support::tls::{Certificate, TlsBackend, completion};
use super::support::{Proxy, Reply, until};

/// What a backend does with a request.
#[derive(Clone, Copy)]
enum Act {
    /// Answers it once the test says so.
    Hold,
    /// Resets its stream.
    Reset(Reason),
    /// Closes the connection under it.
    Cut,
}

/// A backend that speaks HTTP/2 in the clear. It answers what it has no other instruction for.
struct Backend {
    port: u16,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    acts: Mutex<VecDeque<Act>>,
    release: Semaphore,
    goodbye: Notify,
}

impl Backend {
    /// Starts one that takes so many requests at once on a connection.
    async fn start(streams: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen {
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            acts: Mutex::default(),
            release: Semaphore::new(0),
            goodbye: Notify::new(),
        });
        let accepting = tokio::spawn(accept(listener, streams, Arc::clone(&seen)));
        Self {
            port,
            seen,
            accepting,
        }
    }

    /// What it does with the next requests, in order.
    fn then(&self, acts: &[Act]) {
        self.seen.acts.lock().unwrap().extend(acts);
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have reached it.
    async fn reached(&self, count: usize) {
        until(&format!("{count} requests at the backend"), async || {
            (self.requests() >= count).then_some(())
        })
        .await;
    }

    /// Answers so many of the held requests.
    fn release(&self, count: usize) {
        self.seen.release.add_permits(count);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, streams: u32, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(stream, streams, Arc::clone(&seen)));
    }
}

async fn serve(stream: TcpStream, streams: u32, seen: Arc<Seen>) {
    let cut = Arc::new(Notify::new());
    let service = service_fn(|request| answer(request, Arc::clone(&seen), Arc::clone(&cut)));
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(streams)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = cut.notified() => return,
            () = seen.goodbye.notified() => connection.as_mut().graceful_shutdown(),
        }
    }
}

async fn answer(
    request: http::Request<Incoming>,
    seen: Arc<Seen>,
    cut: Arc<Notify>,
) -> Result<http::Response<Full<Bytes>>, h2::Error> {
    request.into_body().collect().await.unwrap();
    let act = seen.acts.lock().unwrap().pop_front();
    seen.requests.fetch_add(1, Ordering::SeqCst);
    match act {
        None => {}
        Some(Act::Hold) => seen.release.acquire().await.unwrap().forget(),
        Some(Act::Reset(reason)) => return Err(reason.into()),
        Some(Act::Cut) => {
            cut.notify_one();
            std::future::pending::<()>().await;
        }
    }
    Ok(completion())
}

/// A proxy before this backend, for the model `m`.
async fn before(backend: &Backend) -> Proxy {
    Proxy::start(&format!(
        "backends:
  - {{name: a, protocol: openai, url: \"http://127.0.0.1:{}\", http: 2, api_key: sk-canary-a}}
models: {{m: {{backend: a, model: real}}}}
",
        backend.port
    ))
    .await
}

async fn ask(proxy: &Proxy) -> Reply {
    proxy.client().chat("m", false).await
}

/// An answer for which the backend was asked once, as far as the attempts tell.
async fn served(proxy: &Proxy) {
    let reply = ask(proxy).await.expect(200);
    assert_eq!(reply.header("x-llm-proxy-attempts"), "1");
}

#[tokio::test]
async fn requests_above_a_connections_limit_open_another_and_none_waits() {
    let backend = Backend::start(2).await;
    backend.then(&[Act::Hold; 5]);
    let proxy = before(&backend).await;
    let all = join_all((0..5).map(|_| served(&proxy)));
    let held = async {
        backend.reached(5).await;
        assert_eq!(backend.connections(), 3, "two on each");
        backend.release(5);
    };
    tokio::join!(all, held);
    for _ in 0..3 {
        served(&proxy).await;
    }
    assert_eq!(
        backend.connections(),
        3,
        "places are free again after the answers"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place() {
    let backend = Backend::start(1).await;
    backend.then(&[Act::Hold]);
    let proxy = before(&backend).await;
    let body = super::support::client::chat("m", false).to_string();
    let leaver = proxy
        .client()
        .open("POST", "/v1/chat/completions", body.as_bytes())
        .await;
    backend.reached(1).await;
    leaver.leave();
    proxy.recorded(1).await;
    served(&proxy).await;
    assert_eq!(backend.connections(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn the_first_requests_share_one_connection() {
    let backend = Backend::start(100).await;
    backend.then(&[Act::Hold; 20]);
    let proxy = before(&backend).await;
    let all = join_all((0..20).map(|_| served(&proxy)));
    let held = async {
        backend.reached(20).await;
        assert_eq!(backend.connections(), 1);
        backend.release(20);
    };
    tokio::join!(all, held);
    proxy.finish().await;
}

#[tokio::test]
async fn a_connection_that_says_goodbye_serves_what_it_has_and_no_more() {
    let backend = Backend::start(100).await;
    backend.then(&[Act::Hold]);
    let proxy = before(&backend).await;
    let first = served(&proxy);
    let others = async {
        backend.reached(1).await;
        backend.seen.goodbye.notify_one();
        until("a second connection", async || {
            served(&proxy).await;
            (backend.connections() == 2).then_some(())
        })
        .await;
        backend.release(1);
    };
    tokio::join!(first, others);
    proxy.finish().await;
}

#[tokio::test]
async fn f07_a_reused_connection_that_breaks_under_the_request_costs_no_attempt() {
    let backend = Backend::start(100).await;
    let proxy = before(&backend).await;
    served(&proxy).await;
    backend.then(&[Act::Cut]);
    served(&proxy).await;
    assert_eq!((backend.connections(), backend.requests()), (2, 3));
    proxy.finish().await;
}

#[tokio::test]
async fn f06_a_fresh_connection_that_breaks_is_not_asked_twice() {
    let backend = Backend::start(100).await;
    backend.then(&[Act::Cut]);
    let proxy = before(&backend).await;
    ask(&proxy).await.expect(502);
    assert_eq!((backend.connections(), backend.requests()), (1, 1));
    proxy.finish().await;
}

#[tokio::test]
async fn a_reset_of_one_stream_leaves_the_others_and_the_connection_alone() {
    let backend = Backend::start(100).await;
    backend.then(&[Act::Hold, Act::Reset(Reason::INTERNAL_ERROR)]);
    let proxy = before(&backend).await;
    let first = served(&proxy);
    let others = async {
        backend.reached(1).await;
        ask(&proxy).await.expect(502);
        served(&proxy).await;
        backend.release(1);
    };
    tokio::join!(first, others);
    assert_eq!((backend.connections(), backend.requests()), (1, 3));
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_that_the_backend_has_not_looked_at_goes_out_again() {
    let backend = Backend::start(100).await;
    backend.then(&[Act::Hold, Act::Reset(Reason::REFUSED_STREAM)]);
    let proxy = before(&backend).await;
    let first = served(&proxy);
    let others = async {
        backend.reached(1).await;
        served(&proxy).await;
        backend.release(1);
    };
    tokio::join!(first, others);
    assert_eq!((backend.connections(), backend.requests()), (2, 3));
    proxy.finish().await;
}

#[tokio::test]
async fn a_file_of_authorities_counts_anew_at_each_reload() {
    let (backend, other) = (
        TlsBackend::start(Certificate::Good, &["h2"]).await,
        TlsBackend::start(Certificate::Good, &["h2"]).await,
    );
    let dir = super::support::proxy::fresh_dir();
    let file = dir.join("ca.pem");
    std::fs::copy(other.ca(), &file).unwrap();
    let yaml = format!(
        "backends:
  - {{name: a, protocol: openai, url: {}, api_key: sk-canary-a, tls: {{ca: \"{}\"}}}}
models: {{m: {{backend: a, model: real}}}}
",
        backend.url(),
        file.display()
    );
    let proxy = Proxy::start(&yaml).await;
    ask(&proxy).await.expect(502);
    std::fs::copy(backend.ca(), &file).unwrap();
    proxy.reload(&yaml).await;
    served(&proxy).await;
    std::fs::copy(other.ca(), &file).unwrap();
    proxy.reload(&yaml).await;
    ask(&proxy).await.expect(502);
    assert_eq!(
        backend.requests().len(),
        1,
        "no connection outlives the trust in it"
    );
    std::fs::remove_dir_all(dir).unwrap();
    proxy.finish().await;
}
