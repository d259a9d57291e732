//! A chat stream as deltas.

use std::borrow::Cow;

use super::details::Details;
use super::wire_answer::{
    Call, Called, Choice, Completion, Content, Said, citations, plain, reason, string, whole,
};
use crate::canon::{Decode, Delta, Head, JsonStr, Piece, Seal, Stop, StopReason, WireEvent};
use crate::dialect::Dialect;
use crate::fault::{self, BackendError};
use crate::names::digest;
use crate::usage::Reported;

/// Where the deltas go.
type Out<'o> = &'o mut dyn FnMut(Delta<'_>);

/// The state of a stream of chunks.
#[derive(Debug, Default)]
pub struct StreamIn {
    started: bool,
    over: bool,
    /// The id of the answer, from which ids of calls are made that have none.
    id: String,
    /// The index of the choice that counts: the first one seen.
    choice: Option<u64>,
    blocks: u32,
    /// The open block of words or thoughts.
    open: Option<(u32, Kind)>,
    calls: Vec<OpenCall>,
    details: Details,
    refused: bool,
    reason: Option<StopReason>,
    usage: Reported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thought,
}

/// A call whose arguments come.
#[derive(Debug)]
struct OpenCall {
    index: Option<u64>,
    id: String,
    name: String,
    custom: bool,
    /// Its number, once it is open: its name has come.
    at: Option<u32>,
    /// Arguments that came before the name.
    early: JsonStr<'static>,
}

impl Decode for StreamIn {
    fn event(&mut self, event: WireEvent<'_>, out: Out<'_>) {
        let data = event.data.trim();
        if self.over || data.is_empty() {
            return;
        }
        if data == "[DONE]" {
            return self.finish(out);
        }
        match serde_json::from_str::<Completion<'_>>(data) {
            Ok(chunk) => self.chunk(&chunk, data, out),
            Err(_) => self.fault(fault::read(data.as_bytes()), out),
        }
    }

    fn end(&mut self, out: Out<'_>) {
        if self.over {
            return;
        }
        if self.reason.is_some() {
            return self.finish(out);
        }
        let error = BackendError {
            message: "The stream ended before the answer did.".to_owned(),
            ..BackendError::default()
        };
        self.fault(error, out);
    }
}

impl StreamIn {
    fn fault(&mut self, error: BackendError, out: Out<'_>) {
        self.over = true;
        out(Delta::Fault(error));
    }

    fn chunk(&mut self, chunk: &Completion<'_>, data: &str, out: Out<'_>) {
        if chunk.error.is_some()
            && let Some(error) = fault::in_answer(data.as_bytes())
        {
            return self.fault(error, out);
        }
        let groq = chunk.x_groq.as_ref().and_then(|it| it.usage);
        for report in [groq, chunk.usage].into_iter().flatten() {
            self.count(report.get());
        }
        for choice in chunk.choices.iter().flatten() {
            self.start(chunk, out);
            let index = whole(choice.index).unwrap_or(0);
            if *self.choice.get_or_insert(index) == index {
                self.choice(choice, out);
            }
        }
    }

    fn count(&mut self, usage: &str) {
        if let Some(report) = Reported::read(usage) {
            self.usage.merge(report);
        }
    }

    fn start(&mut self, chunk: &Completion<'_>, out: Out<'_>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = plain(chunk.id);
        self.id = id.clone().into_owned();
        out(Delta::Start {
            id,
            model: plain(chunk.model),
            created: whole(chunk.created),
        });
    }

