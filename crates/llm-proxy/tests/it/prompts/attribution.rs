//! Claude Code before 2.1.181, whose attribution entry is another one in every request (reliability.md, V05).

use std::collections::HashMap;

use llm_sim::Seen;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{client, scene_of, told};
use crate::support::Tongue;

/// Differs in every request, were it not kept for the conversation.
const PROMPT: &str = "[{text: 'OURS ${_DATETIME} ${_REQUEST_ID}', position: POSITION}]";

/// The entry of a turn, spelled as no serialiser would.
fn entry(turn: usize) -> String {
    format!(
        r#"{{ "type":"text", "text":"x-anthropic-billing-header: cc_version=2.1.100; cc_entrypoint=cli; cch=4{turn}\u00e9;" }}"#
    )
}

/// A turn of a conversation as such a client writes it, which names no session in a header.
fn turn(number: usize) -> String {
    let before: Vec<String> = (0..number)
        .map(|n| {
            format!(r#"{{"role":"user","content":"ask {n}"}},{{"role":"assistant","content":"answer {n}"}},"#)
        })
        .collect();
    let (before, entry) = (before.concat(), entry(number));
    format!(
        r#"{{"model":"claude-x","max_tokens":64,"system":[{entry},{{"type":"text","text":"CLIENT","cache_control":{{"type":"ephemeral"}}}}],"messages":[{before}{{"role":"user","content":"ask {number}"}}]}}"#
    )
}

#[tokio::test]
async fn v05_a_rotating_attribution_entry_goes_to_anthropic_as_it_is_and_first() {
    for (position, own) in [("before", 2), ("after", 2), ("replace", 1)] {
        let (sim, proxy) = scene_of(Tongue::Messages, &PROMPT.replace("POSITION", position)).await;
        for number in 0..3 {
            let body = turn(number);
            client(&proxy)
                .send("POST", "/v1/messages", body.as_bytes())
                .await
                .expect(200);
        }
        let seen = sim.seen();
        let first = seen[0].json()["system"].as_array().unwrap()[1..].to_vec();
        for (number, seen) in seen.iter().enumerate() {
            let text = String::from_utf8(seen.body.to_vec()).unwrap();
            let begun = format!(r#""system":[{},"#, entry(number));
            assert!(
                text.contains(&begun),
                "{position}: to the byte, and first: {text}"
            );
            let body = seen.json();
            let rest = &body["system"].as_array().unwrap()[1..];
            assert_eq!(rest, first, "{position}: turn {number} is told the same");
            assert_eq!(rest.len(), own, "{position}: {text}");
        }
        assert_eq!(sim.protocol_errors(), [""; 0]);
        proxy.finish().await;
    }
}

/// Where the turns of a body end, before the bracket that closes them.
fn end_of_turns(seen: &Seen, field: &str) -> usize {
    let text = std::str::from_utf8(&seen.body).unwrap();
    let members: HashMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
    let turns = members[field].get();
    text.find(turns).unwrap() + turns.len() - 1
}

#[tokio::test]
async fn v05_to_any_other_backend_a_turn_begins_as_the_one_before_it_did() {
    for (spoken, field) in [(Tongue::Chat, "messages"), (Tongue::Responses, "input")] {
        for position in ["before", "after", "replace"] {
            let (sim, proxy) = scene_of(spoken, &PROMPT.replace("POSITION", position)).await;
            for number in 0..4 {
                let body = turn(number);
                client(&proxy)
                    .send("POST", "/v1/messages", body.as_bytes())
                    .await
                    .expect(200);
            }
            let seen = sim.seen();
            for pair in seen.windows(2) {
                let [one, next] = pair else { panic!("{pair:?}") };
                let prefix = &one.body[..end_of_turns(one, field)];
                assert!(
                    next.body.starts_with(prefix),
                    "{spoken:?}: {:?} after {:?}",
                    next.body,
                    one.body
                );
            }
            for seen in &seen {
                let body: Value = seen.json();
                assert!(
                    !body.to_string().contains("billing-header"),
                    "it is for Anthropic alone: {body}"
                );
                let texts = told(spoken, &body).concat();
                assert!(
                    texts.contains("OURS") && texts.contains("CLIENT") != (position == "replace"),
                    "{texts}"
                );
            }
            assert_eq!(sim.protocol_errors(), [""; 0]);
            proxy.finish().await;
        }
    }
}
