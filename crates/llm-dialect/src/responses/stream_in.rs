//! A Responses stream as deltas.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::places::{Class, Kind, Places, spoken};
use super::wire::{Annotation, Event, Item, Part, Response};
use crate::alike::Alike;
use crate::canon::{Citation, Decode, Delta, Head, JsonStr, Piece, Seal, Stop, StopReason, WireEvent};
use crate::dialect::Dialect;
use crate::fault::{self, BackendError};
use crate::names::made_call_id;
use crate::usage::Reported;

/// Where the deltas go.
type Out<'o> = &'o mut dyn FnMut(Delta<'_>);

/// The state of a stream of events.
#[derive(Debug, Default)]
pub struct StreamIn {
    /// The id of the answer that has begun.
    started: Option<String>,
    over: bool,
    blocks: u32,
    items: Places,
    /// How many calls have begun.
    calls: usize,
    refused: bool,
    /// The last piece of words, by the place that it named and what it was.
    alike: Alike<(Option<u64>, Kind)>,
}

impl Decode for StreamIn {
    fn again(&mut self, data: &[u8], out: Out<'_>) -> bool {
        let Some(((index, kind), words)) = self.alike.words(data) else {
            return false;
        };
        self.speak(index, kind, JsonStr::spelled_so(words), out);
        true
    }

    fn event(&mut self, event: WireEvent<'_>, out: Out<'_>) {
        if self.over || event.data.is_empty() || event.data.trim() == "[DONE]" {
            return;
        }
        self.alike.forget();
        let Ok(wire) = serde_json::from_str::<Event<'_>>(event.data) else {
            return self.fault(fault::read(event.data.as_bytes()), out);
        };
        let kind = if wire.kind.is_empty() {
            event.name.unwrap_or_default()
        } else {
            &wire.kind
        };
        if let Some(kind) = spoken(kind, &wire) {
            return self.words(&wire, kind, event.data, out);
        }
        match kind {
            "response.output_text.annotation.added" => self.annotation(&wire, out),
            "response.content_part.done" => self.part_done(&wire, out),
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                self.all_words(&wire, out);
            }
            _ => self.frame(kind, &wire, event.data, out),
        }
    }

    fn end(&mut self, out: Out<'_>) {
        if !self.over {
            let error = BackendError {
                message: "The stream ended before the answer did.".to_owned(),
                ..BackendError::default()
            };
            self.fault(error, out);
        }
    }

    fn held(&self) -> usize {
        self.started.as_ref().map_or(0, String::len) + self.items.held()
    }
}

fn parsed(raw: &RawValue) -> Response<'_> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

impl StreamIn {
    /// Events about items and about the answer, not about words.
    fn frame(&mut self, kind: &str, wire: &Event<'_>, data: &str, out: Out<'_>) {
        match kind {
            "response.output_item.added" => self.added(wire, out),
            "response.output_item.done" => self.item_done(wire, out),
            "response.created" | "response.in_progress" | "response.queued" => {
                let response = wire.response.map(parsed).unwrap_or_default();
                self.begin(&response, out);
            }
            "response.completed" | "response.incomplete" => match wire.response.map(parsed) {
                Some(response) if !response.has_failed() => self.complete(&response, out),
                _ => self.fault(fault::read(data.as_bytes()), out),
            },
            "response.failed" | "response.cancelled" | "error" => {
                self.fault(fault::read(data.as_bytes()), out);
            }
            // Some hosts send an error without any type.
            _ => {
                let error = data
                    .contains("\"error\"")
                    .then(|| fault::in_answer(data.as_bytes()));
                if let Some(error) = error.flatten() {
                    self.fault(error, out);
                }
            }
        }
    }

    fn fault(&mut self, error: BackendError, out: Out<'_>) {
        self.over = true;
        out(Delta::Fault(error));
    }

    fn begin(&mut self, response: &Response<'_>, out: Out<'_>) {
        if self.started.is_some() {
            return;
        }
        let id = response.id.as_deref().unwrap_or_default();
        self.started = Some(id.to_owned());
        out(Delta::Start {
            id: Cow::Borrowed(id),
            model: Cow::Borrowed(response.model.as_deref().unwrap_or_default()),
            created: response.created_at.and_then(seconds),
        });
    }

