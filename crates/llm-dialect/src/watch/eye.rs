//! The judgement of a stream's events, apart from their decoding and sending.

use bytes::Bytes;

use super::reading::{self, Notes, Word};
use super::sender::Sender;
use super::{End, Sight, StreamPosition, WatchLimits, responses};
use crate::dialect::Api;
use crate::fault::{self, BackendError};
use crate::sse::RawEvent;

/// How much is kept of a body that turned out to be no event stream: enough for any error object.
const FOREIGN_KEPT: usize = 64 * 1024;

/// The judgement of events, apart from their decoding.
#[derive(Debug)]
pub(super) struct Eye {
    pub(super) api: Api,
    limits: WatchLimits,
    strip_usage: bool,
    pub(super) notes: Notes,
    pub(super) committed: bool,
    pub(super) ended: bool,
    /// Nothing more is pushed: after a fault or an event too large.
    pub(super) stopped: bool,
    pub(super) fault: Option<(BackendError, Bytes)>,
    /// Events other than signs of life, and their bytes.
    pub(super) events: usize,
    held_bytes: usize,
    /// Signs of life that are held back, and their bytes.
    quiet: usize,
    quiet_bytes: usize,
    /// The beginning of a body that is no event stream.
    foreign: Option<Vec<u8>>,
    /// The event last pushed; it knows the sequence number that it had.
    last: Option<Bytes>,
}

impl Eye {
    pub(super) fn new(api: Api, limits: WatchLimits, strip_usage: bool) -> Self {
        Self {
            api,
            limits,
            strip_usage,
            notes: Notes::default(),
            committed: false,
            ended: false,
            stopped: false,
            fault: None,
            events: 0,
            held_bytes: 0,
            quiet: 0,
            quiet_bytes: 0,
            foreign: None,
            last: None,
        }
    }

    /// A stream that nobody looks into is live from its first byte.
    pub(super) fn pass(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Sight {
        self.committed |= !chunk.is_empty();
        if !chunk.is_empty() {
            self.events += 1;
            out.push(chunk);
        }
        self.sight()
    }

    pub(super) fn sight(&mut self) -> Sight {
        match self.fault.take() {
            Some((error, raw)) => Sight::Fault(error, raw),
            None if self.is_over() => Sight::Ended,
            None if self.committed => Sight::Live,
            None => Sight::Waiting,
        }
    }

    /// Whether nothing that comes now can change the verdict.
    pub(super) fn is_over(&self) -> bool {
        self.stopped || self.ended
    }

    pub(super) fn take(&mut self, event: &RawEvent<'_>, out: &mut Sender<'_>) {
        if self.stopped || self.is_foreign(event) {
            return;
        }
        // What follows the end is none of our business, but it is the backend's answer.
        if self.ended {
            return out.push(event);
        }
        let look = if self.committed {
            reading::skim
        } else {
            reading::read
        };
        let word = look(self.api, event, &mut self.notes);
        if self.admit(word, event) {
            out.push(event);
            self.remember(event);
        }
    }

    /// Draws the conclusions from a word. Tells whether the event goes to the client.
    fn admit(&mut self, word: Word, event: &RawEvent<'_>) -> bool {
        self.events += usize::from(word != Word::Quiet);
        match word {
            Word::Fault(error) => {
                self.stopped = true;
                self.fault = Some((error, event.bytes()));
                return false;
            }
            Word::UsageOnly if self.strip_usage => return false,
            Word::Content | Word::Opaque => self.committed = true,
            Word::TerminalAnswer => (self.committed, self.ended) = (true, true),
            Word::Terminal => self.ended = true,
            Word::Quiet => return self.keeps_quiet(event.raw.len()),
            Word::Lifecycle | Word::UsageOnly => {}
        }
        self.hold(event.raw.len());
        true
    }

    /// Whether a sign of life goes on. Before the commit point a few are held back, so that a sound stream stays as it
    /// was; of a flood the rest is dropped: it is no progress, and must neither fill the memory nor commit.
    fn keeps_quiet(&mut self, bytes: usize) -> bool {
        if self.committed || self.ended {
            return true;
        }
        let keeps = self.quiet < self.limits.hold_events
            && self.quiet_bytes.saturating_add(bytes) <= self.limits.hold_bytes;
        if keeps {
            self.quiet += 1;
            self.quiet_bytes = self.quiet_bytes.saturating_add(bytes);
        }
        keeps
    }

    fn remember(&mut self, event: &RawEvent<'_>) {
        if self.api == Api::Responses && !event.is_comment() {
            self.last = Some(event.bytes());
        }
    }

    /// Commits a stream that has kept its reader waiting with too much frame.
    fn hold(&mut self, bytes: usize) {
        if !self.committed && !self.ended {
            self.held_bytes = self.held_bytes.saturating_add(bytes);
            self.committed =
                self.events >= self.limits.hold_events || self.held_bytes >= self.limits.hold_bytes;
        }
    }

    /// Sorts out a body that does not begin as an event stream does: HTML, JSON, text. It is never an
    /// event, so nothing of it is pushed.
    fn is_foreign(&mut self, event: &RawEvent<'_>) -> bool {
        if self.foreign.is_none() && (self.events > 0 || is_event_stream(event)) {
            return false;
        }
        let kept = self.foreign.get_or_insert_default();
        let room = FOREIGN_KEPT.saturating_sub(kept.len());
        kept.extend_from_slice(head(event.raw, room));
        true
    }

    pub(super) fn end_with(&mut self, rest: Bytes, out: &mut Vec<Bytes>) -> End {
        let blank = rest.trim_ascii().is_empty();
        let event = RawEvent::unfinished(&rest);
        if self.stopped || (!blank && self.is_foreign(&event)) {
            return self.end();
        }
        if !blank && !self.ended && !self.completes(&event) {
            return self.end();
        }
        out.push(rest);
        self.end()
    }

    /// Whether an event that lacks only its blank line makes the stream whole.
    fn completes(&mut self, event: &RawEvent<'_>) -> bool {
        let word = reading::read(self.api, event, &mut self.notes);
        let whole = match &word {
            Word::Quiet | Word::Opaque => false,
            Word::Terminal | Word::TerminalAnswer => true,
            _ => self.notes.finished,
        };
        let heard = whole || matches!(word, Word::Fault(_));
        heard && self.admit(word, event)
    }

    pub(super) fn end(&mut self) -> End {
        if let Some((error, _)) = self.fault.take() {
            return End::Fault(error);
        }
        if let Some(error) = self.foreign.as_deref().and_then(fault::in_answer) {
            return End::Fault(error);
        }
        let complete = self.ended || self.notes.finished || !self.api.is_generation();
        match (complete && !self.stopped, self.committed) {
            (true, true) => End::Complete,
            (true, false) => End::Empty,
            (false, _) if self.events == 0 => End::Empty,
            (false, _) => End::Truncated,
        }
    }

    pub(super) fn position(&self) -> StreamPosition {
        let mut position = self.notes.head.clone();
        let last = self
            .last
            .as_ref()
            .and_then(|last| responses::sequence_number(&RawEvent::unfinished(last).data()));
        // Hosts that do not number their events are numbered by counting.
        position.sequence_number = last.map_or(self.events as u64, |last| last.saturating_add(1));
        position
    }
}

/// Whether an event has a field that event streams have, or no field at all.
fn is_event_stream(event: &RawEvent<'_>) -> bool {
    let known = |name: &[u8]| matches!(name, b"data" | b"event" | b"id" | b"retry");
    event.is_comment() || event.fields().any(|(name, _)| known(name))
}

fn head(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(..length).unwrap_or(bytes)
}
