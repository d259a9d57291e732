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
    pub(super) x_groq: Lenient<Groq<'a>>,
    #[serde(borrow)]
    pub(super) service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    /// Padding of chunks.
    #[serde(borrow)]
    pub(super) obfuscation: Option<&'a RawValue>,
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
    #[serde(borrow)]
    pub(super) delta: Option<Said<'a>>,
    /// The message of a whole answer. Perplexity repeats it beside every delta.
    #[serde(borrow)]
    pub(super) message: Option<Said<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logprobs: Lenient<Logprobs<'a>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Logprobs<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
}

/// A value of some type, or nothing if it is of another one: for members that an answer can do without.
#[derive(Debug)]
pub(super) struct Lenient<T>(pub(super) Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(from)?;
        match raw.get() {
            // To find that it is no value of the type takes longer than to read one.
            "null" => Ok(Self(None)),
            value => Ok(Self(serde_json::from_str(value).ok())),
        }
    }
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
    /// Says the content, whatever form it has, without what is empty.
    pub(super) fn contents(&self, each: &mut dyn FnMut(Content<'a>)) {
        let Some(raw) = self.content.map(RawValue::get) else {
            return;
        };
        match JsonStr::from_raw(raw) {
            Some(text) if text.is_empty() => {}
            Some(text) => each(Content::Words(text)),
            None => parts(raw).into_iter().for_each(each),
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

/// The texts of reasoning: one, or a list of parts.
pub(super) fn thoughts(raw: &str) -> Vec<JsonStr<'_>> {
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
    /// The name, or an empty text: some hosts send it with the first piece alone, others an empty one with the rest.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// What it is called with: a string, or the value itself as some hosts send it.
    pub(super) fn text(&self) -> JsonStr<'a> {
        match self.arguments.map(RawValue::get) {
            None | Some("null") => JsonStr::EMPTY,
            Some(raw) => JsonStr::from_raw(raw).unwrap_or_else(|| JsonStr::of(raw)),
        }
    }
}

/// What a host says of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// Why it came.
    Because(StopReason),
    /// In words that nobody here knows.
    Somehow,
    /// That it failed.
    Failure,
}

/// Why the answer ended, in the host's words; nothing if it says nothing, as some do in every chunk.
pub(super) fn finish(word: &str) -> Option<Finish> {
    Some(Finish::Because(match word {
        "" => return None,
        "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" => StopReason::End,
        "length" | "max_tokens" | "model_length" => StopReason::MaxTokens,
        "tool_calls" | "function_call" | "tool_use" => StopReason::ToolCalls,
        "content_filter" | "safety" => StopReason::Filter,
        "refusal" => StopReason::Refusal,
        "error" | "insufficient_system_resource" => return Some(Finish::Failure),
        _ => return Some(Finish::Somehow),
    }))
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
