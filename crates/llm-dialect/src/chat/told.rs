//! An answer in one line, for tests to compare.
#![cfg(test)]

use crate::canon::{Block, JsonStr, Reasoning, Response, Seal, StopReason, ToolInput};

/// Its blocks and its end.
pub(super) fn told(response: &Response<'_>) -> String {
    let end = match response.stop.reason {
        StopReason::End => "end",
        StopReason::ToolCalls => "calls",
        StopReason::MaxTokens => "limit",
        StopReason::Refusal => "refusal",
        StopReason::Filter => "filter",
        _ => "other",
    };
    let blocks = response.blocks.iter().map(block);
    blocks.chain([end.to_owned()]).collect::<Vec<_>>().join(" | ")
}

fn block(block: &Block<'_>) -> String {
    match block {
        Block::Text(text) => format!("text {}", text.text.spelling()),
        Block::Refusal(text) => format!("refusal {}", text.spelling()),
        Block::Reasoning(reasoning) => thought(reasoning),
        Block::ToolCall(call) => {
            let (id, name) = (call.id.spelling(), &call.name);
            match &call.input {
                ToolInput::Custom(text) => format!("call {id} {name}<{}>", text.spelling()),
                input => format!("call {id} {name}({})", input.spelled().spelling()),
            }
        }
        other => format!("{other:?}"),
    }
}

fn thought(reasoning: &Reasoning<'_>) -> String {
    let parts: Vec<&str> = reasoning.parts.iter().map(JsonStr::spelling).collect();
    let seal = match &reasoning.seal {
        None => "unsealed".to_owned(),
        Some(Seal::Plain) => "plain".to_owned(),
        Some(Seal::Details(raw)) => raw.get().to_owned(),
        Some(Seal::Signature(text)) => format!("signature {}", text.spelling()),
        Some(Seal::Redacted(text)) => format!("redacted {}", text.spelling()),
        Some(Seal::Encrypted { id, data }) => format!("encrypted {} {}", id.spelling(), data.spelling()),
    };
    format!("thought {} {seal}", parts.join("/"))
}
