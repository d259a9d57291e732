//! What a Messages request and a Messages answer look like on the wire, as far as anybody here reads them.
//!
//! Fat structs: every member may be missing, kinds are told by `type`. Members that are not listed are named as lost.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canon::JsonStr;
use crate::canon::reading::Silent;

/// A request.
#[derive(Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow, default)]
    pub(super) model: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) messages: Vec<Message<'a>>,
    #[serde(borrow)]
    pub(super) system: Option<&'a RawValue>,
    pub(super) max_tokens: Option<u64>,
    pub(super) stream: Option<bool>,
    #[serde(borrow)]
    pub(super) stop_sequences: Option<Vec<JsonStr<'a>>>,
    #[serde(borrow)]
    pub(super) temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) top_p: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) top_k: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<Tool<'a>>>,
    #[serde(borrow)]
    pub(super) tool_choice: Option<Choice<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Thinking<'a>>,
    #[serde(borrow)]
    pub(super) output_config: Option<OutputConfig<'a>>,
    #[serde(borrow)]
    pub(super) output_format: Option<Format<'a>>,
    #[serde(borrow)]
    pub(super) metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    pub(super) service_tier: Option<Cow<'a, str>>,
    pub(super) mcp_servers: Option<Vec<Silent>>,
    #[serde(borrow)]
    pub(super) container: Option<&'a RawValue>,
    #[serde(default, rename = "cache_control")]
    pub(super) _cache_control: Option<Silent>,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) role: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
}

/// A content block, of a request or of an answer.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) citations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) source: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) title: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) context: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_use_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) tool_name: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) is_error: Option<bool>,
    #[serde(borrow)]
    pub(super) thinking: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<JsonStr<'a>>,
    pub(super) cache_control: Option<CacheControl>,
}

#[derive(Deserialize)]
pub(super) struct CacheControl {
    pub(super) ttl: Option<String>,
    #[serde(default, rename = "type")]
    pub(super) _kind: Option<Silent>,
    #[serde(default, rename = "scope")]
    pub(super) _scope: Option<Silent>,
}

/// Where a picture or document comes from.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Source<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) media_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) data: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) url: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) file_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Tool<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) description: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) input_schema: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
    pub(super) cache_control: Option<CacheControl>,
    #[serde(borrow)]
    pub(super) allowed_domains: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) user_location: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Thinking<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    pub(super) budget_tokens: Option<u64>,
    #[serde(default, rename = "display")]
    pub(super) _display: Option<Silent>,
}

#[derive(Deserialize)]
pub(super) struct OutputConfig<'a> {
    #[serde(borrow)]
    pub(super) effort: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) format: Option<Format<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Format<'a> {
    #[serde(default, rename = "type")]
    pub(super) _kind: Option<Silent>,
    #[serde(borrow)]
    pub(super) schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    pub(super) user_id: Option<JsonStr<'a>>,
}

/// An answer, or the message of `message_start`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) content: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) stop_sequence: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) stop_details: Option<StopDetails<'a>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct StopDetails<'a> {
    #[serde(borrow)]
    pub(super) explanation: Option<JsonStr<'a>>,
}

/// An event of a stream.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    pub(super) index: Option<u64>,
    #[serde(borrow)]
    pub(super) message: Option<Answer<'a>>,
    #[serde(borrow)]
    pub(super) content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) delta: Option<Piece<'a>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

/// The delta of an event, of a block or of the message.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) text: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) partial_json: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) citation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) stop_sequence: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) stop_details: Option<StopDetails<'a>>,
}

/// A citation of an answer, and an item of a search's result.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Located<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) url: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) title: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) cited_text: Option<JsonStr<'a>>,
}
