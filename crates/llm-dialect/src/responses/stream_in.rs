//! A Responses stream as deltas. Items are told apart by their place in the output: their ids change on some hosts.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::wire::{Annotation, Event, Item, Part, Response};
use crate::canon::{
    Citation, Decode, Delta, Head, JsonStr, Piece, Seal, Stop, StopReason, WebSearch, WireEvent,
};
use crate::dialect::Dialect;
use crate::fault::{self, BackendError};
use crate::usage::Reported;

/// Where the deltas go.
type Out<'o> = &'o mut dyn FnMut(Delta<'_>);

/// The state of a stream of events.
#[derive(Debug, Default)]
pub struct StreamIn {
    started: bool,
    over: bool,
    blocks: u32,
    items: Vec<Seen>,
    calls: bool,
    refused: bool,
}

/// An item of the output, as far as it was seen.
#[derive(Debug)]
struct Seen {
    index: u64,
    /// Its open block and what that is.
    open: Option<(u32, Kind)>,
    /// Whether it has said anything: what it says whole in the end is then known.
    spoke: bool,
    done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thought {
        /// The part of the summary that is open.
        part: u64,
        summary: bool,
    },
    Call,
}

impl Decode for StreamIn {
    fn event(&mut self, event: WireEvent<'_>, out: Out<'_>) {
        if self.over || event.data.is_empty() || event.data.trim() == "[DONE]" {
            return;
        }
        let Ok(wire) = serde_json::from_str::<Event<'_>>(event.data) else {
            return self.fault(fault::read(event.data.as_bytes()), out);
        };
        let kind = if wire.kind.is_empty() {
            event.name.unwrap_or_default()
        } else {
            &wire.kind
        };
        match kind {
            "response.output_text.delta" => self.words(&wire, Kind::Text, out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.words(&wire, Kind::Call, out);
            }
            "response.reasoning_summary_text.delta" => {
                let part = wire.summary_index.unwrap_or(0);
                self.words(&wire, Kind::Thought { part, summary: true }, out);
            }
            "response.reasoning_text.delta" => self.words(
                &wire,
                Kind::Thought {
                    part: 0,
                    summary: false,
                },
                out,
            ),
            "response.refusal.delta" => self.words(&wire, Kind::Refusal, out),
            "response.output_item.added" => self.added(&wire, out),
            "response.output_item.done" => {
                if let Some(item) = wire.item {
                    self.done(wire.output_index.unwrap_or(0), item, out);
                }
            }
            "response.output_text.annotation.added" => self.annotation(&wire, out),
            "response.created" | "response.in_progress" | "response.queued" => self.start(wire.response, out),
            "response.completed" | "response.incomplete" => match wire.response.map(parsed) {
                Some(response) => self.complete(&response, out),
                None => self.fault(fault::read(event.data.as_bytes()), out),
            },
            "response.failed" | "response.cancelled" | "error" => {
                self.fault(fault::read(event.data.as_bytes()), out);
            }
            _ => {}
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
}

fn parsed(raw: &RawValue) -> Response<'_> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

impl StreamIn {
    fn fault(&mut self, error: BackendError, out: Out<'_>) {
        self.over = true;
        out(Delta::Fault(error));
    }

    fn start(&mut self, response: Option<&RawValue>, out: Out<'_>) {
        let response = response.map(parsed).unwrap_or_default();
        self.begin(&response, out);
    }

    fn begin(&mut self, response: &Response<'_>, out: Out<'_>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        out(Delta::Start {
            id: Cow::Borrowed(response.id.as_deref().unwrap_or_default()),
            model: Cow::Borrowed(response.model.as_deref().unwrap_or_default()),
            created: response.created_at.and_then(seconds),
        });
    }

    /// The place of an item among those that were seen.
    fn place(&mut self, index: u64) -> usize {
        if let Some(at) = self.items.iter().position(|item| item.index == index) {
            return at;
        }
        self.items.push(Seen {
            index,
            open: None,
            spoke: false,
            done: false,
        });
        self.items.len() - 1
    }

    fn next(&mut self) -> u32 {
        let at = self.blocks;
        self.blocks += 1;
        at
    }

    fn added(&mut self, wire: &Event<'_>, out: Out<'_>) {
        let index = wire.output_index.unwrap_or(self.items.len() as u64);
        let Some(raw) = wire.item else { return };
        let item: Item<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        self.begin(&Response::default(), out);
        let place = self.place(index);
        if is_call(&item.kind) {
            self.open_call(place, &item, out);
        }
    }

    fn open_call(&mut self, place: usize, item: &Item<'_>, out: Out<'_>) {
        let at = self.next();
        self.calls = true;
        if let Some(seen) = self.items.get_mut(place) {
            seen.open = Some((at, Kind::Call));
        }
        let id = item
            .call_id
            .clone()
            .filter(|id| !id.is_empty())
            .or_else(|| item.id.clone());
        let name = item.name.clone().unwrap_or(Cow::Borrowed("tool_search"));
        out(Delta::Open {
            at,
            head: Head::ToolCall {
                id: id.unwrap_or_else(|| JsonStr::spelled_so(format!("call_{at}"))),
                name,
                namespace: item.namespace.clone(),
                custom: item.kind == "custom_tool_call",
            },
        });
    }

    fn words(&mut self, wire: &Event<'_>, kind: Kind, out: Out<'_>) {
        let text = wire.delta.and_then(|raw| JsonStr::from_raw(raw.get()));
        let Some(words) = text.filter(|words| !words.is_empty()) else {
            return;
        };
        self.begin(&Response::default(), out);
        let place = self.place(wire.output_index.unwrap_or(0));
        self.say(place, kind, words, out);
        if let (Kind::Text, Some(items)) = (kind, wire.logprobs) {
            self.logprobs(place, items.get(), out);
        }
    }

    fn logprobs(&mut self, place: usize, items: &str, out: Out<'_>) {
        let inside = items.trim().trim_start_matches('[').trim_end_matches(']').trim();
        if let (false, Some((at, Kind::Text))) = (inside.is_empty() || inside == "null", self.open(place)) {
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
        self.refused |= kind == Kind::Refusal;
        let at = self.next();
        let head = match kind {
            Kind::Refusal => Head::Refusal,
            Kind::Thought { summary, .. } => Head::Reasoning { summary },
            Kind::Text | Kind::Call => Head::Text,
        };
        out(Delta::Open { at, head });
        self.items.get_mut(place)?.open = Some((at, kind));
        Some(at)
    }

    fn annotation(&mut self, wire: &Event<'_>, out: Out<'_>) {
        let Some(citation) = wire.annotation.and_then(cited) else {
            return;
        };
        let place = self.place(wire.output_index.unwrap_or(0));
        if let Some((at, Kind::Text)) = self.open(place) {
            out(Delta::More {
                at,
                piece: Piece::Citation(citation),
            });
        }
    }

    /// An item is whole: what was not seen of it in pieces is said now.
    fn done(&mut self, index: u64, raw: &RawValue, out: Out<'_>) {
        self.begin(&Response::default(), out);
        let place = self.place(index);
        let Some(seen) = self.items.get_mut(place) else {
            return;
        };
        if std::mem::replace(&mut seen.done, true) {
            return;
        }
        let spoke = seen.spoke;
        let item: Item<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        match &*item.kind {
            "message" if !spoke => self.message(place, &item, out),
            "message" => {}
            "reasoning" => self.reasoning(place, &item, spoke, out),
            "web_search_call" => self.searched(&item, out),
            kind if is_call(kind) => self.called(place, &item, spoke, out),
            kind => out(Delta::Lost(Cow::Borrowed(kind))),
        }
        self.close(place, out);
    }

    fn close(&mut self, place: usize, out: Out<'_>) {
        if let Some((at, _)) = self.items.get_mut(place).and_then(|item| item.open.take()) {
            out(Delta::Close { at });
        }
    }

    fn message(&mut self, place: usize, item: &Item<'_>, out: Out<'_>) {
        let parts: Vec<Part<'_>> = item
            .content
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default();
        for part in parts {
            if let Some(refusal) = part.refusal.filter(|it| !it.is_empty()) {
                self.say(place, Kind::Refusal, refusal, out);
                continue;
            }
            // Parts stay apart, since sources count within their own.
            self.close(place, out);
            let Some(text) = part.text.filter(|it| !it.is_empty()) else {
                continue;
            };
            self.say(place, Kind::Text, text, out);
            for citation in part.annotations.iter().flatten().filter_map(|raw| cited(raw)) {
                if let Some((at, _)) = self.open(place) {
                    out(Delta::More {
                        at,
                        piece: Piece::Citation(citation),
                    });
                }
            }
            if let Some(items) = part.logprobs {
                self.logprobs(place, items.get(), out);
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
            for (part, text) in (0..).zip(parts.into_iter().filter_map(|part| part.text.clone())) {
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
        let action = item.action.as_ref();
        let sources = action
            .and_then(|action| action.sources.as_ref())
            .into_iter()
            .flatten();
        let search = WebSearch {
            id: item.id.clone().unwrap_or_default(),
            query: action.and_then(|action| action.query.clone()).unwrap_or_default(),
            sources: sources
                .filter_map(|found| Some((found.url.clone()?, found.title.clone().unwrap_or_default())))
                .collect(),
        };
        out(Delta::Open {
            at,
            head: Head::WebSearch(search),
        });
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
        for (index, raw) in (0..).zip(response.output.iter().flatten()) {
            self.done(index, raw, out);
        }
        for place in 0..self.items.len() {
            self.close(place, out);
        }
        self.over = true;
        let usage = response.usage.and_then(|usage| Reported::read(usage.get()));
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
        let why = response
            .incomplete_details
            .as_ref()
            .and_then(|it| it.reason.as_deref());
        match why.filter(|_| incomplete) {
            Some("content_filter") => StopReason::Filter,
            Some(_) => StopReason::MaxTokens,
            None if incomplete => StopReason::MaxTokens,
            None if self.calls => StopReason::ToolCalls,
            None if self.refused => StopReason::Refusal,
            None => StopReason::End,
        }
    }
}

fn is_call(kind: &str) -> bool {
    matches!(kind, "function_call" | "custom_tool_call" | "tool_search_call")
}

/// A time in seconds; some hosts write it with a fraction.
fn seconds(raw: &RawValue) -> Option<u64> {
    raw.get().split('.').next()?.parse().ok()
}

fn cited(raw: &RawValue) -> Option<Citation<'_>> {
    let wire: Annotation<'_> = serde_json::from_str(raw.get()).ok()?;
    Some(Citation {
        url: wire.url?,
        title: wire.title.unwrap_or_default(),
        cited: JsonStr::EMPTY,
        span: wire.start_index.zip(wire.end_index).filter(|(_, end)| *end > 0),
    })
}
