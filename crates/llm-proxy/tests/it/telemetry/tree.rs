//! The spans of a request, for each way that it can end.

use std::time::Duration;

use llm_sim::{Answer, Cut};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

use super::super::support::client::chat;
use super::super::support::collector::{Spans, attributes, hex, object};
use super::super::support::until;
use super::{Scene, config};

const INTERNAL: i32 = 1;
const ERROR: i32 = 2;

/// The code of a span's status; 0 where it has none.
fn status(span: &Span) -> i32 {
    span.status.as_ref().map_or(0, |status| status.code)
}

fn events(span: &Span) -> Vec<&str> {
    span.events.iter().map(|event| &*event.name).collect()
}

/// Every span is of the trace of the access record, below the request's own, and within its time.
fn assert_tree(spans: &Spans, record: &Value) {
    let server = spans.server();
    for span in &spans.0 {
        assert_eq!(record["trace_id"], hex(&span.trace_id));
        assert_eq!(span.span_id.len(), 8);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        assert!(
            server.start_time_unix_nano <= span.start_time_unix_nano,
            "{span:?}"
        );
        assert!(span.end_time_unix_nano <= server.end_time_unix_nano, "{span:?}");
        if span.span_id != server.span_id {
            assert_eq!(span.parent_span_id, server.span_id, "{span:?}");
        }
    }
    let mut ids: Vec<_> = spans.0.iter().map(|span| &span.span_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), spans.0.len(), "each has an id of its own");
}

#[tokio::test]
async fn o08_an_answer_is_one_span_with_its_attempt_below_it_and_no_word_of_what_was_said() {
    let scene = Scene::start().await;
    let body = json!({"model": "glob-1", "messages": [{"role": "user", "content": "a very private word"}]});
    scene.keyed.post("/v1/chat/completions", &body).await.expect(200);
    let record = scene.proxy.recorded(1).await.remove(0);
    let spans = scene.collector.took(2).await;
    assert_tree(&spans, &record);
    let server = spans.server();
    assert_eq!(server.name, "chat glob-*", "no client makes names of spans");
    assert!(server.parent_span_id.is_empty());
    let own = attributes(server);
    for (key, expected) in [
        ("http.request.method", json!("POST")),
        ("http.route", json!("/v1/chat/completions")),
        ("http.response.status_code", json!(200)),
        ("network.protocol.version", json!("1.1")),
        ("client.address", json!("127.0.0.1")),
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.model", json!("glob-1")),
        ("gen_ai.request.stream", json!(false)),
        ("gen_ai.response.model", json!("glob-1")),
        ("gen_ai.usage.input_tokens", json!(30)),
        ("gen_ai.usage.output_tokens", json!(12)),
        ("gen_ai.usage.cache_read.input_tokens", json!(20)),
        ("llm_proxy.request_id", record["request_id"].clone()),
        ("llm_proxy.key", json!("team")),
        ("llm_proxy.alias", json!("glob-*")),
        ("llm_proxy.backend", json!("o")),
        ("llm_proxy.dialect", json!("chat")),
        ("llm_proxy.attempts", json!(1)),
        ("llm_proxy.config.generation", json!(1)),
    ] {
        assert_eq!(own[key], expected, "{key}");
    }
    assert!(own["llm_proxy.first_byte"].is_f64());
    assert_eq!((own.get("error.type"), status(server)), (None, 0));
    let attempt = spans.attempts()[0];
    assert_eq!((attempt.name.as_str(), status(attempt)), ("chat glob-1", 0));
    assert_eq!(events(attempt), ["first_byte"]);
    let own = attributes(attempt);
    assert_eq!(
        (&own["server.address"], &own["server.port"]),
        (&json!("127.0.0.1"), &json!(scene.first.addr().port()))
    );
    assert_eq!(own["llm_proxy.backend.key"], record["attempts"][0]["key"]);
    assert!(
        own.get("gen_ai.usage.input_tokens").is_none(),
        "tokens are told once"
    );
    for came in scene.collector.came() {
        assert!(!String::from_utf8_lossy(&came.message).contains("private"));
    }
    let resource = &scene.collector.resources()[0];
    assert_eq!(resource["service.name"], "llm-proxy");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    scene.finish().await;
}

