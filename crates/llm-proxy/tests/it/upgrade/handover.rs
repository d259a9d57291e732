//! SIGUSR2: a new process takes over the sockets of the old one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::scene::{Scene, health_over};
use crate::support::client::chat;
use crate::support::hand::Held;
use crate::support::{Client, Reply, Streaming, Tongue, until, within};

const PATH: &str = "/v1/chat/completions";
/// Between two requests of one client: the machine is shared.
const PAUSE: Duration = Duration::from_millis(3);

/// Requests without end, over connections that are kept, over new ones and over new ones to the Unix socket, until it is
/// told to stop. Each must be answered.
struct Load {
    clients: JoinSet<()>,
    answered: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
}

impl Load {
    fn begin(scene: &Scene) -> Self {
        let mut load = Self {
            clients: JoinSet::new(),
            answered: Arc::default(),
            enough: Arc::default(),
        };
        for _ in 0..4 {
            let client = scene.proxy.client();
            let (answered, enough) = (Arc::clone(&load.answered), Arc::clone(&load.enough));
            load.clients.spawn(anew(client.clone(), answered, enough));
            let (answered, enough) = (Arc::clone(&load.answered), Arc::clone(&load.enough));
            load.clients.spawn(kept(client, answered, enough));
            let (answered, enough) = (Arc::clone(&load.answered), Arc::clone(&load.enough));
            load.clients.spawn(local(scene.socket(), answered, enough));
        }
        load
    }

