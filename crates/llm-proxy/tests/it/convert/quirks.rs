//! What real clients do that no document says.

use llm_dialect::grammar;
use llm_sim::{Answer, Sim, Speaks};
use serde_json::json;

use super::super::support::{Proxy, Tongue};
use super::pair::{Pair, Scene};

#[tokio::test]
async fn cursor_sends_the_shape_of_responses_to_the_path_of_chat() {
    for backend in Tongue::ALL {
        let pair = Pair {
            client: Tongue::Chat,
            backend,
        };
        let scene = Scene::start(pair).await;
        scene.a.always(Answer::healthy().text("hello"));
        for stream in [false, true] {
            let body = json!({"model": "m", "stream": stream, "user": "u", "input": [{"role": "user", "content": "hi"}],
                "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}],
                "reasoning": {"effort": "low"}});
            let reply = scene.send(&body).await;
            assert_eq!(scene.read(&reply, stream).text(), "hello", "{backend:?}");
        }
        scene.finish().await;
    }
}

#[tokio::test]
async fn the_suffix_of_a_long_context_is_no_part_of_a_models_name() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let yaml = format!(
        "backends: [{{name: a, protocol: anthropic, url: {}, api_key: sk-canary-backend-a}}]
models:
  \"claude-*\": {{backend: a}}
  own: {{routes: [{{backend: a, model: real}}]}}
",
        sim.url()
    );
    let proxy = Proxy::start(&yaml).await;
    for (asked, sent) in [
        ("claude-opus-4-8[1m]", "claude-opus-4-8"),
        ("own[1m]", "real"),
        ("claude-x", "claude-x"),
    ] {
        proxy.client().messages(asked, false).await.expect(200);
        assert_eq!(sim.seen().last().unwrap().json()["model"], sent, "{asked}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn codex_gets_its_freeform_tool_back_from_every_backend() {
    for backend in [Tongue::Chat, Tongue::Messages] {
        let pair = Pair {
            client: Tongue::Responses,
            backend,
        };
        for stream in [false, true] {
            let scene = Scene::start(pair).await;
            let patch = "*** Begin Patch\n*** Add File: a \"b\"\n+x\n*** End Patch";
            let arguments = json!({ "input": patch }).to_string();
            scene.a.always(
                Answer::healthy()
                    .tool_call("apply_patch", &arguments)
                    .chunk_bytes(7),
            );
            let body = json!({"model": "m", "stream": stream, "store": false, "input": [{"role": "user", "content": "hi"}],
                "tools": [{"type": "custom", "name": "apply_patch", "description": "Patches.",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"x\""}}]});
            let reply = scene.send(&body).await;
            let told = scene.read(&reply, stream);
            let call = told.calls().next().unwrap();
            assert!(call.custom, "{backend:?}: {call:?}");
            assert_eq!(call.arguments, patch, "{backend:?}");
            scene.finish().await;
        }
    }
}

#[tokio::test]
async fn a_schema_stands_in_for_structured_output_where_a_model_has_none() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let yaml = format!(
        "backends: [{{name: a, protocol: anthropic, url: {}, api_key: sk-canary-backend-a}}]
models: {{m: {{routes: [{{backend: a, model: claude-3-5-haiku-latest}}]}}}}
",
        sim.url()
    );
    let proxy = Proxy::start(&yaml).await;
    sim.always(Answer::healthy().tool_call("json_output", r#"{"a":"x"}"#));
    for stream in [false, true] {
        let mut body = Tongue::Chat.request("m", stream);
        body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "n",
            "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}});
        let reply = proxy.client().post(Tongue::Chat.path(), &body).await.expect(200);
        let dialect = llm_dialect::Dialect::Chat;
        let told = if stream {
            grammar::stream(dialect, &reply.body).unwrap()
        } else {
            grammar::answer(dialect, &reply.text()).unwrap()
        };
        assert_eq!(
            (told.text().as_str(), told.stop.as_str()),
            (r#"{"a":"x"}"#, "stop")
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_silent_converted_stream_is_kept_alive_in_the_clients_dialect() {
    for pair in Pair::all() {
        let scene = Scene::with(pair, "", "stream: {heartbeat: 50ms}\n").await;
        let begun = pair.backend.begun(1);
        let answer = Answer::events(pair.backend.whole(1)).after(begun.len(), llm_sim::Cut::Stall);
        scene.a.always(answer);
        let client = scene.proxy.client();
        let request = pair.client.request("m", true).to_string();
        let mut streaming = client.open("POST", pair.client.path(), request.as_bytes()).await;
        let sign = if pair.client == Tongue::Messages {
            "event: ping"
        } else {
            ": keep-alive"
        };
        streaming.until_times(sign, 2).await;
        drop(streaming);
        scene.finish().await;
    }
}

#[tokio::test]
async fn v05_the_attribution_block_of_claude_code_stays_behind() {
    let pair = Pair {
        client: Tongue::Messages,
        backend: Tongue::Chat,
    };
    let scene = Scene::start(pair).await;
    for session in ["a", "b"] {
        let mut body = Tongue::Messages.request("m", false);
        body["system"] = json!([
            {"type": "text", "text": format!("x-anthropic-billing-header: cc_version=2; cch={session}")},
            {"type": "text", "text": "You are Claude Code."}]);
        scene.send(&body).await.expect(200);
    }
    let seen = scene.a.seen();
    assert_eq!(seen[0].json()["messages"][0]["content"], "You are Claude Code.");
    assert_eq!(
        seen[0].body, seen[1].body,
        "the prefix is the same in every session, so caches hold"
    );
    scene.finish().await;
}

#[tokio::test]
async fn a14_what_a_backend_says_stays_within_its_string() {
    let hostile = "\n\nevent: error\ndata: {\"type\":\"error\"}\n\r\n\r\ndata: [DONE]\n\n";
    for pair in Pair::all() {
        let scene = Scene::start(pair).await;
        scene.a.always(
            Answer::healthy()
                .text(hostile)
                .tool_call("f", &json!({ "x": hostile }).to_string()),
        );
        for stream in [false, true] {
            let told = scene.read(&scene.ask(stream).await, stream);
            assert_eq!(told.text(), hostile, "{pair:?}");
            let call = told.calls().next().unwrap();
            assert_eq!(call.arguments, json!({ "x": hostile }).to_string(), "{pair:?}");
        }
        scene.finish().await;
    }
}
