//! OpenAI Chat Completions: one object, or chunks in `data:` lines up to `[DONE]`.

use super::speech::{Speech, Tool, Usage};
use super::{Ask, CREATED};
use crate::json::{Json, NONE, NULL, object};

pub(crate) fn whole(ask: &Ask, speech: &Speech) -> Json {
    object! {
        "id": id(ask),
        "object": "chat.completion",
        "created": CREATED,
        "model": ask.model,
        "choices": [object! {
            "index": 0_u64,
            "message": message(speech),
            "logprobs": NULL,
            "finish_reason": finish_reason(speech),
        }],
        "usage": usage(speech.usage(ask)),
        "service_tier": "default",
        "system_fingerprint": NULL,
    }
}

/// Role, reasoning, text, refusal, tools, finish, usage if asked for, `[DONE]`.
pub(crate) fn events(ask: &Ask, speech: &Speech) -> Vec<String> {
    let mut deltas = vec![object! {"role": "assistant", "content": "", "refusal": NULL}];
    let reasoning = speech.reasoning.as_deref().unwrap_or_default();
    deltas.extend(
        speech
            .pieces(reasoning)
            .iter()
            .map(|piece| object! {"reasoning_content": piece}),
    );
    let text = speech.text().unwrap_or_default();
    deltas.extend(
        speech
            .pieces(&text)
            .iter()
            .map(|piece| object! {"content": piece}),
    );
    if let Some(refusal) = speech.refusal() {
        deltas.extend(
            speech
                .pieces(refusal)
                .iter()
                .map(|piece| object! {"refusal": piece}),
        );
    }
    deltas.extend(tool_deltas(speech));

    let mut events: Vec<String> = deltas.into_iter().map(|delta| chunk(ask, delta, NULL)).collect();
    events.push(chunk(ask, Json::object(), Some(finish_reason(speech))));
    if ask.include_usage {
        events.push(event(
            &base(ask)
                .with("choices", NONE)
                .with("usage", usage(speech.usage(ask))),
        ));
    }
    events.push(String::from("data: [DONE]\n\n"));
    events
}

fn message(speech: &Speech) -> Json {
    let calls: Vec<Json> = speech
        .tools
        .iter()
        .enumerate()
        .map(|(i, tool)| {
            let (kind, key) = kind(tool);
            let inner = object! {"name": tool.name}.with(key, &tool.arguments);
            object! {"id": call_id(i), "type": kind}.with(kind, inner)
        })
        .collect();
    let content = if speech.empty {
        Some(String::new())
    } else {
        speech.text()
    };
    object! {"role": "assistant", "content": content, "refusal": speech.refusal(), "annotations": NONE}
        .with_some("reasoning_content", speech.reasoning.as_ref())
        .with_some("tool_calls", (!calls.is_empty()).then_some(calls))
}

/// A call's head with its id and name, then its arguments in pieces.
fn tool_deltas(speech: &Speech) -> Vec<Json> {
    let mut deltas = Vec::new();
    for (i, tool) in speech.tools.iter().enumerate() {
        let (kind, key) = kind(tool);
        let inner = object! {"name": tool.name}.with(key, "");
        let head = object! {"index": i, "id": call_id(i), "type": kind}.with(kind, inner);
        deltas.push(object! {"tool_calls": [head]});
        for piece in tool.pieces() {
            let call = object! {"index": i}.with(kind, Json::object().with(key, piece));
            deltas.push(object! {"tool_calls": [call]});
        }
    }
    deltas
}

/// A call's type, which is also the key of what is called, and the key of its arguments there.
fn kind(tool: &Tool) -> (&'static str, &'static str) {
    if tool.is_custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    }
}

fn chunk(ask: &Ask, delta: Json, finish_reason: Option<&str>) -> String {
    let choice = object! {"index": 0_u64, "delta": delta, "finish_reason": finish_reason};
    let chunk = base(ask).with("choices", [choice]);
    event(&if ask.include_usage {
        chunk.with("usage", NULL)
    } else {
        chunk
    })
}

fn base(ask: &Ask) -> Json {
    object! {
        "id": id(ask),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": ask.model,
        "service_tier": "default",
        "system_fingerprint": NULL,
    }
}

fn event(json: &Json) -> String {
    format!("data: {}\n\n", json.as_str())
}

fn id(ask: &Ask) -> String {
    format!("chatcmpl-sim{}", ask.serial)
}

fn call_id(i: usize) -> String {
    format!("call_sim{i}")
}

fn finish_reason(speech: &Speech) -> &'static str {
    match speech {
        Speech { truncated: true, .. } => "length",
        Speech { tools, .. } if !tools.is_empty() => "tool_calls",
        _ => "stop",
    }
}

pub(super) fn usage(usage: Usage) -> Json {
    object! {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": object! {"cached_tokens": usage.cached, "audio_tokens": 0_u64},
        "completion_tokens_details": object! {"reasoning_tokens": 0_u64, "audio_tokens": 0_u64},
    }
}
