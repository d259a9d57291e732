//! The canonical form: the union of what the dialects can say.
//!
//! A request or an answer of one dialect is decoded into it and encoded from it into another: one decoder and one
//! encoder a dialect, never a converter for a pair. What a target cannot say is not left out of this form; the target's
//! encoder decides what to make of it and names it as a [`Losses`] entry, or refuses the request.
//!
//! | what | type | chat | messages | responses |
//! | --- | --- | --- | --- | --- |
//! | a request | [`Request`] | body | body | body |
//! | leading instructions | [`Request::system`] | leading system and developer messages | `system` | `instructions`, leading system and developer items |
//! | a turn | [`Turn`] | message; a tool message is a user turn with a [`ToolResult`] | message | run of items of one role |
//! | text | [`Text`] | `content`, text part | text block | `input_text`, `output_text` |
//! | reasoning | [`Reasoning`] | `reasoning_content`, `reasoning_details` | thinking, redacted thinking | reasoning item |
//! | a tool call | [`ToolCall`] | `tool_calls` entry | `tool_use` | `function_call`, `custom_tool_call` |
//! | an answer | [`Response`] | completion | message | response |
//! | a stream | [`Delta`]s | chunks | events | events |
//!
//! Strings keep the spelling that they have on the wire ([`JsonStr`]); what is only carried (schemas, arguments) stays
//! raw JSON. So conversion neither unescapes nor reorders, and the same input always gives the same bytes.

mod answer;
mod block;
mod codec;
mod delta;
mod effort;
mod gather;
mod json;
mod loss;
mod media;
pub mod reading;
mod request;
pub mod restore;
pub mod schema;
pub mod seal;
pub mod shim;
mod size;
mod target;
mod terms;
mod text;
mod tool;
mod unwrap;
pub mod write;

pub use answer::{Citation, Response, Stop, StopReason};
pub use block::{
    Block, CacheMark, Document, DocumentSource, Image, Reasoning, Seal, Source, Text, ToolCall, ToolInput,
    ToolResult, WebSearch,
};
pub use codec::{Decode, Encode, Encoded, WireEvent};
pub use delta::{Delta, Head, Piece};
pub use gather::Gather;
pub use json::Json;
pub use loss::{Losses, Refusal};
pub use request::{Carried, Effort, Format, Request, Role, ThinkMode, Thinking, Turn};
pub use target::Target;
pub use terms::Terms;
pub use text::JsonStr;
pub use tool::{Tool, ToolChoice, ToolKind};
