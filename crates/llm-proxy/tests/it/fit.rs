//! C23: what a route cannot hold is not asked for, so it costs no refusal; and nobody is refused by a guess.

use llm_sim::{Answer, Sim, Speaks};
use serde_json::{Value, json};

use super::support::{Proxy, Reply, Tongue};

/// Two backends, `a` before `b`, with what their routes say of themselves.
struct Scene {
    tongue: Tongue,
    a: Sim,
    b: Sim,
    proxy: Proxy,
}

impl Scene {
    async fn start(tongue: Tongue, a_room: &str, b_room: &str) -> Self {
        let a = Sim::start(Speaks::All).await.unwrap();
        let b = Sim::start(Speaks::All).await.unwrap();
        let protocol = tongue.protocol();
        let yaml = format!(
            "backends:
  - {{name: a, protocol: {protocol}, url: {}, api_key: sk-canary-backend-a}}
  - {{name: b, protocol: {protocol}, url: {}, api_key: sk-canary-backend-b}}
models:
  m: {{routes: [{{backend: a, model: real, priority: 1{a_room}}}, {{backend: b, model: real, priority: 2{b_room}}}]}}
",
            a.url(),
            b.url()
        );
        let proxy = Proxy::start(&yaml).await;
        Self { tongue, a, b, proxy }
    }

    async fn ask(&self, body: &Value) -> Reply {
        self.proxy.client().post(self.tongue.path(), body).await
    }

    /// Asks, and says who answered at the first attempt.
    async fn answered_by(&self, body: &Value) -> String {
        let reply = self.ask(body).await.expect(200);
        assert_eq!(
            reply.header("x-llm-proxy-attempts"),
            "1",
            "nothing was refused on the way"
        );
        reply.header("x-llm-proxy-backend").to_owned()
    }

    async fn finish(self) {
        assert_eq!(self.a.protocol_errors(), [""; 0]);
        assert_eq!(self.b.protocol_errors(), [""; 0]);
        self.proxy.finish().await;
    }
}

/// A request of about so many tokens.
fn of_tokens(tongue: Tongue, tokens: usize) -> Value {
    let text = "word ".repeat(tokens);
    let mut body = tongue.request("m", false);
    match tongue {
        Tongue::Responses => body["input"] = json!(text),
        _ => body["messages"][0]["content"] = json!(text),
    }
    body
}

/// The most tokens of an answer, as the dialect spells it.
fn with_answer(tongue: Tongue, tokens: u64) -> Value {
    let mut body = tongue.request("m", false);
    let name = match tongue {
        Tongue::Chat => "max_completion_tokens",
        Tongue::Messages => "max_tokens",
        Tongue::Responses => "max_output_tokens",
    };
    body[name] = json!(tokens);
    body
}

#[tokio::test]
async fn c23_a_conversation_that_surely_does_not_fit_goes_to_the_larger_window_at_once() {
    for tongue in Tongue::ALL {
        let scene = Scene::start(tongue, ", context: 200000", ", context: 1000000").await;
        assert_eq!(
            scene.answered_by(&of_tokens(tongue, 300_000)).await,
            "b",
            "{tongue:?}"
        );
        assert_eq!(scene.a.seen().len(), 0, "{tongue:?}: it was not asked");
        assert_eq!(
            scene.answered_by(&of_tokens(tongue, 1_000)).await,
            "a",
            "{tongue:?}"
        );
        scene.finish().await;
    }
}

#[tokio::test]
async fn c23_where_nothing_fits_the_largest_is_asked_and_has_the_last_word() {
    for tongue in Tongue::ALL {
        let scene = Scene::start(tongue, ", context: 1000", ", context: 2000").await;
        let long = of_tokens(tongue, 30_000);
        assert_eq!(
            scene.answered_by(&long).await,
            "b",
            "{tongue:?}: a guess refuses nobody"
        );
        let message = "prompt is too long: 30000 tokens > 2000 maximum";
        let error = match tongue {
            Tongue::Messages => {
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}})
            }
            _ => {
                json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": "context_length_exceeded"}})
            }
        };
        scene.b.always(Answer::status(400).body(error));
        let refused = scene.ask(&long).await.expect(400);
        assert_eq!(
            refused.json()["error"]["message"],
            message,
            "{tongue:?}: in its words"
        );
        assert_eq!(scene.a.seen().len(), 0, "{tongue:?}: nothing smaller is asked");
        scene.finish().await;
    }
}

