//! What a chat answer, whole or in chunks, looks like on the wire. Hosts retype members freely, so all that is not read as
//! text stays raw.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canon::{Citation, JsonStr, StopReason};

/// A completion, or a chunk of one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Completion<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) created: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) x_groq: Option<Groq<'a>>,
    #[serde(borrow)]
    pub(super) service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// Groq's own corner.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Groq<'a> {
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    #[serde(borrow)]
    pub(super) index: Option<&'a RawValue>,
    #[serde(borrow, alias = "message")]
    pub(super) delta: Option<Said<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logprobs: Option<Logprobs<'a>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Logprobs<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
}

/// A message, or a piece of one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow)]
    pub(super) function_call: Option<Called<'a>>,
    #[serde(borrow)]
    pub(super) annotations: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    pub(super) index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) function: Option<Called<'a>>,
    #[serde(borrow)]
    pub(super) custom: Option<Called<'a>>,
}

/// The tool of a call and what it is called with; `input` for a custom one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Called<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "input")]
    pub(super) arguments: Option<&'a RawValue>,
}

/// A part of a content that is a list (Mistral).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Part<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) text: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<&'a RawValue>,
}

/// A piece of content.
pub(super) enum Content<'a> {
    /// Words of the answer.
    Words(JsonStr<'a>),
    /// Words of reasoning.
    Thought(JsonStr<'a>),
}

impl<'a> Said<'a> {
    /// The content, whatever form it has, without what is empty.
    pub(super) fn contents(&self) -> Vec<Content<'a>> {
        let Some(raw) = self.content.map(RawValue::get) else {
            return Vec::new();
        };
        match JsonStr::from_raw(raw) {
            Some(text) if text.is_empty() => Vec::new(),
            Some(text) => vec![Content::Words(text)],
            None => parts(raw),
        }
    }

    /// The reasoning text, in either spelling.
    pub(super) fn thought(&self) -> Option<JsonStr<'a>> {
        let either = [self.reasoning_content, self.reasoning];
        either.into_iter().find_map(string)
    }
}

fn parts(raw: &str) -> Vec<Content<'_>> {
    let parts: Vec<Part<'_>> = serde_json::from_str(raw).unwrap_or_default();
    let mut all = Vec::new();
    for part in parts {
        match (part.kind.as_deref(), part.thinking) {
            (Some("thinking"), Some(raw)) => {
                all.extend(thoughts(raw.get()).into_iter().map(Content::Thought));
            }
            _ => all.extend(part.text.filter(|it| !it.is_empty()).map(Content::Words)),
        }
    }
    all
}

fn thoughts(raw: &str) -> Vec<JsonStr<'_>> {
    if let Some(text) = JsonStr::from_raw(raw) {
        vec![text]
    } else {
        let parts: Vec<Part<'_>> = serde_json::from_str(raw).unwrap_or_default();
        parts
            .into_iter()
            .filter_map(|part| part.text)
            .filter(|it| !it.is_empty())
            .collect()
    }
}

/// A string that has something in it.
pub(super) fn string(raw: Option<&RawValue>) -> Option<JsonStr<'_>> {
    JsonStr::from_raw(raw?.get()).filter(|text| !text.is_empty())
}

/// A string or nothing, decoded.
pub(super) fn plain(raw: Option<&RawValue>) -> Cow<'_, str> {
    match string(raw) {
        Some(text) if !text.spelling().contains('\\') => Cow::Borrowed(inside(raw)),
        Some(text) => Cow::Owned(text.read().into_owned()),
        None => Cow::Borrowed(""),
    }
}

fn inside(raw: Option<&RawValue>) -> &str {
    raw.map_or("", |raw| raw.get().trim_matches('"'))
}

/// A whole number.
pub(super) fn whole(raw: Option<&RawValue>) -> Option<u64> {
    raw?.get().parse().ok()
}

impl<'a> Called<'a> {
    /// What it is called with: a string, or the value itself as some hosts send it.
    pub(super) fn text(&self) -> JsonStr<'a> {
        match self.arguments.map(RawValue::get) {
            None | Some("null") => JsonStr::EMPTY,
            Some(raw) => JsonStr::from_raw(raw).unwrap_or_else(|| JsonStr::of(raw)),
        }
    }
}

/// Why the answer ended, in the host's words.
pub(super) fn reason(word: &str) -> Option<StopReason> {
    Some(match word {
        "stop" | "eos" | "eos_token" | "end_turn" => StopReason::End,
        "stop_sequence" => StopReason::Sequence,
        "length" | "max_tokens" => StopReason::MaxTokens,
        "tool_calls" | "function_call" | "tool_use" => StopReason::ToolCalls,
        "content_filter" | "safety" | "refusal" => StopReason::Filter,
        _ => return None,
    })
}

#[derive(Deserialize)]
struct Annotation<'a> {
    #[serde(borrow)]
    url_citation: Option<UrlCitation<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UrlCitation<'a> {
    #[serde(borrow)]
    url: JsonStr<'a>,
    #[serde(borrow)]
    title: Option<JsonStr<'a>>,
    #[serde(borrow)]
    content: Option<JsonStr<'a>>,
    start_index: Option<u64>,
    end_index: Option<u64>,
}

/// The sources that annotations name.
pub(super) fn citations(raw: Option<&RawValue>) -> Vec<Citation<'_>> {
    let annotations: Vec<Annotation<'_>> = raw
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    let cited = annotations.into_iter().filter_map(|it| it.url_citation);
    cited
        .map(|it| Citation {
            url: it.url,
            title: it.title.unwrap_or_default(),
            cited: it.content.unwrap_or_default(),
            span: it.start_index.zip(it.end_index).filter(|(_, end)| *end > 0),
        })
        .collect()
}
