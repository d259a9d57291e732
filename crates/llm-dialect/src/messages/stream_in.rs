//! A Messages stream as deltas.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::answer_in::{call_id, citation, found, reason};
use super::wire::{Block, Event, Piece as WirePiece, StopDetails};
use crate::alike::Alike;
use crate::canon::{Decode, Delta, Head, JsonStr, Piece, Seal, Stop, StopReason, WebSearch, WireEvent};
use crate::dialect::Dialect;
use crate::fault::{self, BackendError};
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
    open: Vec<Open>,
    /// The search that the provider makes: its id and what is searched for, as far as it came.
    search: Option<Search>,
    usage: Reported,
    stop: Option<Stop<'static>>,
    /// How many calls have begun.
    calls: usize,
    /// The last piece of words, by the index of its block.
    alike: Alike<u64>,
}

/// An open block.
#[derive(Debug)]
struct Open {
    /// Its index on the wire.
    index: u64,
    /// Its number, once it has said something.
    at: Option<u32>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
    Call {
        /// Its input came whole with its head: deltas only repeat it.
        whole: bool,
    },
    Search,
    /// Something of the provider's own, which is passed over.
    Other,
}

#[derive(Debug)]
struct Search {
    id: JsonStr<'static>,
    input: String,
}

impl Decode for StreamIn {
    fn again(&mut self, data: &[u8], out: Out<'_>) -> bool {
        let Some((index, words)) = self.alike.words(data) else {
            return false;
        };
        self.say(index, Piece::Words(JsonStr::spelled_so(words)), out);
        true
    }

    fn event(&mut self, event: WireEvent<'_>, out: Out<'_>) {
        if self.over || event.data.is_empty() {
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
        match kind {
            "content_block_delta" => self.piece(&wire, event.data, out),
            "content_block_start" => self.block(&wire, out),
            "content_block_stop" => self.close(wire.index.unwrap_or(0), out),
            "message_start" => self.start(&wire, out),
            "message_delta" => self.turn(&wire),
            "message_stop" => self.finish(out),
            "error" => self.fault(fault::read(event.data.as_bytes()), out),
            _ => {}
        }
    }

    fn end(&mut self, out: Out<'_>) {
        if !self.over {
            self.broken("The stream ended before the answer did.", out);
        }
    }

    fn held(&self) -> usize {
        let id = self.started.as_ref().map_or(0, String::len);
        let search = self.search.as_ref().map_or(0, |search| search.input.len());
        id + search + size_of::<Open>() * self.open.len()
    }
}

impl StreamIn {
    fn fault(&mut self, error: BackendError, out: Out<'_>) {
        self.over = true;
        out(Delta::Fault(error));
    }

    fn broken(&mut self, message: &str, out: Out<'_>) {
        let error = BackendError {
            message: message.to_owned(),
            ..BackendError::default()
        };
        self.fault(error, out);
    }

    fn count(&mut self, usage: Option<&RawValue>) {
        if let Some(report) = usage.and_then(|usage| Reported::read(usage.get().as_bytes())) {
            self.usage.merge(report);
        }
    }

    /// Some relays begin twice. That is harmless as long as it is the same answer and nothing was said.
    fn start(&mut self, wire: &Event<'_>, out: Out<'_>) {
        let Some(message) = &wire.message else { return };
        let id = message.id.clone().unwrap_or_default();
        if let Some(started) = &self.started {
            if *started != *id || self.blocks > 0 {
                self.broken("The stream began a second time.", out);
            }
            return;
        }
        self.started = Some(id.clone().into_owned());
        self.count(message.usage);
        out(Delta::Start {
            id,
            model: message.model.clone().unwrap_or_default(),
            created: None,
        });
    }

    fn block(&mut self, wire: &Event<'_>, out: Out<'_>) {
        let index = wire.index.unwrap_or(self.open.len() as u64);
        let Some(raw) = wire.content_block else { return };
        let Ok(block) = serde_json::from_str::<Block<'_>>(raw.get()) else {
            return self.broken("A block of the stream is none.", out);
        };
        if self.open.iter().any(|open| open.index == index) {
            return self.broken("A block of the stream began twice.", out);
        }
        self.begin(out);
        let kind = match &*block.kind {
            "text" => Kind::Text,
            "thinking" => Kind::Thought,
            "redacted_thinking" => return self.redacted(index, block, out),
            "tool_use" => return self.call(index, &block, out),
            "server_tool_use" if block.name.as_deref() == Some("web_search") => {
                self.search = Some(Search {
                    id: block.id.clone().unwrap_or_default().into_owned(),
                    input: String::new(),
                });
                Kind::Search
            }
            "web_search_tool_result" => {
                self.found(block.content, out);
                Kind::Other
            }
            kind => {
                out(Delta::Lost(Cow::Borrowed(kind)));
                Kind::Other
            }
        };
        self.open.push(Open {
            index,
            at: None,
            kind,
        });
        for (words, thought) in [(block.text, false), (block.thinking, true)] {
            let fits = if thought {
                kind == Kind::Thought
            } else {
                kind == Kind::Text
            };
            if let Some(words) = words.filter(|words| fits && !words.is_empty()) {
                self.say(index, Piece::Words(words), out);
            }
        }
    }

