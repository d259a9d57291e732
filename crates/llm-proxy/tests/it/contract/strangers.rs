//! Whoever comes without a valid key: what each is told, and how often (A01, A04 and A24 of the rule book).

use llm_sim::{Sim, Speaks};
use serde_json::json;

use super::super::support::{Client, Proxy, Reply, until};
use super::{Pair, calls};

const VALID: &str = "sk-canary-client-valid";
const OTHER: &str = "sk-canary-client-other";
const OFF: &str = "sk-canary-client-off";
const OVER: &str = "sk-canary-client-over";

/// The pair behind keys of every kind, and a proxy in front that says who asks.
fn keyed(pair: &Pair) -> String {
    format!(
        "trusted_proxies: 127.0.0.1
api_keys:
  - {{name: valid, key: {VALID}}}
  - {{name: other, key: {OTHER}}}
  - {{name: off, key: {OFF}, enabled: false}}
  - {{name: over, key: {OVER}, expires: 2025-12-31T23:59:59Z}}
{}",
        pair.yaml()
    )
}

/// A client at that address, by the word of the proxy in front.
fn at(proxy: &Proxy, address: &str) -> Client {
    proxy.client().header("x-forwarded-for", address)
}

/// All of an answer but the time of day.
fn all_of(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let headers = reply.headers.iter().filter(|(name, _)| name != "date");
    (reply.status, headers.cloned().collect(), reply.text())
}

#[tokio::test]
async fn a01_unknown_disabled_expired_and_no_keys_get_one_answer_to_the_last_header() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&keyed(&pair)).await;
    let cases: [(&str, &[(&str, &str)]); 7] = [
        ("none", &[]),
        ("unknown", &[("x-api-key", "sk-nobody-has-this-one")]),
        ("disabled", &[("x-api-key", OFF)]),
        ("expired", &[("x-api-key", OVER)]),
        ("disabled and expired", &[("x-api-key", OFF), ("api-key", OVER)]),
        ("two valid ones", &[("x-api-key", VALID), ("api-key", OTHER)]),
        ("nearly right", &[("x-api-key", &VALID[..VALID.len() - 1])]),
    ];
    for (n, (path, body)) in calls("m", false).into_iter().enumerate() {
        let mut answers = Vec::new();
        for (why, headers) in cases {
            let client = at(&proxy, &format!("203.0.113.{n}")).header("x-request-id", "same");
            let client = headers
                .iter()
                .fold(client, |client, (name, value)| client.header(name, value));
            let reply = client.post(path, &body).await.expect(401);
            answers.push((why, all_of(&reply)));
        }
        for (why, answer) in &answers {
            assert_eq!(*answer, answers[0].1, "{path}: {why}");
        }
    }
    let both = at(&proxy, "203.0.113.9").header("x-api-key", OFF);
    let both = both.header("authorization", &format!("Bearer {VALID}"));
    both.chat("m", false).await.expect(200);
    let records = proxy.recorded(22).await;
    let named: Vec<_> = records
        .iter()
        .filter(|record| record["key"] != json!(null))
        .collect();
    assert_eq!(
        named.len(),
        1,
        "only a valid key is called by its name: {named:?}"
    );
    assert_eq!(pair.only().header("x-api-key"), None);
    proxy.finish().await;
}

#[tokio::test]
async fn a_key_that_ends_while_the_program_runs_is_refused_from_then_on() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1_500);
    let proxy = Proxy::start(&format!(
        "api_keys: {{name: short, key: {VALID}, expires: '{end}'}}
backends: {{name: a, protocol: openai, url: {}, api_key: sk-canary-a}}
models: {{m: {{backend: a}}}}
",
        sim.url()
    ))
    .await;
    let client = proxy.client().header("x-api-key", VALID);
    let early = client.get("/v1/models").await;
    assert!(
        early.status == 200 || jiff::Timestamp::now() >= end,
        "a slow machine may miss it"
    );
    until("the key to end", async || {
        (client.get("/v1/models").await.status == 401).then_some(())
    })
    .await;
    assert!(jiff::Timestamp::now() >= end, "and not before");
    client.chat("m", false).await.expect(401);
    assert_eq!(sim.seen().len(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn a04_what_http_takes_off_a_value_is_no_part_of_the_key_and_all_else_is() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&keyed(&pair)).await;
    let values = [
        (
            format!("{VALID} \t"),
            200,
            "space behind a value is not of it (RFC 9110, 5.5)",
        ),
        (format!("\t {VALID}"), 200, "nor before it"),
        (format!("{VALID} x"), 401, "but a space inside it is"),
        (format!("{VALID}\u{a0}"), 401, "and one that HTTP does not know"),
        (format!("\"{VALID}\""), 401, "and quotes"),
        (format!("{VALID}, {VALID}"), 401, "a list is not a key"),
        (VALID.to_uppercase(), 401, "nor is another case"),
        (
            format!("Bearer {VALID}"),
            401,
            "a scheme belongs into `authorization`",
        ),
    ];
    for (value, status, why) in &values {
        let reply = proxy.client().header("x-api-key", value).chat("m", false).await;
        assert_eq!(reply.status, *status, "{why}");
    }
    proxy.finish().await;
}
