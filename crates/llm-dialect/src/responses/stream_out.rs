//! A stream for a Responses client: each item announced, told and closed, and all of them once more at the end.

use std::borrow::Cow;
use std::sync::Arc;

use super::answer_out::{Head as ResponseHead, refusal};
use super::items::{Call, CallKind, Item, annotation, refusal_part, rendered, text_part};
use crate::canon::write::{self, Object};
use crate::canon::{Delta, Encode, Head, Json, JsonStr, Piece, Stop, Terms};
use crate::names::answer_id;
use crate::sse;
use crate::usage::Usage;
use crate::watch::StreamPosition;

/// The state of a stream of events.
#[derive(Debug)]
pub struct StreamOut {
    terms: Arc<Terms>,
    id: String,
    created: u64,
    /// The number of the next event.
    sequence: u64,
    /// Items that are whole, by their place in the output: the last event repeats them.
    done: Vec<Option<Vec<u8>>>,
    /// Bytes of those.
    kept: usize,
    open: Vec<Open>,
    refused: bool,
    usage: Usage,
    stop: Stop<'static>,
}

/// An open item.
#[derive(Debug)]
struct Open {
    at: u32,
    /// Its place in the output.
    index: u64,
    id: String,
    item: Item,
    /// Whether it has been announced: words and thoughts are with their first word.
    announced: bool,
    /// Bytes of what came of it: its end repeats them.
    kept: usize,
}

impl StreamOut {
    /// A stream by the terms of the request.
    pub fn new(terms: Arc<Terms>) -> Self {
        Self {
            created: terms.now,
            terms,
            id: String::new(),
            sequence: 0,
            done: Vec::new(),
            kept: 0,
            open: Vec::new(),
            refused: false,
            usage: Usage::default(),
            stop: Stop::default(),
        }
    }

    /// Writes an event: its type, its number, and what `fill` adds.
    fn event(&mut self, out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let sequence = self.sequence;
        self.sequence += 1;
        for part in ["event: ", name, "\ndata: "] {
            out.extend_from_slice(part.as_bytes());
        }
        let start = out.len();
        write::object(out, |it| {
            it.str("type", name).number("sequence_number", sequence);
            fill(it);
        });
        sse::on_one_line(out.get_mut(start..).unwrap_or_default());
        out.extend_from_slice(b"\n\n");
    }

    /// An event about an item.
    fn about(&mut self, out: &mut Vec<u8>, name: &str, open: &Open, fill: impl FnOnce(&mut Object<'_>)) {
        self.event(out, name, |it| {
            it.str("item_id", &open.id).number("output_index", open.index);
            fill(it);
        });
    }

    fn start(&mut self, id: &str, created: Option<u64>, out: &mut Vec<u8>) {
        self.id = answer_id("resp_", id, &self.terms.request_id);
        self.created = created.unwrap_or(self.terms.now);
        for name in ["response.created", "response.in_progress"] {
            let (id, terms, created) = (self.id.clone(), Arc::clone(&self.terms), self.created);
            self.event(out, name, |it| {
                it.object("response", |it| {
                    ResponseHead {
                        id: &id,
                        created,
                        terms: &terms,
                    }
                    .begun(it);
                });
            });
        }
    }

    fn opened(&mut self, at: u32, head: &Head<'_>, out: &mut Vec<u8>) {
        self.refused |= *head == Head::Refusal;
        let mut open = Open {
            at,
            index: 0,
            id: String::new(),
            item: item(head, &self.terms),
            announced: false,
            kept: size_of::<Open>() + head.size(),
        };
        if matches!(open.item, Item::Call(_) | Item::Search(_)) {
            self.announce(&mut open, out);
        }
        self.open.push(open);
    }

    /// Gives an item its place and tells of it.
    fn announce(&mut self, open: &mut Open, out: &mut Vec<u8>) {
        open.announced = true;
        open.index = self.done.len() as u64;
        self.done.push(None);
        open.id = open.item.id(&self.id, open.index);
        let (index, id) = (open.index, open.id.clone());
        self.event(out, "response.output_item.added", |it| {
            it.number("output_index", index)
                .object("item", |it| begun(it, &open.item, &id));
        });
        match &open.item {
            Item::Message { .. } => self.about(out, "response.content_part.added", open, |it| {
                it.number("content_index", 0)
                    .object("part", |it| text_part(it, &JsonStr::EMPTY, &[], None));
            }),
            Item::Refusal(_) => self.about(out, "response.content_part.added", open, |it| {
                it.number("content_index", 0)
                    .object("part", |it| refusal_part(it, &JsonStr::EMPTY));
            }),
            Item::Search(_) => {
                for name in ["in_progress", "searching", "completed"] {
                    self.about(out, &format!("response.web_search_call.{name}"), open, |_| {});
                }
            }
            Item::Reasoning { .. } | Item::Call(_) => {}
        }
    }

    fn more(&mut self, at: u32, piece: &Piece<'_>, out: &mut Vec<u8>) {
        let Some(place) = self.open.iter().position(|open| open.at == at) else {
            return;
        };
        // Taken out while it is told, and put back where it was.
        let mut open = self.open.swap_remove(place);
        open.kept += piece.size();
        self.tell(&mut open, piece, out);
        self.open.push(open);
        let last = self.open.len() - 1;
        self.open.swap(place, last);
    }

    fn tell(&mut self, open: &mut Open, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Words(words) => {
                if !open.announced {
                    self.announce(open, out);
                }
                self.words(open, words, out);
            }
            Piece::NextPart => self.next_part(open, out),
            Piece::Seal(seal) => {
                if let Item::Reasoning { seal: own, .. } = &mut open.item {
                    *own = Some(seal.clone().into_owned());
                }
            }
            Piece::Citation(citation) => {
                if let Item::Message { citations, .. } = &mut open.item {
                    citations.push(citation.clone().into_owned());
                }
            }
            Piece::Logprobs(items) => {
                if let Item::Message { logprobs, .. } = &mut open.item {
                    let all = logprobs.get_or_insert_with(|| Json::spelled_so("[]"));
                    all.push_items(items);
                }
            }
        }
    }

