//! A streamed answer: what comes, in the order in which it comes.

use std::borrow::Cow;

use super::answer::{Citation, Stop};
use super::block::{Seal, WebSearch};
use super::text::JsonStr;
use crate::fault::BackendError;
use crate::usage::Usage;

/// A step of a streamed answer.
///
/// A sound stream is `Start`, then blocks, each `Open`, `More`*, `Close`, then `Stop`, then `End`; `Usage` may stand
/// anywhere after `Start`. Blocks may overlap. Decoders keep to that whatever a backend sends: they open nothing twice,
/// close all that is open before `Stop`, and say nothing after `End` or `Fault`.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta<'a> {
    /// The answer begins. Comes once, before everything else.
    Start {
        /// The backend's id of it; empty if it gave none.
        id: Cow<'a, str>,
        /// The backend's name of the model; empty if it gave none.
        model: Cow<'a, str>,
        /// When, in Unix seconds, where the backend says it.
        created: Option<u64>,
    },
    /// A block begins. `at` counts blocks from 0 in the order in which they begin.
    Open {
        /// Its number.
        at: u32,
        /// What it is.
        head: Head<'a>,
    },
    /// More of an open block. Never empty.
    More {
        /// Its number.
        at: u32,
        /// What.
        piece: Piece<'a>,
    },
    /// A block is whole.
    Close {
        /// Its number.
        at: u32,
    },
    /// The tokens so far, all of them: it replaces what was said before.
    Usage(Usage),
    /// Why the model stopped. Comes once.
    Stop(Stop<'a>),
    /// The answer is whole. Nothing follows.
    End,
    /// The answer broke: the backend said so, or ended without an end. Nothing follows.
    Fault(BackendError),
    /// Something of the answer that no other dialect can say was left out: its kind.
    Lost(Cow<'a, str>),
}

/// What a block is.
#[derive(Clone, Debug, PartialEq)]
pub enum Head<'a> {
    /// Text: pieces are [`Piece::Words`], citations, probabilities.
    Text,
    /// The model's words of refusal: [`Piece::Words`].
    Refusal,
    /// Reasoning: [`Piece::Words`], [`Piece::NextPart`], at most one [`Piece::Seal`].
    Reasoning {
        /// Whether the words are a summary.
        summary: bool,
    },
    /// A call of a function: [`Piece::Words`] are its arguments as text. None at all means `{}`.
    ToolCall {
        /// Links it to its result; never empty.
        id: JsonStr<'a>,
        /// The tool.
        name: Cow<'a, str>,
        /// Its namespace.
        namespace: Option<Cow<'a, str>>,
        /// Whether it is a custom tool, whose words are free text.
        custom: bool,
    },
    /// A search by the provider, whole at once.
    WebSearch(WebSearch<'a>),
}

/// More of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece<'a> {
    /// Text of it, whatever it is.
    Words(JsonStr<'a>),
    /// A new part of a reasoning summary begins.
    NextPart,
    /// What the maker of reasoning needs to take it back.
    Seal(Seal<'a>),
    /// A source of the block's text.
    Citation(Citation<'a>),
    /// Token probabilities: items of the raw JSON array, without its brackets.
    Logprobs(Cow<'a, str>),
}
