//! Reasoning in chat: `reasoning_content` for eyes, `reasoning_details` for the way back.
//!
//! The details are `OpenRouter`'s. Those of Anthropic and of `OpenAI` are read back into the seals that they were made
//! from; any others are a host's own and go back to it word for word.

use super::wire::{Detail, Message, Part, ThinkingBlock};
use super::wire_answer::thoughts;
use crate::canon::write::Array;
use crate::canon::{Json, JsonStr, Reasoning, Seal, seal};

/// The format of details that were made from Anthropic's thinking.
pub(super) const ANTHROPIC: &str = "anthropic-claude-v1";
/// The format of details that were made from a reasoning item of `OpenAI`.
pub(super) const OPENAI: &str = "openai-responses-v1";

/// The reasoning that an assistant message brings along.
pub(super) fn of_message<'a>(message: &Message<'a>) -> Vec<Reasoning<'a>> {
    if let Some(blocks) = message.thinking_blocks.as_ref().filter(|all| !all.is_empty()) {
        return blocks.iter().map(of_block).collect();
    }
    let plain = message.reasoning.and_then(|raw| JsonStr::from_raw(raw.get()));
    let spellings = [message.reasoning_content.clone(), plain];
    let text = spellings.into_iter().flatten().find(|text| !text.is_empty());
    match message.reasoning_details.map(serde_json::value::RawValue::get) {
        Some(details) if details.len() > 2 && details.starts_with('[') => of_details(details, text),
        _ => text.into_iter().map(of_text).collect(),
    }
}

fn of_block<'a>(block: &ThinkingBlock<'a>) -> Reasoning<'a> {
    if let Some(data) = &block.data {
        return seal::restore(Vec::new(), Some(data.clone()), Seal::Redacted);
    }
    seal::restore(
        block.thinking.clone().into_iter().collect(),
        block.signature.clone(),
        Seal::Signature,
    )
}

/// A part of the content that is reasoning: in Anthropic's form, or in Mistral's, which is a list of texts.
pub(super) fn of_part<'a>(part: &Part<'a>) -> Reasoning<'a> {
    if let Some(data) = &part.data {
        return seal::restore(Vec::new(), Some(data.clone()), Seal::Redacted);
    }
    let raw = part.thinking.map_or("", serde_json::value::RawValue::get);
    match JsonStr::from_raw(raw) {
        Some(text) => seal::restore(vec![text], part.signature.clone(), Seal::Signature),
        None => of_text(JsonStr::joined(&thoughts(raw), "")),
    }
}

fn of_text(text: JsonStr<'_>) -> Reasoning<'_> {
    Reasoning {
        parts: vec![text],
        summary: false,
        seal: Some(Seal::Plain),
        family: None,
    }
}

fn of_details<'a>(raw: &'a str, text: Option<JsonStr<'a>>) -> Vec<Reasoning<'a>> {
    let details: Vec<Detail<'a>> = serde_json::from_str(raw).unwrap_or_default();
    let all_of = |format: &str| {
        !details.is_empty()
            && details
                .iter()
                .all(|detail| detail.format.as_deref() == Some(format))
    };
    if all_of(ANTHROPIC) {
        return anthropic(details);
    }
    if all_of(OPENAI) {
        return openai(details);
    }
    vec![Reasoning {
        parts: text.into_iter().collect(),
        summary: false,
        seal: Some(Seal::Details(Json::spelled_so(raw))),
        family: None,
    }]
}

/// A text may come in several entries, up to the one with its signature.
fn anthropic(details: Vec<Detail<'_>>) -> Vec<Reasoning<'_>> {
    let mut all = Vec::new();
    let mut text: Option<JsonStr<'_>> = None;
    for detail in details {
        if let Some(data) = detail.data {
            all.extend(text.take().map(unsealed));
            all.push(seal::restore(Vec::new(), Some(data), Seal::Redacted));
            continue;
        }
        match (&mut text, detail.text) {
            (Some(text), Some(more)) => text.push(&more),
            (None, more) => text = more,
            (Some(_), None) => {}
        }
        if detail.signature.is_some() {
            let parts = text.take().into_iter().collect();
            all.push(seal::restore(parts, detail.signature, Seal::Signature));
        }
    }
    all.extend(text.map(unsealed));
    all
}

fn unsealed(text: JsonStr<'_>) -> Reasoning<'_> {
    seal::restore(vec![text], None, Seal::Signature)
}

/// Summaries come before the encrypted content that they belong to.
fn openai(details: Vec<Detail<'_>>) -> Vec<Reasoning<'_>> {
    let mut all = Vec::new();
    let mut parts = Vec::new();
    for detail in details {
        match detail.data {
            Some(data) => {
                let id = detail.id.unwrap_or(JsonStr::EMPTY);
                let mut reasoning = seal::restore(std::mem::take(&mut parts), Some(data), |data| {
                    Seal::Encrypted { id, data }
                });
                reasoning.summary = true;
                all.push(reasoning);
            }
            None => parts.extend(detail.summary),
        }
    }
    if !parts.is_empty() {
        all.push(Reasoning {
            parts,
            summary: true,
            ..Reasoning::default()
        });
    }
    all
}

/// The details of reasoning, as items of an array. `index` counts them through the message.
pub(super) fn write_details(list: &mut Array<'_>, reasoning: &Reasoning<'_>, index: &mut u64) {
    let words = JsonStr::joined(&reasoning.parts, "\n\n");
    let Some(sealed) = &reasoning.seal else { return };
    let mut next = || std::mem::replace(index, *index + 1);
    match sealed {
        Seal::Signature(signature) => {
            list.object(|it| {
                it.str("type", "reasoning.text")
                    .text("text", &words)
                    .text("signature", signature);
                it.str("format", ANTHROPIC).number("index", next());
            });
        }
        Seal::Redacted(data) => {
            list.object(|it| {
                it.str("type", "reasoning.encrypted").text("data", data);
                it.str("format", ANTHROPIC).number("index", next());
            });
        }
        Seal::Encrypted { id, data } => {
            for part in &reasoning.parts {
                list.object(|it| {
                    it.str("type", "reasoning.summary").text("summary", part);
                    it.str("format", OPENAI).number("index", next());
                });
            }
            list.object(|it| {
                it.str("type", "reasoning.encrypted")
                    .text("data", data)
                    .text("id", id);
                it.str("format", OPENAI).number("index", next());
            });
        }
        Seal::Details(raw) => {
            let inside = raw
                .get()
                .trim()
                .trim_start_matches('[')
                .trim_end_matches(']')
                .trim();
            if !inside.is_empty() {
                list.raw(inside);
            }
        }
        Seal::Plain => {}
    }
}