    fn words(&mut self, open: &mut Open, words: &JsonStr<'_>, out: &mut Vec<u8>) {
        match &mut open.item {
            Item::Message { text, .. } => {
                text.push(words);
                self.text_delta(open, words, out);
            }
            Item::Refusal(text) => {
                text.push(words);
                self.about(out, "response.refusal.delta", open, |it| {
                    it.number("content_index", 0).text("delta", words);
                });
            }
            Item::Reasoning { parts, .. } => {
                let begins = parts.last().is_none_or(JsonStr::is_empty);
                if parts.is_empty() {
                    parts.push(JsonStr::EMPTY);
                }
                let part = parts.len() as u64 - 1;
                if let Some(last) = parts.last_mut() {
                    last.push(words);
                }
                if begins {
                    self.part_added(open, part, out);
                }
                self.about(out, "response.reasoning_summary_text.delta", open, |it| {
                    it.number("summary_index", part).text("delta", words);
                });
            }
            Item::Call(call) => {
                call.words.push(words);
                let name = match call.kind {
                    CallKind::Function => "response.function_call_arguments.delta",
                    CallKind::Custom => "response.custom_tool_call_input.delta",
                    CallKind::Search => return,
                };
                self.about(out, name, open, |it| {
                    it.text("delta", words);
                });
            }
            Item::Search(_) => {}
        }
    }