    /// A stream without `message_start` begins with its first block.
    fn begin(&mut self, out: Out<'_>) {
        if self.started.is_none() {
            self.started = Some(String::new());
            out(Delta::Start {
                id: Cow::Borrowed(""),
                model: Cow::Borrowed(""),
                created: None,
            });
        }
    }

    fn next(&mut self) -> u32 {
        let at = self.blocks;
        self.blocks += 1;
        at
    }

    fn redacted(&mut self, index: u64, block: Block<'_>, out: Out<'_>) {
        let kind = Kind::Thought;
        self.open.push(Open {
            index,
            at: None,
            kind,
        });
        let data = block.data.unwrap_or_default();
        self.say(index, Piece::Seal(Seal::Redacted(data)), out);
    }

    fn call(&mut self, index: u64, block: &Block<'_>, out: Out<'_>) {
        let at = self.next();
        let answer = self.started.as_deref().unwrap_or_default();
        let id = call_id(block.id.clone(), answer, self.calls);
        self.calls += 1;
        out(Delta::Open {
            at,
            head: Head::ToolCall {
                id,
                name: block.name.clone().unwrap_or_default(),
                namespace: None,
                custom: false,
            },
        });
        let input = block.input.map(|input| input.get().trim()).filter(|input| {
            let inside = input.trim_start_matches('{').trim_end_matches('}').trim();
            !inside.is_empty() && *input != "null"
        });
        if let Some(input) = input {
            let piece = Piece::Words(JsonStr::of(input));
            out(Delta::More { at, piece });
        }
        let whole = input.is_some();
        self.open.push(Open {
            index,
            at: Some(at),
            kind: Kind::Call { whole },
        });
    }

    /// A search is told whole, once its result is there.
    fn found(&mut self, content: Option<&RawValue>, out: Out<'_>) {
        let search = self.search.take();
        let query = search
            .as_ref()
            .map(|search| query(&search.input))
            .unwrap_or_default();
        let at = self.next();
        let told = WebSearch {
            id: search.map(|search| search.id).unwrap_or_default(),
            query,
            sources: found(content),
        };
        out(Delta::Open {
            at,
            head: Head::WebSearch(told),
        });
        out(Delta::Close { at });
    }

    fn piece(&mut self, wire: &Event<'_>, data: &str, out: Out<'_>) {
        let (Some(delta), index) = (&wire.delta, wire.index.unwrap_or(0)) else {
            return;
        };
        let Some(open) = self.open.iter().find(|open| open.index == index) else {
            return;
        };
        let piece = match (open.kind, &delta.kind.as_deref()) {
            (Kind::Text, Some("text_delta")) => delta.text.clone().map(Piece::Words),
            (Kind::Text, Some("citations_delta")) => delta.citation.and_then(citation).map(Piece::Citation),
            (Kind::Thought, Some("thinking_delta")) => delta.thinking.clone().map(Piece::Words),
            (Kind::Thought, Some("signature_delta")) => {
                delta.signature.clone().map(|it| Piece::Seal(Seal::Signature(it)))
            }
            (Kind::Call { whole: false }, Some("input_json_delta")) => {
                delta.partial_json.clone().map(Piece::Words)
            }
            (Kind::Search, Some("input_json_delta")) => {
                return self.searched(delta);
            }
            _ => None,
        };
        match piece {
            Some(Piece::Words(words)) if words.is_empty() => {}
            Some(Piece::Words(words)) => {
                if !wire.kind.is_empty() {
                    self.alike
                        .keep(index, data.as_bytes(), words.spelling().as_bytes(), &[]);
                }
                self.say(index, Piece::Words(words), out);
            }
            Some(piece) => self.say(index, piece, out),
            None => {}
        }
    }

    fn searched(&mut self, delta: &WirePiece<'_>) {
        if let (Some(search), Some(part)) = (&mut self.search, &delta.partial_json) {
            search.input.push_str(&part.read());
        }
    }