    fn next(&mut self) -> u32 {
        let at = self.blocks;
        self.blocks += 1;
        at
    }

    fn added(&mut self, wire: &Event<'_>, out: Out<'_>) {
        let Some(item) = wire.item.and_then(read) else {
            return;
        };
        self.begin(&Response::default(), out);
        let place = self.items.named(wire.output_index.0, &item);
        let is_new = self
            .items
            .get(place)
            .is_some_and(|seen| seen.open.is_none() && !seen.done);
        if Class::of(&item.kind) == Class::Call && is_new {
            self.open_call(place, &item, out);
        }
    }

    fn item_done(&mut self, wire: &Event<'_>, out: Out<'_>) {
        let Some(item) = wire.item.and_then(read) else {
            return;
        };
        self.begin(&Response::default(), out);
        let place = self.items.named(wire.output_index.0, &item);
        self.done(place, &item, out);
    }

    fn open_call(&mut self, place: usize, item: &Item<'_>, out: Out<'_>) {
        let at = self.next();
        if let Some(seen) = self.items.get_mut(place) {
            seen.open = Some((at, Kind::Call));
        }
        let id = item
            .call_id
            .clone()
            .filter(|id| !id.is_empty())
            .or_else(|| item.id.clone())
            .filter(|id| !id.is_empty());
        let answer = self.started.as_deref().unwrap_or_default();
        let id = id.unwrap_or_else(|| JsonStr::spelled_so(made_call_id(answer, self.calls)));
        self.calls += 1;
        let name = item.name.clone().unwrap_or(Cow::Borrowed("tool_search"));
        out(Delta::Open {
            at,
            head: Head::ToolCall {
                id,
                name,
                namespace: item.namespace.clone(),
                custom: item.kind == "custom_tool_call",
            },
        });
    }

    fn words(&mut self, wire: &Event<'_>, kind: Kind, data: &str, out: Out<'_>) {
        let text = wire.delta.and_then(|raw| JsonStr::from_raw(raw.get()));
        let Some(words) = text.filter(|words| !words.is_empty()) else {
            return;
        };
        self.begin(&Response::default(), out);
        let index = wire.output_index.0;
        if wire.is_mere() {
            let (event, words) = (data.as_bytes(), words.spelling().as_bytes());
            self.alike.keep((index, kind), event, words, &wire.varying());
        }
        let place = self.speak(index, kind, words, out);
        if let (Some(place), Kind::Text(_), Some(items)) = (place, kind, wire.logprobs) {
            self.logprobs(place, items.get(), out);
        }
    }

    /// Says words of the item that is speaking, and which one that is.
    fn speak(&mut self, index: Option<u64>, kind: Kind, words: JsonStr<'_>, out: Out<'_>) -> Option<usize> {
        let place = self.items.speaking(index, kind)?;
        self.say(place, kind, words, out);
        Some(place)
    }

    /// What a call is called with, whole: for those who send no pieces of it.
    fn all_words(&mut self, wire: &Event<'_>, out: Out<'_>) {
        let words = wire
            .arguments
            .or(wire.input)
            .and_then(|raw| JsonStr::from_raw(raw.get()));
        let place = self.items.speaking(wire.output_index.0, Kind::Call);
        let silent = place.filter(|place| self.items.get(*place).is_some_and(|seen| !seen.spoke));
        if let (Some(place), Some(words)) = (silent, words.filter(|it| !it.is_empty())) {
            self.say(place, Kind::Call, words, out);
        }
    }

    fn logprobs(&mut self, place: usize, items: &str, out: Out<'_>) {
        let inside = items.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let inside = inside.map(str::trim).filter(|it| !it.is_empty());
        if let (Some(inside), Some((at, Kind::Text(_)))) = (inside, self.open(place)) {
            out(Delta::More {
                at,
                piece: Piece::Logprobs(Cow::Borrowed(inside)),
            });
        }
    }

