//! The calls of a chat stream: which of them a piece belongs to, and when one is whole.
//!
//! Hosts tell calls apart by index, by id, by both or by neither; they repeat heads, and send a call in pieces or at once.

use std::borrow::Cow;

use super::arguments::Shape;
use super::wire_answer::{Call as Piece, Called, plain, whole};
use crate::canon::{Delta, Head, JsonStr, Piece as More};
use crate::names::made_call_id;

/// All calls of an answer.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: Vec<Call>,
    /// Bytes of what is kept of them: their ids, and what came before its time.
    held: usize,
}

/// A call whose arguments come.
#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    custom: bool,
    stage: Stage,
    /// Arguments that came before the name.
    early: JsonStr<'static>,
    shape: Shape,
    /// Whether `{}` came alone. It says no more than nothing does, and some hosts send it before the real arguments.
    bare: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Its name is still to come.
    #[default]
    Nameless,
    /// It is block number so-and-so.
    Open(u32),
    Closed,
}

impl Call {
    fn is_whole(&self) -> bool {
        !self.custom && (self.bare || self.shape.is_whole())
    }

    /// Takes further arguments; nothing may follow an object that is whole.
    fn words(&mut self, words: JsonStr<'_>, out: &mut dyn FnMut(Delta<'_>)) {
        let Stage::Open(at) = self.stage else { return };
        if words.is_empty() || (!self.custom && self.shape.is_whole()) {
            return;
        }
        if !self.custom {
            if !self.shape.has_begun() && words.spelling() == "{}" {
                self.bare = true;
                return;
            }
            self.bare = false;
            self.shape.feed(words.spelling());
        }
        out(Delta::More {
            at,
            piece: More::Words(words),
        });
    }
}

impl Calls {
    /// About how many bytes are kept.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether there is one that the client sees.
    pub(super) fn any(&self) -> bool {
        self.all.iter().any(|call| call.stage != Stage::Nameless)
    }

    /// Which call a piece belongs to; a new one if it is none of those that are known.
    pub(super) fn place(&mut self, piece: &Piece<'_>) -> usize {
        let (index, id) = (whole(piece.index), plain(piece.id));
        let known = self.all.iter().rposition(|call| match index {
            Some(_) => call.index == index,
            None => id.is_empty() || call.id == *id,
        });
        match known {
            Some(at) if !self.is_another(at, &id, piece) => at,
            _ => self.begin(index, &id, piece.custom.is_some()),
        }
    }

    /// A function of old: there is only one.
    pub(super) fn legacy(&mut self) -> usize {
        if self.all.is_empty() {
            self.begin(None, "", false);
        }
        0
    }

    /// Whether a piece begins another call in the place of a known one: with another id, or, where ids are missing, with
    /// arguments when those of the known call are whole.
    fn is_another(&self, at: usize, id: &str, piece: &Piece<'_>) -> bool {
        let Some(known) = self.all.get(at) else {
            return true;
        };
        let called = piece.function.as_ref().or(piece.custom.as_ref());
        let Some(called) = called.filter(|it| !it.name().is_empty()) else {
            return false;
        };
        if known.stage == Stage::Nameless {
            return false;
        }
        if id.is_empty() || known.id.is_empty() {
            return known.is_whole() && !called.text().is_empty();
        }
        known.id != id
    }

    fn begin(&mut self, index: Option<u64>, id: &str, custom: bool) -> usize {
        self.held += size_of::<Call>() + id.len();
        self.all.push(Call {
            index,
            id: id.to_owned(),
            custom,
            ..Call::default()
        });
        self.all.len() - 1
    }

    /// Takes the name of a call that has none yet. Whether it can now be opened.
    pub(super) fn named(&mut self, place: usize, called: &Called<'_>) -> bool {
        let Some(call) = self.all.get_mut(place) else {
            return false;
        };
        if call.stage != Stage::Nameless {
            return false;
        }
        called.name().clone_into(&mut call.name);
        !call.name.is_empty()
    }

    /// Opens a call as block number `at`. An id that is missing, or that another call has, is made from `answer`.
    pub(super) fn open(&mut self, place: usize, at: u32, answer: &str, out: &mut dyn FnMut(Delta<'_>)) {
        let taken = |id: &str| {
            let mut others = self.all.iter().enumerate();
            others.any(|(other, call)| other != place && call.stage != Stage::Nameless && call.id == id)
        };
        let own = self.all.get(place).map_or("", |call| &*call.id);
        let made = (own.is_empty() || taken(own)).then(|| made_call_id(answer, place));
        let Some(call) = self.all.get_mut(place) else {
            return;
        };
        if let Some(made) = made {
            call.id = made;
        }
        call.stage = Stage::Open(at);
        let head = Head::ToolCall {
            id: JsonStr::of(&call.id),
            name: Cow::Borrowed(&call.name),
            namespace: None,
            custom: call.custom,
        };
        out(Delta::Open { at, head });
        // Nobody asks for the name again.
        call.name = String::new();
        let early = std::mem::take(&mut call.early);
        self.held = self.held.saturating_sub(early.spelling().len());
        call.words(early, out);
    }

    /// Takes further arguments of a call.
    pub(super) fn words(&mut self, place: usize, words: JsonStr<'_>, out: &mut dyn FnMut(Delta<'_>)) {
        match self.all.get_mut(place) {
            Some(call) if call.stage == Stage::Nameless => {
                self.held += words.spelling().len();
                call.early.push(&words);
            }
            Some(call) => call.words(words, out),
            None => {}
        }
    }

    /// Closes those that are whole, so that what follows need not wait for them.
    pub(super) fn settle(&mut self, out: &mut dyn FnMut(Delta<'_>)) {
        for call in self.all.iter_mut().filter(|call| call.is_whole()) {
            close(call, out);
        }
    }

    /// Closes all of them.
    pub(super) fn close(&mut self, out: &mut dyn FnMut(Delta<'_>)) {
        for call in &mut self.all {
            close(call, out);
        }
    }
}

fn close(call: &mut Call, out: &mut dyn FnMut(Delta<'_>)) {
    if let Stage::Open(at) = call.stage {
        call.stage = Stage::Closed;
        out(Delta::Close { at });
    }
}
