//! Anthropic Messages: one message, or events whose blocks stand one after another.

use serde_json::Value;

use super::Ask;
use super::speech::{SIGNATURE, Speech, Usage};
use crate::json::{Json, NONE, NULL, object};

pub(crate) fn whole(ask: &Ask, speech: &Speech) -> Json {
    let content: Vec<Json> = blocks(speech).into_iter().map(|block| block.whole).collect();
    message(ask)
        .with("content", content)
        .with("stop_reason", stop_reason(speech))
        .with("stop_sequence", NULL)
        .with("usage", usage(speech.usage(ask)))
}

/// `message_start`, the blocks with a ping after the first start, `message_delta`, `message_stop`.
pub(crate) fn events(ask: &Ask, speech: &Speech) -> Vec<String> {
    let tokens = speech.usage(ask);
    let started = message(ask)
        .with("content", NONE)
        .with("stop_reason", NULL)
        .with("stop_sequence", NULL)
        .with(
            "usage",
            usage(Usage {
                output: tokens.output.min(1),
                ..tokens
            }),
        );
    let mut events = vec![event("message_start", Json::object().with("message", started))];
    for (index, block) in blocks(speech).into_iter().enumerate() {
        let at = || object! {"index": index};
        events.push(event(
            "content_block_start",
            at().with("content_block", block.start),
        ));
        if index == 0 {
            events.push(event("ping", Json::object()));
        }
        events.extend(
            block
                .deltas
                .iter()
                .map(|delta| event("content_block_delta", at().with("delta", delta))),
        );
        events.push(event("content_block_stop", at()));
    }
    let delta = object! {"stop_reason": stop_reason(speech), "stop_sequence": NULL};
    events.push(event(
        "message_delta",
        object! {"delta": delta, "usage": usage(tokens)},
    ));
    events.push(event("message_stop", Json::object()));
    events
}

/// A content block in both its forms.
struct Block {
    whole: Json,
    start: Json,
    deltas: Vec<Json>,
}

fn blocks(speech: &Speech) -> Vec<Block> {
    let thinking = speech.reasoning.as_deref().map(|text| thinking(speech, text));
    let text = speech.text().map(|text| self::text(speech, &text));
    thinking
        .into_iter()
        .chain(text)
        .chain((0..speech.tools.len()).filter_map(|i| tool(speech, i)))
        .collect()
}

fn thinking(speech: &Speech, text: &str) -> Block {
    let delta = |piece: &String| object! {"type": "thinking_delta", "thinking": piece};
    let mut deltas: Vec<Json> = speech.pieces(text).iter().map(delta).collect();
    deltas.push(object! {"type": "signature_delta", "signature": SIGNATURE});
    Block {
        whole: object! {"type": "thinking", "thinking": text, "signature": SIGNATURE},
        start: object! {"type": "thinking", "thinking": "", "signature": ""},
        deltas,
    }
}

fn text(speech: &Speech, text: &str) -> Block {
    let delta = |piece: &String| object! {"type": "text_delta", "text": piece};
    Block {
        whole: object! {"type": "text", "text": text},
        start: object! {"type": "text", "text": ""},
        deltas: speech.pieces(text).iter().map(delta).collect(),
    }
}

fn tool(speech: &Speech, i: usize) -> Option<Block> {
    let tool = speech.tools.get(i)?;
    let input: Value = serde_json::from_str(&tool.arguments).unwrap_or_else(|_| serde_json::json!({}));
    let block = || object! {"type": "tool_use", "id": format!("toolu_sim{i}"), "name": tool.name};
    let pieces = tool.pieces();
    let delta = |piece: &String| object! {"type": "input_json_delta", "partial_json": piece};
    Some(Block {
        whole: block().with("input", input),
        start: block().with("input", Json::object()),
        deltas: pieces.iter().map(delta).collect(),
    })
}

fn message(ask: &Ask) -> Json {
    object! {
        "model": ask.model,
        "id": format!("msg_sim{}", ask.serial),
        "type": "message",
        "role": "assistant",
    }
}

fn event(name: &str, rest: Json) -> String {
    let members = rest.as_str().strip_prefix('{').unwrap_or_default();
    let comma = if members == "}" { "" } else { "," };
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{comma}{members}\n\n")
}

fn stop_reason(speech: &Speech) -> &'static str {
    match speech {
        Speech { truncated: true, .. } => "max_tokens",
        Speech { refuses: true, .. } => "refusal",
        Speech { tools, .. } if !tools.is_empty() => "tool_use",
        _ => "end_turn",
    }
}

/// Anthropic counts cached tokens beside the input, not in it.
fn usage(usage: Usage) -> Json {
    object! {
        "input_tokens": usage.input - usage.cached,
        "cache_creation_input_tokens": 0_u64,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
        "service_tier": "standard",
    }
}
