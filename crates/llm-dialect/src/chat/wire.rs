//! What a chat request and a chat answer look like on the wire, as far as anybody here reads them.
//!
//! Fat structs: every member may be missing, kinds are told by `type`. What has several forms stays raw.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canon::JsonStr;
use crate::canon::reading::Silent;
use crate::openai::Breakpoint;

/// A request. Members that no conversion needs, such as `metadata`, are carried raw.
#[derive(Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow, default)]
    pub(super) model: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) messages: Vec<Message<'a>>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) max_tokens: Option<u64>,
    pub(super) max_completion_tokens: Option<u64>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<Tool<'a>>>,
    #[serde(borrow)]
    pub(super) functions: Option<Vec<Function<'a>>>,
    #[serde(borrow)]
    pub(super) function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_choice: Option<&'a RawValue>,
    pub(super) parallel_tool_calls: Option<bool>,
    #[serde(borrow)]
    pub(super) response_format: Option<ResponseFormat<'a>>,
    #[serde(borrow)]
    pub(super) reasoning_effort: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) stop: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) user: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) safety_identifier: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) web_search_options: Option<WebSearchOptions<'a>>,
    #[serde(borrow)]
    pub(super) modalities: Option<Vec<Cow<'a, str>>>,
    pub(super) audio: Option<Silent>,
    pub(super) n: Option<u64>,
    #[serde(borrow)]
    pub(super) temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) top_p: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) top_k: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) frequency_penalty: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) presence_penalty: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logit_bias: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) seed: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) top_logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) prediction: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) verbosity: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) store: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) prompt_cache_key: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) prompt_cache_retention: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) prompt_cache_options: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) moderation: Option<&'a RawValue>,
}

impl<'a> Body<'a> {
    /// The settings that are carried as they stand, by name.
    pub(super) fn settings(&self) -> [(&'static str, Option<&'a RawValue>); 18] {
        [
            ("temperature", self.temperature),
            ("top_p", self.top_p),
            ("top_k", self.top_k),
            ("frequency_penalty", self.frequency_penalty),
            ("presence_penalty", self.presence_penalty),
            ("logit_bias", self.logit_bias),
            ("seed", self.seed),
            ("logprobs", self.logprobs),
            ("top_logprobs", self.top_logprobs),
            ("prediction", self.prediction),
            ("verbosity", self.verbosity),
            ("store", self.store),
            ("metadata", self.metadata),
            ("prompt_cache_key", self.prompt_cache_key),
            ("prompt_cache_retention", self.prompt_cache_retention),
            ("prompt_cache_options", self.prompt_cache_options),
            ("service_tier", self.service_tier),
            ("moderation", self.moderation),
        ]
    }
}

#[derive(Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default)]
    pub(super) include_usage: Option<bool>,
    #[serde(default, rename = "include_obfuscation")]
    pub(super) _include_obfuscation: Option<Silent>,
}

/// A message of a request.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) role: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(default, rename = "name")]
    pub(super) _name: Option<Silent>,
    #[serde(borrow)]
    pub(super) refusal: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow)]
    pub(super) function_call: Option<CalledFunction<'a>>,
    #[serde(borrow)]
    pub(super) tool_call_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) reasoning_content: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) thinking_blocks: Option<Vec<ThinkingBlock<'a>>>,
    pub(super) cache_control: Option<CacheControl>,
    pub(super) audio: Option<Silent>,
    #[serde(default, rename = "annotations")]
    pub(super) _annotations: Option<Silent>,
}

/// A part of a message's content.
#[derive(Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<JsonStr<'a>>,
    /// Anthropic's text of it, or Mistral's list of parts.
    #[serde(borrow)]
    pub(super) thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) signature: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<JsonStr<'a>>,
    #[serde(default, rename = "closed")]
    pub(super) _closed: Option<Silent>,
    #[serde(borrow)]
    pub(super) source: Option<PartSource<'a>>,
    #[serde(borrow)]
    pub(super) image_url: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input_audio: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) file: Option<FilePart<'a>>,
    pub(super) cache_control: Option<CacheControl>,
    pub(super) prompt_cache_breakpoint: Option<Breakpoint>,
    #[serde(borrow)]
    pub(super) id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_use_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) is_error: Option<bool>,
}

/// Where Anthropic's form of a picture has its bytes.
#[derive(Deserialize)]
pub(super) struct PartSource<'a> {
    #[serde(default, rename = "type")]
    pub(super) _kind: Option<Silent>,
    #[serde(borrow)]
    pub(super) media_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) data: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) url: Option<JsonStr<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ImageUrl<'a> {
    #[serde(borrow)]
    pub(super) url: JsonStr<'a>,
    #[serde(borrow)]
    pub(super) detail: Option<JsonStr<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FilePart<'a> {
    #[serde(borrow)]
    pub(super) file_data: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) file_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) filename: Option<JsonStr<'a>>,
}

/// Anthropic's mark, as several hosts take it on chat parts.
#[derive(Deserialize)]
pub(super) struct CacheControl {
    pub(super) ttl: Option<String>,
    #[serde(default, rename = "type")]
    pub(super) _kind: Option<Silent>,
}

/// A call in a message.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    pub(super) id: Option<JsonStr<'a>>,
    #[serde(rename = "type")]
    pub(super) _kind: Option<Silent>,
    #[serde(borrow)]
    pub(super) function: Option<CalledFunction<'a>>,
    #[serde(borrow)]
    pub(super) custom: Option<CalledCustom<'a>>,
    #[serde(rename = "index")]
    pub(super) _index: Option<Silent>,
    #[serde(rename = "extra_content")]
    pub(super) _extra_content: Option<Silent>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CalledFunction<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CalledCustom<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) input: Option<JsonStr<'a>>,
}

/// A tool: nested as chat has it, or flat as some clients send it.
#[derive(Deserialize)]
pub(super) struct Tool<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) function: Option<Function<'a>>,
    #[serde(borrow)]
    pub(super) custom: Option<CustomTool<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) description: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input_schema: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) format: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
    pub(super) cache_control: Option<CacheControl>,
}

#[derive(Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) description: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) parameters: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct CustomTool<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) description: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct ResponseFormat<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) json_schema: Option<JsonSchema<'a>>,
}

#[derive(Deserialize)]
pub(super) struct JsonSchema<'a> {
    #[serde(borrow)]
    pub(super) name: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) description: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) schema: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct WebSearchOptions<'a> {
    pub(super) search_context_size: Option<Silent>,
    #[serde(borrow)]
    pub(super) user_location: Option<UserLocation<'a>>,
}

#[derive(Deserialize)]
pub(super) struct UserLocation<'a> {
    #[serde(borrow)]
    pub(super) approximate: Option<&'a RawValue>,
    #[serde(default, rename = "type")]
    pub(super) _kind: Option<Silent>,
}

/// `LiteLLM`'s spelling of Anthropic's thinking.
#[derive(Deserialize)]
pub(super) struct ThinkingBlock<'a> {
    #[serde(borrow)]
    pub(super) thinking: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<JsonStr<'a>>,
    #[serde(default, rename = "type")]
    pub(super) _kind: Option<Silent>,
}

/// An entry of `reasoning_details`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Detail<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) format: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) text: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) summary: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<JsonStr<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<JsonStr<'a>>,
}
