//! Where calls are answered: every API under every spelling of its path, `POST /`, and paths that lead nowhere
//! (contract, section 2).

use serde_json::{Value, json};

use super::super::support::Proxy;
use super::super::support::client::{chat, messages, responses};
use super::{Pair, calls};

/// Every call that has a JSON body, below `/v1`, with a body that a strict backend takes.
fn json_calls() -> Vec<(&'static str, Value)> {
    vec![
        ("/chat/completions", chat("m", false)),
        ("/responses", responses("m", false)),
        ("/messages", messages("m", false)),
        (
            "/messages/count_tokens",
            json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}),
        ),
        ("/embeddings", json!({"model": "m", "input": ["one", "two"]})),
        ("/completions", json!({"model": "m", "prompt": "Once"})),
        ("/moderations", json!({"model": "m", "input": "mild"})),
        ("/images/generations", json!({"model": "m", "prompt": "a cat"})),
        (
            "/rerank",
            json!({"model": "m", "query": "q", "documents": ["a", "b"]}),
        ),
        (
            "/audio/speech",
            json!({"model": "m", "voice": "v", "input": "Hello"}),
        ),
    ]
}

#[tokio::test]
async fn every_call_answers_with_v1_without_doubled_and_with_a_trailing_slash() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    for (path, body) in json_calls() {
        for base in ["/v1", "", "/v1/v1"] {
            for tail in ["", "/", "?beta=true", "/?beta=true"] {
                let asked = format!("{base}{path}{tail}");
                proxy.client().post(&asked, &body).await.expect(200);
            }
        }
        let theirs = format!("/v1{path}");
        let seen: Vec<_> = pair
            .seen()
            .into_iter()
            .filter(|seen| seen.path == theirs)
            .collect();
        assert_eq!(seen.len(), 12, "a backend gets the one true spelling of {path}");
        for one in seen {
            assert_eq!(one.json()["model"], "real");
            assert!(
                matches!(one.query.as_deref(), None | Some("beta=true")),
                "{:?}",
                one.query
            );
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn the_beta_of_a_query_goes_on_and_nothing_else_of_it_does() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let path = "/v1/messages?key=sk-canary-query&beta=true&x=1";
    proxy.client().post(path, &messages("m", false)).await.expect(200);
    assert_eq!(pair.only().query.as_deref(), Some("beta=true"));
    proxy.finish().await;
}

#[tokio::test]
async fn the_calls_that_are_passed_through_come_back_byte_for_byte() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let client = proxy.client();
    let speech = json!({"model": "m", "voice": "v", "input": "Hello"});
    let audio = client.post("/v1/audio/speech", &speech).await.expect(200);
    assert_eq!(audio.header("content-type"), "audio/mpeg");
    assert!(audio.body.starts_with(b"\xff\xfb\x90\x64"), "{:?}", audio.body);
    let input = json!({"model": "m", "input": ["one", "two"]});
    let vectors = client.post("/v1/embeddings", &input).await.expect(200).json();
    assert_eq!(vectors["data"].as_array().unwrap().len(), 2);
    let ranked = json!({"model": "m", "query": "q", "documents": ["a", "b", "c"]});
    let ranked = client.post("/v1/rerank", &ranked).await.expect(200).json();
    assert_eq!(ranked["results"].as_array().unwrap().len(), 3);
    let prompt = json!({"model": "m", "prompt": "Once", "stream": true});
    let told = client.post("/v1/completions", &prompt).await.expect(200);
    assert!(told.text().ends_with("data: [DONE]\n\n"), "{}", told.text());
    pair.seen();
    proxy.finish().await;
}

#[tokio::test]
async fn a_form_goes_on_with_nothing_changed_but_its_model() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let form = |model: &str| {
        let mut form = b"--B0undary\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
            content-type: audio/mpeg\r\n\r\n\xff\xfb\x00model\x00\r\n--B0undary\r\n\
            content-disposition: form-data; name=\"model\"\r\n\r\n"
            .to_vec();
        form.extend_from_slice(model.as_bytes());
        form.extend_from_slice(b"\r\n--B0undary--\r\n");
        form
    };
    let client = proxy
        .client()
        .header("content-type", "multipart/form-data; boundary=B0undary");
    for path in ["/v1/audio/transcriptions", "/audio/translations/"] {
        let reply = client.send("POST", path, &form("m")).await.expect(200);
        assert!(reply.json()["text"].is_string());
    }
    for seen in pair.seen() {
        assert_eq!(
            seen.body,
            form("real"),
            "{:?}",
            String::from_utf8_lossy(&seen.body)
        );
    }
    let nameless = form("m").strip_suffix(b"\r\n--B0undary--\r\n").unwrap().to_vec();
    let refused = client.send("POST", "/v1/audio/transcriptions", &nameless).await;
    assert_eq!(
        refused.expect(400).json()["error"]["type"],
        "invalid_request_error"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn post_to_the_root_goes_by_headers_and_then_by_the_bodys_shape() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let version = ("anthropic-version", "2023-06-01");
    let lone_key = ("x-api-key", "sk-canary-nobody");
    let mut system = chat("m", false);
    system["system"] = json!("Be brief.");
    system["max_tokens"] = json!(10);
    let cases = [
        (None, chat("m", false), "/v1/chat/completions"),
        (None, responses("m", false), "/v1/responses"),
        (None, system, "/v1/messages"),
        (Some(version), messages("m", false), "/v1/messages"),
        (Some(lone_key), messages("m", false), "/v1/messages"),
    ];
    for root in ["/", "/v1", "/v1/"] {
        for (header, body, path) in &cases {
            let client = header
                .iter()
                .fold(proxy.client(), |client, (name, value)| client.header(name, value));
            client.post(root, body).await.expect(200);
            let seen = pair.seen();
            let newest = seen.iter().max_by_key(|seen| seen.arrived).unwrap();
            assert_eq!(newest.path, *path, "{root} {header:?} {body}");
        }
    }
    proxy.finish().await;
}

