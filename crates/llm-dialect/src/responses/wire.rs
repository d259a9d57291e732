//! What a Responses request, answer and event look like on the wire, as far as anybody here reads them.
//!
//! Fat structs: every member may be missing, kinds are told by `type`. Members that are not listed are named as lost.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::canon::reading::Silent;
use crate::canon::{Citation, JsonStr, WebSearch};
use crate::lenient::Count;
use crate::openai::Breakpoint;

/// A request.
#[derive(Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow, default)]
    pub(super) model: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) instructions: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) max_output_tokens: Option<&'a RawValue>,
    pub(super) stream: Option<bool>,
    #[serde(borrow)]
    pub(super) tools: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) parallel_tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) top_p: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) top_logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) max_tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) truncation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) store: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) user: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) safety_identifier: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) prompt_cache_key: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) prompt_cache_retention: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) prompt_cache_options: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) moderation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) background: Option<&'a RawValue>,
    pub(super) previous_response_id: Option<Silent>,
    pub(super) conversation: Option<Silent>,
    pub(super) prompt: Option<Silent>,
    #[serde(borrow)]
    pub(super) include: Option<Vec<Cow<'a, str>>>,
    #[serde(default, rename = "stream_options")]
    pub(super) _stream_options: Option<Silent>,
    #[serde(default, rename = "client_metadata")]
    pub(super) _client_metadata: Option<Silent>,
    #[serde(default, rename = "max_tokens")]
    pub(super) _max_tokens: Option<Silent>,
}

impl<'a> Body<'a> {
    /// The settings that are carried as they stand, by the name that they have in chat.
    pub(super) fn settings(&self) -> [(&'static str, Option<&'a RawValue>); 12] {
        [
            ("temperature", self.temperature),
            ("top_p", self.top_p),
            ("top_logprobs", self.top_logprobs),
            ("max_tool_calls", self.max_tool_calls),
            ("metadata", self.metadata),
            ("store", self.store),
            ("service_tier", self.service_tier),
            ("prompt_cache_key", self.prompt_cache_key),
            ("prompt_cache_retention", self.prompt_cache_retention),
            ("prompt_cache_options", self.prompt_cache_options),
            ("moderation", self.moderation),
            ("truncation", self.truncation),
        ]
    }

    /// The members that an answer repeats, in its order.
    pub(super) fn echo(&self) -> [(&'static str, Option<&'a RawValue>); 19] {
        [
            ("background", self.background),
            ("instructions", self.instructions),
            ("max_output_tokens", self.max_output_tokens),
            ("max_tool_calls", self.max_tool_calls),
            ("metadata", self.metadata),
            ("parallel_tool_calls", self.parallel_tool_calls),
            ("prompt_cache_key", self.prompt_cache_key),
            ("prompt_cache_retention", self.prompt_cache_retention),
            ("reasoning", self.reasoning),
            ("safety_identifier", self.safety_identifier),
            ("service_tier", self.service_tier),
            ("store", self.store),
            ("temperature", self.temperature),
            ("text", self.text),
            ("tool_choice", self.tool_choice),
            ("tools", self.tools),
            ("top_p", self.top_p),
            ("truncation", self.truncation),
            ("user", self.user),
        ]
    }
}

/// An item of the input, or of the output.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) call_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) namespace: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) output: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) summary: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    pub(super) encrypted_content: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) action: Option<Action<'a>>,
    #[serde(borrow)]
    pub(super) tools: Option<&'a RawValue>,
    #[serde(rename = "status")]
    pub(super) _status: Option<Silent>,
    #[serde(rename = "phase")]
    pub(super) _phase: Option<Silent>,
    #[serde(rename = "execution")]
    pub(super) _execution: Option<Silent>,
    #[serde(rename = "internal_chat_message_metadata_passthrough")]
    pub(super) _passthrough: Option<Silent>,
}

impl<'a> Item<'a> {
    /// The search that it is.
    pub(super) fn search(&self) -> WebSearch<'a> {
        let action = self.action.as_ref();
        let sources = action.and_then(|action| action.sources.as_ref());
        WebSearch {
            id: self.id.clone().unwrap_or_default(),
            query: action.and_then(|action| action.query.clone()).unwrap_or_default(),
            sources: sources
                .into_iter()
                .flatten()
                .filter_map(|found| Some((found.url.clone()?, found.title.clone().unwrap_or_default())))
                .collect(),
        }
    }
}

/// What a search did.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Action<'a> {
    #[serde(borrow)]
    pub(super) query: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) sources: Option<Vec<Found<'a>>>,
    #[serde(rename = "type")]
    pub(super) _kind: Option<Silent>,
    #[serde(rename = "queries")]
    pub(super) _queries: Option<Silent>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Found<'a> {
    #[serde(borrow)]
    pub(super) url: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) title: Option<JsonStr<'a>>,
    #[serde(rename = "type")]
    pub(super) _kind: Option<Silent>,
}

