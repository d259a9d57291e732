//! What a panic in the middle of a request does to that request, and to nothing else: on real sockets, with the real
//! layers around a journey that breaks. The service that breaks is here only; no binary holds it.

use std::io;
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::config;
use crate::observe::Logs;
use crate::observe::access::Access;
use crate::observe::log::Form;
use crate::server::{Http, Socket, serve};
use crate::state::compile;

/// What makes [`Fragile`] break.
const BREAK: &str = "x-break";

/// The entrance as it is, but for requests that say so: those take a place at the backend and panic.
#[derive(Clone)]
struct Fragile(Entrance);

impl Service for Fragile {
    fn call(
        self,
        peer: Peer,
        request: Box<Parts>,
        body: RequestBody,
    ) -> impl Future<Output = Response<AnswerBody>> + Send + 'static {
        let breaks = request.headers.contains_key(BREAK);
        recovered(self.0.arrive(peer, request, body), move |arrival| async move {
            if !breaks {
                return admit(arrival).await;
            }
            let backend = &arrival.ctx.snapshot.backends[0];
            let place = backend.vitals.enter(backend.config.max_concurrent);
            // Not at its first poll: by then the connection waits for it.
            tokio::task::yield_now().await;
            panic!("sk-canary, with {place:?} held");
        })
    }
}

/// Everything that the log has been told.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut *self.0.lock(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A proxy with one backend that takes two requests at once.
struct Scene {
    /// The backend: it answers when the test does.
    backend: TcpListener,
    live: Arc<Live>,
    entrance: Entrance,
    logs: Arc<Logs>,
    page: Page,
}

impl Scene {
    async fn start() -> Self {
        let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = format!(
            "backends:\n  - {{name: a, protocol: openai, url: \"http://{}\", api_key: sk-canary, max_concurrent: 2}}\n\
             models:\n  m: {{backend: a, model: real}}\n",
            backend.local_addr().unwrap()
        );
        let config = config::parse(&text, "test.yaml", Path::new("."), &|_| None);
        let config = config.map(|loaded| loaded.config);
        let config = config.unwrap_or_else(|report| panic!("{}", report.render(false)));
        let page = Page::default();
        let logs = Logs::to(page.clone(), Form::Json);
        let live = Live::new(Access::new(Arc::clone(&logs)), &config);
        let snapshot = compile(config, 1, &live).unwrap();
        let entrance = Entrance {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            live: Arc::clone(&live),
        };
        Self {
            backend,
            live,
            entrance,
            logs,
            page,
        }
    }

    /// A connection to the proxy, and the task that serves it.
    async fn connect(&self) -> (TcpStream, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (stream, from) = accepted.unwrap();
        let http = Http::new(&self.entrance.snapshot.load().config);
        let phase = self.live.lifecycle.subscribe();
        let service = Fragile(self.entrance.clone());
        let served = serve(Socket::Tcp(stream, from), None, http, phase, service);
        (client.unwrap(), tokio::spawn(served))
    }

    /// A request that breaks, on a connection of its own; its answer.
    async fn broken(&self, path: &str) -> (String, Value) {
        let (mut client, served) = self.connect().await;
        ask(&mut client, path, "x-break: yes\r\nx-request-id: mine\r\n").await;
        let answer = answer(&mut client).await;
        drop(client); // or the proxy would linger for what else it may send
        served.await.expect("the connection's task lives");
        answer
    }

    /// A sound request that has come as far as the backend.
    async fn on_its_way(&self) -> OnItsWay {
        let (mut client, served) = self.connect().await;
        ask(&mut client, "/v1/chat/completions", "").await;
        let (backend, _) = self.backend.accept().await.unwrap();
        OnItsWay {
            client,
            served,
            backend,
        }
    }

    fn places_taken(&self) -> u32 {
        self.entrance.snapshot.load().backends[0].vitals.in_flight()
    }

    /// The access lines, once there are `count`.
    fn records(&self, count: usize) -> Vec<Value> {
        self.logs.flush(Duration::from_secs(20));
        let text = String::from_utf8(self.page.0.lock().clone()).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), count, "{text}");
        lines
    }
}

/// A request that waits for its backend.
struct OnItsWay {
    client: TcpStream,
    served: JoinHandle<()>,
    backend: TcpStream,
}

impl OnItsWay {
    /// Has the backend answer, and gives the head that the client gets.
    async fn finish(mut self) -> String {
        let body = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"hello"}}]}"#;
        let length = body.len();
        let reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.backend.write_all(reply.as_bytes()).await.unwrap();
        let (head, _) = answer(&mut self.client).await;
        drop(self.client);
        self.served.await.expect("the connection's task lives");
        head
    }
}

async fn ask(client: &mut TcpStream, path: &str, header: &str) {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{header}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(request.as_bytes()).await.unwrap();
}

async fn answer(client: &mut TcpStream) -> (String, Value) {
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    (head.to_owned(), serde_json::from_str(body).expect("a JSON body"))
}

#[tokio::test]
async fn o12_a_panic_answers_500_in_the_callers_dialect_gives_its_place_back_and_harms_no_other_request() {
    let scene = Scene::start().await;
    // Both in the one thread that the broken ones panic in.
    let other = scene.on_its_way().await;
    for (path, kind) in [
        ("/v1/chat/completions", "server_error"),
        ("/v1/responses", "server_error"),
        ("/v1/messages", "api_error"),
    ] {
        let (head, body) = scene.broken(path).await;
        assert!(head.starts_with("HTTP/1.1 500 "), "{path}: {head}");
        assert!(head.contains("x-request-id: mine"), "{path}: {head}");
        assert_eq!(body["error"]["type"], kind, "{path}: {body}");
        assert!(!body.to_string().contains("canary"), "{path}: {body}");
        assert_eq!(scene.places_taken(), 1, "{path}: only the other one's");
        assert_eq!(scene.live.access.in_flight().count(), 1, "{path}");
    }
    let next = scene.on_its_way().await.finish().await;
    assert!(
        next.starts_with("HTTP/1.1 200 "),
        "the second place is free: {next}"
    );
    let other = other.finish().await;
    assert!(
        other.starts_with("HTTP/1.1 200 "),
        "and the other one whole: {other}"
    );
    assert_eq!(scene.places_taken(), 0);
    let records = scene.records(5);
    let broken =
        |record: &&Value| (&record["status"], &record["class"]) == (&Value::from(500), &Value::from("local"));
    assert_eq!(records.iter().filter(broken).count(), 3, "{records:?}");
    assert!(
        records.iter().all(|record| record["cancelled"] == false),
        "{records:?}"
    );
}
