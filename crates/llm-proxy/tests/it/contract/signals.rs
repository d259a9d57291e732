//! The end of the program (O01 to O03 of the rule book; contract, section 1, signals).

use std::time::Duration;

use llm_sim::Answer;
use serde_json::Value;

use super::super::support::{Client, Proxy, Streaming, now, until, within};
use super::{Pair, calls};

/// An answer that has begun and will not end by itself within any test.
fn endless() -> Answer {
    Answer::healthy().deltas(100_000).delay(Duration::from_millis(10))
}

fn make_endless(pair: &Pair) {
    pair.openai.always(endless());
    pair.anthropic.always(endless());
}

/// A stream in each dialect, past its commit point.
async fn streams(proxy: &Proxy) -> Vec<Streaming> {
    let mut open = Vec::new();
    for (path, body) in calls("m", true) {
        let mut stream = proxy
            .client()
            .open("POST", path, body.to_string().as_bytes())
            .await;
        stream.until("delta").await;
        open.push(stream);
    }
    open
}

/// A connection that has served a probe and stays open.
async fn kept_alive(proxy: &Proxy) -> Streaming {
    let mut probe = proxy.client().open("GET", "/readyz", b"").await;
    within("a probe's answer", probe.rest()).await.expect(200);
    probe
}

#[tokio::test]
async fn o01_a_drain_says_not_ready_at_once_refuses_connections_and_lets_streams_finish() {
    let pair = Pair::start().await;
    let slow = Answer::healthy().deltas(40).delay(Duration::from_millis(25));
    pair.openai.always(slow.clone());
    pair.anthropic.always(slow);
    let mut proxy = Proxy::start(&format!("shutdown_grace: 60s\n{}", pair.yaml())).await;
    let (ready, api) = (kept_alive(&proxy).await, kept_alive(&proxy).await);
    let open = streams(&proxy).await;
    proxy.signal("-TERM");
    proxy.logged("draining").await;
    let mut ready = proxy
        .client()
        .open_on(ready.into_stream(), "GET", "/readyz", b"")
        .await;
    let answer = within("the probe's answer", ready.rest()).await.expect(503);
    assert_eq!(answer.header("connection"), "close");
    ready.closed().await;
    let (path, body) = &calls("m", false)[0];
    let mut late = proxy
        .client()
        .open_on(api.into_stream(), "POST", path, body.to_string().as_bytes())
        .await;
    until("the address to be closed", async || {
        tokio::net::TcpStream::connect(proxy.address())
            .await
            .is_err()
            .then_some(())
    })
    .await;
    let ends = ["[DONE]", "response.completed", "message_stop"];
    for (mut stream, end) in open.into_iter().zip(ends) {
        let reply = within("the stream's end", stream.rest()).await;
        assert!(reply.whole && reply.text().contains(end), "{}", reply.text());
    }
    let answer = within("the late request's answer", late.rest()).await.expect(200);
    assert_eq!(
        answer.header("connection"),
        "close",
        "an open connection is told to go elsewhere"
    );
    assert_eq!(proxy.ended().await, Some(0));
    proxy.finish_ended().await;
}

