//! A whole answer.

use std::borrow::Cow;

use super::block::Block;
use super::json::Json;
use super::text::JsonStr;
use crate::usage::Usage;

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response<'a> {
    /// The backend's id of it; empty if it gave none.
    pub id: Cow<'a, str>,
    /// The backend's name of the model; empty if it gave none.
    pub model: Cow<'a, str>,
    /// When, in Unix seconds, where the backend says it.
    pub created: Option<u64>,
    /// What, in order.
    pub blocks: Vec<Block<'a>>,
    /// Why it ended.
    pub stop: Stop<'a>,
    /// What it cost.
    pub usage: Usage,
    /// Raw JSON of the tier that served it, where the backend says it.
    pub service_tier: Option<Json<'a>>,
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stop<'a> {
    /// The reason.
    pub reason: StopReason,
    /// The stop text that was met, where the backend names it.
    pub sequence: Option<JsonStr<'a>>,
    /// Why the model refused, where it says so.
    pub explanation: Option<JsonStr<'a>>,
}

/// The reason of an end. Every reason that a dialect knows has its place here; what it does not know is
/// [`ToolCalls`](Self::ToolCalls) where there are calls, else [`End`](Self::End).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopReason {
    /// The model was done.
    #[default]
    End,
    /// It met a stop text.
    Sequence,
    /// It asks for tools.
    ToolCalls,
    /// The most tokens were reached.
    MaxTokens,
    /// The context was full.
    ContextFull,
    /// The model refused.
    Refusal,
    /// A filter of the provider held the answer back.
    Filter,
    /// The provider's own tools need another round.
    Pause,
    /// The conversation was compacted.
    Compaction,
}

impl Stop<'_> {
    /// A reason with nothing about it.
    pub fn because(reason: StopReason) -> Stop<'static> {
        Stop {
            reason,
            ..Stop::default()
        }
    }

    /// The same, independent of what it was borrowed from.
    pub fn into_owned(self) -> Stop<'static> {
        Stop {
            reason: self.reason,
            sequence: self.sequence.map(JsonStr::into_owned),
            explanation: self.explanation.map(JsonStr::into_owned),
        }
    }
}

/// Where a part of an answer's text comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Citation<'a> {
    /// The address.
    pub url: JsonStr<'a>,
    /// The title of what is there; empty if unknown.
    pub title: JsonStr<'a>,
    /// The words that are cited there; empty if unknown.
    pub cited: JsonStr<'a>,
    /// The part of its own text block, in Unicode code points; nothing: all of the block.
    pub span: Option<(u64, u64)>,
}

impl Citation<'_> {
    /// The same, independent of what it was borrowed from.
    pub fn into_owned(self) -> Citation<'static> {
        Citation {
            url: self.url.into_owned(),
            title: self.title.into_owned(),
            cited: self.cited.into_owned(),
            span: self.span,
        }
    }
}
