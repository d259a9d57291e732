//! V01, V02, V07, V08: whatever a client asks in its dialect, the backend is asked in its own, and the answer comes back.

use llm_dialect::grammar::Block;
use llm_sim::Answer;
use serde_json::{Value, json};

use super::super::support::Tongue;
use super::pair::{Pair, Scene};

#[tokio::test]
async fn v01_every_client_reaches_every_backend() {
    for pair in Pair::all() {
        let scene = Scene::start(pair).await;
        scene.a.always(
            Answer::healthy()
                .text("Hello \"world\"\n\u{1f600}")
                .usage(11, 7)
                .cached(3),
        );
        for stream in [false, true] {
            let reply = scene.ask(stream).await;
            let told = scene.read(&reply, stream);
            assert_eq!(told.text(), "Hello \"world\"\n\u{1f600}", "{pair:?}");
            assert_eq!(told.model, "m", "the answer names the alias");
            assert_eq!(reply.header("x-llm-proxy-model"), "real", "{pair:?}");
            assert_eq!(reply.header("x-llm-proxy-backend"), "a", "{pair:?}");
            if !(stream && pair.client == Tongue::Chat) {
                let counts = (told.usage.input, told.usage.output, told.usage.cache_read);
                assert_eq!(
                    counts,
                    (Some(11), Some(7), Some(3)),
                    "V07 {pair:?}, stream {stream}"
                );
            }
        }
        let recorded = scene.proxy.recorded(2).await;
        for line in recorded {
            assert_eq!(
                (&line["input_tokens"], &line["output_tokens"]),
                (&json!(11), &json!(7)),
                "{pair:?}"
            );
        }
        scene.finish().await;
    }
}

/// Two tools, one of which takes nothing, in the words of a dialect.
fn tools(tongue: Tongue) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let nothing = json!({"type": "object", "properties": {}});
    match tongue {
        Tongue::Chat => json!([
            {"type": "function", "function": {"name": "weather", "description": "d", "parameters": schema}},
            {"type": "function", "function": {"name": "now", "parameters": nothing}}]),
        Tongue::Messages => json!([
            {"name": "weather", "description": "d", "input_schema": schema},
            {"name": "now", "input_schema": nothing}]),
        Tongue::Responses => json!([
            {"type": "function", "name": "weather", "description": "d", "parameters": schema, "strict": false},
            {"type": "function", "name": "now", "parameters": nothing, "strict": false}]),
    }
}

/// The turn after two calls, with their results.
fn answered(tongue: Tongue, calls: &[(String, String, String)]) -> Vec<Value> {
    match tongue {
        Tongue::Chat => {
            let made: Vec<Value> = calls
                .iter()
                .map(|(id, name, arguments)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
                .collect();
            let mut turn = vec![json!({"role": "assistant", "content": null, "tool_calls": made})];
            turn.extend(
                calls
                    .iter()
                    .map(|(id, ..)| json!({"role": "tool", "tool_call_id": id, "content": "fine"})),
            );
            turn
        }
        Tongue::Messages => {
            let made: Vec<Value> = calls
                .iter()
                .map(|(id, name, arguments)| json!({"type": "tool_use", "id": id, "name": name, "input": serde_json::from_str::<Value>(arguments).unwrap()}))
                .collect();
            let results: Vec<Value> = calls
                .iter()
                .map(|(id, ..)| json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": "fine"}]}))
                .collect();
            vec![
                json!({"role": "assistant", "content": made}),
                json!({"role": "user", "content": results}),
            ]
        }
        Tongue::Responses => {
            let made = calls.iter().map(|(id, name, arguments)| json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments}));
            let results = calls
                .iter()
                .map(|(id, ..)| json!({"type": "function_call_output", "call_id": id, "output": "fine"}));
            made.chain(results).collect()
        }
    }
}

/// Where a dialect has its conversation.
pub fn conversation(tongue: Tongue) -> &'static str {
    if tongue == Tongue::Responses {
        "input"
    } else {
        "messages"
    }
}

