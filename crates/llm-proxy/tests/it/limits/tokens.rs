//! Limits of tokens: taken ahead by an estimate, settled by what an answer cost.

use futures_util::future::join_all;
use llm_sim::{Answer, Cut, Sim, Speaks};
use serde_json::{Value, json};

use crate::support::{Client, Proxy, Reply};

const ONE: &str = "sk-canary-client-one-0123456789";

/// A key with so many tokens a minute, and two backends.
async fn scene(tokens: u32) -> (Sim, Sim, Proxy) {
    let [a, b] = [
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::All).await.unwrap(),
    ];
    let proxy = Proxy::start(&format!(
        "api_keys: [{{name: one, key: {ONE}, rate_limit: {{tpm: {tokens}}}}}]
backends: [{{name: a, protocol: openai, url: {}, api_key: sk-canary-a}}, {{name: b, protocol: openai, url: {}, api_key: sk-canary-b}}]
models: {{m: {{routes: [{{backend: a, model: real, priority: 1}}, {{backend: b, model: real, priority: 2}}]}}}}
",
        a.url(),
        b.url()
    ))
    .await;
    (a, b, proxy)
}

fn client(proxy: &Proxy) -> Client {
    proxy.client().header("x-api-key", ONE)
}

fn request(max_tokens: u32, stream: bool) -> Value {
    json!({
        "model": "m", "max_tokens": max_tokens, "stream": stream,
        "messages": [{"role": "user", "content": "Hi"}]
    })
}

async fn ask(proxy: &Proxy, max_tokens: u32, stream: bool) -> Reply {
    let body = request(max_tokens, stream);
    client(proxy).post("/v1/chat/completions", &body).await
}

/// What is left of the key's tokens, before a request that takes nothing worth speaking of.
async fn left(proxy: &Proxy) -> u64 {
    let status = proxy.status().await;
    status["limits"]["keys"]["one"]["tokens"]["remaining"]
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn l10_what_was_taken_too_much_is_there_for_the_next() {
    let (a, _b, proxy) = scene(300).await;
    a.always(Answer::healthy().usage(10, 20));
    for stream in [false, true, false] {
        ask(&proxy, 200, stream).await.expect(200);
    }
    let left = left(&proxy).await;
    assert!(
        (210..=240).contains(&left),
        "three times thirty of three hundred: {left}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn l10_what_may_be_used_is_taken_while_it_may_be() {
    let (a, _b, proxy) = scene(300).await;
    a.next(Answer::healthy().after_deltas(1, Cut::Stall));
    let body = request(200, true).to_string();
    let mut running = client(&proxy)
        .open("POST", "/v1/chat/completions", body.as_bytes())
        .await;
    running.until("data:").await;
    let over = ask(&proxy, 200, false).await.expect(429);
    let message = over.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("tokens for this API key"), "{message}");
    assert_eq!(over.header("x-ratelimit-limit-tokens"), "300");
    ask(&proxy, 10, false).await.expect(200);
    running.leave();
    proxy.recorded(3).await;
    ask(&proxy, 150, false).await.expect(200);
    proxy.finish().await;
}

#[tokio::test]
async fn l11_a_request_is_settled_once_however_it_ends() {
    // Refused by the backend, or failed before the answer: nothing was used.
    let (a, b, proxy) = scene(300).await;
    a.next(Answer::status(400));
    ask(&proxy, 250, false).await.expect(400);
    for sim in [&a, &b] {
        sim.next(Answer::status(500));
    }
    ask(&proxy, 250, true).await.expect(502);
    assert!(left(&proxy).await >= 299);
    // Fallen back: only the answer that was had counts.
    a.next(Answer::status(500));
    b.next(Answer::healthy().usage(10, 20));
    ask(&proxy, 250, false).await.expect(200);
    let after = left(&proxy).await;
    assert!((269..=290).contains(&after), "{after}");
    proxy.finish().await;
    // Broken off in the middle, without usage: what was asked counts, what might have been answered does not.
    let (a, _b, proxy) = scene(300).await;
    a.next(Answer::healthy().after_deltas(1, Cut::Rst));
    ask(&proxy, 250, true).await.expect(200);
    assert!(left(&proxy).await > 250, "{}", left(&proxy).await);
    proxy.finish().await;
}

#[tokio::test]
async fn l11_a_client_that_leaves_gives_back_what_it_had_taken() {
    let (a, _b, proxy) = scene(300).await;
    a.always(Answer::hang());
    let body = request(250, false).to_string();
    for _ in 0..3 {
        let waiting = client(&proxy)
            .open("POST", "/v1/chat/completions", body.as_bytes())
            .await;
        let seen = a.seen().len();
        a.wait_seen(seen + 1).await;
        waiting.leave();
        proxy.recorded(seen + 1).await;
    }
    assert!(left(&proxy).await >= 299);
    proxy.finish().await;
}

#[tokio::test]
async fn l08_64_clients_at_once_get_no_more_tokens_than_there_are() {
    let (a, b, proxy) = scene(1000).await;
    for sim in [&a, &b] {
        sim.always(Answer::healthy().after_deltas(1, Cut::Stall));
    }
    let body = request(80, true).to_string();
    let open = async || {
        let mut stream = client(&proxy)
            .open("POST", "/v1/chat/completions", body.as_bytes())
            .await;
        stream.until("\r\n").await;
        (stream.raw().starts_with(b"HTTP/1.1 200"), stream)
    };
    let opened = join_all((0..64).map(|_| open())).await;
    let passed = opened.iter().filter(|(passed, _)| *passed).count();
    // Each takes eighty for the answer and some twenty for the question.
    assert!((9..=11).contains(&passed), "{passed}");
    drop(opened);
    proxy.finish().await;
}

#[tokio::test]
async fn more_than_a_limit_holds_passes_when_nothing_else_has() {
    let (a, _b, proxy) = scene(100).await;
    a.always(Answer::healthy().usage(5, 5));
    ask(&proxy, 100_000, false).await.expect(200);
    ask(&proxy, 10, false).await.expect(200);
    a.always(Answer::healthy().usage(500, 500));
    ask(&proxy, 10, false).await.expect(200);
    let over = ask(&proxy, 1, false).await.expect(429);
    let wait: u64 = over.header("retry-after").parse().unwrap();
    assert!(
        (500..=600).contains(&wait),
        "a debt of nine hundred at a hundred a minute: {wait}"
    );
    proxy.finish().await;
}
