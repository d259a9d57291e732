//! A whole answer for a chat client.

use super::reasoning;
use crate::canon::write::{self, Array, Object};
use crate::canon::{
    Block, Citation, JsonStr, Losses, Reasoning, Response, Stop, StopReason, Terms, ToolCall, ToolInput,
};
use crate::names::answer_id;
use crate::usage::Usage;

/// What is said of a refusal that its model did not explain.
pub(super) const REFUSED: &str = "The model refused to answer.";

/// Writes an answer.
pub fn answer_out(response: &Response<'_>, terms: &Terms, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write::object(&mut out, |all| {
        all.str("id", &answer_id("chatcmpl-", &response.id, &terms.request_id));
        all.str("object", "chat.completion");
        all.number("created", response.created.unwrap_or(terms.now));
        all.str("model", &terms.model);
        all.array("choices", |choices| {
            choices.object(|choice| {
                choice.number("index", 0);
                choice.object("message", |it| message(it, response, losses));
                match logprobs(&response.blocks) {
                    Some(items) => choice.object("logprobs", |it| {
                        it.raw("content", &items).null("refusal");
                    }),
                    None => choice.null("logprobs"),
                };
                choice.str(
                    "finish_reason",
                    finish(&response.stop, has_refusal(&response.blocks)),
                );
            });
        });
        if !response.usage.is_unknown() {
            all.object("usage", |it| usage(it, &response.usage));
        }
        if let Some(tier) = &response.service_tier {
            all.raw("service_tier", tier.get());
        }
    });
    if response.stop.reason == StopReason::Pause {
        losses.note("stop_reason:pause_turn");
    }
    out
}

fn message(it: &mut Object<'_>, response: &Response<'_>, losses: &mut Losses) {
    let calls: Vec<&ToolCall<'_>> = response.blocks.iter().filter_map(call_of).collect();
    let mut text = JsonStr::EMPTY;
    let mut cited = Vec::new();
    for block in &response.blocks {
        match block {
            Block::Text(block) => {
                let from = points(&text);
                text.push(&block.text);
                let to = points(&text);
                let of_the_web = block.citations.iter().filter(|it| is_of_the_web(it));
                cited.extend(of_the_web.map(|citation| (citation, from, to)));
            }
            Block::Foreign { kind, .. } => losses.note(format!("content.{kind}")),
            Block::WebSearch(_) => losses.note("content.web_search"),
            _ => {}
        }
    }
    it.str("role", "assistant");
    if text.is_empty() && !calls.is_empty() {
        it.null("content");
    } else {
        it.text("content", &text);
    }
    match refusal(response) {
        Some(words) => it.text("refusal", &words),
        None => it.null("refusal"),
    };
    thought(it, &response.blocks);
    if !calls.is_empty() {
        it.array("tool_calls", |list| {
            for call in calls {
                write_call(list, call);
            }
        });
    }
    if !cited.is_empty() {
        it.array("annotations", |list| {
            for (citation, from, to) in cited {
                annotation(list, citation, from, to);
            }
        });
    }
}

/// Words of refusal: the model's own, or what its provider says of it.
fn refusal(response: &Response<'_>) -> Option<JsonStr<'static>> {
    let mut own = response.blocks.iter().filter_map(|block| match block {
        Block::Refusal(text) => Some(text),
        _ => None,
    });
    if let Some(first) = own.next() {
        return Some(JsonStr::joined(std::iter::once(first).chain(own), ""));
    }
    (response.stop.reason == StopReason::Refusal).then(|| explained(&response.stop))
}

/// What is said of a refusal without words.
pub(super) fn explained(stop: &Stop<'_>) -> JsonStr<'static> {
    let told = stop.explanation.clone().filter(|it| !it.is_empty());
    told.map_or(JsonStr::spelled_so(REFUSED), JsonStr::into_owned)
}

fn has_refusal(blocks: &[Block<'_>]) -> bool {
    blocks.iter().any(|block| matches!(block, Block::Refusal(_)))
}

/// Reasoning for eyes, and for the way back.
fn thought(it: &mut Object<'_>, blocks: &[Block<'_>]) {
    let all: Vec<&Reasoning<'_>> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Reasoning(reasoning) => Some(reasoning),
            _ => None,
        })
        .collect();
    let words: Vec<JsonStr<'_>> = all
        .iter()
        .map(|one| JsonStr::joined(&one.parts, "\n\n"))
        .collect();
    if words.iter().any(|words| !words.is_empty()) {
        it.text("reasoning_content", &JsonStr::joined(&words, ""));
    }
    let mut details = Vec::new();
    write::array(&mut details, |list| {
        let mut index = 0;
        for reasoning in &all {
            reasoning::write_details(list, reasoning, &mut index);
        }
    });
    if details.len() > 2 {
        it.raw(
            "reasoning_details",
            &String::from_utf8(details).unwrap_or_default(),
        );
    }
}

