//! What one event of a stream says, and what is remembered of all of them.
//!
//! Each dialect has two functions. `read` parses an event and judges it. `is_dull` looks at its bytes
//! only: a dull event is content, and `read` need not be asked. After the commit point nearly all are
//! dull, so a stream costs no parse per event.

use memchr::memmem;
use serde_json::value::RawValue;

use super::{StreamPosition, chat, messages, responses};
use crate::alike::Alike;
use crate::dialect::Api;
use crate::fault::{self, BackendError};
use crate::sse::RawEvent;
use crate::usage::Reported;

/// What one event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// A sign of life: a comment, a ping. It is no progress.
    Quiet,
    /// Frame around content: it may come from a backend that then fails without having said anything.
    Lifecycle,
    /// The closing report of a chat stream: usage, and no choice at all.
    UsageOnly,
    /// Something that the client came for.
    Content,
    /// Data that is no JSON. It passes, but it proves nothing when the stream ends on it.
    Opaque,
    /// The end as the dialect marks it.
    Terminal,
    /// The end, which itself carries the answer.
    TerminalAnswer,
    /// An error in the stream.
    Fault(BackendError),
}

/// What the events so far have told.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The token counts reported so far.
    pub(crate) usage: Reported,
    /// Whether a chat choice has given its reason to finish.
    pub(crate) finished: bool,
    /// The last chunk of a chat stream that was dull.
    pub(crate) alike: Alike<()>,
    /// Where a Responses stream stands, but for the number of the event last seen.
    pub(crate) head: StreamPosition,
}

impl Notes {
    /// Takes note of a usage object; true if it was one.
    pub(crate) fn usage(&mut self, usage: Option<&RawValue>) -> bool {
        let report = usage.and_then(|usage| Reported::read(usage.get().as_bytes()));
        let found = report.is_some();
        self.usage.merge(report.unwrap_or_default());
        found
    }
}

/// Judges an event with care.
pub(crate) fn read(api: Api, event: &RawEvent<'_>, notes: &mut Notes) -> Word {
    let (name, data) = event.parts();
    judge(api, name, &data, notes)
}

/// Judges an event after the commit point: content does not matter any more, so most need no parse.
pub(crate) fn skim(api: Api, event: &RawEvent<'_>, notes: &mut Notes) -> Word {
    let (name, data) = event.parts();
    let dull = match api {
        Api::Messages => messages::is_dull(name, &data),
        Api::Responses => responses::is_dull(name, &data),
        _ => name.is_none() && chat::is_dull(&data, &mut notes.alike),
    };
    if dull {
        Word::Content
    } else {
        judge(api, name, &data, notes)
    }
}

fn judge(api: Api, name: Option<&[u8]>, data: &[u8], notes: &mut Notes) -> Word {
    if data.is_empty() {
        return without_data(name);
    }
    let word = match api {
        Api::Messages => messages::read(name, data, notes),
        Api::Responses => responses::read(name, data, notes),
        _ => chat::read(data, notes),
    };
    match word {
        // Whatever an event named `error` holds, it is one.
        Word::Opaque | Word::Lifecycle | Word::Content if name == Some(b"error") => {
            Word::Fault(fault::read(data))
        }
        word => word,
    }
}

/// The standard lets clients drop an event without data; an error they may still act on.
fn without_data(name: Option<&[u8]>) -> Word {
    match name {
        Some(b"error") => Word::Fault(BackendError::default()),
        _ => Word::Quiet,
    }
}

/// The type of an event: what its JSON says, else its name.
pub(crate) fn type_of<'a>(json: &'a str, name: Option<&'a [u8]>) -> &'a str {
    let name = name.and_then(|name| std::str::from_utf8(name).ok());
    if json.is_empty() {
        name.unwrap_or_default()
    } else {
        json
    }
}

/// An event of a type that nobody here knows: it commits, unless it is an error in disguise.
pub(crate) fn unknown(data: &[u8]) -> Word {
    // Events that repeat a whole item can be large; without this word there is nothing to look for.
    let suspect = memmem::find(data, b"\"error\"").is_some();
    let error = suspect.then(|| fault::in_answer(data)).flatten();
    error.map_or(Word::Content, Word::Fault)
}
