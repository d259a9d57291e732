//! More connections than there is room for (L17, L21).

use std::process::Command;

use tokio::net::TcpStream;

use super::super::contract::{Pair, calls};
use super::super::support::proxy::fresh_dir;
use super::super::support::{Client, Proxy, Streaming, until, within};

/// A connection that has been served and stays.
async fn served(proxy: &Proxy) -> Streaming {
    let mut probe = proxy.client().open("GET", "/healthz", b"").await;
    within("a probe's answer", probe.rest()).await.expect(200);
    probe
}

/// Whether a probe on a connection of its own is answered.
async fn answers(proxy: &Proxy) -> Option<()> {
    let mut probe = Client::plain(proxy.address())
        .raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    within("an answer, or the end", probe.closed()).await;
    probe.raw().starts_with(b"HTTP/1.1 200").then_some(())
}

fn warnings(proxy: &Proxy, of: &str) -> usize {
    proxy.log().iter().filter(|line| line.contains(of)).count()
}

#[tokio::test]
async fn l17_beyond_the_limit_connections_are_closed_and_the_admin_listener_still_answers() {
    let pair = Pair::start().await;
    let yaml = |max: usize| format!("limits: {{max_connections: {max}}}\n{}", pair.yaml());
    let proxy = Proxy::start(&yaml(3)).await;
    let mut kept = vec![served(&proxy).await, served(&proxy).await, served(&proxy).await];
    for _ in 0..20 {
        let mut refused = Client::plain(proxy.address()).raw(b"").await;
        refused.closed().await;
        assert_eq!(refused.raw(), b"");
    }
    assert_eq!(warnings(&proxy, "max_connections"), 1, "one for all of them");
    assert_eq!(proxy.status().await["in_flight"], 0, "the admin gets in");
    let (path, body) = &calls("m", false)[0];
    let open = kept.pop().unwrap().into_stream();
    let body = body.to_string();
    let mut asked = proxy.client().open_on(open, "POST", path, body.as_bytes()).await;
    within("those that are open go on", asked.rest())
        .await
        .expect(200);
    drop(asked);
    until("room for another", async || answers(&proxy).await).await;
    kept.push(served(&proxy).await);
    proxy.reload(&yaml(4)).await;
    let _fourth = served(&proxy).await;
    proxy.finish().await;
}

#[tokio::test]
async fn l21_without_files_left_accepting_pauses_and_goes_on_with_one_warning() {
    let pair = Pair::start().await;
    let dir = fresh_dir();
    let config = dir.join("config.yaml");
    let addresses = "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\nlimits: {max_connections: 10000}\n";
    std::fs::write(&config, format!("{addresses}{}", pair.yaml())).unwrap();
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -n 64; exec \"$0\" --config \"$1\"",
            env!("CARGO_BIN_EXE_llm-proxy"),
        ])
        .arg(&config);
    let proxy = Proxy::launch(command, dir).await;
    let (path, body) = &calls("m", false)[0];
    let body = body.to_string();
    let mut first = proxy.client().open("POST", path, body.as_bytes()).await;
    within("an answer", first.rest()).await.expect(200);
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(proxy.address()).await.unwrap());
    }
    proxy.logged("cannot accept connections").await;
    let mut open = first.into_stream();
    for _ in 0..5 {
        let mut again = proxy.client().open_on(open, "POST", path, body.as_bytes()).await;
        within("an answer on an open connection", again.rest())
            .await
            .expect(200);
        open = again.into_stream();
    }
    drop(idle);
    until("connections to be taken again", async || answers(&proxy).await).await;
    assert_eq!(warnings(&proxy, "cannot accept connections"), 1);
    proxy.finish().await;
}
