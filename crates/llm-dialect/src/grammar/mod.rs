//! A judge of what conversion writes: it reads streams and answers as the strictest official client
//! provider would, and says in a sentence what is wrong with them.
//!
//! It shares no code with the codecs, and is not meant for the hot path: tests and fuzz targets ask it. What it has read
//! comes out as a [`Transcript`], so that "the stream says what the whole answer says" is an equation.

mod answer;
mod chat;
mod messages;
mod responses;
mod responses_item;
mod value;

use std::fmt;

use bytes::Bytes;

pub use answer::answer;

use crate::dialect::Dialect;
use crate::sse::{Decoder, RawEvent};
use crate::usage::Usage;

/// What is wrong, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Fault {
    /// The same, with the place in front.
    fn at(self, place: impl fmt::Display) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// More has to come.
    #[default]
    Open,
    /// It has told an error: the client knows that the answer is not whole.
    Failed,
    /// The client has a whole answer.
    Whole,
}

/// What a client has assembled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// The answer's id.
    pub id: String,
    /// The model, as the answer names it.
    pub model: String,
    /// What was said. Chat has no order between its members: there it is reasoning, text, refusal, calls.
    pub blocks: Vec<Block>,
    /// The reason of the end in the dialect's own words; for responses `status` or `status/reason`.
    pub stop: String,
    /// The stop text that was met.
    pub sequence: Option<String>,
    /// The tokens. Parts that are zero count as not reported.
    pub usage: Usage,
}

impl Transcript {
    /// All text, in order.
    pub fn text(&self) -> String {
        let text = |block: &Block| match block {
            Block::Text { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.blocks.iter().filter_map(text).collect()
    }

    /// All shown reasoning, in order.
    pub fn reasoning(&self) -> String {
        let text = |block: &Block| match block {
            Block::Reasoning { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.blocks.iter().filter_map(text).collect()
    }

    /// The calls, in order.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Call(call) => Some(call),
            _ => None,
        })
    }
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Text, and the addresses that it cites.
    Text {
        /// The text.
        text: String,
        /// Addresses or titles, in order.
        citations: Vec<String>,
    },
    /// The model's words of refusal.
    Refusal(String),
    /// Reasoning.
    Reasoning {
        /// What is shown of it; parts are joined by a blank line.
        text: String,
        /// Its signature, or what is encrypted of it.
        seal: String,
    },
    /// A tool call.
    Call(Call),
    /// Something that only this dialect has: its kind.
    Other(String),
}

/// A tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What its result must name.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Whether it takes free text.
    pub custom: bool,
    /// JSON in one spelling, if it is JSON; no argument at all is `{}`. Free text of a custom tool as it is.
    pub arguments: String,
}

impl Call {
    /// A call of a function.
    fn function(id: &str, name: &str, arguments: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            namespace: None,
            custom: false,
            arguments: value::one_spelling(arguments),
        }
    }
}

/// Reads a stream, event by event.
#[derive(Debug)]
pub struct Checker {
    events: usize,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Chat(chat::Reader),
    Messages(Box<messages::Reader>),
    Responses(responses::Reader),
}

impl Checker {
    /// A checker of one stream.
    pub fn new(dialect: Dialect) -> Self {
        let reader = match dialect {
            Dialect::Chat => Reader::Chat(chat::Reader::default()),
            Dialect::Messages => Reader::Messages(Box::default()),
            Dialect::Responses => Reader::Responses(responses::Reader::default()),
        };
        Self { events: 0, reader }
    }

    /// Takes the next event: the value of its `event` field, if any, and its data. Comments are no events.
    ///
    /// # Errors
    /// What a strict client would stumble over.
    pub fn event(&mut self, name: Option<&str>, data: &str) -> Result<(), Fault> {
        let read = match (self.state(), &mut self.reader) {
            (State::Whole, _) => value::fault("nothing may follow the end of the stream"),
            (_, Reader::Chat(reader)) => reader.event(name, data),
            (_, Reader::Messages(reader)) => reader.event(name, data),
            (_, Reader::Responses(reader)) => reader.event(name, data),
        };
        self.events += 1;
        read.map_err(|fault| fault.at(format_args!("event {}", self.events)))
    }

    /// How far the stream has come.
    pub fn state(&self) -> State {
        match &self.reader {
            Reader::Chat(reader) => reader.state,
            Reader::Messages(reader) => reader.state,
            Reader::Responses(reader) => reader.state,
        }
    }

    /// What the client has, now that the stream is over.
    ///
    /// # Errors
    /// The stream is not whole.
    pub fn end(self) -> Result<Transcript, Fault> {
        match (self.state(), self.reader) {
            (State::Open, _) => value::fault("the stream ends without the mark of its end"),
            (State::Failed, _) => value::fault("the stream ends with an error"),
            (State::Whole, Reader::Chat(reader)) => Ok(reader.transcript()),
            (State::Whole, Reader::Messages(reader)) => Ok(reader.transcript()),
            (State::Whole, Reader::Responses(reader)) => reader.transcript(),
        }
    }
}

/// Reads the bytes of a whole stream.
///
/// # Errors
/// The first thing that a strict client would stumble over.
pub fn stream(dialect: Dialect, bytes: &[u8]) -> Result<Transcript, Fault> {
    read(dialect, bytes)?.end()
}

/// Reads the bytes of a stream that may have been broken off, and says how far it came.
///
/// # Errors
/// The first thing that a strict client would stumble over.
pub fn beginning(dialect: Dialect, bytes: &[u8]) -> Result<State, Fault> {
    read(dialect, bytes).map(|checker| checker.state())
}

fn read(dialect: Dialect, bytes: &[u8]) -> Result<Checker, Fault> {
    let (mut checker, mut verdict) = (Checker::new(dialect), Ok(()));
    let mut decoder = Decoder::new(usize::MAX / 2);
    let mut take = |event: &RawEvent<'_>| {
        if verdict.is_ok() && !event.is_comment() {
            verdict = take_raw(&mut checker, event);
        }
    };
    // The bound is out of reach.
    let _ = decoder.feed(&Bytes::copy_from_slice(bytes), &mut take);
    verdict?;
    match decoder.finish() {
        Some(_) => value::fault("the last event has no blank line after it"),
        None => Ok(checker),
    }
}

fn take_raw(checker: &mut Checker, event: &RawEvent<'_>) -> Result<(), Fault> {
    let (name, data) = event.parts();
    let name = name.map(str::from_utf8).transpose();
    match (name, str::from_utf8(&data)) {
        (Ok(name), Ok(data)) => checker.event(name, data),
        _ => value::fault("an event is not UTF-8"),
    }
}
