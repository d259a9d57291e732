//! More connections than there is room for (L17, L21).

use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::contract::{Pair, calls};
use super::super::support::proxy::fresh_dir;
use super::super::support::{Client, Proxy, until, within};

/// A connection that has been served and stays; none where there was no room for it.
async fn served(proxy: &Proxy) -> Option<TcpStream> {
    let mut probe = TcpStream::connect(proxy.address()).await.unwrap();
    probe
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .ok()?;
    let mut answer = vec![0; 4096];
    let read = within("an answer, or the end", probe.read(&mut answer))
        .await
        .ok()?;
    answer[..read].starts_with(b"HTTP/1.1 200").then_some(probe)
}

/// The same as soon as there is room.
async fn another(proxy: &Proxy) -> TcpStream {
    until("room for a connection", async || served(proxy).await).await
}

fn warnings(proxy: &Proxy, of: &str) -> usize {
    proxy.log().iter().filter(|line| line.contains(of)).count()
}

#[tokio::test]
async fn l17_beyond_the_limit_connections_are_closed_and_the_admin_listener_still_answers() {
    let pair = Pair::start().await;
    let yaml = |max: usize| format!("limits: {{max_connections: {max}}}\n{}", pair.yaml());
    let proxy = Proxy::start(&yaml(3)).await;
    let mut kept = vec![
        another(&proxy).await,
        another(&proxy).await,
        another(&proxy).await,
    ];
    for _ in 0..20 {
        let mut refused = Client::plain(proxy.address()).raw(b"").await;
        refused.closed().await;
        assert_eq!(refused.raw(), b"");
    }
    proxy.logged("max_connections").await;
    assert_eq!(warnings(&proxy, "max_connections"), 1, "one for all of them");
    assert_eq!(proxy.status().await["in_flight"], 0, "the admin gets in");
    let (path, body) = &calls("m", false)[0];
    let open = kept.pop().unwrap();
    let body = body.to_string();
    let mut asked = proxy.client().open_on(open, "POST", path, body.as_bytes()).await;
    within("those that are open go on", asked.rest())
        .await
        .expect(200);
    drop(asked);
    kept.push(another(&proxy).await);
    assert!(served(&proxy).await.is_none(), "full again");
    proxy.reload(&yaml(4)).await;
    kept.push(another(&proxy).await);
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
    let second = another(&proxy).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(proxy.address()).await.unwrap());
    }
    proxy.logged("cannot accept connections").await;
    // The other backend has no connection yet: who needs one waits for a file, and blames nobody.
    let (elsewhere, question) = &calls("m", false)[2];
    let question = question.to_string();
    let mut waiting = proxy
        .client()
        .open_on(second, "POST", elsewhere, question.as_bytes())
        .await;
    let mut open = first.into_stream();
    for _ in 0..5 {
        let mut again = proxy.client().open_on(open, "POST", path, body.as_bytes()).await;
        within("an answer on an open connection", again.rest())
            .await
            .expect(200);
        open = again.into_stream();
    }
    assert!(waiting.is_silent(), "no file, no connection, no answer yet");
    drop(idle);
    within("an answer once there are files", waiting.rest())
        .await
        .expect(200);
    assert_eq!(pair.anthropic.seen().len(), 1, "the first choice has answered");
    another(&proxy).await;
    assert_eq!(warnings(&proxy, "cannot accept connections"), 1);
    proxy.finish().await;
}
