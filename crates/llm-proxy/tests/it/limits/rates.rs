//! Rates of requests at each level, as clients meet them.

use std::time::Duration;

use futures_util::future::join_all;
use llm_sim::{Answer, Sim, Speaks};
use serde_json::json;

use crate::support::client::{chat, messages, responses};
use crate::support::rig::{Twist, config};
use crate::support::{Client, Proxy, Reply, Rig, Tongue, until};

const ONE: &str = "sk-canary-client-one-0123456789";
const TWO: &str = "sk-canary-client-two-0123456789";

/// Two keys and two models.
async fn two_of_each(top: &str) -> (Sim, Proxy) {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&format!(
        "backends: [{{name: a, protocol: openai, url: {}, api_key: sk-canary-backend}}]
models:
  m: {{routes: [{{backend: a, model: real}}]}}
  n: {{routes: [{{backend: a, model: real}}]}}
{top}",
        sim.url()
    ))
    .await;
    (sim, proxy)
}

fn keyed(proxy: &Proxy, key: &str) -> Client {
    proxy.client().header("x-api-key", key)
}

/// That it is a refusal for that one's limit of requests, in the dialect of its path, with all that clients wait by.
#[track_caller]
fn refused(reply: &Reply, whose: &str) {
    assert_eq!(reply.status, 429, "{}", reply.text());
    let error = reply.json()["error"].clone();
    assert_eq!(error["type"], "rate_limit_error");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(whose), "{message}");
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    let milliseconds: u64 = reply.header("retry-after-ms").parse().unwrap();
    assert_eq!(seconds, milliseconds.div_ceil(1000));
    assert!(seconds >= 1);
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), "0");
    assert!(!reply.header("x-ratelimit-limit-requests").is_empty());
    assert!(reply.header("x-ratelimit-reset-requests").ends_with('s'));
    assert_eq!(reply.header("x-should-retry"), "", "time heals it");
}

/// Its rate is asked when it has its place: by then the second before it is over.
#[tokio::test]
async fn a_request_that_waited_for_its_place_is_measured_when_it_has_it() {
    let top =
        "concurrency: {max_requests: 1, queue_timeout: 1m}\nrate_limit: {per_model: {m: {rps: 1, burst: 1}}}";
    let rig = Rig::top(Tongue::Chat, top).await;
    rig.a
        .next(Answer::healthy().head_delay(Duration::from_millis(1_200)));
    for reply in join_all((0..2).map(|_| rig.ask(false))).await {
        let reply = reply.expect(200);
        assert_eq!(reply.header("x-ratelimit-limit-requests"), "1");
    }
    rig.finish().await;
}

#[tokio::test]
async fn l07_a_burst_passes_and_the_rest_is_told_when_to_come_back() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, "rate_limit: {global: {rpm: 1, burst: 10}}").await;
        let replies = join_all((0..30).map(|_| rig.ask(false))).await;
        let passed = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(passed, 10, "{tongue:?}");
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            refused(reply, "this proxy");
            if tongue != Tongue::Messages {
                assert_eq!(reply.json()["error"]["code"], "rate_limit_exceeded");
            }
        }
        assert_eq!(
            rig.a.seen().len(),
            10,
            "what is refused costs no backend anything"
        );
        rig.finish().await;
    }
}

#[tokio::test]
async fn l07_after_the_stated_time_the_next_one_passes() {
    let rig = Rig::top(Tongue::Chat, "rate_limit: {per_ip: {rps: 2, burst: 1}}").await;
    rig.ask(false).await.expect(200);
    let mut told = 0;
    until("the next to pass", async || {
        let reply = rig.ask(false).await;
        if reply.status == 200 {
            return Some(());
        }
        refused(&reply, "this address");
        let wait: u64 = reply.header("retry-after-ms").parse().unwrap();
        assert!(wait <= 500, "one comes every half second: {wait}");
        told += 1;
        None
    })
    .await;
    assert!(told > 0);
    rig.finish().await;
}

