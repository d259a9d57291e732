//! Client keys: who comes in, what they may use, and that no key ever comes out (A01 to A15 of the rule book).

use llm_sim::Answer;
use serde_json::json;

use super::super::support::client::{chat, messages};
use super::super::support::{Client, Proxy, within};
use super::{KEYS, Pair, calls};

const ONE: &str = "sk-canary-client-one";
const TWO: &str = "sk-canary-client-two";

/// The headers of a request, name and value each.
type Headers<'a> = &'a [(&'a str, &'a str)];

fn keyed(pair: &Pair) -> String {
    format!(
        "api_keys: [{{name: one, key: {ONE}}}, {{name: two, key: {TWO}}}]\n{}",
        pair.yaml()
    )
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn with(proxy: &Proxy, headers: Headers<'_>) -> Client {
    headers
        .iter()
        .fold(proxy.client(), |client, (name, value)| client.header(name, value))
}

#[tokio::test]
async fn a01_no_key_and_a_wrong_key_get_the_same_401_in_each_dialect_before_the_body_is_read() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&keyed(&pair)).await;
    for (path, body) in calls("m", false) {
        let id = ("x-request-id", "same");
        let none = with(&proxy, &[id]).post(path, &body).await.expect(401);
        let wrong = with(&proxy, &[id, ("authorization", "Bearer sk-wrong")])
            .post(path, &body)
            .await
            .expect(401);
        assert_eq!(none.text(), wrong.text(), "{path}: no hint which it was");
        for reply in [none, wrong] {
            assert_eq!(reply.header("www-authenticate"), "Bearer");
            let error = &reply.json()["error"];
            assert_eq!(error["type"], "authentication_error", "{path}");
            let code = if path == "/v1/messages" {
                json!(null)
            } else {
                json!("invalid_api_key")
            };
            assert_eq!(error["code"], code, "{path}");
        }
        let announced = with(&proxy, &[("content-length", "1000")]);
        let mut early = announced.open("POST", path, b"").await;
        within("a 401 without a byte of the body", early.rest())
            .await
            .expect(401);
    }
    assert_eq!(pair.seen().len(), 0);
    for record in proxy.recorded(9).await {
        assert_eq!(
            (&record["status"], &record["ip"]),
            (&json!(401), &json!("127.0.0.1")),
            "{record}"
        );
        assert_eq!(record["key"], json!(null));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a02_a_key_is_taken_from_each_of_the_four_headers_whatever_the_dialect_and_never_from_the_query() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&keyed(&pair)).await;
    for (path, body) in calls("m", false) {
        for (name, value) in [
            ("authorization", bearer(ONE)),
            ("Authorization", format!("bearer {ONE}")),
            ("x-api-key", ONE.to_owned()),
            ("api-key", ONE.to_owned()),
            ("x-goog-api-key", ONE.to_owned()),
        ] {
            with(&proxy, &[(name, &value)])
                .post(path, &body)
                .await
                .expect(200);
        }
        for query in ["key", "api_key", "x-api-key"] {
            proxy
                .client()
                .post(&format!("{path}?{query}={ONE}"), &body)
                .await
                .expect(401);
        }
    }
    let keys: Vec<_> = proxy
        .recorded(24)
        .await
        .iter()
        .map(|record| record["key"].clone())
        .collect();
    assert_eq!(keys.iter().filter(|key| **key == "one").count(), 15);
    proxy.finish().await;
}

