//! Whoever comes without a valid key: what each is told, and how often (A01, A04 and A24 of the rule book).

use llm_sim::{Sim, Speaks};
use serde_json::json;

use super::super::support::{Client, Proxy, Reply, until, within};
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

#[tokio::test]
async fn a24_who_guesses_is_told_to_wait_and_nobody_else_is() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&keyed(&pair)).await;
    for (n, (path, body)) in calls("m", false).into_iter().enumerate() {
        let address = format!("203.0.113.{n}");
        let guess = |key: &str| at(&proxy, &address).header("x-api-key", key);
        for n in 0..20 {
            guess(&format!("sk-a-guess-{n}"))
                .post(path, &body)
                .await
                .expect(401);
        }
        // The second after which one more is heard may be over by now: not many of them are.
        let refused = until("the first that is not heard", async || {
            let reply = guess("sk-one-more-guess").post(path, &body).await;
            (reply.status == 429).then_some(reply)
        })
        .await;
        assert_eq!(refused.header("connection"), "close", "{path}");
        assert_eq!(refused.header("retry-after"), "1", "{path}");
        assert_eq!(refused.header("www-authenticate"), "", "{path}");
        let error = &refused.json()["error"];
        assert_eq!(error["type"], "rate_limit_error", "{path}");
        if path != "/v1/messages" {
            assert_eq!(error["code"], "rate_limit_exceeded", "{path}");
        }
        let colleague = guess(VALID).post(path, &body).await;
        assert_eq!(colleague.status, 200, "{path}: a valid key comes in all the same");
        let other = at(&proxy, "203.0.113.200").header("x-api-key", "sk-a-guess");
        other.post(path, &body).await.expect(401);
        // Before a byte of the body is there.
        let announced = guess("sk-a-guess").header("content-length", "1000");
        let mut early = announced.open("POST", path, b"").await;
        let early = within("an answer without the body", early.rest()).await;
        assert!([401, 429].contains(&early.status), "{path}: {}", early.status);
    }
    assert_eq!(pair.seen().len(), 3, "the valid ones alone");
    for record in proxy.records().iter().filter(|record| record["status"] == 429) {
        assert_eq!(
            (&record["class"], &record["key"]),
            (&json!("local"), &json!(null))
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a11_a_slash_64_guesses_as_one_and_an_ipv4_address_as_one_in_both_its_spellings() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&keyed(&pair)).await;
    let spread: [fn(usize) -> String; 2] = [
        |n| format!("2001:db8:0:1:{n:x}::{n:x}"),
        |n| ["192.0.2.1", "::ffff:192.0.2.1"][n % 2].to_owned(),
    ];
    for address in spread {
        let mut statuses = Vec::new();
        for n in 0..1_000 {
            statuses.push(at(&proxy, &address(n)).get("/v1/models").await.status);
            if statuses.contains(&429) {
                break;
            }
        }
        assert!(statuses.len() < 1_000, "a thousand addresses, and all are heard");
        assert!(statuses.len() > 20, "{statuses:?}");
    }
    let beside = at(&proxy, "2001:db8:0:2::1").get("/v1/models").await;
    assert_eq!(beside.status, 401, "the next network is another");
    proxy.finish().await;
}

#[tokio::test]
async fn a09_a_guesser_whom_nobody_vouches_for_is_counted_by_its_socket() {
    let pair = Pair::start().await;
    let yaml = keyed(&pair).replace("trusted_proxies: 127.0.0.1\n", "");
    let proxy = Proxy::start(&yaml).await;
    let mut statuses = Vec::new();
    for n in 0..200 {
        let client = at(&proxy, &format!("198.51.100.{n}")).header("x-api-key", "sk-a-guess");
        statuses.push(client.get("/v1/models").await.status);
    }
    let heard = statuses.iter().filter(|status| **status == 401).count();
    assert!((20..100).contains(&heard), "{heard} of 200 were heard");
    at(&proxy, "198.51.100.1")
        .header("x-api-key", VALID)
        .get("/v1/models")
        .await
        .expect(200);
    proxy.finish().await;
}

#[tokio::test]
async fn where_no_keys_are_configured_nobody_is_counted() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    for n in 0..50 {
        let client = proxy.client().header("x-api-key", &format!("sk-any-{n}"));
        client.get("/v1/models").await.expect(200);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_page_from_elsewhere_spends_nothing_where_no_key_is_asked_for() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    for (path, body) in calls("m", false) {
        for (origin, status) in [
            ("https://evil.example", 403),
            ("http://evil.example:8765", 403),
            ("null", 403),
            ("http://localhost:3000", 200),
        ] {
            let page = proxy.client().header("origin", origin);
            let reply = page.post(path, &body).await.expect(status);
            if status == 403 {
                assert_eq!(reply.json()["error"]["type"], "permission_error", "{origin}");
            }
        }
    }
    assert_eq!(pair.seen().len(), 3, "only the page of this machine was answered");
    proxy.finish().await;
    // A page that has a key is a client like any other.
    let proxy = Proxy::start(&keyed(&pair)).await;
    let page = at(&proxy, "192.0.2.1").header("origin", "https://app.example");
    page.clone().chat("m", false).await.expect(401);
    page.header("x-api-key", VALID).chat("m", false).await.expect(200);
    proxy.finish().await;
}
