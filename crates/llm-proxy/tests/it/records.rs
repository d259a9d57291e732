//! The access record in full (O06 of the rule book): for each way that a request can end, it is of its schema and says
//! what happened.

use std::path::Path;
use std::time::Duration;

use llm_sim::{Answer, Cut, Sim, Speaks};
use serde_json::{Value, json};

use super::support::client::chat;
use super::support::{Client, Proxy, schema};

/// The schema that the repository publishes.
fn published() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/access.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Each record is of the published schema.
pub fn all_fit(records: &[Value]) {
    let published = published();
    for record in records {
        let fault = schema::fault(&published, record);
        assert_eq!(fault, None, "{record}");
    }
}

/// Two backends, of which the second speaks Messages alone.
fn config(first: &Sim, second: &Sim) -> String {
    format!(
        "api_keys: {{name: team, key: sk-canary-client-key, models: ['m', 'only', 'glob-*']}}
fallback: {{cooldown: 50ms, cooldown_max: 50ms, retry_budget: 1}}
backends:
  - {{name: o, protocol: openai, url: {}, api_key: sk-canary-o}}
  - {{name: a, protocol: anthropic, url: {}, api_key: sk-canary-a}}
models:
  m: {{routes: [{{backend: o, model: real, priority: 1}}, {{backend: a, model: claude, priority: 2}}]}}
  only: {{backend: a, model: claude}}
  glob-*: {{backend: o}}
  forbidden: {{backend: o}}
",
        first.url(),
        second.url()
    )
}

/// A proxy before two backends, and the records of what it was asked, one by one.
struct Scene {
    first: Sim,
    second: Sim,
    proxy: Proxy,
    keyed: Client,
}

impl Scene {
    async fn start() -> Self {
        let (first, second) = (
            Sim::start(Speaks::All).await.unwrap(),
            Sim::start(Speaks::Messages).await.unwrap(),
        );
        first.always(Answer::healthy().usage(30, 12).cached(20));
        second.always(Answer::healthy());
        let proxy = Proxy::start(&config(&first, &second)).await;
        let keyed = proxy.client().header("x-api-key", "sk-canary-client-key");
        Self {
            first,
            second,
            proxy,
            keyed,
        }
    }

    /// The record of the request that is awaited here.
    async fn record<T>(&self, asked: impl Future<Output = T>) -> Value {
        let before = self.proxy.records().len();
        asked.await;
        let mut records = self.proxy.recorded(before + 1).await;
        all_fit(&records);
        records.pop().unwrap()
    }
}

#[tokio::test]
async fn o06_the_record_of_an_answer_says_what_it_took_and_what_was_lost_on_the_way() {
    let scene = Scene::start().await;
    let keyed = &scene.keyed;
    let well = scene.record(keyed.chat("glob-one", false)).await;
    assert_eq!(
        (&well["alias"], &well["model"]),
        (&json!("glob-one"), &json!("glob-one"))
    );
    let tokens = ["input_tokens", "output_tokens", "cached_tokens"].map(|kind| well[kind].clone());
    assert_eq!(json!(tokens), json!([30, 12, 20]));
    assert!(well["cost_usd"].is_null() && well["class"].is_null() && well["cancelled"] == false);

    scene.first.next(Answer::status(429).header("retry-after", "7"));
    let fallen = scene.record(keyed.chat("m", true)).await;
    let [lost, won] = [0, 1].map(|n| &fallen["attempts"][n]);
    assert_eq!((&lost["class"], &lost["status"]), (&json!("rate"), &json!(429)));
    assert_eq!(lost["cooldown"]["scope"], "key_model");
    let rest = lost["cooldown"]["ms"].as_f64().unwrap();
    assert!((6_000.0..=9_000.0).contains(&rest), "{rest}");
    assert_eq!((&won["class"], &won["key"]), (&json!("ok"), &json!("a#1")));
    assert!(won["cooldown"].is_null());

    let body = json!({"model": "only", "seed": 7, "messages": [{"role": "user", "content": "x"}]});
    let warned = scene.record(keyed.post("/v1/chat/completions", &body)).await;
    assert_eq!(warned["warnings"], json!(["seed"]));
    scene.proxy.finish().await;
}

