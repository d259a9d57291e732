//! The program's own life: reloads, watching, the drain and its end.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use llm_sim::{Answer, Sim, Speaks};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};

use super::support::client::chat;
use super::support::{Client, Proxy, until, within};

/// More than the sockets of both sides hold.
const LARGE: usize = 24 << 20;
/// What a slow reader takes at once, and how long it waits for the next.
const SIP: usize = 64 * 1024;
const PAUSE: Duration = Duration::from_millis(5);

fn one(sim: &Sim, rest: &str) -> String {
    format!(
        "{rest}
backends: {{name: a, protocol: openai, url: '{}', api_key: sk-canary-backend}}
models: {{m: {{backend: a, model: real}}}}
",
        sim.url()
    )
}

/// A client that has asked for a large answer, and has read its head. All of it is out of the proxy's hands.
async fn slow_reader(proxy: &Proxy) -> (TcpStream, usize) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let stream = socket.connect(proxy.address().parse().unwrap()).await.unwrap();
    let body = chat("m", false).to_string();
    let mut answer = proxy
        .client()
        .open_on(stream, "POST", "/v1/chat/completions", body.as_bytes())
        .await;
    answer.until("\r\n\r\n").await;
    proxy.recorded(1).await;
    let head = String::from_utf8_lossy(answer.raw()).into_owned();
    let (head, begun) = head.split_once("\r\n\r\n").unwrap();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap()
        .parse()
        .unwrap();
    assert!(length > LARGE, "{head}");
    let left = length - begun.len();
    (answer.into_stream(), left)
}

#[tokio::test]
async fn o01_a_drain_waits_for_the_last_byte_of_a_slow_reader_and_for_no_idle_connection() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy().text("x".repeat(LARGE)));
    let mut proxy = Proxy::start(&one(&sim, "shutdown_grace: 60s")).await;
    let (mut stream, left) = slow_reader(&proxy).await;
    let mut idle = Client::plain(proxy.address()).open("GET", "/healthz", b"").await;
    idle.rest().await.expect(200);
    proxy.signal("-TERM");
    idle.closed().await;
    let mut read = 0;
    within("the whole answer", async {
        let mut pause = tokio::time::interval(PAUSE);
        let mut sip = vec![0; SIP];
        while read < left {
            pause.tick().await;
            match stream.read(&mut sip).await {
                Ok(more @ 1..) => read += more,
                end => panic!("cut off after {read} of {left} bytes: {end:?}"),
            }
        }
    })
    .await;
    assert_eq!(proxy.ended().await, Some(0), "long before the grace is over");
    proxy.finish_ended().await;
}

#[tokio::test]
async fn o02_a_second_signal_ends_at_once_even_while_last_bytes_go_out() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy().text("x".repeat(LARGE)));
    for signal in ["-TERM", "-INT"] {
        let mut proxy = Proxy::start(&one(&sim, "shutdown_grace: 60s")).await;
        let _unread = slow_reader(&proxy).await;
        proxy.signal("-TERM");
        proxy.logged("draining").await;
        proxy.signal(signal);
        assert_eq!(proxy.ended().await, Some(1), "{signal}");
        proxy.finish_ended().await;
    }
}

/// What the process has open: files and sockets, and threads.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    files: usize,
    threads: usize,
}

impl Held {
    fn by(proxy: &Proxy) -> Self {
        let count = |what: &str| {
            let dir = format!("/proc/{}/{what}", proxy.pid());
            std::fs::read_dir(dir).unwrap().count()
        };
        Self {
            files: count("fd"),
            threads: count("task"),
        }
    }
}

/// How many folders the process watches for changes.
fn watches(proxy: &Proxy) -> usize {
    let dir = format!("/proc/{}/fd", proxy.pid());
    let targets = std::fs::read_dir(dir).unwrap().flatten();
    targets
        .filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == Path::new("anon_inode:inotify")))
        .count()
}

