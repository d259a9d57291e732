//! The operator's system prompts, as backends get them.

use std::collections::HashMap;
use std::sync::Mutex;

use llm_sim::{Answer, Sim, Speaks};
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
    match tongue {
        Tongue::Messages => all(&body["system"]),
        Tongue::Responses => all(&body["instructions"]),
        Tongue::Chat => {
            let turns = body["messages"].as_array().unwrap();
            let leading = turns.iter().take_while(|turn| turn["role"] == "system");
            leading.flat_map(|turn| all(&turn["content"])).collect()
        }
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
    for protocol in ["openai", "anthropic"] {
        let (sim, proxy) = scene(protocol, prompts).await;
        for tongue in Tongue::ALL {
            for stream in [false, true] {
                let before = sim.seen().len();
                let request = with_system(tongue, "m", stream);
                client(&proxy).post(tongue.path(), &request).await.expect(200);
                client(&proxy)
                    .post(tongue.path(), &tongue.request("m", stream))
                    .await
                    .expect(200);
                let spoken = match (protocol, tongue) {
                    ("anthropic", _) => Tongue::Messages,
                    (_, Tongue::Messages) => Tongue::Chat,
                    (_, own) => own,
                };
                let all: Vec<String> = bodies(&sim)[before..]
                    .iter()
                    .map(|body| told(spoken, body).join("|"))
                    .collect();
                let words = |text: &str| text.replace("\n\n", "|");
                assert_eq!(
                    words(&all[0]),
                    "FIRST|SECOND|CLIENT|LAST",
                    "{protocol} {tongue:?}"
                );
                assert_eq!(words(&all[1]), "FIRST|SECOND|LAST", "{protocol} {tongue:?}");
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

/// A backend that refuses thinking whose conversation had another system text before, as Anthropic does.
fn remembers(sim: &Sim) {
    let first: Mutex<HashMap<String, Value>> = Mutex::default();
    sim.script(move |seen| {
        let body = seen.json();
        let conversation = body["messages"][0].to_string();
        let mut first = first.lock().unwrap();
        let known = first
            .entry(conversation)
            .or_insert_with(|| body["system"].clone());
        if *known == body["system"] {
            Answer::healthy()
        } else {
            Answer::status(400).body(json!({"type": "error", "error": {"type": "invalid_request_error",
                "message": "thinking is bound to a different conversation"}}))
        }
    });
}

#[tokio::test]
async fn v13_ten_turns_are_told_the_same_though_the_prompt_holds_the_time() {
    let prompt = "[{text: 'It is ${_DATETIME}, request ${_REQUEST_ID} from ${_CLIENT_IP}.'}]";
    let (sim, proxy) = scene("anthropic", prompt).await;
    remembers(&sim);
    for session in [None, Some("session-1")] {
        let mut turns = vec![json!({"role": "user", "content": format!("begin {session:?}")})];
        for turn in 0..10 {
            let body = json!({"model": "claude-x", "max_tokens": 2000, "messages": turns,
                "thinking": {"type": "enabled", "budget_tokens": 1024}});
            let client = session.map_or_else(
                || client(&proxy),
                |id| client(&proxy).header("x-claude-code-session-id", id),
            );
            client.post("/v1/messages", &body).await.expect(200);
            turns.push(json!({"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "text", "text": "yes"}]}));
            turns.push(json!({"role": "user", "content": format!("go on {turn}")}));
        }
    }
    // Another conversation has the time and the id of its own first request.
    let texts: std::collections::HashSet<String> = bodies(&sim)
        .iter()
        .map(|body| body["system"].to_string())
        .collect();
    assert_eq!(texts.len(), 2);
    proxy.finish().await;
}

#[tokio::test]
async fn a_reload_changes_new_conversations_only() {
    let (sim, proxy) = scene("openai", "[{text: OLD}]").await;
    let ask = async |proxy: &Proxy, words: &str| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": words}]});
        client(proxy)
            .post("/v1/chat/completions", &body)
            .await
            .expect(200);
        told(Tongue::Chat, bodies(&sim).last().unwrap()).join("|")
    };
    assert_eq!(ask(&proxy, "one").await, "OLD");
    proxy.reload(&config(&sim, "openai", "[{text: NEW}]")).await;
    assert_eq!(ask(&proxy, "one").await, "OLD");
    assert_eq!(ask(&proxy, "two").await, "NEW");
    proxy.reload(&config(&sim, "openai", "[]")).await;
    assert_eq!(ask(&proxy, "two").await, "NEW");
    assert_eq!(ask(&proxy, "three").await, "");
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
async fn a17_a_prompt_is_in_no_error_and_in_no_log() {
    let secret = "The \"operator's\" own words, which nobody else should read.";
    let (sim, proxy) = scene("anthropic", &format!("[{{text: {}}}]", json!(secret))).await;
    sim.script(|seen| {
        let said = seen.json()["system"][0]["text"].clone();
        let message = format!("I was told: {}", said.as_str().unwrap());
        Answer::status(400)
            .body(json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}}))
    });
    for tongue in Tongue::ALL {
        for stream in [false, true] {
            let reply = client(&proxy)
                .post(tongue.path(), &tongue.request("m", stream))
                .await
                .expect(400);
            assert!(!reply.text().contains("own words"), "{}", reply.text());
            assert!(reply.text().contains("I was told: ***"), "{}", reply.text());
            for (_, value) in &reply.headers {
                assert!(!value.contains("own words"));
            }
        }
    }
    proxy.recorded(6).await;
    assert!(!proxy.log().concat().contains("own words"));
    proxy.finish().await;
}

#[tokio::test]
async fn v11_two_proxies_in_a_row_put_a_prompt_in_once() {
    let prompts = "[{text: OURS}, {text: END, position: after}]";
    for protocol in ["openai", "anthropic"] {
        let (sim, inner) = scene(protocol, prompts).await;
        let outer = Proxy::start(&format!(
            "backends: [{{name: inner, protocol: {protocol}, url: http://{}, api_key: {KEY}}}]
models: {{\"*\": {{backend: inner}}}}
system_prompts: {prompts}
",
            inner.address()
        ))
        .await;
        let tongues: &[Tongue] = match protocol {
            "openai" => &[Tongue::Chat, Tongue::Responses],
            _ => &[Tongue::Messages],
        };
        for tongue in tongues {
            outer
                .client()
                .post(tongue.path(), &with_system(*tongue, "m", false))
                .await
                .expect(200);
            inner.sent(1);
            let texts = told(*tongue, bodies(&sim).last().unwrap()).join("\n\n");
            assert_eq!(texts, "OURS\n\nCLIENT\n\nEND", "{tongue:?}");
        }
        outer.finish().await;
        inner.finish().await;
    }
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