    fn open(&self, place: usize) -> Option<(u32, Kind)> {
        self.items.get(place).and_then(|item| item.open)
    }

    /// Says words of an item. What is open of it goes on, or makes way.
    fn say(&mut self, place: usize, kind: Kind, words: JsonStr<'_>, out: Out<'_>) {
        let Some(at) = self.opened(place, kind, out) else {
            return;
        };
        if let Some(seen) = self.items.get_mut(place) {
            seen.spoke = true;
        }
        out(Delta::More {
            at,
            piece: Piece::Words(words),
        });
    }

    fn opened(&mut self, place: usize, kind: Kind, out: Out<'_>) -> Option<u32> {
        match (self.open(place), kind) {
            (Some((at, open)), _) if open == kind => return Some(at),
            // Another part of the same reasoning.
            (Some((at, Kind::Thought { .. })), Kind::Thought { .. }) => {
                out(Delta::More {
                    at,
                    piece: Piece::NextPart,
                });
                self.items.get_mut(place)?.open = Some((at, kind));
                return Some(at);
            }
            // Arguments of a call that never began belong to nobody.
            (None, Kind::Call) => return None,
            (Some((at, _)), _) => out(Delta::Close { at }),
            (None, _) => {}
        }
        let head = match kind {
            Kind::Text(_) => Head::Text,
            Kind::Refusal(_) => Head::Refusal,
            Kind::Thought { summary, .. } => Head::Reasoning { summary },
            Kind::Call => return None,
        };
        self.refused |= head == Head::Refusal;
        let at = self.next();
        out(Delta::Open { at, head });
        let seen = self.items.get_mut(place)?;
        (seen.open, seen.cited) = (Some((at, kind)), 0);
        Some(at)
    }

    fn annotation(&mut self, wire: &Event<'_>, out: Out<'_>) {
        let place = self.items.speaking(wire.output_index.0, Kind::Text(wire.part()));
        if let (Some(place), Some(citation)) = (place, wire.annotation.and_then(Annotation::citation)) {
            self.cite(place, citation, out);
        }
    }

    fn cite(&mut self, place: usize, citation: Citation<'_>, out: Out<'_>) {
        if let Some((at, Kind::Text(_))) = self.open(place) {
            if let Some(seen) = self.items.get_mut(place) {
                seen.cited += 1;
            }
            out(Delta::More {
                at,
                piece: Piece::Citation(citation),
            });
        }
    }

    /// Sources of a part that is whole: those that were not told one by one.
    fn sources(&mut self, place: usize, part: &Part<'_>, out: Out<'_>) {
        let told = self.items.get(place).map_or(0, |seen| seen.cited);
        let all = part
            .annotations
            .iter()
            .flatten()
            .filter_map(|raw| Annotation::citation(raw));
        for citation in all.skip(told) {
            self.cite(place, citation, out);
        }
    }

    fn part_done(&mut self, wire: &Event<'_>, out: Out<'_>) {
        let kind = Kind::Text(wire.part());
        let part: Option<Part<'_>> = wire.content().and_then(|raw| serde_json::from_str(raw).ok());
        let place = self.items.speaking(wire.output_index.0, kind);
        if let (Some(place), Some(part)) = (place, part)
            && self.open(place).is_some_and(|(_, open)| open == kind)
        {
            self.sources(place, &part, out);
        }
    }

    /// An item is whole: what was not seen of it in pieces is said now.
    fn done(&mut self, place: usize, item: &Item<'_>, out: Out<'_>) {
        let Some(seen) = self.items.get_mut(place) else {
            return;
        };
        if std::mem::replace(&mut seen.done, true) {
            return;
        }
        let spoke = seen.spoke;
        match Class::of(&item.kind) {
            Class::Message => self.message(place, item, spoke, out),
            Class::Reasoning => self.reasoning(place, item, spoke, out),
            Class::Search => self.searched(item, out),
            Class::Call => self.called(place, item, spoke, out),
            Class::Other => out(Delta::Lost(Cow::Borrowed(&item.kind))),
        }
        self.close(place, out);
    }

