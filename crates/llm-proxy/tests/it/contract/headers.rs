//! Which headers go on, which come back, and which the proxy adds (contract, section 2).

use llm_sim::{Answer, Seen};

use super::super::support::{Client, Proxy};
use super::{KEYS, Pair, calls};

/// Headers that a backend of the same dialect gets as they are.
const ON: [(&str, &str); 11] = [
    ("anthropic-version", "2023-06-01"),
    ("anthropic-beta", "one-2025-01-01,two-2026-02-02"),
    ("anthropic-of-tomorrow", "yes"),
    ("openai-organization", "org-1"),
    ("openai-of-tomorrow", "yes"),
    ("x-claude-code-session-id", "s-1"),
    ("idempotency-key", "i-1"),
    ("user-agent", "some-client/1.2"),
    ("accept", "application/json, text/event-stream"),
    ("content-type", "application/json; charset=utf-8"),
    (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
];

/// Headers that end here.
const NOT_ON: [(&str, &str); 12] = [
    ("cookie", "session=1"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-host", "evil.example"),
    ("forwarded", "for=10.0.0.1"),
    ("x-real-ip", "10.0.0.1"),
    ("connection", "keep-alive, x-claude-code-hop"),
    ("x-claude-code-hop", "for the proxy alone"),
    ("te", "trailers"),
    ("proxy-authorization", "Basic c2s="),
    ("x-portkey-custom-host", "http://evil.example"),
    ("x-llm-proxy-backend", "evil"),
    ("x-unknown", "of a stranger"),
];

fn with(client: Client, headers: &[(&str, &str)]) -> Client {
    headers
        .iter()
        .fold(client, |client, (name, value)| client.header(name, value))
}

fn values<'a>(seen: &'a Seen, name: &str) -> Vec<&'a str> {
    let own = seen
        .headers
        .iter()
        .filter(|(own, _)| own.eq_ignore_ascii_case(name));
    own.map(|(_, value)| value.as_str()).collect()
}

