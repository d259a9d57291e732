//! V18, C17: what names a conversation, and what says that it begins anew.

use serde_json::{Value, json};

use super::setting::{Routes, Scene, backend_of, cases};
use crate::support::Tongue;

/// A way in which a client names its conversation.
struct Way {
    tongue: Tongue,
    headers: &'static [(&'static str, &'static str)],
    body: Value,
}

fn way(tongue: Tongue, headers: &'static [(&'static str, &'static str)], body: Value) -> Way {
    Way {
        tongue,
        headers,
        body,
    }
}

/// Each way with two names.
fn ways() -> Vec<[Way; 2]> {
    let none = || json!({});
    let user_id = |session: &str| {
        let text = json!({"device_id": "d", "account_uuid": "", "session_id": session}).to_string();
        json!({"metadata": {"user_id": text}})
    };
    let key = |name: &str| json!({"prompt_cache_key": name});
    let (chat, messages, responses) = (Tongue::Chat, Tongue::Messages, Tongue::Responses);
    vec![
        [
            way(messages, &[("x-claude-code-session-id", "s1")], none()),
            way(messages, &[("x-claude-code-session-id", "s2")], none()),
        ],
        [
            way(
                messages,
                &[
                    ("x-claude-code-session-id", "s"),
                    ("x-claude-code-agent-id", "a1"),
                ],
                none(),
            ),
            way(messages, &[("x-claude-code-session-id", "s")], none()),
        ],
        [
            way(messages, &[], user_id("s1")),
            way(messages, &[], user_id("s2")),
        ],
        [
            way(responses, &[("session_id", "s1")], none()),
            way(responses, &[("session_id", "s2")], none()),
        ],
        [
            way(responses, &[("session-id", "s"), ("thread-id", "t1")], none()),
            way(responses, &[("session-id", "s"), ("thread-id", "t2")], none()),
        ],
        [way(responses, &[], key("k1")), way(responses, &[], key("k2"))],
        [way(chat, &[], key("k1")), way(chat, &[], key("k2"))],
    ]
}

#[tokio::test]
async fn v18_c17_each_way_to_name_a_conversation_keeps_it_and_another_name_is_another_one() {
    for [one, other] in ways() {
        for stream in [false, true] {
            let scene = Scene::start((one.tongue, stream), Routes::Equal).await;
            for _ in 0..3 {
                for way in [&one, &other] {
                    let client = way
                        .headers
                        .iter()
                        .fold(scene.client(), |client, (name, value)| client.header(name, value));
                    let mut body = way.tongue.request("m", stream);
                    for (name, value) in way.body.as_object().unwrap() {
                        body[name] = value.clone();
                    }
                    scene.say(&client, &body).await.expect(200);
                }
            }
            let served = scene.served(6).await;
            let expected = ["a#1", "b#1", "a#1", "b#1", "a#1", "b#1"];
            assert_eq!(served, expected, "{:?} {:?}", one.headers, one.body);
            scene.finish().await;
        }
    }
}

#[tokio::test]
async fn v18_a_context_that_was_compacted_begins_at_the_top_again() {
    for stream in [false, true] {
        let scene = Scene::start((Tongue::Messages, stream), Routes::Tiers).await;
        let client = scene.session("s");
        scene.sims[0].next(llm_sim::Answer::status(500));
        for _ in 0..2 {
            assert_eq!(scene.who(&client).await, "b", "a failed once");
        }
        let compacted = client.clone().header("x-claude-code-context-compacted", "auto");
        assert_eq!(scene.who(&compacted).await, "a", "there is nothing to stay for");
        assert_eq!(scene.who(&client).await, "a", "and from now on it is here");
        let b = scene.proxy.backend("b").await;
        assert_eq!(b["cache"]["moves"], 0, "nothing was read anew for it");
        scene.finish().await;
    }
}

#[tokio::test]
async fn v18_the_request_for_a_summary_still_reads_the_cache_and_is_the_last_to_do_so() {
    for stream in [false, true] {
        let scene = Scene::start((Tongue::Messages, stream), Routes::Tiers).await;
        let client = scene.session("s");
        scene.sims[0].next(llm_sim::Answer::status(500));
        assert_eq!(scene.who(&client).await, "b", "a failed once");
        let summary = client.clone().header("x-claude-code-compaction", "manual");
        assert_eq!(scene.who(&summary).await, "b", "it reads all that there is");
        assert_eq!(scene.who(&client).await, "a", "and nobody does after it");
        scene.finish().await;
    }
}

#[tokio::test]
async fn a_window_of_codex_that_was_compacted_is_a_conversation_of_its_own() {
    let scene = Scene::start((Tongue::Responses, true), Routes::Tiers).await;
    let window = |name| scene.session("s").header("x-codex-window-id", name);
    scene.sims[0].next(llm_sim::Answer::status(500));
    for _ in 0..2 {
        assert_eq!(scene.who(&window("s:0")).await, "b", "a failed once");
    }
    assert_eq!(
        scene.who(&window("s:1")).await,
        "a",
        "the first choice is well again"
    );
    scene.finish().await;
}

#[tokio::test]
async fn v18_headers_that_are_not_there_or_empty_change_nothing() {
    for (tongue, stream) in cases() {
        let scene = Scene::start((tongue, stream), Routes::Equal).await;
        let empty = scene
            .client()
            .header("x-claude-code-session-id", "")
            .header("session-id", "")
            .header("x-claude-code-agent-id", "a")
            .header("x-claude-code-request-class", "main");
        let mut places = Vec::new();
        for _ in 0..4 {
            let mut body = tongue.request("m", stream);
            if tongue == Tongue::Messages {
                body["metadata"] = json!({});
            }
            places.push(backend_of(&scene.say(&empty, &body).await));
        }
        assert_eq!(places, ["a", "b", "a", "b"], "{tongue:?}");
        scene.finish().await;
    }
}
