//! The agent: a conversation that it drives by tools, in each dialect, from requests alone.

use llm_sim::{Sim, Speaks};
use serde_json::{Value, json};

use crate::client::{Client, DIALECTS, Dialect, Reply};

const TASK: &str = "Please write the word PELICAN into bird.txt, will you?";
const THOUGHT: &str = "The user is \"waiting\";\nso I think: naïve, 日本, 🦀.";

/// A request with this conversation, with reasoning where it must be asked for.
fn request(dialect: Dialect, turns: &[Value], tools: Value, stream: bool) -> Value {
    let mut body = json!({"model": "sim-agent", "stream": stream, "tools": tools});
    match dialect {
        Dialect::Chat => body["messages"] = json!(turns),
        Dialect::Responses => {
            body["input"] = json!(turns);
            body["include"] = json!(["reasoning.encrypted_content"]);
        }
        Dialect::Messages => {
            body["messages"] = json!(turns);
            body["max_tokens"] = json!(4000);
            body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
        }
    }
    body
}

fn shell(dialect: Dialect) -> Value {
    let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}});
    match dialect {
        Dialect::Chat => json!([{"type": "function", "function": {"name": "bash", "parameters": schema}}]),
        Dialect::Responses => json!([{"type": "function", "name": "bash", "parameters": schema}]),
        Dialect::Messages => json!([{"name": "bash", "input_schema": schema}]),
    }
}

async fn ask(sim: &Sim, dialect: Dialect, body: &Value) -> Reply {
    let mut client = Client::connect(sim).await;
    client
        .post(dialect.path(), dialect.headers(), body.to_string().as_bytes())
        .await
}

/// An answer, told alike for all dialects: what the client puts back into the conversation, and its calls.
fn told(dialect: Dialect, answer: &Value) -> (Vec<Value>, Vec<(String, String)>) {
    let calls = |list: &Value, name: &str, arguments: &str| {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let list = list.as_array().into_iter().flatten();
        list.filter(|item| !item.pointer(name).unwrap_or(&Value::Null).is_null())
            .map(|item| {
                (
                    text(item.pointer(name).unwrap()),
                    text(item.pointer(arguments).unwrap()),
                )
            })
            .collect()
    };
    match dialect {
        Dialect::Chat => {
            let message = &answer["choices"][0]["message"];
            let list = calls(&message["tool_calls"], "/function/name", "/function/arguments");
            (vec![message.clone()], list)
        }
        Dialect::Responses => {
            let output = answer["output"].as_array().unwrap().clone();
            (output, calls(&answer["output"], "/name", "/arguments"))
        }
        Dialect::Messages => {
            let turn = json!({"role": "assistant", "content": answer["content"]});
            (vec![turn], calls(&answer["content"], "/name", "/input"))
        }
    }
}

fn result(dialect: Dialect, text: &str) -> Value {
    match dialect {
        Dialect::Chat => json!({"role": "tool", "tool_call_id": "call_sim0", "content": text}),
        Dialect::Responses => {
            json!({"type": "function_call_output", "call_id": "call_sim0", "output": text})
        }
        Dialect::Messages => {
            let block = json!({"type": "tool_result", "tool_use_id": "toolu_sim0", "content": text});
            json!({"role": "user", "content": [block]})
        }
    }
}

#[tokio::test]
async fn a_task_is_done_by_a_call_and_told_from_its_result() {
    for dialect in DIALECTS {
        let sim = Sim::start(Speaks::All).await.unwrap();
        let mut turns = vec![json!({"role": "user", "content": TASK})];
        let answer = ask(&sim, dialect, &request(dialect, &turns, shell(dialect), false)).await;
        let (said, calls) = told(dialect, &answer.json());
        let command = r#"{"command":"printf '%s\\n' 'PELICAN' > 'bird.txt'"}"#;
        assert_eq!(calls, [("bash".to_owned(), command.to_owned())], "{dialect:?}");

        turns.extend(said);
        turns.push(result(dialect, "fine"));
        let answer = ask(&sim, dialect, &request(dialect, &turns, shell(dialect), false)).await;
        let (text, calls) = (answer.text(), told(dialect, &answer.json()).1);
        assert!(text.contains("Done. The tools said: fine"), "{dialect:?}: {text}");
        assert!(text.contains("I remember what I thought."), "{dialect:?}: {text}");
        assert_eq!(calls, [], "{dialect:?}: one call is enough");
        assert_eq!(sim.protocol_errors(), [""; 0], "{dialect:?}");
    }
}