#[tokio::test]
async fn o01_after_the_grace_the_rest_get_their_dialects_error_event_and_the_exit_code_is_0() {
    let pair = Pair::start().await;
    make_endless(&pair);
    let mut proxy = Proxy::start(&format!("shutdown_grace: 300ms\n{}", pair.yaml())).await;
    let open = streams(&proxy).await;
    let asked = now();
    proxy.signal("-TERM");
    for (mut stream, (path, _)) in open.into_iter().zip(calls("m", true)) {
        let reply = within("the stream's end", stream.rest()).await;
        assert!(
            asked.elapsed() >= Duration::from_millis(300),
            "the grace is given"
        );
        let text = reply.text();
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        let (event, data) = last.split_once("data: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap_or_else(|_| panic!("no JSON: {last}"));
        match path {
            "/v1/messages" => {
                assert_eq!((event, &data["type"]), ("event: error\n", &Value::from("error")));
                assert_eq!(data["error"]["type"], "overloaded_error");
            }
            "/v1/responses" => {
                assert!(text.contains("event: error\n"), "{last}");
                assert_eq!(
                    (event, &data["type"]),
                    ("event: response.failed\n", &Value::from("response.failed"))
                );
            }
            _ => assert_eq!(data["error"]["code"], "shutting_down", "{last}"),
        }
        for end in ["[DONE]", "message_stop", "response.completed"] {
            assert!(!text.contains(end), "{path}: a broken answer never looks whole");
        }
        stream.closed().await;
    }
    assert_eq!(proxy.ended().await, Some(0));
    assert!(proxy.log().last().unwrap().contains("stopped"));
    proxy.finish_ended().await;
}

#[tokio::test]
async fn o01_requests_that_have_no_answer_yet_when_the_grace_is_over_get_an_error_in_their_dialect() {
    let pair = Pair::start().await;
    pair.openai.always(Answer::hang());
    pair.anthropic.always(Answer::hang());
    let mut proxy = Proxy::start(&format!("shutdown_grace: 200ms\n{}", pair.yaml())).await;
    let mut waiting = Vec::new();
    for (path, body) in calls("m", false) {
        waiting.push(
            proxy
                .client()
                .open("POST", path, body.to_string().as_bytes())
                .await,
        );
    }
    pair.openai.wait_seen(2).await;
    pair.anthropic.wait_seen(1).await;
    proxy.signal("-INT");
    for (mut one, (path, _)) in waiting.into_iter().zip(calls("m", false)) {
        let status = if path == "/v1/messages" { 529 } else { 503 };
        let reply = within("an error", one.rest()).await.expect(status);
        assert_eq!(reply.header("retry-after"), "1", "{path}");
        let kind = if path == "/v1/messages" {
            "overloaded_error"
        } else {
            "server_error"
        };
        assert_eq!(reply.json()["error"]["type"], kind, "{path}");
    }
    assert_eq!(proxy.ended().await, Some(0));
    proxy.finish_ended().await;
}

#[tokio::test]
async fn o02_a_second_signal_ends_at_once() {
    for (first, second) in [("-TERM", "-TERM"), ("-INT", "-TERM"), ("-TERM", "-INT")] {
        let pair = Pair::start().await;
        make_endless(&pair);
        let mut proxy = Proxy::start(&format!("shutdown_grace: 10m\n{}", pair.yaml())).await;
        let open = streams(&proxy).await;
        proxy.signal(first);
        proxy.logged("draining").await;
        proxy.signal(second);
        assert_eq!(proxy.ended().await, Some(1), "not all was finished");
        proxy.logged("told twice").await;
        drop(open);
    }
}

#[tokio::test]
async fn an_idle_proxy_ends_with_0_as_soon_as_it_is_told() {
    let pair = Pair::start().await;
    for signal in ["-TERM", "-INT"] {
        let mut proxy = Proxy::start(&format!("shutdown_grace: 10m\n{}", pair.yaml())).await;
        let mut idle = kept_alive(&proxy).await;
        proxy.signal(signal);
        assert_eq!(proxy.ended().await, Some(0), "{signal}");
        idle.closed().await;
        proxy.finish_ended().await;
    }
}

#[tokio::test]
async fn o03_after_a_kill_the_same_address_and_socket_file_are_free_at_once() {
    let pair = Pair::start().await;
    make_endless(&pair);
    let dir = super::super::support::proxy::fresh_dir();
    let socket = dir.join("proxy.sock");
    let yaml = |port: &str| {
        format!(
            "listen: ['{port}', 'unix:{}']\nadmin: {{listen: 127.0.0.1:0}}\n{}",
            socket.display(),
            pair.yaml()
        )
    };
    let mut killed = Proxy::start(&yaml("127.0.0.1:0")).await;
    let address = killed.address().to_owned();
    let open = streams(&killed).await;
    killed.signal("-KILL");
    assert_eq!(killed.ended().await, None, "it was killed");
    for line in killed.log() {
        assert!(
            serde_json::from_str::<Value>(&line).is_ok(),
            "a torn line: {line}"
        );
    }
    let again = Proxy::start(&yaml(&address)).await;
    assert_eq!(again.address(), address);
    Client::plain(&address).get("/readyz").await.expect(200);
    tokio::net::UnixStream::connect(&socket).await.unwrap();
    drop(open);
    again.finish().await;
    std::fs::remove_dir_all(dir).unwrap();
}