#[tokio::test]
async fn a03_exactly_one_distinct_valid_key_must_result_of_all_that_are_presented() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&keyed(&pair)).await;
    let (one, two) = (bearer(ONE), bearer(TWO));
    let cases: [(Headers<'_>, u16, &str); 6] = [
        (
            &[("authorization", &one), ("x-api-key", ONE)],
            200,
            "the same key twice is one key",
        ),
        (
            &[("authorization", &one), ("authorization", &one)],
            200,
            "in one header twice as well",
        ),
        (
            &[("authorization", "Bearer junk"), ("x-api-key", ONE)],
            200,
            "junk beside a valid key",
        ),
        (
            &[("authorization", &one), ("x-api-key", TWO)],
            401,
            "two different valid keys",
        ),
        (
            &[("authorization", &one), ("authorization", &two)],
            401,
            "two in one header",
        ),
        (
            &[("x-api-key", ONE), ("api-key", TWO)],
            401,
            "two in other headers",
        ),
    ];
    for (path, body) in calls("m", false) {
        for (headers, status, why) in cases {
            let reply = with(&proxy, headers).post(path, &body).await;
            assert_eq!(reply.status, status, "{path}: {why}");
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a04_keys_that_are_no_keys_get_401_and_break_nothing() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&keyed(&pair)).await;
    let long = "k".repeat(32 << 10);
    let more = format!("{ONE}x");
    let double = format!("Bearer  {ONE}");
    let body = chat("m", false);
    for (name, value) in [
        ("authorization", "Bearer "),
        ("authorization", "Bearer"),
        ("authorization", ONE),
        ("authorization", "Basic c2stY2FuYXJ5"),
        ("authorization", &double),
        ("x-api-key", ""),
        ("x-api-key", &ONE[..ONE.len() - 1]),
        ("x-api-key", &more),
        ("x-api-key", "' OR '1'='1"),
        ("x-api-key", "schlüssel"),
        ("x-api-key", &long),
    ] {
        let reply = with(&proxy, &[(name, value)])
            .post("/v1/chat/completions", &body)
            .await;
        assert_eq!(reply.status, 401, "{name}: {value:.50}");
    }
    // What is no HTTP at all ends before there is a request; what is too long for a head as well.
    let plain = Client::plain(proxy.address());
    let huge = "k".repeat(1 << 20);
    for (key, status) in [("nul\0", 400), (&*huge, 431)] {
        let head = format!("POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n\r\n");
        let mut refused = plain.raw(head.as_bytes()).await;
        within("an answer", refused.rest()).await.expect(status);
    }
    with(&proxy, &[("x-api-key", ONE)])
        .post("/v1/chat/completions", &body)
        .await
        .expect(200);
    assert_eq!(pair.seen().len(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn a06_a_key_uses_its_models_alone_and_no_fallback_or_trick_widens_that() {
    let pair = Pair::start().await;
    pair.openai.script(|seen| match seen.json()["model"].as_str() {
        Some("broken") => Answer::status(500),
        _ => Answer::healthy(),
    });
    let yaml = pair.yaml().replace(
        "models:\n",
        "models:\n  allowed: {routes: [{backend: o, model: broken}], fallback: [m]}\n",
    );
    let proxy = Proxy::start(&format!(
        "api_keys: [{{name: one, key: {ONE}, models: [allow*]}}, {{name: two, key: {TWO}}}]\n{yaml}"
    ))
    .await;
    let (few, all) = (
        with(&proxy, &[("x-api-key", ONE)]),
        with(&proxy, &[("x-api-key", TWO)]),
    );
    for (path, body) in calls("m", false) {
        let trick = few
            .clone()
            .header("x-model", "allowed")
            .header("x-llm-proxy-model", "allowed");
        for client in [&few, &trick] {
            let error = client.post(path, &body).await.expect(403).json();
            assert_eq!(error["error"]["type"], "permission_error", "{path}");
            if path != "/v1/messages" {
                assert_eq!(error["error"]["code"], "model_not_allowed");
                assert_eq!(error["error"]["param"], "model");
            }
        }
        all.post(path, &body).await.expect(200);
    }
    let twice = br#"{"model":"allowed","model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    few.send("POST", "/v1/chat/completions", twice).await.expect(400);
    let widened = all.chat("allowed", false).await.expect(200);
    assert_eq!(
        widened.header("x-llm-proxy-model"),
        "real",
        "this key may fall back to `m`"
    );
    let before = pair.openai.seen().len();
    let kept = few.chat("allowed", false).await;
    assert_eq!(kept.status, 502, "{}", kept.text());
    let models: Vec<_> = pair.openai.seen()[before..]
        .iter()
        .map(|seen| seen.json()["model"].clone())
        .collect();
    assert_eq!(models, ["broken"], "and this one may not");
    proxy.finish().await;
}

/// A request of every kind that names a model, and its content type.
fn every_call(model: &str) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let json = |path, body: serde_json::Value| (path, "application/json", body.to_string().into_bytes());
    let input = json!({"model": model, "input": "x"});
    let prompt = json!({"model": model, "prompt": "x"});
    let form = format!(
        "--B\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--B\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n--B--\r\n"
    );
    let of_dialects = calls(model, true)
        .into_iter()
        .map(|(path, body)| json(path, body));
    let mut all: Vec<_> = of_dialects.collect();
    all.extend([
        json("/", messages(model, false)),
        json("/v1/messages/count_tokens", messages(model, false)),
        json("/v1/embeddings", input.clone()),
        json("/v1/moderations", input),
        json("/v1/completions", prompt.clone()),
        json("/v1/images/generations", prompt),
        json(
            "/v1/rerank",
            json!({"model": model, "query": "x", "documents": ["x"]}),
        ),
        json(
            "/v1/audio/speech",
            json!({"model": model, "input": "x", "voice": "alloy"}),
        ),
        (
            "/v1/audio/transcriptions",
            "multipart/form-data; boundary=B",
            form.into_bytes(),
        ),
    ]);
    all
}

#[tokio::test]
async fn a06_no_call_and_no_spelling_leads_a_key_to_a_model_that_is_not_its_own() {
    let pair = Pair::start().await;
    let yaml = pair.yaml().replace(
        "models:\n",
        "models:\n  allowed: {backend: o, model: real}\n  \"claude-*\": {backend: a, model: real}\n",
    );
    let keys = format!("api_keys: {{name: one, key: {ONE}, models: [allow*]}}\n");
    let proxy = Proxy::start(&format!("{keys}{yaml}")).await;
    for model in ["m", "m[1m]", "claude-allowed", "claude-*"] {
        for (path, kind, body) in every_call(model) {
            let client = with(&proxy, &[("x-api-key", ONE), ("content-type", kind)]);
            let refused = client.send("POST", path, &body).await;
            // A form does not know of `[1m]`: there it is a name that nobody has.
            let status = if model == "m[1m]" && kind.starts_with("multipart") {
                404
            } else {
                403
            };
            assert_eq!(refused.status, status, "{path}: {model}: {}", refused.text());
        }
        let client = with(&proxy, &[("x-api-key", ONE)]);
        client.get(&format!("/v1/models/{model}")).await.expect(404);
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}

/// An address to which nobody may go: whether anybody came.
struct Trap(std::net::TcpListener);

impl Trap {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    fn is_untouched(&self) -> bool {
        let accepted = self.0.accept();
        matches!(accepted, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

#[tokio::test]
async fn a07_nothing_in_a_request_says_where_it_goes() {
    let pair = Pair::start().await;
    let trap = Trap::new();
    let proxy = Proxy::start(&pair.yaml()).await;
    let evil = trap.url();
    let host = evil.trim_start_matches("http://").to_owned();
    for (path, mut body) in calls("m", false) {
        for field in ["api_base", "base_url", "custom_llm_provider", "endpoint"] {
            body[field] = json!(evil);
        }
        body["api_key"] = json!("sk-of-the-clients-own");
        body["extra_headers"] = json!({"host": host});
        let text = body.to_string();
        let request = format!(
            "POST {path}?base_url={evil} HTTP/1.1\r\nhost: {host}\r\nx-forwarded-host: {host}\r\n\
             x-portkey-custom-host: {evil}\r\nx-portkey-provider: evil\r\nx-llm-proxy-backend: evil\r\n\
             x-original-url: {evil}\r\nforwarded: host={host}\r\nhelicone-openai-api-base: {evil}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        let mut stream = proxy.client().raw(request.as_bytes()).await;
        proxy.sent(1);
        within("an answer", stream.rest()).await.expect(200);
        body["model"] = json!("real");
        let seen = pair.seen().into_iter().find(|seen| seen.path == path).unwrap();
        assert_eq!(seen.json(), body, "{path}: the body is the client's own");
        assert_eq!(seen.query, None, "{path}");
        let headers = format!("{:?}", seen.headers);
        assert!(!headers.contains(&host), "{path}: {headers}");
    }
    assert!(trap.is_untouched(), "somebody went where the client said");
    proxy.finish().await;
}

#[tokio::test]
async fn a07_a_conversion_takes_no_such_field_along() {
    let pair = Pair::start().await;
    let trap = Trap::new();
    let yaml = pair.yaml().replace("{backend: o, model: real}, ", "");
    let proxy = Proxy::start(&yaml).await;
    for (path, mut body) in calls("m", false).into_iter().take(2) {
        body["api_base"] = json!(trap.url());
        body["api_key"] = json!("sk-of-the-clients-own");
        let reply = proxy.client().post(path, &body).await.expect(200);
        let warned = reply.header("x-llm-proxy-warnings");
        assert!(
            warned.contains("api_base") && warned.contains("api_key"),
            "{path}: {warned}"
        );
    }
    for seen in pair.seen() {
        let body = seen.json().to_string();
        assert!(!body.contains(&trap.url()) && !body.contains("sk-of"), "{body}");
    }
    assert!(trap.is_untouched());
    proxy.finish().await;
}

#[tokio::test]
async fn a08_no_key_crosses_from_client_to_backend_or_from_one_backend_to_another() {
    let (first, second) = (Pair::start().await, Pair::start().await);
    let of_second = ["sk-canary-second-openai", "sk-canary-second-anthropic"];
    for sim in [&first.openai, &first.anthropic] {
        sim.canaries([ONE, of_second[0], of_second[1]])
            .always(Answer::status(500));
    }
    second
        .openai
        .keys([of_second[0]])
        .canaries([ONE, KEYS[0], KEYS[1]]);
    second
        .anthropic
        .keys([of_second[1]])
        .canaries([ONE, KEYS[0], KEYS[1]]);
    let proxy = Proxy::start(&format!(
        "api_keys: {{name: one, key: {ONE}}}
fallback: {{retry_budget: 1, trip: {{consecutive: 100, min_requests: 1000}}}}
backends:
  - {{name: a1, protocol: openai, url: {}, api_key: {}, apis: [chat, responses]}}
  - {{name: a2, protocol: anthropic, url: {}, api_key: {}}}
  - {{name: b1, protocol: openai, url: {}, api_key: {}, apis: [chat, responses]}}
  - {{name: b2, protocol: anthropic, url: {}, api_key: {}}}
models:
  m:
    routes: [{{backend: a1, priority: 1}}, {{backend: a2, priority: 1}}, {{backend: b1, priority: 2}}, {{backend: b2, priority: 2}}]
",
        first.openai.url(), KEYS[0], first.anthropic.url(), KEYS[1],
        second.openai.url(), of_second[0], second.anthropic.url(), of_second[1],
    ))
    .await;
    for (path, body) in calls("m", false).into_iter().chain(calls("m", true)) {
        let client = with(
            &proxy,
            &[
                ("authorization", &bearer(ONE)),
                ("x-api-key", ONE),
                ("cookie", ONE),
            ],
        );
        let reply = client.post(path, &body).await.expect(200);
        // Both of the first priority are tried, the other dialect's by conversion.
        assert_eq!(reply.header("x-llm-proxy-attempts"), "3", "{path}");
    }
    assert_eq!((first.seen().len(), second.seen().len()), (12, 6));
    proxy.finish().await;
}

#[tokio::test]
async fn a12_a_backends_error_tells_the_client_neither_keys_nor_addresses_nor_stacks() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let leak = |key: &str| {
        let message = format!("{key} at http://internal.example:9 in stack.py line 7");
        json!({"type": "error", "error": {"message": message, "type": "x"}})
    };
    for status in [400, 401, 403, 404, 429, 500, 503] {
        for (sim, key) in [(&pair.openai, KEYS[0]), (&pair.anthropic, KEYS[1])] {
            sim.always(Answer::status(status).body(leak(key)).header("x-debug", key));
        }
        for (path, body) in calls("m", false).into_iter().chain(calls("m", true)) {
            let reply = proxy.client().post(path, &body).await;
            assert!(reply.status >= 400, "{path} {status}");
            let text = reply.text();
            assert!(!text.contains("sk-canary-"), "{path} {status}: {text}");
            if status == 400 {
                let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
                assert_eq!(
                    message, "*** at http://internal.example:9 in stack.py line 7",
                    "word for word but for keys"
                );
            } else {
                assert!(
                    !text.contains("internal.example") && !text.contains("stack.py"),
                    "{path} {status}: {text}"
                );
            }
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a15_hostile_names_stay_inside_one_valid_json_line() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&format!(
        "logging: {{level: debug}}\n{}",
        pair.yaml().replace("  m:", "  \"*\":")
    ))
    .await;
    let names = [
        "x\n{\"level\":\"fatal\",\"msg\":\"owned\"}",
        "\u{1b}[31mred\u{1b}[0m",
        "right\u{202e}left",
        "a\tb\r\nc",
        "\u{2028}",
    ];
    let mut count = 0;
    for name in names {
        for (path, body) in calls(name, false) {
            // An odd name is either refused or goes on; the log is what counts here.
            let reply = proxy
                .client()
                .header("user-agent", "x{\"level\":\"fatal\"}")
                .post(path, &body)
                .await;
            assert!(
                reply.status == 200 || reply.status == 400 || reply.status == 404,
                "{}",
                reply.status
            );
            count += 1;
        }
        proxy
            .client()
            .get("/v1/%0A%7B%22level%22:%22fatal%22%7D")
            .await
            .expect(404);
        count += 1;
    }
    proxy.recorded(count).await;
    for line in proxy.log() {
        let value: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line:?}"));
        assert_ne!(value["level"], "fatal", "{line}");
        assert!(
            !line.contains(['\u{1b}', '\u{202e}', '\u{2028}']),
            "unescaped: {line:?}"
        );
    }
    proxy.finish().await;
}
