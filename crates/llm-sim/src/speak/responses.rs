//! OpenAI Responses: one response, or numbered events whose items open and close in turn.

use super::speech::{ENCRYPTED, Speech, Tool, Usage};
use super::{Ask, CREATED};
use crate::json::{Json, NONE, NULL, object};

pub(crate) fn whole(ask: &Ask, speech: &Speech) -> Json {
    let done = if speech.truncated {
        "incomplete"
    } else {
        "completed"
    };
    let output: Vec<Json> = items(ask, speech).into_iter().map(|item| item.done).collect();
    response(ask, speech, done, output, Some(usage(speech.usage(ask))))
}

/// Created, in progress, the items, and the terminal event, which repeats all of it.
pub(crate) fn events(ask: &Ask, speech: &Speech) -> Vec<String> {
    let mut stream = Stream::default();
    for name in ["response.created", "response.in_progress"] {
        let response = response(ask, speech, "in_progress", Vec::new(), None);
        stream.push(name, Json::object().with("response", response));
    }
    for (index, item) in items(ask, speech).into_iter().enumerate() {
        stream.push(
            "response.output_item.added",
            object! {"output_index": index, "item": item.added},
        );
        for (name, rest) in item.between {
            stream.push(name, rest.with("output_index", index));
        }
        stream.push(
            "response.output_item.done",
            object! {"output_index": index, "item": item.done},
        );
    }
    let last = if speech.truncated {
        "response.incomplete"
    } else {
        "response.completed"
    };
    stream.push(last, Json::object().with("response", whole(ask, speech)));
    stream.0
}

/// Events, numbered from 0.
#[derive(Default)]
struct Stream(Vec<String>);

impl Stream {
    fn push(&mut self, name: &str, rest: Json) {
        let rest = rest.with("sequence_number", self.0.len());
        let members = rest.as_str().strip_prefix('{').unwrap_or_default();
        self.0.push(format!(
            "event: {name}\ndata: {{\"type\":\"{name}\",{members}\n\n"
        ));
    }
}