/// Makes `input` of a request a list of items.
pub fn listed(mut body: Value) -> Value {
    if let Some(text) = body["input"].as_str().map(str::to_owned) {
        body["input"] = json!([{"role": "user", "content": text}]);
    }
    body
}

#[tokio::test]
async fn v01_parallel_calls_arrive_whole_and_their_results_go_back() {
    for pair in Pair::all() {
        for stream in [false, true] {
            let scene = Scene::start(pair).await;
            scene.a.next(
                Answer::healthy()
                    .text("Let me see.")
                    .tool_call("weather", r#"{"city":"Zürich \"old\"\n"}"#)
                    .tool_call("now", "{}")
                    .chunk_bytes(11),
            );
            let mut body = listed(pair.client.request("m", stream));
            body["tools"] = tools(pair.client);
            let reply = scene.send(&body).await;
            let told = scene.read(&reply, stream);
            let calls: Vec<(String, String, String)> = told
                .calls()
                .map(|call| (call.id.clone(), call.name.clone(), call.arguments.clone()))
                .collect();
            assert_eq!(calls.len(), 2, "{pair:?}: {told:?}");
            assert_eq!(
                (calls[0].1.as_str(), calls[1].1.as_str()),
                ("weather", "now"),
                "{pair:?}"
            );
            assert_eq!(calls[0].2, r#"{"city":"Zürich \"old\"\n"}"#, "{pair:?}");
            assert_eq!(calls[1].2, "{}", "{pair:?}");
            assert_eq!(told.text(), "Let me see.", "{pair:?}");
            let stop = match pair.client {
                Tongue::Chat => "tool_calls",
                Tongue::Messages => "tool_use",
                Tongue::Responses => "completed",
            };
            assert_eq!(told.stop, stop, "V08 {pair:?}");
            // The next turn: the strict backend refuses results that do not follow their calls.
            scene.a.next(Answer::healthy().text("It is fine."));
            if let Some(list) = body[conversation(pair.client)].as_array_mut() {
                list.extend(answered(pair.client, &calls));
            }
            let reply = scene.send(&body).await;
            assert_eq!(scene.read(&reply, stream).text(), "It is fine.", "{pair:?}");
            scene.finish().await;
        }
    }
}

#[tokio::test]
async fn v08_an_answer_that_was_cut_off_or_refused_says_so() {
    for pair in Pair::all() {
        let scene = Scene::start(pair).await;
        for stream in [false, true] {
            scene.a.next(Answer::healthy().text("And then").truncated());
            let told = scene.read(&scene.ask(stream).await, stream);
            let expected = match pair.client {
                Tongue::Chat => "length",
                Tongue::Messages => "max_tokens",
                Tongue::Responses => "incomplete/max_output_tokens",
            };
            assert_eq!(told.stop, expected, "{pair:?}");
            scene.a.next(Answer::healthy().refusal());
            let told = scene.read(&scene.ask(stream).await, stream);
            let refused = told.blocks.iter().any(|block| matches!(block, Block::Refusal(_)))
                || told.stop == "refusal"
                || told.stop.contains("content_filter");
            assert!(refused, "{pair:?}, stream {stream}: {told:?}");
        }
        scene.finish().await;
    }
}

#[tokio::test]
async fn s25_s26_an_answer_in_the_other_form_comes_in_the_form_that_was_asked_for() {
    for pair in Pair::all() {
        let scene = Scene::start(pair).await;
        scene.a.always(Answer::healthy().text("words").as_json());
        let told = scene.read(&scene.ask(true).await, true);
        assert_eq!(told.text(), "words", "JSON in place of a stream, {pair:?}");
        scene.a.always(Answer::healthy().text("words").as_stream());
        let told = scene.read(&scene.ask(false).await, false);
        assert_eq!(told.text(), "words", "a stream in place of JSON, {pair:?}");
        scene.finish().await;
    }
}