fn write_call(list: &mut Array<'_>, call: &ToolCall<'_>) {
    list.object(|it| match &call.input {
        ToolInput::Custom(text) => {
            it.text("id", &call.id)
                .str("type", "custom")
                .object("custom", |it| {
                    it.str("name", &call.name).text("input", text);
                });
        }
        input => {
            let arguments = input.spelled();
            let nothing = JsonStr::spelled_so("{}");
            let arguments = if arguments.is_empty() {
                &nothing
            } else {
                &arguments
            };
            it.text("id", &call.id)
                .str("type", "function")
                .object("function", |it| {
                    it.str("name", &call.name).text("arguments", arguments);
                });
        }
    });
}

/// Whether a source has an address: chat knows no others.
pub(super) fn is_of_the_web(citation: &Citation<'_>) -> bool {
    !citation.url.is_empty()
}

/// A source, with the part of the text that it stands for: in Unicode code points of all of it.
pub(super) fn annotation(list: &mut Array<'_>, citation: &Citation<'_>, from: u64, to: u64) {
    let (start, end) = citation
        .span
        .map_or((from, to), |(start, end)| (from + start, from + end));
    list.object(|it| {
        it.str("type", "url_citation").object("url_citation", |it| {
            it.number("start_index", start)
                .number("end_index", end.min(to.max(start)));
            it.text("url", &citation.url).text("title", &citation.title);
        });
    });
}

/// How many code points a text has.
pub(super) fn points(text: &JsonStr<'_>) -> u64 {
    text.read().chars().count() as u64
}

fn logprobs(blocks: &[Block<'_>]) -> Option<String> {
    blocks.iter().find_map(|block| match block {
        Block::Text(text) => text.logprobs.as_ref().map(|all| all.get().to_owned()),
        _ => None,
    })
}

fn call_of<'b>(block: &'b Block<'b>) -> Option<&'b ToolCall<'b>> {
    match block {
        Block::ToolCall(call) => Some(call),
        _ => None,
    }
}

/// The reason in chat's words. A refusal in words ends as any answer does.
pub(super) fn finish(stop: &Stop<'_>, in_words: bool) -> &'static str {
    match stop.reason {
        StopReason::Refusal if in_words => "stop",
        StopReason::Refusal | StopReason::Filter => "content_filter",
        StopReason::ToolCalls => "tool_calls",
        StopReason::MaxTokens | StopReason::ContextFull => "length",
        StopReason::End | StopReason::Sequence | StopReason::Pause | StopReason::Compaction => "stop",
    }
}

/// The counts in chat's arithmetic, which is ours.
pub(super) fn usage(it: &mut Object<'_>, usage: &Usage) {
    let (input, output) = (usage.input.unwrap_or(0), usage.output.unwrap_or(0));
    it.number("prompt_tokens", input)
        .number("completion_tokens", output);
    it.number("total_tokens", input.saturating_add(output));
    it.object("prompt_tokens_details", |it| {
        it.number("cached_tokens", usage.cache_read.unwrap_or(0));
        if let Some(written) = usage.cache_write {
            it.number("cache_write_tokens", written);
        }
    });
    it.object("completion_tokens_details", |it| {
        it.number("reasoning_tokens", usage.reasoning.unwrap_or(0));
    });
}
