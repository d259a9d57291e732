//! A whole answer for a Responses client.

use std::borrow::Cow;

use super::echo::echo;
use super::items::{Call, CallKind, Item, rendered};
use crate::canon::write::{self, Object};
use crate::canon::{Block, JsonStr, Losses, Request, Response, Stop, StopReason, Terms, ToolInput};
use crate::names::answer_id;
use crate::usage::Usage;

/// Writes an answer.
pub fn answer_out(response: &Response<'_>, terms: &Terms, losses: &mut Losses) -> Vec<u8> {
    let id = answer_id("resp_", &response.id, &terms.request_id);
    let mut output: Vec<Vec<u8>> = Vec::new();
    let mut refused = false;
    let mut index = 0;
    for block in &response.blocks {
        if let Block::Foreign { kind, .. } = block {
            losses.note(format!("content.{kind}"));
        }
        refused |= matches!(block, Block::Refusal(_));
        let Some(item) = item(block, terms) else { continue };
        output.push(rendered(&item, &item.id(&id, index), terms));
        index += 1;
    }
    if let Some(words) = refusal(&response.stop, refused) {
        let item = Item::Refusal(words);
        output.push(rendered(&item, &item.id(&id, index), terms));
    }
    let head = Head {
        id: &id,
        created: response.created.unwrap_or(terms.now),
        terms,
    };
    let mut out = Vec::with_capacity(output.iter().map(Vec::len).sum::<usize>() + 512);
    write::object(&mut out, |it| {
        head.whole(it, &response.stop, &output, &response.usage);
    });
    if response.usage.is_unknown() {
        losses.note("usage:unknown");
    }
    out
}

fn item(block: &Block<'_>, terms: &Terms) -> Option<Item> {
    Some(match block {
        Block::Text(text) if text.text.is_empty() => return None,
        Block::Text(text) => Item::Message {
            text: text.text.clone().into_owned(),
            citations: text.citations.iter().map(|it| it.clone().into_owned()).collect(),
            logprobs: text.logprobs.clone().map(crate::canon::Json::into_owned),
        },
        Block::Refusal(text) => Item::Refusal(text.clone().into_owned()),
        Block::Reasoning(reasoning) => Item::Reasoning {
            parts: reasoning
                .parts
                .iter()
                .map(|part| part.clone().into_owned())
                .collect(),
            seal: reasoning.seal.clone().map(crate::canon::Seal::into_owned),
        },
        Block::ToolCall(call) => Item::Call(Call {
            id: call.id.clone().into_owned(),
            name: call.name.clone().into_owned(),
            namespace: call.namespace.clone().map(Cow::into_owned),
            kind: CallKind::of(&call.name, matches!(call.input, ToolInput::Custom(_)), terms),
            words: call.input.spelled().into_owned(),
        }),
        Block::WebSearch(search) => Item::Search(search.clone().into_owned()),
        _ => return None,
    })
}

/// The words of a refusal that its model did not say itself, where its provider explains it.
pub(super) fn refusal(stop: &Stop<'_>, refused: bool) -> Option<JsonStr<'static>> {
    let told = stop.explanation.clone().filter(|it| !it.is_empty())?;
    (stop.reason == StopReason::Refusal && !refused).then(|| told.into_owned())
}

/// What a response object begins with.
#[derive(Clone, Copy)]
pub(super) struct Head<'h> {
    pub(super) id: &'h str,
    pub(super) created: u64,
    pub(super) terms: &'h Terms,
}

impl Head<'_> {
    /// A response that has begun.
    pub(super) fn begun(&self, it: &mut Object<'_>) {
        self.write(it, "in_progress", None);
        it.raw("output", "[]").null("usage");
    }

    /// A response that is whole.
    pub(super) fn whole(&self, it: &mut Object<'_>, stop: &Stop<'_>, output: &[Vec<u8>], usage: &Usage) {
        let explained = stop.explanation.as_ref().is_some_and(|it| !it.is_empty());
        let refuses = |item: &Vec<u8>| item.windows(9).any(|it| it == b"\"refusal\"");
        let incomplete = incomplete(stop, explained || output.iter().any(refuses));
        self.write(
            it,
            if incomplete.is_some() {
                "incomplete"
            } else {
                "completed"
            },
            incomplete,
        );
        it.array("output", |list| {
            for item in output {
                list.raw(std::str::from_utf8(item).unwrap_or("null"));
            }
        });
        it.object("usage", |it| counted(it, usage));
    }

    fn write(&self, it: &mut Object<'_>, status: &str, incomplete: Option<&str>) {
        it.str("id", self.id)
            .str("object", "response")
            .number("created_at", self.created);
        it.str("status", status).null("error");
        match incomplete {
            Some(reason) => it.object("incomplete_details", |it| {
                it.str("reason", reason);
            }),
            None => it.null("incomplete_details"),
        };
        it.str("model", &self.terms.model);
        if self.terms.echo.is_empty() {
            it.members(&echo(&Request::default()));
        } else {
            it.members(&self.terms.echo);
        }
    }
}

/// Why a response is not complete; nothing if it is. A refusal in words is a complete answer.
pub(super) fn incomplete(stop: &Stop<'_>, in_words: bool) -> Option<&'static str> {
    match stop.reason {
        StopReason::MaxTokens | StopReason::ContextFull => Some("max_output_tokens"),
        StopReason::Filter => Some("content_filter"),
        StopReason::Refusal if !in_words => Some("content_filter"),
        _ => None,
    }
}

/// The counts in the arithmetic of Responses, which is ours.
pub(super) fn counted(it: &mut Object<'_>, usage: &Usage) {
    let (input, output) = (usage.input.unwrap_or(0), usage.output.unwrap_or(0));
    it.number("input_tokens", input)
        .object("input_tokens_details", |it| {
            it.number("cached_tokens", usage.cache_read.unwrap_or(0));
            if let Some(written) = usage.cache_write {
                it.number("cache_write_tokens", written);
            }
        });
    it.number("output_tokens", output)
        .object("output_tokens_details", |it| {
            it.number("reasoning_tokens", usage.reasoning.unwrap_or(0));
        });
    it.number("total_tokens", input.saturating_add(output));
}