    fn close(&mut self, place: usize, out: Out<'_>) {
        if let Some((at, _)) = self.items.get_mut(place).and_then(|item| item.open.take()) {
            out(Delta::Close { at });
        }
    }

    fn message(&mut self, place: usize, item: &Item<'_>, spoke: bool, out: Out<'_>) {
        let parts: Vec<Part<'_>> = item
            .content
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default();
        for (number, part) in (0..).zip(&parts) {
            let unsaid = |text: &&JsonStr<'_>| !text.is_empty() && !spoke;
            if let Some(refusal) = part.refusal.as_ref().filter(unsaid) {
                self.say(place, Kind::Refusal(number), refusal.borrowed(), out);
            }
            let text = part.text.as_ref().filter(unsaid);
            if let Some(text) = text {
                self.say(place, Kind::Text(number), text.borrowed(), out);
            }
            if self
                .open(place)
                .is_some_and(|(_, open)| open == Kind::Text(number))
            {
                self.sources(place, part, out);
                if let Some(items) = part.logprobs.filter(|_| text.is_some()) {
                    self.logprobs(place, items.get(), out);
                }
            }
        }
    }

    fn reasoning(&mut self, place: usize, item: &Item<'_>, spoke: bool, out: Out<'_>) {
        if !spoke {
            let thoughts: Vec<Part<'_>> = item
                .content
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
                .unwrap_or_default();
            let summary = thoughts.is_empty();
            let parts = if summary {
                item.summary.iter().flatten().collect()
            } else {
                thoughts.iter().collect::<Vec<_>>()
            };
            let texts = parts.into_iter().filter_map(|part| part.text.clone());
            for (part, text) in (0..).zip(texts.filter(|it| !it.is_empty())) {
                self.say(place, Kind::Thought { part, summary }, text, out);
            }
        }
        let Some(data) = item.encrypted_content.clone().filter(|it| !it.is_empty()) else {
            // Open models show their thoughts and seal nothing; their text goes back to them as it is.
            if let Some((at, _)) = self.open(place) {
                out(Delta::More {
                    at,
                    piece: Piece::Seal(Seal::Plain),
                });
            }
            return;
        };
        let summary = true;
        let open = self.open(place).map(|(at, _)| at);
        let Some(at) = open.or_else(|| self.opened(place, Kind::Thought { part: 0, summary }, out)) else {
            return;
        };
        let id = item.id.clone().unwrap_or_default();
        out(Delta::More {
            at,
            piece: Piece::Seal(Seal::Encrypted { id, data }),
        });
    }

    fn searched(&mut self, item: &Item<'_>, out: Out<'_>) {
        let at = self.next();
        let head = Head::WebSearch(item.search());
        out(Delta::Open { at, head });
        out(Delta::Close { at });
    }

    fn called(&mut self, place: usize, item: &Item<'_>, spoke: bool, out: Out<'_>) {
        if self.open(place).is_none() {
            self.open_call(place, item, out);
        }
        if spoke {
            return;
        }
        let arguments = item
            .arguments
            .map(RawValue::get)
            .map(|raw| JsonStr::from_raw(raw).unwrap_or_else(|| JsonStr::of(raw)));
        let words = item.input.clone().or(arguments).filter(|words| !words.is_empty());
        if let Some(words) = words {
            self.say(place, Kind::Call, words, out);
        }
    }

    /// The answer is whole. Items that only its last word holds are said now.
    pub(super) fn complete(&mut self, response: &Response<'_>, out: Out<'_>) {
        self.begin(response, out);
        let output: Vec<Item<'_>> = response
            .items()
            .unwrap_or_default()
            .into_iter()
            .filter_map(read)
            .collect();
        for (place, item) in self.items.matched(&output).into_iter().zip(&output) {
            self.done(place, item, out);
        }
        for place in 0..self.items.len() {
            self.close(place, out);
        }
        self.over = true;
        let usage = response
            .usage
            .and_then(|usage| Reported::read(usage.get().as_bytes()));
        if let Some(usage) = usage
            .map(|it| it.usage(Dialect::Responses))
            .filter(|it| !it.is_unknown())
        {
            out(Delta::Usage(usage));
        }
        out(Delta::Stop(Stop::because(self.reason(response))));
        out(Delta::End);
    }