#[tokio::test]
async fn l08_64_clients_at_once_get_exactly_what_a_limit_gives() {
    for level in [
        "rate_limit: {global: {rpm: 1, burst: 100}}",
        "rate_limit: {per_ip: {rpm: 1, burst: 100}}",
        "rate_limit: {per_model: {m: {rpm: 1, burst: 100}}}",
        "", // the key's own
    ] {
        let own = if level.is_empty() {
            "rpm: 1, burst: 100"
        } else {
            "rps: 100000"
        };
        let keys = format!("api_keys: [{{name: one, key: {ONE}, rate_limit: {{{own}}}}}]\n{level}\n");
        let (sim, proxy) = two_of_each(&keys).await;
        let client = keyed(&proxy, ONE);
        let each = async || {
            let mut passed = 0;
            for _ in 0..5 {
                passed += usize::from(client.chat("m", false).await.status == 200);
            }
            passed
        };
        let passed: usize = join_all((0..64).map(|_| each())).await.into_iter().sum();
        assert!((100..=101).contains(&passed), "{passed} at {level:?}");
        assert_eq!(sim.seen().len(), passed);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn l09_the_tightest_level_is_named_and_the_others_go_on() {
    let keys =
        |rate: &str| format!("api_keys: [{{name: one, key: {ONE}{rate}}}, {{name: two, key: {TWO}}}]\n");
    // A key that has had enough: the other one goes on.
    let (_sim, proxy) = two_of_each(&keys(", rate_limit: {rpm: 1}")).await;
    let (one, two) = (keyed(&proxy, ONE), keyed(&proxy, TWO));
    one.chat("m", false).await.expect(200);
    for (path, body) in [
        ("/v1/chat/completions", chat("m", false)),
        ("/v1/messages", messages("n", true)),
        ("/v1/responses", responses("n", false)),
    ] {
        refused(&one.post(path, &body).await, "this API key");
        two.post(path, &body).await.expect(200);
    }
    proxy.finish().await;
    // A model: the other one goes on, for the same key.
    let (_sim, proxy) = two_of_each(&(keys("") + "rate_limit: {per_model: {m: {rpm: 1}}}")).await;
    let (one, two) = (keyed(&proxy, ONE), keyed(&proxy, TWO));
    one.chat("m", false).await.expect(200);
    refused(&two.messages("m", false).await, "this model");
    two.chat("n", false).await.expect(200);
    proxy.finish().await;
    // An address: a model that nobody has used is no way out, nor is another key.
    let (_sim, proxy) = two_of_each(&(keys("") + "rate_limit: {per_ip: {rpm: 1, burst: 2}}")).await;
    keyed(&proxy, ONE).chat("m", false).await.expect(200);
    keyed(&proxy, TWO).chat("n", false).await.expect(200);
    refused(&keyed(&proxy, TWO).chat("n", false).await, "this address");
    proxy.finish().await;
}

#[tokio::test]
async fn l12_what_the_models_limit_refuses_is_not_taken_from_the_key() {
    let top = format!(
        "api_keys: [{{name: one, key: {ONE}, rate_limit: {{rpm: 5}}}}]\nrate_limit: {{per_model: {{m: {{rpm: 1}}}}}}"
    );
    let (_sim, proxy) = two_of_each(&top).await;
    let one = keyed(&proxy, ONE);
    one.chat("m", false).await.expect(200);
    for _ in 0..10 {
        refused(&one.chat("m", false).await, "this model");
    }
    let left = one.chat("n", false).await.expect(200);
    assert_eq!(left.header("x-ratelimit-remaining-requests"), "3");
    proxy.finish().await;
}

#[tokio::test]
async fn l14_answers_say_how_the_key_stands_in_the_names_of_each_dialect() {
    let top = format!("api_keys: [{{name: one, key: {ONE}, rate_limit: {{rpm: 3, tpm: 100000}}}}]");
    let (sim, proxy) = two_of_each(&top).await;
    sim.always(Answer::healthy().header("x-ratelimit-remaining-requests", "77777"));
    let one = keyed(&proxy, ONE);
    let first = one.chat("m", false).await.expect(200);
    assert_eq!(first.header("x-ratelimit-limit-requests"), "3");
    assert_eq!(
        first.header("x-ratelimit-remaining-requests"),
        "2",
        "the backend's own limit is its business with us"
    );
    assert_eq!(first.header("x-ratelimit-limit-tokens"), "100000");
    let second = one.messages("m", true).await.expect(200);
    assert_eq!(second.header("anthropic-ratelimit-requests-remaining"), "1");
    assert!(second.header("anthropic-ratelimit-requests-reset").ends_with('Z'));
    assert_eq!(second.header("anthropic-ratelimit-tokens-limit"), "100000");
    one.messages("m", false).await.expect(200);
    let over = one.messages("m", false).await;
    refused(&over, "this API key");
    assert_eq!(over.header("anthropic-ratelimit-requests-remaining"), "0");
    proxy.finish().await;
}

#[tokio::test]
async fn a24_the_limit_of_an_address_comes_before_keys_are_looked_at() {
    let top = format!("api_keys: [{{name: one, key: {ONE}}}]\nrate_limit: {{per_ip: {{rpm: 1, burst: 3}}}}");
    let (sim, proxy) = two_of_each(&top).await;
    let guesser = keyed(&proxy, "sk-guess-0123456789abcdef");
    for _ in 0..3 {
        guesser.chat("m", false).await.expect(401);
    }
    refused(&guesser.chat("m", false).await, "this address");
    refused(&guesser.get("/v1/models").await, "this address");
    proxy.client().get("/healthz").await.expect(200);
    proxy.client().get("/readyz").await.expect(200);
    assert_eq!(sim.seen().len(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn a_refused_request_leaves_its_connection_usable() {
    let rig = Rig::top(Tongue::Chat, "rate_limit: {global: {rpm: 1}}").await;
    let body = Tongue::Chat.request("m", false).to_string();
    let one = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let health = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    rig.proxy.sent(2);
    let mut both = rig
        .proxy
        .client()
        .raw((one.clone() + &one + health).as_bytes())
        .await;
    both.until_closed().await;
    let text = String::from_utf8_lossy(both.raw()).into_owned();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
    assert!(text.contains("HTTP/1.1 429"), "{text}");
    rig.finish().await;
}

#[tokio::test]
async fn a_reload_keeps_what_was_taken_from_limits_that_it_leaves_alone() {
    let [a, b] = [
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::All).await.unwrap(),
    ];
    let urls = (a.url(), b.url());
    let with = |top: &str| {
        let twist = Twist { a: "", top };
        config(Tongue::Chat, (&urls.0, &urls.1), twist)
    };
    let one = "rate_limit: {global: {rpm: 1}, per_ip: {rpm: 1}, per_model: {m: {rpm: 1}}}\n";
    let proxy = Proxy::start(&with(one)).await;
    proxy.client().chat("m", false).await.expect(200);
    proxy.reload(&with(&format!("{one}shutdown_grace: 9s\n"))).await;
    proxy.client().chat("m", false).await.expect(429);
    proxy.reload(&with("rate_limit: {global: {rpm: 2}}\n")).await;
    proxy.client().chat("m", false).await.expect(200);
    proxy.reload(&with("")).await;
    for _ in 0..3 {
        proxy.client().chat("m", false).await.expect(200);
    }
    let record = proxy.recorded(6).await.remove(1);
    assert_eq!(
        (&record["status"], &record["class"]),
        (&json!(429), &json!("local"))
    );
    proxy.finish().await;
}