    fn choice(&mut self, choice: &Choice<'_>, out: Out<'_>) {
        if let Some(usage) = choice.usage {
            self.count(usage.get());
        }
        if let Some(said) = &choice.delta {
            self.said(said, out);
        }
        let items = choice.logprobs.as_ref().and_then(|it| it.content);
        if let (Some(items), Some((at, Kind::Text))) = (items, self.open) {
            let inside = items
                .get()
                .trim()
                .trim_start_matches('[')
                .trim_end_matches(']')
                .trim();
            if !inside.is_empty() && inside != "null" {
                let piece = Piece::Logprobs(Cow::Borrowed(inside));
                out(Delta::More { at, piece });
            }
        }
        let word = plain(choice.finish_reason);
        if self.reason.is_none() && choice.finish_reason.is_some() {
            let calls = !self.calls.is_empty();
            let otherwise = if calls {
                StopReason::ToolCalls
            } else {
                StopReason::End
            };
            self.reason = Some(reason(&word).unwrap_or(otherwise));
        }
    }

    fn said(&mut self, said: &Said<'_>, out: Out<'_>) {
        self.details.add(said.reasoning_details);
        if let Some(thought) = said.thought() {
            self.words(Kind::Thought, thought, out);
        }
        for content in said.contents() {
            match content {
                Content::Words(words) => self.words(Kind::Text, words, out),
                Content::Thought(words) => self.words(Kind::Thought, words, out),
            }
        }
        if let Some(refusal) = string(said.refusal) {
            self.refused = true;
            self.words(Kind::Refusal, refusal, out);
        }
        for citation in citations(said.annotations) {
            let at = self.opened(Kind::Text, out);
            let piece = Piece::Citation(citation);
            out(Delta::More { at, piece });
        }
        for call in said.tool_calls.iter().flatten() {
            self.call(call, out);
        }
        if let Some(function) = &said.function_call {
            self.legacy(function, out);
        }
    }

    fn words(&mut self, kind: Kind, words: JsonStr<'_>, out: Out<'_>) {
        let at = self.opened(kind, out);
        let piece = Piece::Words(words);
        out(Delta::More { at, piece });
    }

    /// The number of the open block of that kind; another one is closed first.
    fn opened(&mut self, kind: Kind, out: Out<'_>) -> u32 {
        if let Some((at, open)) = self.open
            && open == kind
        {
            return at;
        }
        self.close(out);
        let at = self.next();
        self.open = Some((at, kind));
        let head = match kind {
            Kind::Text => Head::Text,
            Kind::Refusal => Head::Refusal,
            Kind::Thought => Head::Reasoning { summary: false },
        };
        out(Delta::Open { at, head });
        at
    }

    fn next(&mut self) -> u32 {
        let at = self.blocks;
        self.blocks += 1;
        at
    }

    /// Closes the open block of words; reasoning gets its seal.
    fn close(&mut self, out: Out<'_>) {
        let Some((at, kind)) = self.open.take() else {
            return;
        };
        if kind == Kind::Thought {
            let seal = self.seal();
            let piece = Piece::Seal(seal);
            out(Delta::More { at, piece });
        }
        out(Delta::Close { at });
    }