    /// There is no reason of the end on this wire: it follows from what was said.
    fn reason(&self, response: &Response<'_>) -> StopReason {
        let incomplete = response.status.as_deref() == Some("incomplete");
        let why = response.why();
        match why.as_deref().filter(|_| incomplete) {
            Some("content_filter") => StopReason::Filter,
            Some(_) => StopReason::MaxTokens,
            None if incomplete => StopReason::MaxTokens,
            None if self.calls > 0 => StopReason::ToolCalls,
            None if self.refused => StopReason::Refusal,
            None => StopReason::End,
        }
    }
}

/// An item; one that cannot be read is none.
fn read(raw: &RawValue) -> Option<Item<'_>> {
    serde_json::from_str(raw.get()).ok()
}

/// A time in seconds; some hosts write it with a fraction.
fn seconds(raw: &RawValue) -> Option<u64> {
    raw.get().split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{Block, Gather, Response, ToolInput};

    const CREATED: &str =
        r#"{"type":"response.created","response":{"id":"resp_1","model":"m","created_at":9,"output":[]}}"#;

    /// What a stream of these events comes to, and the fault that it ends with.
    fn told(events: &[&str]) -> (Response<'static>, Option<BackendError>) {
        let (mut decode, mut gather, mut fault) = (StreamIn::default(), Gather::default(), None);
        let mut law = Law::default();
        let mut out = |delta: Delta<'_>| {
            law.holds(&delta);
            gather.delta(&delta);
            if let Delta::Fault(error) = delta {
                fault = Some(error);
            }
        };
        for data in events {
            decode.event(WireEvent { name: None, data }, &mut out);
        }
        decode.end(&mut out);
        (gather.finish().0, fault)
    }

    /// What decoders keep to, whatever comes.
    #[derive(Default)]
    struct Law {
        started: bool,
        over: bool,
        next: u32,
        open: Vec<u32>,
    }

    impl Law {
        fn holds(&mut self, delta: &Delta<'_>) {
            assert!(!self.over, "nothing follows the end: {delta:?}");
            match delta {
                Delta::Start { .. } => assert!(!std::mem::replace(&mut self.started, true)),
                Delta::Open { at, .. } => {
                    assert!(self.started && *at == self.next, "{delta:?}");
                    self.next += 1;
                    self.open.push(*at);
                }
                Delta::More { at, piece } => {
                    assert!(self.open.contains(at), "{delta:?}");
                    assert!(
                        !matches!(piece, Piece::Words(words) if words.is_empty()),
                        "{delta:?}"
                    );
                }
                Delta::Close { at } => {
                    assert!(self.open.contains(at), "{delta:?}");
                    self.open.retain(|open| open != at);
                }
                Delta::Stop(_) => assert!(self.open.is_empty(), "all is closed before the end"),
                Delta::End | Delta::Fault(_) => self.over = true,
                Delta::Usage(_) | Delta::Lost(_) => {}
            }
        }
    }

    /// Blocks in short: `text`, `refusal`, `thought`, `call(input)`, with the number of sources.
    fn shown(response: &Response<'_>) -> Vec<String> {
        let show = |block: &Block<'_>| match block {
            Block::Text(text) => match text.citations.len() {
                0 => text.text.read().into_owned(),
                sources => format!("{} [{sources}]", text.text.read()),
            },
            Block::Refusal(text) => format!("refusal: {}", text.read()),
            Block::Reasoning(it) => format!("thought: {}", JsonStr::joined(&it.parts, "|").read()),
            Block::ToolCall(call) => match &call.input {
                ToolInput::Custom(text) => format!("{}<{}>", call.name, text.read()),
                input => format!("{}({})", call.name, input.spelled().read()),
            },
            other => format!("{other:?}"),
        };
        response.blocks.iter().map(show).collect()
    }

    fn item(index: u64, kind: &str, rest: &str) -> [String; 2] {
        ["added", "done"].map(|what| {
            let rest = if what == "added" { "" } else { rest };
            format!(
                r#"{{"type":"response.output_item.{what}","output_index":{index},"item":{{"type":"{kind}","call_id":"call_{index}","name":"f{index}"{rest}}}}}"#
            )
        })
    }

    fn delta(index: u64, what: &str, text: &str, rest: &str) -> String {
        format!(r#"{{"type":"response.{what}.delta","output_index":{index},"delta":"{text}"{rest}}}"#)
    }

    fn completed(output: &str) -> String {
        format!(
            r#"{{"type":"response.completed","response":{{"id":"resp_1","status":"completed","output":[{output}]}}}}"#
        )
    }

    const MESSAGE: &str = r#"{"type":"message","content":[{"type":"output_text","text":"hi"}]}"#;
    const REASONING: &str = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"}"#;
    const SOURCES: &str = r#","content":[{"type":"output_text","text":"hi","annotations":[{"type":"url_citation","url":"u","start_index":0,"end_index":2},{"type":"url_citation","url":"v","start_index":0,"end_index":2}]}]"#;

    #[test]
    fn an_answer_is_whole_however_its_events_lie() {
        let [call_added, call_done] = item(0, "function_call", r#","arguments":"{}""#);
        let [second_added, second_done] = item(1, "function_call", r#","arguments":"{\"b\":1}""#);
        let [message_added, message_done] = item(0, "message", SOURCES);
        let one_source = r#"{"type":"response.output_text.annotation.added","output_index":0,"annotation":{"type":"url_citation","url":"u","start_index":0,"end_index":2}}"#;
        let part_done = r#"{"type":"response.content_part.done","output_index":0,"content_index":0,"part":{"type":"output_text","text":"hi","annotations":[{"type":"url_citation","url":"u","start_index":0,"end_index":2}]}}"#;
        let text = |text: &str, rest: &str| delta(0, "output_text", text, rest);
        let arguments = |index, text: &str| delta(index, "function_call_arguments", text, "");
        let owned = |events: &[&String]| -> Vec<String> { events.iter().map(|it| (*it).clone()).collect() };
        #[rustfmt::skip]
        let table: Vec<(&str, Vec<String>, &[&str])> = vec![
            ("sources that stand only in the finished item", owned(&[&message_added, &text("hi", ""), &message_done, &completed("")]), &["hi [2]"]),
            ("sources told twice are kept once", owned(&[&message_added, &text("hi", ""), &one_source.to_owned(), &message_done, &completed("")]), &["hi [2]"]),
            ("sources that stand only in the finished part", owned(&[&message_added, &text("hi", ""), &part_done.to_owned(), &completed("")]), &["hi [1]"]),
            ("parts of a message stay apart", owned(&[&text("a", r#","content_index":0"#), &text("b", r#","content_index":1"#), &completed("")]), &["a", "b"]),
            ("an output that leaves out what was streamed", owned(&[&delta(0, "reasoning_summary_text", "t", ""), &delta(1, "output_text", "hi", ""), &completed(MESSAGE)]), &["thought: t", "hi"]),
            ("an output with more before what was streamed says nothing twice", owned(&[&text("hi", ""), &completed(&format!("{REASONING},{MESSAGE}"))]), &["hi", "thought: "]),
            ("items that all claim the same place", owned(&[&message_added, &text("hi", ""), &item(0, "message", "")[1], &call_added, &arguments(0, "{}"), &call_done, &completed("")]), &["hi", "f0({})"]),
            ("and the output says nothing twice then", owned(&[&message_added, &text("hi", ""), &item(0, "message", "")[1], &call_added, &call_done, &completed(&format!(r#"{MESSAGE},{{"type":"function_call","call_id":"call_0","name":"f0","arguments":"{{}}"}}"#))]), &["hi", "f0({})"]),
            ("a call that only the output holds, between two that were streamed", owned(&[&message_added, &text("hi", ""), &second_added.replace("\":1", "\":2"), &completed(&format!(r#"{MESSAGE},{{"type":"function_call","call_id":"c","name":"late","arguments":"{{}}"}},{{"type":"function_call","call_id":"call_1","name":"f1","arguments":"{{}}"}}"#))]), &["hi", "f1({})", "late({})"]),
            ("arguments never become visible words", owned(&[&text("hi", ""), &arguments(0, "{}"), &completed("")]), &["hi"]),
            ("words after their item's end are no new block", owned(&[&message_added, &text("hi", ""), &message_done.replace(SOURCES, ""), &text("again", ""), &completed("")]), &["hi"]),
            ("calls that arrive at once", owned(&[&call_added, &second_added, &arguments(1, r#"{\"b\""#), &arguments(0, "{"), &arguments(1, ":1}"), &arguments(0, "}"), &second_done, &call_done, &completed("")]), &["f0({})", r#"f1({"b":1})"#]),
            ("arguments without deltas", owned(&[&call_added, &call_done, &completed("")]), &["f0({})"]),
            ("arguments only in their own done event", owned(&[&call_added, &r#"{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{\"a\":1}"}"#.to_owned(), &completed("")]), &[r#"f0({"a":1})"#]),
            ("an empty text in a finished summary", owned(&[&item(0, "reasoning", r#","summary":[{"type":"summary_text","text":""},{"type":"summary_text","text":"t"}]"#)[1], &completed("")]), &["thought: t"]),
            ("an answer that only its end holds", owned(&[&completed(&format!("{REASONING},{MESSAGE}"))]), &["thought: ", "hi"]),
        ];
        let mut wrong = Vec::new();
        for (case, events, expected) in table {
            let events: Vec<&str> = [CREATED]
                .into_iter()
                .chain(events.iter().map(String::as_str))
                .collect();
            let (response, fault) = told(&events);
            if shown(&response) != expected || fault.is_some() {
                wrong.push((case, shown(&response), fault));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn what_breaks_an_answer_says_why() {
        let table = [
            (
                "an error without a type",
                r#"{"error":{"message":"m","code":429}}"#,
                "m",
            ),
            (
                "an error event",
                r#"{"type":"error","code":"x","message":"m"}"#,
                "m",
            ),
            (
                "a failure",
                r#"{"type":"response.failed","response":{"error":{"message":"m"}}}"#,
                "m",
            ),
            (
                "a failure that calls itself complete",
                r#"{"type":"response.completed","response":{"status":"failed","error":{"message":"m"},"output":[]}}"#,
                "m",
            ),
            (
                "an end without an end",
                CREATED,
                "The stream ended before the answer did.",
            ),
        ];
        for (case, event, message) in table {
            let (_, fault) =
                told(&[CREATED, event, &completed(MESSAGE)][..if event == CREATED { 2 } else { 3 }]);
            assert_eq!(fault.map(|it| it.message).as_deref(), Some(message), "{case}");
        }
    }

    #[test]
    fn members_of_a_wrong_type_lose_no_more_than_themselves() {
        let odd = r#"{"type":"response.incomplete","response":{"id":5,"status":"incomplete","incomplete_details":"x","output":[],"usage":{"input_tokens":3,"output_tokens":4}}}"#;
        let (response, fault) = told(&[CREATED, &delta(0, "output_text", "hi", r#","logprobs":7"#), odd]);
        assert_eq!((shown(&response), fault), (vec!["hi".to_owned()], None));
        assert_eq!(
            (response.stop.reason, response.usage.output),
            (StopReason::MaxTokens, Some(4))
        );
    }

    #[test]
    fn calls_without_an_id_get_one_that_no_other_call_of_the_conversation_has() {
        let mut ids = Vec::new();
        for answer in ["resp_1", "resp_2"] {
            let call = r#"{"type":"function_call","id":"","name":"f","arguments":"{}"}"#;
            let whole = format!(r#"{{"id":"{answer}","status":"completed","output":[{call},{call}]}}"#);
            for block in crate::responses::answer_in(&whole).unwrap().blocks {
                if let Block::ToolCall(call) = block {
                    ids.push(call.id.read().into_owned());
                }
            }
        }
        assert_eq!(ids.len(), 4);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 4, "{ids:?}");
        assert!(!ids.contains(&String::new()));
    }
}