#[tokio::test]
async fn c23_a_longer_answer_than_a_route_gives_is_asked_for_elsewhere() {
    for tongue in Tongue::ALL {
        let scene = Scene::start(tongue, ", max_tokens: 8192", "").await;
        assert_eq!(
            scene.answered_by(&with_answer(tongue, 8_192)).await,
            "a",
            "{tongue:?}"
        );
        assert_eq!(
            scene.answered_by(&with_answer(tongue, 8_193)).await,
            "b",
            "{tongue:?}"
        );
        scene.finish().await;
    }
}

/// A request that needs it, and one of the same dialect that does not.
fn needing(tongue: Tongue, feature: &str) -> (Value, Value) {
    let plain = tongue.request("m", false);
    let mut needs = plain.clone();
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    match (feature, tongue) {
        ("vision", Tongue::Chat) => {
            needs["messages"][0]["content"] =
                json!([{"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}]);
        }
        ("vision", Tongue::Responses) => {
            needs["input"] = json!([{"role": "user", "content": [{"type": "input_image", "image_url": "https://pictures.example/a.png"}]}]);
        }
        ("vision", Tongue::Messages) => {
            needs["messages"][0]["content"] = json!([{"type": "image", "source": {"type": "url", "url": "https://pictures.example/a.png"}}]);
        }
        ("tools", Tongue::Chat) => {
            needs["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]);
        }
        ("tools", Tongue::Responses) => {
            needs["tools"] = json!([{"type": "function", "name": "f", "parameters": schema}]);
        }
        ("tools", Tongue::Messages) => needs["tools"] = json!([{"name": "f", "input_schema": schema}]),
        ("thinking", Tongue::Chat) => needs["reasoning_effort"] = json!("low"),
        ("thinking", Tongue::Responses) => needs["reasoning"] = json!({"effort": "low"}),
        ("thinking", Tongue::Messages) => {
            needs["max_tokens"] = json!(4_096);
            needs["thinking"] = json!({"type": "enabled", "budget_tokens": 1_024});
        }
        (_, Tongue::Chat) => {
            needs["response_format"] =
                json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
        }
        (_, Tongue::Responses) => {
            needs["text"] = json!({"format": {"type": "json_schema", "name": "s", "schema": schema}});
        }
        (_, Tongue::Messages) => {
            needs["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
        }
    }
    (needs, plain)
}

#[tokio::test]
async fn c23_what_a_model_cannot_do_is_asked_for_elsewhere() {
    for tongue in Tongue::ALL {
        for feature in ["vision", "tools", "thinking", "json_schema"] {
            let scene = Scene::start(tongue, &format!(", lacks: [{feature}]"), "").await;
            let (needs, plain) = needing(tongue, feature);
            assert_eq!(scene.answered_by(&plain).await, "a", "{tongue:?} {feature}");
            assert_eq!(scene.answered_by(&needs).await, "b", "{tongue:?} {feature}");
            assert_eq!(scene.a.seen().len(), 1, "{tongue:?} {feature}");
            scene.finish().await;
        }
    }
}

#[tokio::test]
async fn c23_where_every_model_lacks_it_the_usual_order_holds() {
    for tongue in Tongue::ALL {
        let scene = Scene::start(tongue, ", lacks: [tools]", ", lacks: [tools]").await;
        let (needs, _) = needing(tongue, "tools");
        assert_eq!(scene.answered_by(&needs).await, "a", "{tongue:?}");
        scene.finish().await;
    }
}