    fn seal(&mut self) -> Seal<'static> {
        if self.details.are_sealed() {
            Seal::Details(self.details.take_all())
        } else {
            Seal::Plain
        }
    }

    fn call(&mut self, call: &Call<'_>, out: Out<'_>) {
        let place = self.place(call);
        let called = call.function.as_ref().or(call.custom.as_ref());
        let Some(called) = called else { return };
        self.feed(place, called, out);
    }

    /// A function of old: there is only one.
    fn legacy(&mut self, called: &Called<'_>, out: Out<'_>) {
        if self.calls.is_empty() {
            self.begin(None, "", false);
        }
        self.feed(0, called, out);
    }

    /// Which call a piece belongs to. A new id on the same index is a new call; without an index the id tells, without
    /// either it is the last one.
    fn place(&mut self, call: &Call<'_>) -> usize {
        let (index, id) = (whole(call.index), plain(call.id));
        let is_head = call
            .function
            .as_ref()
            .or(call.custom.as_ref())
            .is_some_and(|it| it.name.as_deref().is_some_and(|name| !name.is_empty()));
        let known = self.calls.iter().rposition(|open| match index {
            Some(_) => open.index == index,
            None => id.is_empty() || open.id == *id,
        });
        match known {
            Some(at) if !self.is_another(at, &id, is_head) => at,
            _ => self.begin(index, &id, call.custom.is_some()),
        }
    }

    fn is_another(&self, at: usize, id: &str, is_head: bool) -> bool {
        let open = self.calls.get(at);
        is_head
            && !id.is_empty()
            && open.is_some_and(|open| !open.id.is_empty() && open.id != id && open.at.is_some())
    }

    fn begin(&mut self, index: Option<u64>, id: &str, custom: bool) -> usize {
        self.calls.push(OpenCall {
            index,
            id: id.to_owned(),
            name: String::new(),
            custom,
            at: None,
            early: JsonStr::EMPTY,
        });
        self.calls.len() - 1
    }

    fn feed(&mut self, place: usize, called: &Called<'_>, out: Out<'_>) {
        let name = called.name.as_deref().unwrap_or_default();
        let words = called.text();
        let opens = {
            let Some(open) = self.calls.get_mut(place) else {
                return;
            };
            if open.at.is_none() && !name.is_empty() {
                name.clone_into(&mut open.name);
            }
            open.at.is_none() && !open.name.is_empty()
        };
        if opens {
            self.close(out);
            self.open_call(place, out);
        }
        let Some(open) = self.calls.get_mut(place) else {
            return;
        };
        match open.at {
            None => open.early.push(&words),
            Some(at) if !words.is_empty() => out(Delta::More {
                at,
                piece: Piece::Words(words),
            }),
            Some(_) => {}
        }
    }

    fn open_call(&mut self, place: usize, out: Out<'_>) {
        let at = self.next();
        let made = digest(&format!("{}/{place}", self.id), 24);
        let Some(open) = self.calls.get_mut(place) else {
            return;
        };
        open.at = Some(at);
        let id = if open.id.is_empty() {
            format!("call_{made}")
        } else {
            open.id.clone()
        };
        let head = Head::ToolCall {
            id: JsonStr::of(&id),
            name: Cow::Borrowed(&open.name),
            namespace: None,
            custom: open.custom,
        };
        out(Delta::Open { at, head });
        let early = std::mem::take(&mut open.early);
        if !early.is_empty() {
            let piece = Piece::Words(early);
            out(Delta::More { at, piece });
        }
    }

    /// The answer is whole.
    fn finish(&mut self, out: Out<'_>) {
        self.over = true;
        if !std::mem::replace(&mut self.started, true) {
            out(Delta::Start {
                id: Cow::Borrowed(""),
                model: Cow::Borrowed(""),
                created: None,
            });
        }
        self.close(out);
        for call in &self.calls {
            if let Some(at) = call.at {
                out(Delta::Close { at });
            }
        }
        self.late_seal(out);
        let usage = self.usage.usage(Dialect::Chat);
        if !usage.is_unknown() {
            out(Delta::Usage(usage));
        }
        out(Delta::Stop(Stop::because(self.stop())));
        out(Delta::End);
    }

    /// A seal that came after its reasoning had been closed: it goes into a block of its own.
    fn late_seal(&mut self, out: Out<'_>) {
        if self.details.are_sealed() {
            let at = self.next();
            let seal = Seal::Details(self.details.take_all());
            out(Delta::Open {
                at,
                head: Head::Reasoning { summary: false },
            });
            out(Delta::More {
                at,
                piece: Piece::Seal(seal),
            });
            out(Delta::Close { at });
        }
    }

    /// Calls beat the reason that was told, but for a limit; a refusal in words is one.
    fn stop(&self) -> StopReason {
        let calls = self.calls.iter().any(|call| call.at.is_some());
        match self.reason {
            Some(StopReason::MaxTokens) => StopReason::MaxTokens,
            _ if calls => StopReason::ToolCalls,
            Some(StopReason::End | StopReason::ToolCalls) | None if self.refused => StopReason::Refusal,
            Some(StopReason::ToolCalls) | None => StopReason::End,
            Some(reason) => reason,
        }
    }
}