#[tokio::test]
async fn a_stream_says_the_same_in_awkward_pieces() {
    for dialect in DIALECTS {
        let sim = Sim::start(Speaks::All).await.unwrap();
        let turns = [json!({"role": "user", "content": TASK})];
        let reply = ask(&sim, dialect, &request(dialect, &turns, shell(dialect), true)).await;
        let events = reply.events();
        let gather = |pointers: &[&str]| -> String {
            let one = |data: &Value| {
                pointers
                    .iter()
                    .find_map(|p| data.pointer(p)?.as_str().map(str::to_owned))
            };
            events.iter().filter_map(|(_, data)| one(data)).collect()
        };
        let arguments = match dialect {
            Dialect::Chat => gather(&["/choices/0/delta/tool_calls/0/function/arguments"]),
            Dialect::Messages => gather(&["/delta/partial_json"]),
            Dialect::Responses => events
                .iter()
                .filter(|(name, _)| name == "response.function_call_arguments.delta")
                .map(|(_, data)| data["delta"].as_str().unwrap())
                .collect(),
        };
        let command: Value = serde_json::from_str(&arguments).unwrap();
        assert_eq!(
            command["command"], "printf '%s\\n' 'PELICAN' > 'bird.txt'",
            "{dialect:?}"
        );
        assert!(reply.chunks.iter().all(|chunk| chunk.len() <= 61), "{dialect:?}");
        assert_eq!(sim.protocol_errors(), [""; 0]);
    }
}

#[tokio::test]
async fn a_custom_tool_gets_its_raw_text() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let turns = [json!({"role": "user", "content": TASK})];
    let patch = "*** Begin Patch\n*** Add File: bird.txt\n+PELICAN\n*** End Patch\n";
    let tools = json!([{"type": "custom", "name": "apply_patch"}]);
    let body = request(Dialect::Responses, &turns, tools, false);
    let answer = ask(&sim, Dialect::Responses, &body).await.json();
    let call = &answer["output"][2];
    assert_eq!(
        (&call["type"], &call["input"]),
        (&json!("custom_tool_call"), &json!(patch))
    );

    let tools = json!([{"type": "custom", "custom": {"name": "apply_patch"}}]);
    let answer = ask(&sim, Dialect::Chat, &request(Dialect::Chat, &turns, tools, false)).await;
    let call = &answer.json()["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["custom"]["input"]),
        (&json!("custom"), &json!(patch))
    );
}

#[tokio::test]
async fn a_failure_is_told_as_one() {
    for dialect in DIALECTS {
        let sim = Sim::start(Speaks::All).await.unwrap();
        let mut turns = vec![json!({"role": "user", "content": TASK})];
        let answer = ask(&sim, dialect, &request(dialect, &turns, shell(dialect), false)).await;
        turns.extend(told(dialect, &answer.json()).0);
        turns.push(result(dialect, "Error: no space"));
        let text = ask(&sim, dialect, &request(dialect, &turns, shell(dialect), false))
            .await
            .text();
        assert!(text.contains("A tool failed."), "{dialect:?}: {text}");
    }
}

#[tokio::test]
async fn images_are_counted_and_nothing_to_do_is_said() {
    let url = "data:image/png;base64,aGVsbG8=";
    let source = json!({"type": "base64", "media_type": "image/png", "data": "aGVsbG8="});
    for (dialect, part) in [
        (
            Dialect::Chat,
            json!({"type": "image_url", "image_url": {"url": url}}),
        ),
        (
            Dialect::Responses,
            json!({"type": "input_image", "image_url": url}),
        ),
        (Dialect::Messages, json!({"type": "image", "source": source})),
    ] {
        let sim = Sim::start(Speaks::All).await.unwrap();
        let turns = [json!({"role": "user", "content": [part]})];
        let text = ask(&sim, dialect, &request(dialect, &turns, shell(dialect), false))
            .await
            .text();
        assert!(
            text.contains("There is nothing to do. I was shown image/png of 5 bytes."),
            "{dialect:?}: {text}"
        );
    }
}

#[tokio::test]
async fn reasoning_that_comes_back_changed_is_refused() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let user = json!({"role": "user", "content": TASK});
    let changed = json!({"type": "thinking", "thinking": THOUGHT, "signature": "bHAx"});
    let call = json!({"type": "tool_use", "id": "toolu_sim0", "name": "bash", "input": {}});
    for (content, part) in [
        (json!([changed, call]), "Invalid `signature`"),
        (json!([call]), "must start with a thinking block"),
    ] {
        let turn = json!({"role": "assistant", "content": content});
        let turns = [user.clone(), turn, result(Dialect::Messages, "fine")];
        let body = request(Dialect::Messages, &turns, shell(Dialect::Messages), false);
        let reply = ask(&sim, Dialect::Messages, &body).await;
        assert_eq!(reply.status, 400);
        assert!(reply.text().contains(part), "{}", reply.text());
    }
    let item = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"});
    let body = request(Dialect::Responses, &[user, item], json!([]), false);
    let reply = ask(&sim, Dialect::Responses, &body).await;
    assert_eq!(reply.json()["error"]["code"], "invalid_encrypted_content");
    assert_eq!(sim.protocol_errors().len(), 3);
}

#[tokio::test]
async fn the_agent_is_meant_by_its_name_and_by_one_behind_a_slash() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    for (model, is_meant) in [
        ("sim-agent", true),
        ("sim-agent/gpt-5.5", true),
        ("sim-agents", false),
    ] {
        let turns = [json!({"role": "user", "content": "hi"})];
        let mut body = request(Dialect::Chat, &turns, json!([]), false);
        body["model"] = model.into();
        let text = ask(&sim, Dialect::Chat, &body).await.text();
        assert_eq!(text.contains("There is nothing to do."), is_meant, "{model}");
    }
}