    /// By far the commonest event, written by hand.
    fn text_delta(&mut self, open: &Open, words: &JsonStr<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":");
        write::number(out, self.sequence);
        self.sequence += 1;
        out.extend_from_slice(b",\"item_id\":\"");
        out.extend_from_slice(open.id.as_bytes());
        out.extend_from_slice(b"\",\"output_index\":");
        write::number(out, open.index);
        out.extend_from_slice(b",\"content_index\":0,\"delta\":\"");
        out.extend_from_slice(words.spelling().as_bytes());
        out.extend_from_slice(b"\",\"logprobs\":[]}\n\n");
    }

    fn part_added(&mut self, open: &Open, part: u64, out: &mut Vec<u8>) {
        self.about(out, "response.reasoning_summary_part.added", open, |it| {
            it.number("summary_index", part).object("part", |it| {
                it.str("type", "summary_text").str("text", "");
            });
        });
    }

    fn next_part(&mut self, open: &mut Open, out: &mut Vec<u8>) {
        self.part_done(open, out);
        if let Item::Reasoning { parts, .. } = &mut open.item
            && parts.last().is_some_and(|last| !last.is_empty())
        {
            parts.push(JsonStr::EMPTY);
        }
    }

    /// The part of a summary that is open is whole.
    fn part_done(&mut self, open: &Open, out: &mut Vec<u8>) {
        let Item::Reasoning { parts, .. } = &open.item else {
            return;
        };
        let Some(text) = parts.last().filter(|text| !text.is_empty()) else {
            return;
        };
        let part = parts.len() as u64 - 1;
        self.about(out, "response.reasoning_summary_text.done", open, |it| {
            it.number("summary_index", part).text("text", text);
        });
        self.about(out, "response.reasoning_summary_part.done", open, |it| {
            it.number("summary_index", part).object("part", |it| {
                it.str("type", "summary_text").text("text", text);
            });
        });
    }

    fn close(&mut self, at: u32, out: &mut Vec<u8>) {
        let Some(place) = self.open.iter().position(|open| open.at == at) else {
            return;
        };
        let mut open = self.open.remove(place);
        if !open.announced {
            // Words that never came are no item; reasoning without words still has a seal to carry.
            if !matches!(open.item, Item::Reasoning { .. }) {
                return;
            }
            self.announce(&mut open, out);
        }
        make_room(out, open.kept.saturating_mul(3));
        self.whole(&mut open, out);
        let item = rendered(&open.item, &open.id, &self.terms);
        let index = open.index;
        drop(open);
        self.event(out, "response.output_item.done", |it| {
            let written = std::str::from_utf8(&item).unwrap_or("null");
            it.number("output_index", index).raw("item", written);
        });
        self.kept += item.len();
        let place = usize::try_from(index)
            .ok()
            .and_then(|index| self.done.get_mut(index));
        if let Some(place) = place {
            *place = Some(item);
        }
    }

    /// What stands between the last word of an item and its end.
    fn whole(&mut self, open: &mut Open, out: &mut Vec<u8>) {
        if let Item::Call(call) = &open.item
            && call.kind == CallKind::Function
            && call.words.is_empty()
        {
            // Clients add up what comes: no arguments are an empty object, and it has to come.
            self.words(open, &JsonStr::spelled_so("{}"), out);
        }
        match &open.item {
            Item::Message {
                text,
                citations,
                logprobs,
            } => self.message_done(open, (text, citations, logprobs.as_ref()), out),
            Item::Refusal(text) => {
                self.about(out, "response.refusal.done", open, |it| {
                    it.number("content_index", 0).text("refusal", text);
                });
                self.about(out, "response.content_part.done", open, |it| {
                    it.number("content_index", 0)
                        .object("part", |it| refusal_part(it, text));
                });
            }
            Item::Reasoning { .. } => self.part_done(open, out),
            Item::Call(call) => match call.kind {
                CallKind::Function => self.about(out, "response.function_call_arguments.done", open, |it| {
                    it.text("arguments", &call.arguments()).str("name", &call.name);
                }),
                CallKind::Custom => self.about(out, "response.custom_tool_call_input.done", open, |it| {
                    it.text("input", &call.words);
                }),
                CallKind::Search => {}
            },
            Item::Search(_) => {}
        }
    }

    fn message_done(
        &mut self,
        open: &Open,
        (text, citations, logprobs): (&JsonStr<'_>, &[crate::canon::Citation<'_>], Option<&Json<'_>>),
        out: &mut Vec<u8>,
    ) {
        for (number, citation) in (0..).zip(citations) {
            self.about(out, "response.output_text.annotation.added", open, |it| {
                it.number("content_index", 0).number("annotation_index", number);
                it.object("annotation", |it| annotation(it, citation, text));
            });
        }
        self.about(out, "response.output_text.done", open, |it| {
            it.number("content_index", 0).text("text", text);
            it.raw("logprobs", logprobs.map_or("[]", |all| all.get()));
        });
        self.about(out, "response.content_part.done", open, |it| {
            it.number("content_index", 0)
                .object("part", |it| text_part(it, text, citations, logprobs));
        });
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(words) = refusal(&self.stop, self.refused) {
            let at = u32::MAX;
            self.opened(at, &Head::Refusal, out);
            self.more(at, &Piece::Words(words), out);
            self.close(at, out);
        }
        let done = std::mem::take(&mut self.done);
        let output: Vec<Vec<u8>> = done.into_iter().flatten().collect();
        make_room(out, self.kept);
        let in_words = self.refused || self.stop.explanation.is_some();
        let incomplete = super::answer_out::incomplete(&self.stop, in_words).is_some();
        let name = if incomplete {
            "response.incomplete"
        } else {
            "response.completed"
        };
        let (id, terms, created) = (self.id.clone(), Arc::clone(&self.terms), self.created);
        let (stop, usage) = (self.stop.clone(), self.usage);
        self.event(out, name, |it| {
            it.object("response", |it| {
                ResponseHead {
                    id: &id,
                    created,
                    terms: &terms,
                }
                .whole(it, &stop, &output, &usage);
            });
        });
    }
}

/// Room for what repeats much. A vector that grows by doubling would take as much again.
fn make_room(out: &mut Vec<u8>, bytes: usize) {
    const MUCH: usize = 64 * 1024;
    if bytes > MUCH {
        out.reserve_exact(bytes + MUCH);
    }
}

fn item(head: &Head<'_>, terms: &Terms) -> Item {
    match head {
        Head::Text => Item::Message {
            text: JsonStr::EMPTY,
            citations: Vec::new(),
            logprobs: None,
        },
        Head::Refusal => Item::Refusal(JsonStr::EMPTY),
        Head::Reasoning { .. } => Item::Reasoning {
            parts: Vec::new(),
            seal: None,
        },
        Head::ToolCall {
            id,
            name,
            namespace,
            custom,
        } => Item::Call(Call {
            id: id.clone().into_owned(),
            name: name.clone().into_owned(),
            namespace: namespace.clone().map(Cow::into_owned),
            kind: CallKind::of(name, *custom, terms),
            words: JsonStr::EMPTY,
        }),
        Head::WebSearch(search) => Item::Search(search.clone().into_owned()),
    }
}

