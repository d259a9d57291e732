//! V03, V04, F28: reasoning finds its way back to its maker, and nobody else is given its seal.

use llm_sim::{Answer, Seen, Sim, Speaks};
use serde_json::{Value, json};

use super::super::support::{Proxy, Tongue};

/// One alias with a backend of Messages before one of Responses, or the other way round. A conversation comes back to
/// the first, which with affinity it would not.
async fn two(first: &str) -> (Sim, Sim, Proxy) {
    let claude = Sim::start(Speaks::All).await.unwrap();
    let gpt = Sim::start(Speaks::All).await.unwrap();
    let (one, two) = if first == "claude" { (1, 2) } else { (2, 1) };
    let yaml = format!(
        "backends:
  - {{name: claude, protocol: anthropic, url: {}, api_key: sk-canary-backend-a}}
  - {{name: gpt, protocol: openai, url: {}, api_key: sk-canary-backend-b, apis: [responses]}}
models:
  m:
    affinity: off
    routes:
      - {{backend: claude, model: claude-sonnet-4-5, priority: {one}}}
      - {{backend: gpt, model: gpt-5, priority: {two}}}
fallback: {{cooldown: 1ms, cooldown_max: 1ms}}
",
        claude.url(),
        gpt.url()
    );
    let proxy = Proxy::start(&yaml).await;
    (claude, gpt, proxy)
}

fn thinking_of(seen: &Seen) -> Vec<Value> {
    let body = seen.json();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let blocks = messages
        .iter()
        .filter_map(|message| message["content"].as_array())
        .flatten();
    blocks
        .filter(|block| block["type"] == "thinking")
        .cloned()
        .collect()
}

fn reasoning_of(seen: &Seen) -> Vec<Value> {
    let body = seen.json();
    let items = body["input"].as_array().cloned().unwrap_or_default();
    items
        .into_iter()
        .filter(|item| item["type"] == "reasoning")
        .collect()
}

#[tokio::test]
async fn v04_reasoning_of_another_provider_is_left_out_on_a_switch_and_restored_on_the_way_back() {
    let (claude, gpt, proxy) = two("gpt").await;
    let client = proxy.client();
    gpt.always(Answer::status(200).body(json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5",
        "status": "completed", "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hmm."}], "encrypted_content": "gAAAsealed"},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "one", "annotations": []}]}],
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}})));
    let mut messages = vec![json!({"role": "user", "content": "hi"})];
    let ask = |messages: &[Value]| json!({"model": "m", "max_tokens": 4096, "messages": messages});
    let reply = client
        .post(Tongue::Messages.path(), &ask(&messages))
        .await
        .expect(200);
    let content = reply.json()["content"].clone();
    let signature = content[0]["signature"].as_str().unwrap_or_default().to_owned();
    assert!(
        signature.starts_with("lp1."),
        "sealed reasoning travels in an envelope: {content}"
    );
    messages.push(json!({"role": "assistant", "content": content}));
    messages.push(json!({"role": "user", "content": "go on"}));

    // The maker fails: the other provider gets the conversation without the seal that it could not read.
    gpt.next(Answer::status(503));
    claude.always(Answer::healthy().text("two"));
    let reply = client
        .post(Tongue::Messages.path(), &ask(&messages))
        .await
        .expect(200);
    assert_eq!(reply.header("x-llm-proxy-backend"), "claude");
    assert!(thinking_of(&claude.seen()[0]).is_empty(), "no foreign seal");
    messages.push(json!({"role": "assistant", "content": reply.json()["content"].clone()}));
    messages.push(json!({"role": "user", "content": "and on"}));

    // Back at its maker, the reasoning is what it was.
    let reply = client
        .post(Tongue::Messages.path(), &ask(&messages))
        .await
        .expect(200);
    assert_eq!(reply.header("x-llm-proxy-backend"), "gpt");
    let seen = gpt.seen();
    let restored = reasoning_of(seen.last().unwrap());
    assert_eq!(restored.len(), 1, "{restored:?}");
    assert!(restored[0]["encrypted_content"].is_string(), "{restored:?}");
    assert!(
        !restored[0].to_string().contains("lp1."),
        "out of its envelope: {restored:?}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn f28_f29_a_refused_signature_is_repaired_once_at_the_same_backend() {
    let (claude, gpt, proxy) = two("claude").await;
    let client = proxy.client();
    let refused = || {
        Answer::status(400).body(json!({"type": "error", "error": {"type": "invalid_request_error",
            "message": "messages.1.content.0: Invalid `signature` in `thinking` block"}}))
    };
    let thought = json!({"type": "thinking", "thinking": "Hmm.", "signature": "c2lnbmVk"});
    let messages = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "hello"}]},
        {"role": "user", "content": "go on"}]);
    let body = json!({"model": "m", "max_tokens": 4096, "messages": messages});
    claude.next(refused());
    claude.next(Answer::healthy().text("mended"));
    let reply = client.post(Tongue::Messages.path(), &body).await.expect(200);
    assert_eq!(reply.header("x-llm-proxy-backend"), "claude", "the same backend");
    let seen = claude.seen();
    assert_eq!(seen.len(), 2);
    let mut expected = seen[0].json();
    expected["messages"][1]["content"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    assert_eq!(seen[1].json(), expected, "only the sealed block is gone");

    // Refused again: relayed word for word, and no loop.
    claude.next(refused());
    claude.next(refused());
    let reply = client.post(Tongue::Messages.path(), &body).await.expect(400);
    assert!(reply.text().contains("Invalid `signature`"), "{}", reply.text());
    assert_eq!(claude.seen().len(), 4);
    assert_eq!(gpt.seen().len(), 0);
    proxy.finish().await;
}