    /// Says a piece of a block, which opens by it.
    fn say(&mut self, index: u64, piece: Piece<'_>, out: Out<'_>) {
        let blocks = &mut self.blocks;
        let Some(open) = self.open.iter_mut().find(|open| open.index == index) else {
            return;
        };
        let at = *open.at.get_or_insert_with(|| {
            let at = *blocks;
            *blocks += 1;
            let head = match open.kind {
                Kind::Thought => Head::Reasoning { summary: false },
                _ => Head::Text,
            };
            out(Delta::Open { at, head });
            at
        });
        out(Delta::More { at, piece });
    }

    fn close(&mut self, index: u64, out: Out<'_>) {
        let Some(place) = self.open.iter().position(|open| open.index == index) else {
            return;
        };
        if let Some(at) = self.open.remove(place).at {
            out(Delta::Close { at });
        }
    }

    fn turn(&mut self, wire: &Event<'_>) {
        self.count(wire.usage);
        let Some(delta) = &wire.delta else { return };
        let Some(word) = &delta.stop_reason else { return };
        let details: Option<&StopDetails<'_>> = delta.stop_details.as_ref();
        self.stop = Some(Stop {
            reason: reason(word, self.calls > 0),
            sequence: delta.stop_sequence.clone().map(JsonStr::into_owned),
            explanation: details
                .and_then(|it| it.explanation.clone())
                .map(JsonStr::into_owned),
        });
    }

    fn finish(&mut self, out: Out<'_>) {
        self.begin(out);
        self.over = true;
        for open in std::mem::take(&mut self.open) {
            if let Some(at) = open.at {
                out(Delta::Close { at });
            }
        }
        let usage = self.usage.usage(Dialect::Messages);
        if !usage.is_unknown() {
            out(Delta::Usage(usage));
        }
        let mut stop = self.stop.take().unwrap_or_default();
        if self.calls > 0 && stop.reason == StopReason::End {
            stop.reason = StopReason::ToolCalls;
        }
        out(Delta::Stop(stop));
        out(Delta::End);
    }
}

/// What is searched for, from the input of the search.
pub(super) fn query(input: &str) -> JsonStr<'static> {
    #[derive(serde::Deserialize)]
    struct Input<'a> {
        #[serde(borrow)]
        query: JsonStr<'a>,
    }
    serde_json::from_str::<Input<'_>>(input).map_or(JsonStr::EMPTY, |input| input.query.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{Block as Whole, Gather};
    use crate::messages::answer_in;

    /// The ids of the calls of an answer whose calls have none: streamed, and in one piece.
    fn ids(answer: &str) -> [Vec<String>; 2] {
        let call = |index: u32, id: &str| {
            format!(
                r#"{{"type":"content_block_start","index":{index},"content_block":{{"type":"tool_use",{id}"name":"f","input":{{}}}}}}"#
            )
        };
        let events = [
            format!(r#"{{"type":"message_start","message":{{"id":"{answer}"}}}}"#),
            call(0, ""),
            r#"{"type":"content_block_stop","index":0}"#.to_owned(),
            call(1, r#""id":"","#),
            r#"{"type":"content_block_stop","index":1}"#.to_owned(),
            r#"{"type":"message_stop"}"#.to_owned(),
        ];
        let (mut decode, mut gather) = (StreamIn::default(), Gather::default());
        for data in &events {
            decode.event(WireEvent { name: None, data }, &mut |delta| gather.delta(&delta));
        }
        let whole = format!(
            r#"{{"type":"message","id":"{answer}","content":[{{"type":"tool_use","name":"f","input":{{}}}},{{"type":"tool_use","id":"","name":"f","input":{{}}}}]}}"#
        );
        let of = |blocks: &[Whole<'_>]| -> Vec<String> {
            let calls = blocks.iter().filter_map(|block| match block {
                Whole::ToolCall(call) => Some(call.id.read().into_owned()),
                _ => None,
            });
            calls.collect()
        };
        [
            of(&gather.finish().0.blocks),
            of(&answer_in(&whole).unwrap().blocks),
        ]
    }

    #[test]
    fn calls_without_an_id_get_one_that_no_other_call_of_the_conversation_has() {
        let ([first, whole], [second, _]) = (ids("msg_1"), ids("msg_2"));
        assert_eq!(first, whole);
        let mut all = [first, second].concat();
        assert_eq!(all.len(), 4);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4, "{all:?}");
        assert!(
            all.iter().all(|id| id.starts_with("call_") && id.len() == 29),
            "{all:?}"
        );
    }
}