/// An item that has begun.
fn begun(it: &mut Object<'_>, item: &Item, id: &str) {
    match item {
        Item::Message { .. } | Item::Refusal(_) => {
            it.str("type", "message")
                .str("id", id)
                .str("status", "in_progress");
            it.str("role", "assistant").raw("content", "[]");
        }
        Item::Reasoning { .. } => {
            it.str("type", "reasoning").str("id", id).raw("summary", "[]");
        }
        Item::Call(call) => call.begun(it, id),
        Item::Search(_) => {
            it.str("type", "web_search_call")
                .str("id", id)
                .str("status", "in_progress");
        }
    }
}

impl Encode for StreamOut {
    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, created, .. } => self.start(id, *created, out),
            Delta::Open { at, head } => self.opened(*at, head, out),
            Delta::More { at, piece } => self.more(*at, piece, out),
            Delta::Close { at } => self.close(*at, out),
            Delta::Usage(usage) => self.usage = *usage,
            Delta::Stop(stop) => self.stop = stop.clone().into_owned(),
            Delta::End => self.finish(out),
            Delta::Fault(_) | Delta::Lost(_) => {}
        }
    }

    fn held(&self) -> usize {
        self.kept + self.open.iter().map(|open| open.kept).sum::<usize>()
    }

    fn position(&self) -> StreamPosition {
        StreamPosition {
            sequence_number: self.sequence,
            response_id: Some(self.id.clone()).filter(|id| !id.is_empty()),
            model: self.terms.model.clone(),
            created_at: self.created,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{Losses, StopReason, Tool, ToolKind};
    use crate::names::{Names, OPENAI_NAME};
    use crate::responses::{echo, request_in};

    fn written(terms: Terms, deltas: &[Delta<'_>]) -> String {
        let (mut encode, mut out) = (StreamOut::new(Arc::new(terms)), Vec::new());
        for delta in deltas {
            encode.delta(delta, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    /// Frames: a name, one line of JSON, a blank line.
    fn is_framed(stream: &str) {
        for event in stream.split_terminator("\n\n") {
            let lines: Vec<&str> = event.split('\n').collect();
            assert_eq!(lines.len(), 2, "{event}");
            let data: serde_json::Value = serde_json::from_str(&lines[1]["data: ".len()..]).unwrap();
            assert_eq!(data["type"], lines[0]["event: ".len()..], "{event}");
        }
    }

    #[test]
    fn line_ends_in_what_is_only_carried_break_no_event() {
        let body = "{\"model\":\"m\",\"input\":\"hi\",\"tools\":[\r\n  {\"type\":\"function\",\n   \"name\":\"f\"}\n],\"metadata\":{\n}}";
        let request = request_in(body, &mut Losses::default()).unwrap();
        let search = Tool {
            name: Cow::Borrowed("tool_search"),
            namespace: None,
            description: None,
            kind: ToolKind::ToolSearch(None),
            strict: None,
            cache: None,
        };
        let terms = Terms {
            echo: echo(&request),
            names: Names::of(&[search], OPENAI_NAME, true),
            ..Terms::default()
        };
        let start = Delta::Start {
            id: Cow::Borrowed("r"),
            model: Cow::Borrowed("m"),
            created: None,
        };
        let head = Head::ToolCall {
            id: JsonStr::spelled_so("call_1"),
            name: Cow::Borrowed("tool_search"),
            namespace: None,
            custom: false,
        };
        let arguments = Piece::Words(JsonStr::spelled_so(r#"{\n  \"query\": \"a\\nb\"\r\n}"#));
        let logprobs = Piece::Logprobs(Cow::Borrowed("{\n\"token\":\"a\"}"));
        let stream = written(
            terms,
            &[
                start,
                Delta::Open { at: 0, head },
                Delta::More {
                    at: 0,
                    piece: arguments,
                },
                Delta::Close { at: 0 },
                Delta::Open {
                    at: 1,
                    head: Head::Text,
                },
                Delta::More {
                    at: 1,
                    piece: Piece::Words(JsonStr::spelled_so("a")),
                },
                Delta::More {
                    at: 1,
                    piece: logprobs,
                },
                Delta::Close { at: 1 },
                Delta::Stop(Stop::because(StopReason::ToolCalls)),
                Delta::End,
            ],
        );
        is_framed(&stream);
        assert!(stream.contains("tool_search_call"), "{stream}");
        assert!(stream.contains(r#""query": "a\nb""#), "{stream}");
    }
}