/// An output item: as it opens, what comes between, as it closes.
struct Item {
    added: Json,
    between: Vec<(&'static str, Json)>,
    done: Json,
}

fn items(ask: &Ask, speech: &Speech) -> Vec<Item> {
    let mut items: Vec<Item> = speech
        .reasoning
        .as_deref()
        .map(|text| reasoning(ask, speech, text))
        .into_iter()
        .collect();
    if let Some(text) = speech.text() {
        items.push(message(ask, speech, &TEXT, &text));
    } else if let Some(refusal) = speech.refusal() {
        items.push(message(ask, speech, &REFUSAL, refusal));
    }
    items.extend((0..speech.tools.len()).filter_map(|i| call(ask, speech, i)));
    items
}

fn reasoning(ask: &Ask, speech: &Speech, text: &str) -> Item {
    let id = format!("rs_sim{}", ask.serial);
    let encrypted = ask.encrypted.then_some(ENCRYPTED);
    let item = |summary: Vec<Json>| {
        object! {"id": id, "type": "reasoning", "summary": summary}.with_some("encrypted_content", encrypted)
    };
    let part = |text: &str| object! {"type": "summary_text", "text": text};
    let at = || object! {"item_id": id, "summary_index": 0_u64};
    let mut between = vec![(
        "response.reasoning_summary_part.added",
        at().with("part", part("")),
    )];
    let pieces = speech.pieces(text);
    between.extend(
        pieces
            .iter()
            .map(|p| ("response.reasoning_summary_text.delta", at().with("delta", p))),
    );
    between.push(("response.reasoning_summary_text.done", at().with("text", text)));
    between.push((
        "response.reasoning_summary_part.done",
        at().with("part", part(text)),
    ));
    Item {
        added: item(Vec::new()),
        between,
        done: item(vec![part(text)]),
    }
}

/// How a message's one part and its events are named.
struct Part {
    kind: &'static str,
    key: &'static str,
    delta: &'static str,
    done: &'static str,
    is_text: bool,
}

const TEXT: Part = Part {
    kind: "output_text",
    key: "text",
    delta: "response.output_text.delta",
    done: "response.output_text.done",
    is_text: true,
};
const REFUSAL: Part = Part {
    kind: "refusal",
    key: "refusal",
    delta: "response.refusal.delta",
    done: "response.refusal.done",
    is_text: false,
};

fn message(ask: &Ask, speech: &Speech, part: &Part, said: &str) -> Item {
    let id = format!("msg_sim{}", ask.serial);
    let item = |status: &str, content: Vec<Json>| {
        object! {"id": id, "type": "message", "status": status, "content": content, "role": "assistant"}
    };
    let logprobs = || part.is_text.then_some(NONE);
    let filled = |said: &str| {
        object! {"type": part.kind}
            .with_some("annotations", logprobs())
            .with_some("logprobs", logprobs())
            .with(part.key, said)
    };
    let at = || object! {"item_id": id, "content_index": 0_u64};
    let mut between = vec![("response.content_part.added", at().with("part", filled("")))];
    let delta = |piece: &String| {
        (
            part.delta,
            at().with("delta", piece).with_some("logprobs", logprobs()),
        )
    };
    between.extend(speech.pieces(said).iter().map(delta));
    between.push((
        part.done,
        at().with(part.key, said).with_some("logprobs", logprobs()),
    ));
    between.push(("response.content_part.done", at().with("part", filled(said))));
    let done = if speech.truncated {
        "incomplete"
    } else {
        "completed"
    };
    Item {
        added: item("in_progress", Vec::new()),
        between,
        done: item(done, vec![filled(said)]),
    }
}

/// How a call and its events are named.
struct Names {
    prefix: &'static str,
    kind: &'static str,
    key: &'static str,
    delta: &'static str,
    done: &'static str,
}

fn names(tool: &Tool) -> Names {
    if tool.is_custom {
        Names {
            prefix: "ctc",
            kind: "custom_tool_call",
            key: "input",
            delta: "response.custom_tool_call_input.delta",
            done: "response.custom_tool_call_input.done",
        }
    } else {
        Names {
            prefix: "fc",
            kind: "function_call",
            key: "arguments",
            delta: "response.function_call_arguments.delta",
            done: "response.function_call_arguments.done",
        }
    }
}

fn call(ask: &Ask, speech: &Speech, i: usize) -> Option<Item> {
    let tool = speech.tools.get(i)?;
    let names = names(tool);
    let id = format!("{}_sim{}_{i}", names.prefix, ask.serial);
    let item = |status: &str, arguments: &str| {
        object! {"id": id, "type": names.kind, "status": status}
            .with(names.key, arguments)
            .with("call_id", format!("call_sim{i}"))
            .with("name", &tool.name)
    };
    let at = || object! {"item_id": id};
    let delta = |piece: &String| (names.delta, at().with("delta", piece));
    let mut between: Vec<_> = tool.pieces().iter().map(delta).collect();
    between.push((names.done, at().with(names.key, &tool.arguments)));
    Some(Item {
        added: item("in_progress", ""),
        between,
        done: item("completed", &tool.arguments),
    })
}

fn response(ask: &Ask, speech: &Speech, status: &str, output: Vec<Json>, usage: Option<Json>) -> Json {
    let ended = usage.is_some();
    let incomplete = (ended && speech.truncated).then(|| object! {"reason": "max_output_tokens"});
    object! {
        "id": format!("resp_sim{}", ask.serial),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "completed_at": (ended && !speech.truncated).then_some(CREATED),
        "error": NULL,
        "incomplete_details": incomplete,
        "instructions": NULL,
        "max_output_tokens": NULL,
        "model": ask.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": NULL,
        "reasoning": object! {"effort": NULL, "summary": NULL},
        "service_tier": "default",
        "store": false,
        "temperature": 1_u64,
        "text": object! {"format": object! {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": NONE,
        "top_p": 1_u64,
        "truncation": "disabled",
        "usage": usage,
        "user": NULL,
        "metadata": Json::object(),
    }
}

fn usage(usage: Usage) -> Json {
    object! {
        "input_tokens": usage.input,
        "input_tokens_details": object! {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": object! {"reasoning_tokens": 0_u64},
        "total_tokens": usage.input + usage.output,
    }
}