#[tokio::test]
async fn a07_headers_of_the_dialects_go_on_and_credentials_cookies_and_hops_do_not() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let client = with(with(proxy.client(), &ON), &NOT_ON)
        .header("authorization", "Bearer sk-canary-client")
        .header("x-api-key", "sk-canary-client")
        .header("api-key", "sk-canary-client")
        .header("x-goog-api-key", "sk-canary-client");
    for (path, body) in calls("m", true) {
        client.post(path, &body).await.expect(200);
    }
    let seen = pair.seen();
    assert_eq!(seen.len(), 3);
    for one in seen {
        for (name, value) in ON {
            assert_eq!(values(&one, name), [value], "{}: {name}", one.path);
        }
        for (name, _) in NOT_ON.iter().filter(|(name, _)| *name != "connection") {
            assert_eq!(values(&one, name), [""; 0], "{}: {name}", one.path);
        }
        let all = format!("{:?}", one.headers);
        assert!(!all.contains("sk-canary-client"), "{all}");
        assert!(!all.contains("x-claude-code-hop"), "{all}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn the_configs_own_headers_and_query_go_on_each_request() {
    let pair = Pair::start().await;
    let more = "headers: {x-team: blue, user-agent: ours}, query: {api-version: \"2026-01-01\"}, apis";
    let proxy = Proxy::start(&pair.yaml().replace("apis", more)).await;
    for (path, body) in &calls("m", false)[..2] {
        proxy
            .client()
            .header("user-agent", "theirs")
            .post(path, body)
            .await
            .expect(200);
    }
    for one in pair.seen() {
        assert_eq!(values(&one, "x-team"), ["blue"]);
        assert_eq!(values(&one, "user-agent"), ["ours"]);
        assert_eq!(one.query.as_deref(), Some("api-version=2026-01-01"));
    }
    proxy.finish().await;
}

/// An answer with headers of every kind.
fn talkative() -> Answer {
    Answer::healthy()
        .header("request-id", "req-of-backend")
        .header("anthropic-ratelimit-unified-reset", "1767225600")
        .header("x-ratelimit-remaining-requests", "41")
        .header("x-should-retry", "true")
        .header("retry-after", "3")
        .header("set-cookie", "sk-canary-cookie=1")
        .header("server", "backend/1.0")
        .header("location", "http://internal.example/")
        .header("alt-svc", "h3=\":443\"")
        .header("x-debug-key", "sk-canary-debug")
        .header("x-request-id", "sk-canary-foreign-id")
}

#[tokio::test]
async fn a13_a_backends_limits_and_ids_come_back_and_its_cookies_server_and_location_do_not() {
    let pair = Pair::start().await;
    pair.openai.always(talkative());
    pair.anthropic.always(talkative());
    let proxy = Proxy::start(&pair.yaml()).await;
    for (path, body) in calls("m", false).into_iter().chain(calls("m", true)) {
        let reply = proxy.client().post(path, &body).await.expect(200);
        for (name, value) in [
            ("request-id", "req-of-backend"),
            ("x-llm-proxy-upstream-request-id", "req-of-backend"),
            ("anthropic-ratelimit-unified-reset", "1767225600"),
            ("x-ratelimit-remaining-requests", "41"),
            ("x-should-retry", "true"),
            ("retry-after", "3"),
        ] {
            assert_eq!(reply.header(name), value, "{path}: {name}");
        }
        for name in ["set-cookie", "server", "location", "alt-svc", "x-debug-key"] {
            assert_eq!(reply.header(name), "", "{path}: {name}");
        }
        assert_ne!(reply.header("x-request-id"), "", "ours, not the backend's");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn the_answer_says_where_it_comes_from_unless_the_operator_keeps_that_to_himself() {
    let pair = Pair::start().await;
    let ours = ["x-llm-proxy-backend", "x-llm-proxy-model", "x-llm-proxy-attempts"];
    let upstream_id = "x-llm-proxy-upstream-request-id";
    pair.openai
        .always(Answer::healthy().header("request-id", "req-1"));
    pair.anthropic
        .always(Answer::healthy().header("request-id", "req-1"));
    let open = Proxy::start(&pair.yaml()).await;
    let closed = Proxy::start(&format!("headers: {{expose: false}}\n{}", pair.yaml())).await;
    for (path, body) in calls("m", false).into_iter().chain(calls("m", true)) {
        let reply = open.client().post(path, &body).await.expect(200);
        let backend = if path == "/v1/messages" { "a" } else { "o" };
        assert_eq!(
            ours.map(|name| reply.header(name)),
            [backend, "real", "1"],
            "{path}"
        );
        assert_eq!(reply.header(upstream_id), "req-1");
        let quiet = closed.client().post(path, &body).await.expect(200);
        let told = quiet
            .headers
            .iter()
            .find(|(name, _)| name.starts_with("x-llm-proxy-"));
        assert_eq!(told, None, "{path}");
        assert_ne!(quiet.header("x-request-id"), "");
    }
    open.finish().await;
    closed.finish().await;
}

#[tokio::test]
async fn o07_a_sane_request_id_is_taken_over_and_any_other_replaced() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let long = "x".repeat(10 << 10);
    let mut expected = Vec::new();
    for (path, body) in calls("m", false) {
        let own = format!("my-id:{}", path.len());
        let reply = proxy
            .client()
            .header("x-request-id", &own)
            .post(path, &body)
            .await
            .expect(200);
        assert_eq!(reply.header("x-request-id"), own);
        expected.push(own);
        for bad in [&long, "", "with space", "quote\"", "semi;colon", "<b>"] {
            let reply = proxy
                .client()
                .header("x-request-id", bad)
                .post(path, &body)
                .await
                .expect(200);
            let id = reply.header("x-request-id").to_owned();
            assert!(id.len() == 36 && id != bad, "{bad:?} became {id:?}");
            expected.push(id);
        }
    }
    // Errors carry it too, in their body where the dialect has a place for it.
    let messages = proxy.client().header("x-request-id", "my-error");
    let refused = messages.send("POST", "/v1/messages", b"{").await.expect(400);
    assert_eq!(refused.header("x-request-id"), "my-error");
    assert_eq!(refused.header("request-id"), "my-error");
    assert_eq!(refused.json()["request_id"], "my-error");
    expected.push("my-error".to_owned());
    let records = proxy.recorded(expected.len()).await;
    let logged: Vec<&str> = records
        .iter()
        .map(|record| record["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(logged, expected, "the access line has the same id");
    proxy.finish().await;
}

#[tokio::test]
async fn a_backend_gets_its_own_key_alone_whatever_the_client_presents() {
    let pair = Pair::start().await;
    pair.openai.keys([KEYS[0]]);
    pair.anthropic.keys([KEYS[1]]);
    let proxy = Proxy::start(&pair.yaml()).await;
    for (path, body) in calls("m", false) {
        let client = proxy
            .client()
            .header("x-api-key", "sk-canary-client")
            .header("cookie", "sk-canary-cookie");
        client.post(path, &body).await.expect(200);
    }
    for one in pair.seen() {
        let messages = one.path == "/v1/messages";
        let bearer = format!("Bearer {}", KEYS[0]);
        let expected = if messages {
            ("x-api-key", KEYS[1])
        } else {
            ("authorization", &*bearer)
        };
        assert_eq!(values(&one, expected.0), [expected.1], "{}", one.path);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn headers_above_the_limit_are_refused_in_the_callers_dialect_and_those_below_it_pass() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let (fits, exceeds) = ("k".repeat(60 * 1024), "k".repeat(64 * 1024));
    for (path, body) in calls("m", false) {
        let long = |value: &str| proxy.client().header("x-unknown", value);
        long(&fits).post(path, &body).await.expect(200);
        let refused = long(&exceeds).post(path, &body).await.expect(431);
        assert!(refused.text().contains("`limits.max_header`"), "{path}");
        assert_eq!(refused.header("connection"), "close", "{path}");
    }
    proxy.finish().await;
}