#[tokio::test]
async fn k04_a_thousand_sighups_are_coalesced_and_leave_nothing_behind() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&one(&sim, "watch: true")).await;
    let client = proxy.client();
    until("the watch", async || (watches(&proxy) == 1).then_some(())).await;
    // The connection to the backend stays, and is no leak.
    client.chat("m", false).await.expect(200);
    let before = Held::by(&proxy);
    let storm = format!(
        "i=0; while [ $i -lt 1000 ]; do kill -HUP {}; i=$((i+1)); done",
        proxy.pid()
    );
    let mut storm = Command::new("sh").arg("-c").arg(storm).spawn().unwrap();
    while storm.try_wait().unwrap().is_none() {
        client.chat("m", false).await.expect(200);
    }
    assert!(storm.wait().unwrap().success(), "a thousand signals were sent");
    proxy
        .reload(&one(&sim, "watch: true\nlogging: {level: debug}"))
        .await;
    assert!(proxy.generation().await <= 1_003, "no more reloads than signals");
    until("what the reloads held to be given back", async || {
        let now = Held::by(&proxy);
        (now.files <= before.files && now.threads <= before.threads).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_watched_change_may_end_the_watch_and_a_reload_may_begin_it_again() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&one(&sim, "watch: true")).await;
    until("the watch", async || (watches(&proxy) == 1).then_some(())).await;
    proxy.rewrite(&one(&sim, "watch: false"));
    proxy.logged("generation 2 is in force").await;
    until("the end of the watch", async || {
        (watches(&proxy) == 0).then_some(())
    })
    .await;
    proxy.reload(&one(&sim, "watch: true")).await;
    until("the watch again", async || (watches(&proxy) == 1).then_some(())).await;
    proxy.rewrite(&one(&sim, "watch: true\nshutdown_grace: 1s"));
    proxy.logged("generation 4 is in force").await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_watched_prompt_reloads_and_a_bad_one_leaves_the_config_in_force() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&one(&sim, "watch: true")).await;
    let folder = proxy.dir().join("prompts");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.md"), "Be kind.").unwrap();
    proxy.rewrite(&one(&sim, "watch: true\nsystem_prompts: {dir: prompts}"));
    proxy.logged("generation 2 is in force").await;
    std::fs::write(folder.join("b.md"), "---\npriority: 1\n---\nIt is ${_DAT}.").unwrap();
    proxy
        .logged("the new config is refused; generation 2 stays in force")
        .await;
    let told = proxy.status().await["config"]["last_reload_error"].to_string();
    assert!(
        told.contains("b.md:4:7") && told.contains("did you mean `_DATE`?"),
        "{told}"
    );
    std::fs::write(folder.join("b.md"), "It is ${_DATE}.").unwrap();
    proxy.logged("generation 3 is in force").await;
    proxy.finish().await;
}

#[tokio::test]
async fn k08_an_address_that_overlaps_our_own_is_refused_whole_with_one_clear_sentence() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let port = free_port();
    let yaml = |host: &str, model: &str| {
        format!(
            "listen: {host}:{port}
admin: {{listen: 127.0.0.1:0}}
api_keys: {{name: k, key: sk-canary-client-0123}}
backends: {{name: a, protocol: openai, url: '{}', api_key: sk-canary-backend}}
models: {{{model}: {{backend: a}}}}
",
            sim.url()
        )
    };
    let proxy = Proxy::start(&yaml("127.0.0.1", "old")).await;
    proxy.rewrite(&yaml("0.0.0.0", "new"));
    proxy.signal("-HUP");
    let sentence =
        format!("to listen on tcp://0.0.0.0:{port} instead of tcp://127.0.0.1:{port} needs a restart");
    proxy.logged(&sentence).await;
    let status = proxy.status().await;
    assert_eq!(status["config"]["generation"], 1);
    let told = status["config"]["last_reload_error"].as_str().unwrap();
    assert!(told.contains(&sentence), "{told}");
    let client = proxy
        .client()
        .header("authorization", "Bearer sk-canary-client-0123");
    client.chat("old", false).await.expect(200);
    client.chat("new", false).await.expect(404);
    proxy.finish().await;
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn the_admin_listener_says_which_methods_it_takes_and_counts_panics() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&one(&sim, "")).await;
    let refused = Client::plain(proxy.admin())
        .send("POST", "/api/status", b"{}")
        .await
        .expect(405);
    assert_eq!(refused.header("allow"), "GET, HEAD");
    assert_eq!(proxy.status().await["panics"], 0);
    proxy.finish().await;
}