#[tokio::test]
async fn o06_the_record_of_a_failure_says_whose_it_was() {
    let scene = Scene::start().await;
    let (second, keyed) = (&scene.second, &scene.keyed);
    second.next(Answer::status(500));
    let failed = scene.record(keyed.messages("only", false)).await;
    assert_eq!(failed["class"], "server");
    assert_eq!(failed["attempts"][0]["status"], 500);

    second.next(Answer::healthy().after_deltas(1, Cut::Rst));
    let broken = scene.record(keyed.messages("only", true)).await;
    assert_eq!(
        (&broken["class"], &broken["status"]),
        (&json!("midstream"), &json!(200))
    );
    assert_eq!(broken["cancelled"], false);

    second.next(Answer::healthy().first_delay(Duration::from_mins(1)));
    let body = chat("only", true).to_string();
    let leaves = async {
        let streaming = keyed.open("POST", "/v1/chat/completions", body.as_bytes()).await;
        second.wait_seen(3).await;
        drop(streaming);
    };
    let left = scene.record(leaves).await;
    assert_eq!(
        (&left["class"], &left["status"]),
        (&json!("client_gone"), &json!(499))
    );
    assert_eq!(left["cancelled"], true);
    assert_eq!(left["attempts"][0]["class"], "client_gone");
    scene.proxy.finish().await;
}

#[tokio::test]
async fn o06_the_record_of_a_refusal_has_no_attempt_and_no_name_that_is_no_alias() {
    let scene = Scene::start().await;
    let model = |name: &str| chat(name, false).to_string();
    for (method, path, body, status) in [
        ("POST", "/v1/chat/completions", model("nowhere"), 404),
        ("POST", "/v1/chat/completions", model("forbidden"), 403),
        ("GET", "/v1/nothing", String::new(), 404),
        ("PUT", "/v1/messages", String::new(), 405),
        ("POST", "/v1/messages", "no json".to_owned(), 400),
        ("GET", "/v1/models", String::new(), 200),
    ] {
        let own = scene
            .record(scene.keyed.send(method, path, body.as_bytes()))
            .await;
        assert_eq!(
            (&own["status"], &own["alias"]),
            (&json!(status), &Value::Null),
            "{own}"
        );
        assert_eq!(own["attempts"], json!([]));
        assert_eq!(own["class"].is_null(), status == 200, "{own}");
    }
    let client = scene.proxy.client();
    let stranger = scene.record(client.chat("m", false)).await;
    assert_eq!(
        (&stranger["status"], &stranger["key"]),
        (&json!(401), &Value::Null)
    );
    scene.proxy.finish().await;
}

#[test]
fn the_judge_of_schemas_finds_what_is_wrong() {
    let published = published();
    let sound = json!({
        "time": "2026-11-22T21:38:47.123Z", "level": "info", "msg": "request", "request_id": "r", "key": null, "ip": null,
        "dialect": "chat", "alias": null, "backend": null, "model": null, "status": 200, "class": null,
        "attempts": [{"n": 1, "backend": "a", "key": "a#1", "model": "m", "class": "ok", "status": 200, "ms": 0.5}],
        "first_byte_ms": null, "duration_ms": 1.5, "input_tokens": null, "output_tokens": null, "cached_tokens": null,
        "cost_usd": null, "cancelled": false, "generation": 1
    });
    assert_eq!(schema::fault(&published, &sound), None);
    for (pointer, value) in [
        ("/time", json!("yesterday")),
        ("/status", json!(99)),
        ("/status", json!("200")),
        ("/class", json!("ok")),
        ("/attempts/0/class", json!("fine")),
        ("/attempts/0/ms", json!(-1)),
        ("/attempts/0", json!({})),
        ("/cancelled", json!(null)),
    ] {
        let mut wrong = sound.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(schema::fault(&published, &wrong).is_some(), "{pointer}");
    }
    let mut more = sound;
    more["secret"] = json!("x");
    assert!(
        schema::fault(&published, &more).is_some(),
        "a member that nobody described"
    );
}