#[tokio::test]
async fn o08_two_failures_before_the_answer_are_spans_that_say_why_and_what_cooled() {
    let scene = Scene::start().await;
    scene.first.next(Answer::status(429).header("retry-after", "7"));
    scene.first.next(Answer::status(401));
    let body =
        json!({"model": "m", "seed": 7, "stream": true, "messages": [{"role": "user", "content": "x"}]});
    scene.keyed.post("/v1/chat/completions", &body).await.expect(200);
    let record = scene.proxy.recorded(1).await.remove(0);
    let spans = scene.collector.took(4).await;
    assert_tree(&spans, &record);
    let attempts = spans.attempts();
    let own: Vec<Value> = attempts.iter().map(|span| attributes(span)).collect();
    let of = |key: &str| own.iter().map(|own| own[key].clone()).collect::<Vec<Value>>();
    assert_eq!(of("error.type"), [json!("rate"), json!("auth"), Value::Null]);
    assert_eq!(
        of("http.response.status_code"),
        [json!(429), json!(401), json!(200)]
    );
    assert_eq!(of("llm_proxy.backend"), [json!("o"), json!("o"), json!("a")]);
    assert_eq!(
        of("gen_ai.provider.name"),
        [json!("openai"), json!("openai"), json!("anthropic")]
    );
    assert_eq!(
        of("llm_proxy.dialect"),
        [json!("chat"), json!("chat"), json!("messages")],
        "it was converted"
    );
    assert_eq!(of("llm_proxy.attempt"), [json!(1), json!(2), json!(3)]);
    assert_eq!(
        attempts.iter().map(|span| status(span)).collect::<Vec<_>>(),
        [ERROR, ERROR, 0]
    );
    let cooldown = &attempts[0].events[0];
    assert_eq!(cooldown.name, "cooldown");
    assert_eq!(
        object(&cooldown.attributes)["llm_proxy.cooldown.scope"],
        "key_model"
    );
    assert!(
        object(&cooldown.attributes)["llm_proxy.cooldown.seconds"]
            .as_f64()
            .unwrap()
            > 5.0
    );
    assert_eq!(events(attempts[2]), ["first_byte"]);
    let server = attributes(spans.server());
    assert_eq!(server["llm_proxy.warnings"], json!(["seed"]));
    assert_eq!(
        (&server["gen_ai.request.model"], &server["gen_ai.response.model"]),
        (&json!("m"), &json!("claude"))
    );
    assert!(server["gen_ai.response.time_to_first_chunk"].is_f64());
    assert_eq!(status(spans.server()), 0, "the client got its answer");
    scene.finish().await;
}

#[tokio::test]
async fn o08_an_attempt_lasts_as_long_as_its_stream_and_a_broken_one_is_an_error_of_both() {
    let scene = Scene::start().await;
    let delay = Duration::from_millis(30);
    scene.second.next(Answer::healthy().delay(delay).deltas(3));
    scene.second.next(Answer::healthy().after_deltas(1, Cut::Rst));
    scene.keyed.messages("only", true).await.expect(200);
    let spans = scene.collector.took(2).await;
    let (server, attempt) = (spans.server(), spans.attempts()[0]);
    assert_eq!(attempt.end_time_unix_nano, server.end_time_unix_nano);
    let first_byte = attempt.events[0].time_unix_nano;
    let streamed = attempt.end_time_unix_nano - first_byte;
    assert!(u128::from(streamed) >= delay.as_nanos(), "{streamed}");

    scene.keyed.messages("only", true).await;
    let spans = Spans(scene.collector.took(4).await.0.split_off(2));
    for span in &spans.0 {
        assert_eq!(attributes(span)["error.type"], "midstream");
        assert_eq!(status(span), ERROR, "{}", span.name);
    }
    assert_eq!(attributes(spans.server())["http.response.status_code"], 200);
    scene.finish().await;
}

#[tokio::test]
async fn o08_a_client_that_left_is_no_error_of_anybody() {
    let scene = Scene::start().await;
    scene
        .second
        .next(Answer::healthy().first_delay(Duration::from_mins(1)));
    let body = chat("only", true).to_string();
    let streaming = scene
        .keyed
        .open("POST", "/v1/chat/completions", body.as_bytes())
        .await;
    scene.second.wait_seen(1).await;
    drop(streaming);
    let spans = scene.collector.took(2).await;
    for span in &spans.0 {
        assert_eq!(
            (&attributes(span)["error.type"], status(span)),
            (&json!("client_gone"), 0)
        );
    }
    assert_eq!(attributes(spans.server())["http.response.status_code"], 499);
    assert_eq!(events(spans.attempts()[0]), [""; 0]);
    scene.finish().await;
}

