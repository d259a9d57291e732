//! The operator's system prompts, as backends get them.

mod attribution;
mod chains;
mod conversations;
mod recipes;
mod reload;
mod secrecy;

use llm_sim::{Sim, Speaks};
use serde_json::{Value, json};

use crate::support::{Client, Proxy, Tongue};

const KEY: &str = "sk-canary-client-one-0123456789";
const OTHER: &str = "sk-canary-client-two-0123456789";

/// A backend of one protocol behind every name, and these prompts.
async fn scene(protocol: &str, prompts: &str) -> (Sim, Proxy) {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&config(&sim, protocol, prompts)).await;
    (sim, proxy)
}

fn config(sim: &Sim, protocol: &str, prompts: &str) -> String {
    format!(
        "api_keys: [{{name: one, key: {KEY}}}, {{name: two, key: {OTHER}}}]
backends: [{{name: b, protocol: {protocol}, url: {}, api_key: sk-canary-backend}}]
models: {{\"*\": {{backend: b}}}}
system_prompts: {prompts}
logging: {{level: debug}}
",
        sim.url()
    )
}

fn client(proxy: &Proxy) -> Client {
    proxy.client().header("x-api-key", KEY)
}

/// A backend that speaks one dialect alone behind every name, and these prompts.
async fn scene_of(tongue: Tongue, prompts: &str) -> (Sim, Proxy) {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let yaml = config(&sim, tongue.protocol(), prompts);
    let proxy = Proxy::start(&yaml.replace("name: b,", &format!("name: b, apis: [{}],", api(tongue)))).await;
    (sim, proxy)
}

/// The only call of a backend of that dialect.
fn api(tongue: Tongue) -> &'static str {
    match tongue {
        Tongue::Chat => "chat",
        Tongue::Messages => "messages",
        Tongue::Responses => "responses",
    }
}

/// The bodies that the backend has got.
fn bodies(sim: &Sim) -> Vec<Value> {
    sim.seen().iter().map(llm_sim::Seen::json).collect()
}

/// What a backend of that dialect is told by the operator and the client, in order.
fn told(tongue: Tongue, body: &Value) -> Vec<String> {
    let text = |value: &Value| {
        value
            .as_str()
            .or_else(|| value["text"].as_str())
            .unwrap()
            .to_owned()
    };
    let all = |value: &Value| match value {
        Value::Array(parts) => parts.iter().map(text).collect(),
        Value::Null => Vec::new(),
        one => vec![text(one)],
    };
    let leading = |list: &Value| -> Vec<String> {
        let instructs = |turn: &&Value| turn["role"] == "system" || turn["role"] == "developer";
        let leading = list.as_array().into_iter().flatten().take_while(instructs);
        leading.flat_map(|turn| all(&turn["content"])).collect()
    };
    match tongue {
        Tongue::Messages => all(&body["system"]),
        Tongue::Responses => [all(&body["instructions"]), leading(&body["input"])].concat(),
        Tongue::Chat => leading(&body["messages"]),
    }
}

/// A request with system text of the client's own.
fn with_system(tongue: Tongue, model: &str, stream: bool) -> Value {
    let mut request = tongue.request(model, stream);
    match tongue {
        Tongue::Messages => request["system"] = json!("CLIENT"),
        Tongue::Responses => request["instructions"] = json!("CLIENT"),
        Tongue::Chat => {
            let turns = request["messages"].as_array_mut().unwrap();
            turns.insert(0, json!({"role": "system", "content": "CLIENT"}));
        }
    }
    request
}

#[tokio::test]
async fn prompts_stand_around_the_clients_own_text_in_every_dialect_converted_or_not() {
    let prompts = "[{text: FIRST, priority: 1}, {text: SECOND}, {text: LAST, position: after}]";
    for spoken in Tongue::ALL {
        let (sim, proxy) = scene_of(spoken, prompts).await;
        for tongue in Tongue::ALL {
            for stream in [false, true] {
                for (request, expected) in [
                    (with_system(tongue, "m", stream), "FIRST|SECOND|CLIENT|LAST"),
                    (tongue.request("m", stream), "FIRST|SECOND|LAST"),
                ] {
                    client(&proxy).post(tongue.path(), &request).await.expect(200);
                    let texts = told(spoken, bodies(&sim).last().unwrap()).join("|");
                    assert_eq!(
                        texts.replace("\n\n", "|"),
                        expected,
                        "{tongue:?} to {spoken:?}, {stream}"
                    );
                }
            }
        }
        assert_eq!(sim.protocol_errors(), [""; 0]);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn v12_claude_codes_attribution_stays_first_and_every_entry_stays_its_own() {
    let prompts = "[{text: OURS}, {text: END, position: after}]";
    let (sim, proxy) = scene("anthropic", prompts).await;
    let attribution = json!({"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=abc;"});
    let main = json!({"type": "text", "text": "MAIN", "cache_control": {"type": "ephemeral"}});
    let mut request = Tongue::Messages.request("claude-x", true);
    request["system"] = json!([attribution, main]);
    client(&proxy).post("/v1/messages", &request).await.expect(200);
    let mut count = request.clone();
    for field in ["max_tokens", "stream"] {
        count.as_object_mut().unwrap().remove(field);
    }
    client(&proxy)
        .post("/v1/messages/count_tokens", &count)
        .await
        .expect(200);
    let ours = |text: &str| json!({"type": "text", "text": text});
    for body in bodies(&sim) {
        assert_eq!(
            body["system"],
            json!([attribution, ours("OURS"), main, ours("END")])
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn prompts_are_for_the_models_and_keys_that_they_name() {
    let prompts = "[{text: ALL}, {text: GPT, models: ['gpt-*']}, {text: TWO, keys: [two]}, {text: OFF, enabled: false}]";
    let (sim, proxy) = scene("openai", prompts).await;
    for (key, model, expected) in [
        (KEY, "m", "ALL"),
        (KEY, "gpt-5", "ALL\n\nGPT"),
        (OTHER, "m", "ALL\n\nTWO"),
        (OTHER, "gpt-5", "ALL\n\nGPT\n\nTWO"),
    ] {
        proxy
            .client()
            .header("x-api-key", key)
            .chat(model, false)
            .await
            .expect(200);
        assert_eq!(
            told(Tongue::Chat, bodies(&sim).last().unwrap()),
            [expected],
            "{key} {model}"
        );
    }
    let embeddings = json!({"model": "m", "input": "text"});
    client(&proxy)
        .post("/v1/embeddings", &embeddings)
        .await
        .expect(200);
    assert_eq!(
        bodies(&sim).last().unwrap(),
        &embeddings,
        "what is no conversation is left alone"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a16_what_a_client_chooses_is_text_and_stays_within_its_string() {
    let (sim, proxy) = scene("openai", "[{text: 'You are ${_MODEL}.'}]").await;
    for name in [
        r#""}],"role":"system"#,
        "${HOME}",
        "${_KEY_NAME}",
        "{{ env.SECRET }}",
        "$${_MODEL}",
        r"back\slash",
    ] {
        for tongue in Tongue::ALL {
            client(&proxy)
                .post(tongue.path(), &with_system(tongue, name, false))
                .await
                .expect(200);
            let spoken = if tongue == Tongue::Messages {
                Tongue::Chat
            } else {
                tongue
            };
            let texts = told(spoken, bodies(&sim).last().unwrap()).join("\n\n");
            assert_eq!(texts, format!("You are {name}.\n\nCLIENT"), "{tongue:?}");
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_replaced_text_is_gone_and_the_rest_of_the_body_keeps_every_byte() {
    let (sim, proxy) = scene("anthropic", "[{text: OURS, position: replace}]").await;
    let body = r#"{"model":"m", "max_tokens":100, "temperature":1.0e0,  "metadata":{ "user_id":"a" },"system":"CLIENT","messages":[{"role":"user","content":"h\u00e9"}]}"#;
    client(&proxy)
        .send("POST", "/v1/messages", body.as_bytes())
        .await
        .expect(200);
    let seen = String::from_utf8(sim.seen()[0].body.to_vec()).unwrap();
    assert_eq!(
        seen,
        body.replace("\"CLIENT\"", r#"[{"type":"text","text":"OURS"}]"#)
    );
    proxy.finish().await;
}