    /// Waits until so many more have been answered.
    async fn goes_on(&self, more: usize) {
        let before = self.answered.load(Ordering::SeqCst);
        until("more answers", async || {
            (self.answered.load(Ordering::SeqCst) >= before + more).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.enough.store(true, Ordering::SeqCst);
        within("the last answers", self.clients.join_all()).await;
    }
}

async fn anew(client: Client, answered: Arc<AtomicUsize>, enough: Arc<AtomicBool>) {
    let mut pause = tokio::time::interval(PAUSE);
    while !enough.load(Ordering::SeqCst) {
        pause.tick().await;
        assert!(client.chat("m", false).await.expect(200).whole);
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Leaves a connection only when it is told to.
async fn kept(client: Client, answered: Arc<AtomicUsize>, enough: Arc<AtomicBool>) {
    let mut pause = tokio::time::interval(PAUSE);
    let mut connection: Option<TcpStream> = None;
    while !enough.load(Ordering::SeqCst) {
        pause.tick().await;
        let (reply, used) = ask(&client, connection.take()).await;
        connection = (reply.header("connection") != "close").then(|| used.into_stream());
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// One request, on that connection or on a new one.
async fn ask(client: &Client, connection: Option<TcpStream>) -> (Reply, Streaming) {
    let body = chat("m", false).to_string();
    let mut asked = match connection {
        Some(connection) => client.open_on(connection, "POST", PATH, body.as_bytes()).await,
        None => client.open("POST", PATH, body.as_bytes()).await,
    };
    let reply = within("an answer", asked.rest()).await.expect(200);
    assert!(reply.whole);
    (reply, asked)
}

async fn local(socket: PathBuf, answered: Arc<AtomicUsize>, enough: Arc<AtomicBool>) {
    let mut pause = tokio::time::interval(PAUSE);
    while !enough.load(Ordering::SeqCst) {
        pause.tick().await;
        let answer = within("an answer", health_over(&socket)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// A stream past its commit point that goes on when the test says so.
async fn stream(scene: &Scene) -> (Streaming, Held) {
    let body = chat("h", true).to_string();
    let mut asked = scene.proxy.client().open("POST", PATH, body.as_bytes()).await;
    let mut held = scene.hand.take().await;
    held.begin().await;
    held.say(&Tongue::Chat.begun(1).concat()).await;
    asked.until("word-0 ").await;
    (asked, held)
}

/// The stream goes on to its sound end.
async fn whole((mut asked, mut held): (Streaming, Held)) {
    held.say(&Tongue::Chat.delta(1)).await;
    asked.until("word-1 ").await;
    held.say(&Tongue::Chat.closing().concat()).await;
    held.end().await;
    let reply = within("the end of the stream", asked.rest()).await;
    assert!(reply.whole);
    assert_eq!(
        reply.text(),
        Tongue::Chat.whole(2).concat(),
        "not a byte is missing"
    );
}

/// A connection on which a probe was answered, and which stays.
async fn idle(scene: &Scene) -> TcpStream {
    let mut probe = scene.proxy.client().open("GET", "/readyz", b"").await;
    within("a probe's answer", probe.rest()).await.expect(200);
    probe.into_stream()
}

#[tokio::test]
async fn o04_a_new_process_takes_over_under_load_twice_with_no_request_refused_and_no_stream_cut() {
    let mut scene = Scene::start("shutdown_grace: 1ms\n").await;
    let load = Load::begin(&scene);
    let (first, kept) = (stream(&scene).await, idle(&scene).await);
    load.goes_on(100).await;
    let address = scene.proxy.address().to_owned();
    let old = scene.serving;
    scene.upgrade().await;
    load.goes_on(100).await;
    // A load balancer that has kept its connection is told to come by a new one, and not that the address is down.
    let mut probe = scene.proxy.client().open_on(kept, "GET", "/readyz", b"").await;
    let answer = within("the old process' answer", probe.rest()).await.expect(200);
    assert_eq!(answer.header("connection"), "close");
    probe.closed().await;
    let second = stream(&scene).await;
    let middle = scene.serving;
    scene.upgrade().await;
    load.goes_on(100).await;
    Client::plain(&address).get("/readyz").await.expect(200);
    assert_eq!(
        scene.alive().len(),
        3,
        "both old ones have a stream left: {:?}",
        scene.alive()
    );
    load.end().await;
    whole(first).await;
    assert_eq!(scene.proxy.ended().await, Some(0), "the first has nothing left");
    whole(second).await;
    until("the end of the second process", async || {
        (scene.alive() == [scene.serving]).then_some(())
    })
    .await;
    assert!(middle != scene.serving && old != middle);
    // Their last lines are on their way through a pipe.
    until("both to say that they stopped", async || {
        let log = scene.proxy.log();
        let stopped = log.iter().filter(|line| line.contains("\"stopped\""));
        (stopped.count() == 2).then_some(())
    })
    .await;
    scene.finish().await;
}

#[tokio::test]
async fn o04_a_signal_makes_an_ordinary_drain_of_what_is_left_of_the_old_process() {
    let mut scene = Scene::start("shutdown_grace: 100ms\n").await;
    let (mut asked, _held) = stream(&scene).await;
    let old = scene.serving;
    scene.upgrade().await;
    let new = std::mem::replace(&mut scene.serving, old);
    scene.signal("-TERM");
    let reply = within("the end of the stream", asked.rest()).await;
    assert!(reply.text().contains("shutting_down"), "{}", reply.text());
    assert_eq!(scene.proxy.ended().await, Some(0));
    scene.serving = new;
    scene.proxy.client().chat("m", false).await.expect(200);
    scene.finish().await;
}

#[tokio::test]
async fn o04_the_new_process_reads_the_config_anew_and_closes_what_it_no_longer_names() {
    let mut scene = Scene::start("").await;
    let admin = scene.proxy.admin().to_owned();
    scene.overwrite(&format!(
        "listen: '127.0.0.1:0'\nadmin: {{listen: '{admin}'}}
backends: {{name: a, protocol: openai, url: {}, api_key: sk-canary-backend-a}}
models: {{new: {{backend: a, model: real}}}}\n",
        scene.sim.url()
    ));
    scene.upgrade().await;
    scene.proxy.client().chat("new", false).await.expect(200);
    scene.proxy.client().chat("m", false).await.expect(404);
    assert_eq!(scene.proxy.admin(), admin);
    scene.proxy.logged("no `listen` names the socket at unix:").await;
    until("the socket's file to go with its address", async || {
        (!scene.socket().exists()).then_some(())
    })
    .await;
    scene.finish().await;
}

#[tokio::test]
async fn o04_a_connection_that_asks_nothing_more_keeps_the_old_process_no_longer_than_any() {
    let mut scene = Scene::start("timeout: {request: 500ms}\n").await;
    let _kept = idle(&scene).await;
    let silent = TcpStream::connect(scene.proxy.address()).await.unwrap();
    scene.upgrade().await;
    assert_eq!(scene.proxy.ended().await, Some(0));
    drop(silent);
    scene.finish().await;
}

#[tokio::test]
async fn o04_an_http2_stream_goes_on_while_its_connection_is_told_to_go() {
    let mut scene = Scene::start("").await;
    let stream = TcpStream::connect(scene.proxy.address()).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::post(format!("http://{}{PATH}", scene.proxy.address()))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(chat("h", true).to_string())))
        .unwrap();
    scene.proxy.sent(1);
    let mut asking = sender.clone();
    let asked = tokio::spawn(async move { asking.send_request(request).await });
    let mut held = scene.hand.take().await;
    held.begin().await;
    held.say(&Tongue::Chat.begun(1).concat()).await;
    let answer = within("a head", asked).await.unwrap().unwrap();
    scene.upgrade().await;
    held.say(&Tongue::Chat.closing().concat()).await;
    held.end().await;
    let all = within("the end of the stream", answer.into_body().collect())
        .await
        .unwrap();
    assert_eq!(all.to_bytes(), Tongue::Chat.whole(1).concat());
    drop(sender);
    within("the end of the connection", connection)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(scene.proxy.ended().await, Some(0));
    scene.finish().await;
}
