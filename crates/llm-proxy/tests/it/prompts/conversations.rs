//! A conversation is told the same for as long as it lasts (reliability.md, V13).

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use llm_sim::{Answer, Sim};
use serde_json::{Value, json};

use super::{bodies, client, scene, scene_of, told, with_system};
use crate::support::Tongue;

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
    let texts: HashSet<String> = bodies(&sim)
        .iter()
        .map(|body| body["system"].to_string())
        .collect();
    assert_eq!(texts.len(), 2);
    proxy.finish().await;
}

/// A turn of a conversation that began with these words.
fn grown(tongue: Tongue, words: &str, turns: usize, stream: bool) -> Value {
    let mut request = with_system(tongue, "m", stream);
    let field = if tongue == Tongue::Responses {
        "input"
    } else {
        "messages"
    };
    let said = |role: &str, text: &str| json!({"role": role, "content": text});
    let own = request[field].as_array().cloned().unwrap_or_default();
    let leading = own.into_iter().filter(|turn| turn["role"] == "system");
    let later = (1..turns).flat_map(|n| [said("assistant", "yes"), said("user", &format!("go on {n}"))]);
    request[field] = leading.chain([said("user", words)]).chain(later).collect();
    request
}

#[tokio::test]
async fn v13_each_conversation_has_its_own_text_and_keeps_it_in_every_dialect_converted_or_not() {
    for spoken in Tongue::ALL {
        let (sim, proxy) = scene_of(spoken, "[{text: 'OURS ${_DATETIME} ${_REQUEST_ID}'}]").await;
        let mut all = HashSet::new();
        for tongue in Tongue::ALL {
            for stream in [false, true] {
                let words = format!("{tongue:?} {stream}");
                let mut texts = HashSet::new();
                for turns in 1..5 {
                    let body = grown(tongue, &words, turns, stream);
                    client(&proxy).post(tongue.path(), &body).await.expect(200);
                    texts.insert(told(spoken, bodies(&sim).last().unwrap()).join("|"));
                }
                assert_eq!(texts.len(), 1, "{words} to {spoken:?}: {texts:?}");
                assert!(texts.iter().all(|text| text.starts_with("OURS 20")), "{texts:?}");
                all.extend(texts);
            }
        }
        assert_eq!(
            all.len(),
            6,
            "{spoken:?}: no two conversations share a request's id"
        );
        assert_eq!(sim.protocol_errors(), [""; 0]);
        proxy.finish().await;
    }
}