/// A part of a message, of an output or of reasoning.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Part<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) image_url: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) detail: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) file_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) file_data: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) file_url: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) filename: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) input_audio: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) annotations: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
    pub(super) prompt_cache_breakpoint: Option<Breakpoint>,
}

/// A source of a text.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Annotation<'a> {
    #[serde(borrow)]
    pub(super) url: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) title: Option<JsonStr<'a>>,
    pub(super) start_index: Option<u64>,
    pub(super) end_index: Option<u64>,
}

impl<'a> Annotation<'a> {
    /// The source that it names; one without an address is none.
    pub(super) fn citation(raw: &'a RawValue) -> Option<Citation<'a>> {
        let wire: Self = serde_json::from_str(raw.get()).ok()?;
        Some(Citation {
            url: wire.url?,
            title: wire.title.unwrap_or_default(),
            cited: JsonStr::EMPTY,
            span: wire.start_index.zip(wire.end_index).filter(|(_, end)| *end > 0),
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) description: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) parameters: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
    #[serde(borrow)]
    pub(super) format: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<Tool<'a>>>,
    #[serde(borrow)]
    pub(super) filters: Option<Filters<'a>>,
    #[serde(borrow)]
    pub(super) user_location: Option<&'a RawValue>,
    #[serde(rename = "execution")]
    pub(super) _execution: Option<Silent>,
    #[serde(rename = "external_web_access")]
    pub(super) _external_web_access: Option<Silent>,
    #[serde(rename = "search_content_types")]
    pub(super) _search_content_types: Option<Silent>,
    #[serde(rename = "search_context_size")]
    pub(super) _search_context_size: Option<Silent>,
    #[serde(rename = "defer_loading")]
    pub(super) _defer_loading: Option<Silent>,
    #[serde(rename = "container")]
    pub(super) _container: Option<Silent>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Filters<'a> {
    #[serde(borrow)]
    pub(super) allowed_domains: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) namespace: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) mode: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<Choice<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Reasoning<'a> {
    #[serde(borrow)]
    pub(super) effort: Option<Cow<'a, str>>,
    #[serde(rename = "summary")]
    pub(super) _summary: Option<Silent>,
    #[serde(rename = "generate_summary")]
    pub(super) _generate_summary: Option<Silent>,
    #[serde(rename = "context")]
    pub(super) _context: Option<Silent>,
    #[serde(rename = "mode")]
    pub(super) _mode: Option<Silent>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Text<'a> {
    #[serde(borrow)]
    pub(super) format: Option<Format<'a>>,
    #[serde(borrow)]
    pub(super) verbosity: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Format<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) description: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) schema: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
}

/// A response object. Members of a wrong type are absent: an answer is not lost over them.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "string")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "string")]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) created_at: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "string")]
    pub(super) status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    incomplete_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) service_tier: Option<&'a RawValue>,
}

impl<'a> Response<'a> {
    /// Whether it says that there is no answer, whatever it is called.
    pub(super) fn has_failed(&self) -> bool {
        let failed = matches!(self.status.as_deref(), Some("failed" | "cancelled"));
        let error = self.error.map(RawValue::get);
        failed || error.is_some_and(|error| !matches!(error, "{}" | "\"\"" | "false" | "[]"))
    }

    /// The items of its output; nothing if that is no list.
    pub(super) fn items(&self) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.output?.get()).ok()
    }

    /// Why it is incomplete.
    pub(super) fn why(&self) -> Option<Cow<'a, str>> {
        let details: Option<Incomplete<'a>> = serde_json::from_str(self.incomplete_details?.get()).ok()?;
        details?.reason
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
}

/// A string; nothing for any other value.
fn string<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    let raw = <&'de RawValue>::deserialize(from)?.get();
    let inside = raw.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    Ok(inside.map(|inside| {
        if inside.contains('\\') {
            return Cow::Owned(JsonStr::spelled_so(inside).read().into_owned());
        }
        Cow::Borrowed(inside)
    }))
}

/// An event of a stream.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    pub(super) output_index: Count,
    pub(super) summary_index: Count,
    content_index: Count,
    #[serde(borrow)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(borrow)]
    sequence_number: Option<&'a RawValue>,
    #[serde(borrow)]
    obfuscation: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    /// What is another one in each event, and is not read.
    pub(super) fn varying(&self) -> [Option<&'a [u8]>; 2] {
        [self.sequence_number, self.obfuscation].map(|raw| raw.map(|raw| raw.get().as_bytes()))
    }

    /// Whether its delta are mere words.
    pub(super) fn is_mere(&self) -> bool {
        !self.kind.is_empty() && self.logprobs.is_none_or(|raw| raw.get() == "[]")
    }

    /// The number of the part of a message that it is about.
    pub(super) fn part(&self) -> u64 {
        self.content_index.0.unwrap_or(0)
    }

    /// The part itself, where it is whole.
    pub(super) fn content(&self) -> Option<&'a str> {
        self.part.map(RawValue::get)
    }
}