/// A request that fails, and whether Anthropic's envelope must come back.
struct Wrong {
    method: &'static str,
    path: &'static str,
    header: Option<(&'static str, &'static str)>,
    anthropic: bool,
    /// The methods that would do; none: the path is unknown.
    allow: Option<&'static str>,
}

const fn wrong(
    method: &'static str,
    path: &'static str,
    anthropic: bool,
    allow: Option<&'static str>,
) -> Wrong {
    Wrong {
        method,
        path,
        header: None,
        anthropic,
        allow,
    }
}

const fn headed(path: &'static str, header: (&'static str, &'static str)) -> Wrong {
    Wrong {
        method: "POST",
        path,
        header: Some(header),
        anthropic: true,
        allow: None,
    }
}

const WRONG: [Wrong; 16] = [
    wrong("POST", "/v1/nothing", false, None),
    wrong("GET", "/nothing/at/all", false, None),
    wrong("POST", "/v1/messages/nothing", true, None),
    wrong("POST", "/v1/responses/nothing", false, None),
    wrong("POST", "/v1/v1/v1/messages", true, None),
    wrong("POST", "/v1/chat/completions//", false, None),
    headed("/v1/nothing", ("anthropic-version", "2023-06-01")),
    headed("/v1/nothing", ("x-api-key", "sk-canary-nobody")),
    wrong("GET", "/v1/chat/completions", false, Some("POST")),
    wrong("DELETE", "/v1/responses", false, Some("POST")),
    wrong("GET", "/v1/messages", true, Some("POST")),
    wrong("OPTIONS", "/v1/messages/count_tokens", true, Some("POST")),
    wrong("POST", "/v1/models", false, Some("GET, HEAD")),
    wrong("POST", "/readyz", false, Some("GET, HEAD")),
    wrong("GET", "/", false, Some("POST, HEAD")),
    wrong("TRACE", "/v1/embeddings", false, Some("POST")),
];

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405_with_allow_before_any_key_is_asked_for() {
    let pair = Pair::start().await;
    let keys = "api_keys: [{name: k, key: sk-canary-client-key}]\n";
    let proxy = Proxy::start(&format!("{keys}{}", pair.yaml())).await;
    for Wrong {
        method,
        path,
        header,
        anthropic,
        allow,
    } in WRONG
    {
        let client = header
            .iter()
            .fold(proxy.client(), |client, (name, value)| client.header(name, value));
        let reply = client.send(method, path, b"").await;
        let body = reply.json();
        let what = format!("{method} {path} {header:?}: {body}");
        assert_eq!(reply.status, if allow.is_some() { 405 } else { 404 }, "{what}");
        assert_eq!(reply.header("allow"), allow.unwrap_or_default(), "{what}");
        assert_eq!(body["type"] == "error", anthropic, "{what}");
        let (kind, code) = match (anthropic, allow) {
            (true, None) => ("not_found_error", Value::Null),
            (true, Some(_)) => ("invalid_request_error", Value::Null),
            (false, None) => ("invalid_request_error", json!("unknown_url")),
            (false, Some(_)) => ("invalid_request_error", json!("method_not_allowed")),
        };
        assert_eq!(body["error"]["type"], kind, "{what}");
        assert_eq!(body["error"]["code"], code, "{what}");
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn each_dialect_is_answered_in_its_own_words_json_and_stream() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let ends = ["data: [DONE]\n\n", "response.completed", "message_stop"];
    let objects = [
        ("object", "chat.completion"),
        ("object", "response"),
        ("type", "message"),
    ];
    for (n, (path, body)) in calls("m", false).into_iter().enumerate() {
        let reply = proxy.client().post(path, &body).await.expect(200);
        assert_eq!(reply.header("content-type"), "application/json");
        let (field, value) = objects[n];
        assert_eq!(reply.json()[field], value, "{path}");
    }
    for (n, (path, body)) in calls("m", true).into_iter().enumerate() {
        let reply = proxy.client().post(path, &body).await.expect(200);
        assert!(
            reply.header("content-type").starts_with("text/event-stream"),
            "{path}"
        );
        assert!(
            reply.whole && reply.text().contains(ends[n]),
            "{path}: {}",
            reply.text()
        );
    }
    pair.seen();
    proxy.finish().await;
}
