//! A whole answer for a Messages client.

use super::arguments;
use super::blocks_in::OUR_SEARCH;
use crate::canon::seal;
use crate::canon::write::{self, Array, Object};
use crate::canon::{
    Block, Citation, JsonStr, Losses, Reasoning, Response, Seal, Stop, StopReason, Terms, Text, WebSearch,
};
use crate::names::{answer_id, anthropic_id, digest};
use crate::usage::Usage;

/// Writes an answer.
pub fn answer_out(response: &Response<'_>, terms: &Terms, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write::object(&mut out, |all| {
        all.str("id", &answer_id("msg_", &response.id, &terms.request_id));
        all.str("type", "message")
            .str("role", "assistant")
            .str("model", &terms.model);
        all.array("content", |list| {
            for block in &response.blocks {
                write_block(list, block, terms, losses);
            }
        });
        let refused = response
            .blocks
            .iter()
            .any(|block| matches!(block, Block::Refusal(_)));
        stop(all, &response.stop, refused);
        all.object("usage", |it| usage(it, &response.usage));
    });
    if response.usage.is_unknown() {
        losses.note("usage:unknown");
    }
    out
}

fn write_block(list: &mut Array<'_>, block: &Block<'_>, terms: &Terms, losses: &mut Losses) {
    match block {
        Block::Text(text) if text.text.is_empty() => {}
        Block::Text(text) => write_text(list, text),
        Block::Refusal(text) => write_text(list, &Text::plain(text.borrowed())),
        Block::Reasoning(reasoning) => thought(list, reasoning, terms),
        Block::ToolCall(call) => {
            let (input, _) = arguments::of_call(call);
            list.object(|it| {
                it.str("type", "tool_use")
                    .str("id", &anthropic_id(&call.id.read()))
                    .str("name", &call.name);
                it.raw("input", input.get());
            });
        }
        Block::WebSearch(search) => web_search(list, search),
        Block::Foreign { kind, .. } => losses.note(format!("output.{kind}")),
        _ => {}
    }
}

fn write_text(list: &mut Array<'_>, text: &Text<'_>) {
    list.object(|it| {
        it.str("type", "text").text("text", &text.text);
        if !text.citations.is_empty() {
            it.array("citations", |list| {
                for citation in &text.citations {
                    list.object(|it| located(it, citation));
                }
            });
        }
    });
}

/// A citation as Anthropic has it.
pub(super) fn located(it: &mut Object<'_>, citation: &Citation<'_>) {
    it.str("type", "web_search_result_location")
        .text("url", &citation.url)
        .text("title", &citation.title);
    it.text("cited_text", &citation.cited).str("encrypted_index", "");
}

/// A thinking block, with a seal that its client sends back.
fn thought(list: &mut Array<'_>, reasoning: &Reasoning<'_>, terms: &Terms) {
    if let Some(Seal::Redacted(data)) = &reasoning.seal {
        list.object(|it| {
            it.str("type", "redacted_thinking").text("data", data);
        });
        return;
    }
    list.object(|it| {
        it.str("type", "thinking")
            .text("thinking", &JsonStr::joined(&reasoning.parts, "\n\n"));
        it.text("signature", &signature(reasoning.seal.as_ref(), terms));
    });
}

/// The signature of a thinking block: Anthropic's own, else an envelope.
pub(super) fn signature(sealed: Option<&Seal<'_>>, terms: &Terms) -> JsonStr<'static> {
    match sealed {
        Some(Seal::Signature(signature)) => signature.clone().into_owned(),
        Some(other) => seal::wrap(other, None, terms),
        None => seal::wrap(&Seal::Plain, None, terms),
    }
}

/// A search with its result. Its id is ours: the pair is dropped when it comes back, since Anthropic would refuse it.
fn web_search(list: &mut Array<'_>, search: &WebSearch<'_>) {
    let id = search_id(search);
    list.object(|it| {
        it.str("type", "server_tool_use")
            .str("id", &id)
            .str("name", "web_search")
            .object("input", |it| {
                it.text("query", &search.query);
            });
    });
    list.object(|it| search_result(it, &id, search));
}

/// The id of a search that another provider made.
pub(super) fn search_id(search: &WebSearch<'_>) -> String {
    format!("{OUR_SEARCH}{}", digest(search.id.spelling(), 16))
}

/// What a search has found.
pub(super) fn search_result(it: &mut Object<'_>, id: &str, search: &WebSearch<'_>) {
    it.str("type", "web_search_tool_result")
        .str("tool_use_id", id)
        .array("content", |list| {
            for (url, title) in &search.sources {
                list.object(|it| {
                    it.str("type", "web_search_result")
                        .text("url", url)
                        .text("title", title);
                    it.str("encrypted_content", "").null("page_age");
                });
            }
        });
}

/// Writes the reason of the end. Words of refusal are one, whatever else the backend said.
pub(super) fn stop(it: &mut Object<'_>, stop: &Stop<'_>, refused: bool) {
    let word = if refused && stop.reason == StopReason::End {
        "refusal"
    } else {
        reason(stop.reason)
    };
    it.str("stop_reason", word);
    match stop
        .sequence
        .as_ref()
        .filter(|_| stop.reason == StopReason::Sequence)
    {
        Some(sequence) => it.text("stop_sequence", sequence),
        None => it.null("stop_sequence"),
    };
    if word == "refusal" {
        it.object("stop_details", |it| {
            it.str("type", "refusal").null("category");
            match &stop.explanation {
                Some(explanation) => it.text("explanation", explanation),
                None => it.null("explanation"),
            };
        });
    }
}

fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::End => "end_turn",
        StopReason::Sequence => "stop_sequence",
        StopReason::ToolCalls => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::ContextFull => "model_context_window_exceeded",
        StopReason::Refusal | StopReason::Filter => "refusal",
        StopReason::Pause => "pause_turn",
        StopReason::Compaction => "compaction",
    }
}

/// The counts in Anthropic's arithmetic: what came from the cache or went into it stands beside the input.
pub(super) fn usage(it: &mut Object<'_>, usage: &Usage) {
    let (read, written) = (usage.cache_read.unwrap_or(0), usage.cache_write.unwrap_or(0));
    let input = usage
        .input
        .unwrap_or(0)
        .saturating_sub(read)
        .saturating_sub(written);
    it.number("input_tokens", input);
    it.number("cache_creation_input_tokens", written)
        .number("cache_read_input_tokens", read);
    it.number("output_tokens", usage.output.unwrap_or(0));
    if let Some(reasoning) = usage.reasoning.filter(|tokens| *tokens > 0) {
        it.object("output_tokens_details", |it| {
            it.number("thinking_tokens", reasoning);
        });
    }
}