#[tokio::test]
async fn o08_what_is_refused_has_a_span_without_attempts_and_without_a_name_that_a_client_made() {
    let scene = Scene::with("", "rate_limit: {per_model: {m: {rpm: 1}}}\n").await;
    scene.keyed.messages("m", false).await.expect(200);
    let before = scene.collector.took(2).await.0.len();
    scene.keyed.messages("m", false).await.expect(429);
    scene.keyed.chat("nowhere", false).await.expect(404);
    scene.keyed.get("/v1/secret-path").await.expect(404);
    scene.proxy.client().chat("m", false).await.expect(401);
    let spans = Spans(scene.collector.took(before + 4).await.0.split_off(before));
    let mut told: Vec<(String, Value, Value)> = spans
        .of_kind(2)
        .into_iter()
        .map(|span| {
            let own = attributes(span);
            assert_eq!(
                (&own["error.type"], status(span)),
                (&json!("local"), 0),
                "the client's own fault"
            );
            (
                span.name.clone(),
                own["http.response.status_code"].clone(),
                own["http.route"].clone(),
            )
        })
        .collect();
    told.sort_by_key(|(_, status, route)| format!("{status} {route}"));
    assert_eq!(
        told,
        [
            ("chat".to_owned(), json!(401), json!("/v1/chat/completions")),
            ("chat".to_owned(), json!(404), json!("/v1/chat/completions")),
            ("GET".to_owned(), json!(404), Value::Null),
            ("chat m".to_owned(), json!(429), json!("/v1/messages")),
        ]
    );
    assert!(spans.attempts().is_empty());
    scene.finish().await;
}

#[tokio::test]
async fn o08_the_wait_for_a_place_is_a_span_of_its_own_and_probes_have_none() {
    let scene = Scene::with("", "concurrency: {max_requests: 1, queue_size: 2}\n").await;
    scene
        .first
        .next(Answer::healthy().first_delay(Duration::from_mins(1)));
    let body = chat("m", true).to_string();
    let served = scene
        .keyed
        .open("POST", "/v1/chat/completions", body.as_bytes())
        .await;
    scene.first.wait_seen(1).await;
    let keyed = scene.keyed.clone();
    let waits = tokio::spawn(async move { keyed.chat("m", false).await });
    until("one that waits", async || {
        (scene.sample("llm_proxy_queue_waiting").await == 1).then_some(())
    })
    .await;
    scene.proxy.client().get("/healthz").await.expect(200);
    drop(served);
    waits.await.unwrap().expect(200);
    let spans = scene.collector.took(5).await;
    assert_eq!(spans.0.len(), 5, "two requests, two attempts, one wait");
    let waited = spans.of_kind(INTERNAL)[0];
    let of = spans.of_kind(2);
    let of = of
        .iter()
        .find(|server| server.span_id == waited.parent_span_id)
        .unwrap();
    assert_eq!(
        (waited.name.as_str(), waited.start_time_unix_nano),
        ("queue", of.start_time_unix_nano)
    );
    assert!(waited.end_time_unix_nano > waited.start_time_unix_nano);
    scene.finish().await;
}

#[tokio::test]
async fn o08_what_a_client_chose_goes_through_the_mask() {
    let scene = Scene::start().await;
    scene.proxy.expects_masks();
    // By a reload: a strict log does not tell where the proxy is.
    let strict = format!(
        "telemetry: {{otlp: '{}'}}\nlogging: {{mask: strict}}\n",
        scene.collector.url()
    );
    scene
        .proxy
        .reload(&config(&scene.first, &scene.second, &strict))
        .await;
    let keyed = scene.keyed.clone();
    let client = keyed.header("x-request-id", "sk-of-somebody-0123456789");
    client
        .chat("glob-sk-of-somebody-0123456789", false)
        .await
        .expect(200);
    let spans = scene.collector.took(2).await;
    let own = attributes(spans.server());
    assert_eq!(own["client.address"], "***");
    for (span, key) in [
        (spans.server(), "llm_proxy.request_id"),
        (spans.server(), "gen_ai.request.model"),
        (spans.server(), "gen_ai.response.model"),
        (spans.attempts()[0], "gen_ai.request.model"),
    ] {
        let value = attributes(span)[key].as_str().unwrap().to_owned();
        assert!(value.ends_with("sk-***"), "{key}: {value}");
    }
    for came in scene.collector.came() {
        assert!(!String::from_utf8_lossy(&came.message).contains("somebody"));
    }
    scene.proxy.finish().await;
}
