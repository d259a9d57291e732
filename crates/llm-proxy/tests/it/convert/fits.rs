//! What a dialect cannot express: named, or refused, or asked of somebody who can.

use llm_sim::{Answer, Sim, Speaks};
use serde_json::json;

use super::super::support::{Proxy, Tongue};
use super::pair::{Pair, Scene};

const CHAT_TO_MESSAGES: Pair = Pair {
    client: Tongue::Chat,
    backend: Tongue::Messages,
};

#[tokio::test]
async fn what_does_not_change_the_answer_is_left_out_and_named() {
    let scene = Scene::start(CHAT_TO_MESSAGES).await;
    let mut body = CHAT_TO_MESSAGES.client.request("m", false);
    body["seed"] = json!(7);
    body["of_tomorrow"] = json!({"x": 1});
    let reply = scene.send(&body).await.expect(200);
    let named: Vec<&str> = reply.header("x-llm-proxy-warnings").split(", ").collect();
    assert!(
        named.contains(&"seed") && named.contains(&"of_tomorrow"),
        "{named:?}"
    );
    assert!(scene.a.seen()[0].json().get("seed").is_none());
    scene.finish().await;
}

#[tokio::test]
async fn what_would_change_the_answer_is_refused_and_named() {
    let scene = Scene::start(CHAT_TO_MESSAGES).await;
    let mut body = CHAT_TO_MESSAGES.client.request("m", false);
    body["n"] = json!(2);
    let reply = scene.send(&body).await.expect(400);
    let error = &reply.json()["error"];
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("unsupported_parameter"), &json!("n"))
    );
    assert_eq!(scene.a.seen().len() + scene.b.seen().len(), 0, "nobody was asked");
    scene.finish().await;
}

#[tokio::test]
async fn a_request_that_one_dialect_cannot_express_goes_to_one_that_can() {
    let a = Sim::start(Speaks::All).await.unwrap();
    let b = Sim::start(Speaks::All).await.unwrap();
    let yaml = format!(
        "backends:
  - {{name: a, protocol: anthropic, url: {}, api_key: sk-canary-backend-a}}
  - {{name: b, protocol: openai, url: {}, api_key: sk-canary-backend-b}}
models:
  m: {{routes: [{{backend: a, model: real, priority: 1}}, {{backend: b, model: real, priority: 2}}]}}
",
        a.url(),
        b.url()
    );
    let proxy = Proxy::start(&yaml).await;
    b.always(Answer::healthy().text("twice"));
    let mut body = Tongue::Chat.request("m", false);
    body["n"] = json!(2);
    let reply = proxy.client().post(Tongue::Chat.path(), &body).await.expect(200);
    assert_eq!(reply.header("x-llm-proxy-backend"), "b");
    assert_eq!(
        reply.header("x-llm-proxy-attempts"),
        "1",
        "the other was not asked, which costs no attempt"
    );
    assert_eq!(a.seen().len(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn v14_headers_of_a_dialect_stay_behind_with_their_fields() {
    for pair in Pair::all() {
        let scene = Scene::start(pair).await;
        let client = scene
            .proxy
            .client()
            .header("anthropic-beta", "context-management-2025-06-27")
            .header("openai-beta", "responses=v1")
            .header("x-claude-code-session-id", "s-1")
            .header(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            );
        let body = pair.client.request("m", false);
        client.post(pair.client.path(), &body).await.expect(200);
        let seen = scene.a.seen();
        for name in ["anthropic-beta", "openai-beta", "x-claude-code-session-id"] {
            assert_eq!(seen[0].header(name), None, "{pair:?}: {name}");
        }
        assert!(seen[0].header("traceparent").is_some(), "{pair:?}");
        let version = seen[0].header("anthropic-version");
        assert_eq!(version.is_some(), pair.backend == Tongue::Messages, "{pair:?}");
        scene.finish().await;
    }
}

#[tokio::test]
async fn a_malformed_request_is_told_its_field_in_the_callers_dialect() {
    for pair in Pair::all() {
        let scene = Scene::start(pair).await;
        let mut body = pair.client.request("m", false);
        match pair.client {
            Tongue::Responses => body["input"] = json!([{"role": "nobody", "content": "x"}]),
            _ => body["messages"] = json!([{"role": "nobody", "content": "x"}]),
        }
        let reply = scene.send(&body).await.expect(400);
        if pair.client != Tongue::Messages {
            let param = reply.json()["error"]["param"].to_string();
            assert!(param.contains("[0].role"), "{pair:?}: {param}");
        }
        assert_eq!(scene.a.seen().len(), 0, "{pair:?}");
        scene.finish().await;
    }
}

#[tokio::test]
async fn defaults_and_overrides_of_an_alias_reach_a_converted_request() {
    for pair in Pair::all() {
        let scene = Scene::with(
            pair,
            ", defaults: {max_tokens: 777}, overrides: {temperature: 0.25}",
            "",
        )
        .await;
        let mut body = pair.client.request("m", false);
        if pair.client == Tongue::Messages {
            body["max_tokens"] = json!(50);
        }
        if let Some(body) = body.as_object_mut() {
            for name in ["max_tokens", "max_completion_tokens", "max_output_tokens"] {
                if pair.client != Tongue::Messages {
                    body.remove(name);
                }
            }
        }
        scene.send(&body).await.expect(200);
        let sent = scene.a.seen()[0].json();
        let limit = ["max_tokens", "max_completion_tokens", "max_output_tokens"]
            .iter()
            .find_map(|name| sent[*name].as_u64());
        let expected = if pair.client == Tongue::Messages { 50 } else { 777 };
        assert_eq!(limit, Some(expected), "{pair:?}: {sent}");
        assert_eq!(sent["temperature"], json!(0.25), "{pair:?}");
        scene.finish().await;
    }
}
