//! A whole Messages answer in the canonical form.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::stream_in::query;
use super::wire::{Answer, Block as Wire, Located};
use crate::answer::AnswerFault;
use crate::canon::{
    Block, Citation, Json, JsonStr, Reasoning, Response, Seal, Stop, StopReason, Text, ToolCall, ToolInput,
    WebSearch,
};
use crate::dialect::Dialect;
use crate::fault;
use crate::names::made_call_id;
use crate::usage::Reported;

/// Reads an answer.
///
/// # Errors
/// It is no answer.
pub fn answer_in(body: &str) -> Result<Response<'_>, AnswerFault> {
    let wire: Answer<'_> = serde_json::from_str(body).map_err(|_why| AnswerFault::NotJson)?;
    if wire.error.is_some()
        && let Some(error) = fault::in_answer(body.as_bytes())
    {
        return Err(AnswerFault::Error(error));
    }
    let content = wire.content.ok_or(AnswerFault::Empty)?;
    let mut blocks = Vec::with_capacity(content.len());
    let mut search: Option<WebSearch<'_>> = None;
    let (id, mut calls) = (wire.id.unwrap_or_default(), 0);
    for raw in content {
        let Ok(block) = serde_json::from_str::<Wire<'_>>(raw.get()) else {
            continue;
        };
        let mut block = read(block, raw, &mut search);
        if let Some(Block::ToolCall(call)) = &mut block {
            call.id = call_id(Some(std::mem::take(&mut call.id)), &id, calls);
            calls += 1;
        }
        blocks.extend(block);
    }
    let usage = wire
        .usage
        .and_then(|usage| Reported::read(usage.get().as_bytes()));
    Ok(Response {
        id,
        model: wire.model.unwrap_or_default(),
        created: None,
        blocks,
        stop: Stop {
            reason: reason(wire.stop_reason.as_deref().unwrap_or_default(), calls > 0),
            sequence: wire.stop_sequence,
            explanation: wire.stop_details.and_then(|details| details.explanation),
        },
        usage: usage.map(|it| it.usage(Dialect::Messages)).unwrap_or_default(),
        service_tier: None,
    })
}

fn read<'a>(wire: Wire<'a>, raw: &'a RawValue, search: &mut Option<WebSearch<'a>>) -> Option<Block<'a>> {
    match &*wire.kind {
        "text" => {
            let text = wire.text.filter(|text| !text.is_empty())?;
            Some(Block::Text(Text {
                citations: citations(wire.citations),
                ..Text::plain(text)
            }))
        }
        "thinking" => Some(Block::Reasoning(Reasoning {
            parts: wire.thinking.into_iter().filter(|it| !it.is_empty()).collect(),
            summary: false,
            seal: wire.signature.filter(|it| !it.is_empty()).map(Seal::Signature),
            family: None,
        })),
        "redacted_thinking" => Some(Block::Reasoning(Reasoning {
            seal: wire.data.map(Seal::Redacted),
            ..Reasoning::default()
        })),
        "tool_use" => Some(Block::ToolCall(ToolCall {
            id: wire.id.unwrap_or_default(),
            name: wire.name.unwrap_or_default(),
            namespace: None,
            input: ToolInput::Json(wire.input.map_or(Json::spelled_so("{}"), Json::from)),
        })),
        "server_tool_use" if wire.name.as_deref() == Some("web_search") => {
            *search = Some(WebSearch {
                id: wire.id.unwrap_or_default(),
                query: query(wire.input.map(RawValue::get).unwrap_or_default()),
                sources: Vec::new(),
            });
            None
        }
        "web_search_tool_result" => {
            let mut made = search.take().unwrap_or_default();
            made.sources = found(wire.content);
            Some(Block::WebSearch(made))
        }
        _ => Some(Block::Foreign {
            kind: Cow::Owned(wire.kind.into_owned()),
            raw: Json::from(raw),
        }),
    }
}

/// The id of a call of an answer, with one made for it where the backend gave none.
pub(super) fn call_id<'a>(own: Option<JsonStr<'a>>, answer: &str, place: usize) -> JsonStr<'a> {
    own.filter(|id| !id.is_empty())
        .unwrap_or_else(|| JsonStr::spelled_so(made_call_id(answer, place)))
}

/// The reason in our words. One that is not known is a call where there is one, else a plain end.
pub(super) fn reason(word: &str, calls: bool) -> StopReason {
    match word {
        "end_turn" if !calls => StopReason::End,
        "stop_sequence" => StopReason::Sequence,
        "max_tokens" => StopReason::MaxTokens,
        "model_context_window_exceeded" => StopReason::ContextFull,
        "refusal" => StopReason::Refusal,
        "pause_turn" => StopReason::Pause,
        "compaction" => StopReason::Compaction,
        _ if calls => StopReason::ToolCalls,
        _ => StopReason::End,
    }
}

fn citations(raw: Option<&RawValue>) -> Vec<Citation<'_>> {
    let all: Vec<&RawValue> = raw
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    all.into_iter().filter_map(citation).collect()
}

/// A citation of the web; those of documents have no address and no place elsewhere.
pub(super) fn citation(raw: &RawValue) -> Option<Citation<'_>> {
    let located: Located<'_> = serde_json::from_str(raw.get()).ok()?;
    Some(Citation {
        url: located.url?,
        title: located.title.unwrap_or_default(),
        cited: located.cited_text.unwrap_or_default(),
        span: None,
    })
}

/// Addresses and titles of what a search has found.
pub(super) fn found(content: Option<&RawValue>) -> Vec<(JsonStr<'_>, JsonStr<'_>)> {
    let items: Vec<Located<'_>> = content
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    let found = items.into_iter().filter(|item| item.kind == "web_search_result");
    found
        .filter_map(|item| Some((item.url?, item.title.unwrap_or_default())))
        .collect()
}
