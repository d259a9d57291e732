//! A stream for a Messages client.
//!
//! Its blocks come strictly one after another, so of blocks that overlap only one is open: the others wait, and are told
//! whole, or as far as they have come, once it is closed.

use std::sync::Arc;

use super::answer_out::{located, search_id, search_result, signature, stop, usage};
use crate::canon::write::{self, Object};
use crate::canon::{Citation, Delta, Encode, Head, JsonStr, Piece, Seal, Stop, Terms, WebSearch};
use crate::names::{answer_id, anthropic_id};
use crate::sse;
use crate::usage::Usage;
use crate::watch::StreamPosition;

/// The state of a stream of events.
#[derive(Debug)]
pub struct StreamOut {
    terms: Arc<Terms>,
    /// The index of the next block.
    next: u64,
    /// Blocks that are not told to their end, in the order in which they began. The first one is open.
    blocks: Vec<Block>,
    refused: bool,
    usage: Usage,
    stop: Stop<'static>,
}

/// A block that is not told to its end.
#[derive(Debug)]
struct Block {
    at: u32,
    kind: Kind,
    /// Whether its start has been written: a text begins with its first word.
    started: bool,
    /// What waits to be written.
    words: JsonStr<'static>,
    citations: Vec<Citation<'static>>,
    seal: Option<Seal<'static>>,
    closed: bool,
    /// Bytes of all that waits.
    kept: usize,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thought,
    Call {
        id: String,
        name: String,
        /// Free text, which stands under `input` here.
        custom: bool,
    },
    Search(WebSearch<'static>),
}

impl StreamOut {
    /// A stream by the terms of the request.
    pub fn new(terms: Arc<Terms>) -> Self {
        Self {
            terms,
            next: 0,
            blocks: Vec::new(),
            refused: false,
            usage: Usage::default(),
            stop: Stop::default(),
        }
    }

    fn start(&self, id: &str, out: &mut Vec<u8>) {
        event(out, "message_start", |it| {
            it.object("message", |it| {
                it.str("id", &answer_id("msg_", id, &self.terms.request_id));
                it.str("type", "message")
                    .str("role", "assistant")
                    .str("model", &self.terms.model);
                it.raw("content", "[]").null("stop_reason").null("stop_sequence");
                // Nobody has counted yet; some clients take the input from here alone. `message_delta` corrects it.
                let about = Usage {
                    input: Some(self.terms.input_tokens),
                    ..Usage::default()
                };
                it.object("usage", |it| usage(it, &about));
            });
        });
    }

    fn open(&mut self, at: u32, head: &Head<'_>, out: &mut Vec<u8>) {
        let kind = match head {
            Head::Text => Kind::Text,
            Head::Refusal => {
                self.refused = true;
                Kind::Text
            }
            Head::Reasoning { .. } => Kind::Thought,
            Head::ToolCall { id, name, custom, .. } => Kind::Call {
                id: anthropic_id(&id.read()).into_owned(),
                name: name.clone().into_owned(),
                custom: *custom,
            },
            Head::WebSearch(search) => Kind::Search(search.clone().into_owned()),
        };
        self.blocks.push(Block {
            at,
            kind,
            started: false,
            words: JsonStr::EMPTY,
            citations: Vec::new(),
            seal: None,
            closed: false,
            kept: head.size(),
        });
        if self.blocks.len() == 1 {
            self.tell(out);
        }
    }

    fn more(&mut self, at: u32, piece: &Piece<'_>, out: &mut Vec<u8>) {
        let Some(place) = self.blocks.iter().position(|block| block.at == at) else {
            return;
        };
        let is_open = place == 0;
        let Some(block) = self.blocks.get_mut(place) else {
            return;
        };
        match piece {
            // By far the commonest: it is written as it comes.
            Piece::Words(words) if is_open && block.started && block.words.is_empty() => {
                return delta_of(&block.kind, self.next, words, out);
            }
            Piece::Logprobs(_) => return,
            Piece::Words(words) => block.words.push(words),
            Piece::NextPart => block.words.push(&JsonStr::spelled_so("\\n\\n")),
            Piece::Seal(seal) => block.seal = Some(seal.clone().into_owned()),
            Piece::Citation(citation) => block.citations.push(citation.clone().into_owned()),
        }
        block.kept += piece.size();
        if is_open {
            self.tell(out);
        }
    }

    fn close(&mut self, at: u32, out: &mut Vec<u8>) {
        if let Some(block) = self.blocks.iter_mut().find(|block| block.at == at) {
            block.closed = true;
        }
        while self.blocks.first().is_some_and(|first| first.closed) {
            self.tell(out);
            let block = self.blocks.remove(0);
            self.end_block(block, out);
            self.tell(out);
        }
    }

    /// Writes what the first block has to say by now.
    fn tell(&mut self, out: &mut Vec<u8>) {
        let index = self.next;
        let Some(block) = self.blocks.first_mut() else {
            return;
        };
        let lazy = matches!(block.kind, Kind::Text | Kind::Thought);
        let silent = block.words.is_empty() && block.citations.is_empty();
        if matches!(block.kind, Kind::Search(_)) || (!block.started && lazy && silent) {
            return;
        }
        if !std::mem::replace(&mut block.started, true) {
            start_of(&block.kind, index, out);
            if let Kind::Call { custom: true, .. } = block.kind {
                delta(out, index, "input_json_delta", |it| {
                    it.str("partial_json", "{\"input\":\"");
                });
            }
        }
        for citation in std::mem::take(&mut block.citations) {
            delta(out, index, "citations_delta", |it| {
                it.object("citation", |it| located(it, &citation));
            });
        }
        let words = std::mem::take(&mut block.words);
        block.kept = 0;
        if !words.is_empty() {
            delta_of(&block.kind, index, &words, out);
        }
    }

    /// Writes the end of a block that has been told.
    fn end_block(&mut self, block: Block, out: &mut Vec<u8>) {
        match &block.kind {
            Kind::Search(search) => return self.search(search, out),
            Kind::Thought => {
                if let (false, Some(Seal::Redacted(data))) = (block.started, &block.seal) {
                    return self.redacted(data, out);
                }
                if !block.started {
                    start_of(&block.kind, self.next, out);
                }
                let signature = signature(block.seal.as_ref(), &self.terms);
                delta(out, self.next, "signature_delta", |it| {
                    it.text("signature", &signature);
                });
            }
            Kind::Text if !block.started => return,
            Kind::Call { custom: true, .. } => self.raw_arguments("\"}", out),
            Kind::Text | Kind::Call { .. } => {}
        }
        self.stop_block(out);
    }

    /// What stands around the free text of a custom tool.
    fn raw_arguments(&self, json: &str, out: &mut Vec<u8>) {
        delta(out, self.next, "input_json_delta", |it| {
            it.str("partial_json", json);
        });
    }

    fn stop_block(&mut self, out: &mut Vec<u8>) {
        event(out, "content_block_stop", |it| {
            it.number("index", self.next);
        });
        self.next += 1;
    }

    fn redacted(&mut self, data: &JsonStr<'_>, out: &mut Vec<u8>) {
        start(out, self.next, |it| {
            it.str("type", "redacted_thinking").text("data", data);
        });
        self.stop_block(out);
    }

    fn search(&mut self, search: &WebSearch<'_>, out: &mut Vec<u8>) {
        let id = search_id(search);
        start(out, self.next, |it| {
            it.str("type", "server_tool_use")
                .str("id", &id)
                .str("name", "web_search")
                .raw("input", "{}");
        });
        let input = format!(r#"{{"query":"{}"}}"#, search.query.spelling());
        delta(out, self.next, "input_json_delta", |it| {
            it.str("partial_json", &input);
        });
        self.stop_block(out);
        start(out, self.next, |it| search_result(it, &id, search));
        self.stop_block(out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        event(out, "message_delta", |it| {
            it.object("delta", |it| stop(it, &self.stop, self.refused));
            it.object("usage", |it| usage(it, &self.usage));
        });
        event(out, "message_stop", |_| {});
    }
}

/// An event, whose data begin with its type.
fn event(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
    let mut data = Vec::with_capacity(128);
    write::object(&mut data, |it| {
        it.str("type", name);
        fill(it);
    });
    sse::event(out, Some(name), &data);
}

fn start(out: &mut Vec<u8>, index: u64, fill: impl FnOnce(&mut Object<'_>)) {
    event(out, "content_block_start", |it| {
        it.number("index", index).object("content_block", fill);
    });
}

fn start_of(kind: &Kind, index: u64, out: &mut Vec<u8>) {
    start(out, index, |it| match kind {
        Kind::Text => {
            it.str("type", "text").str("text", "");
        }
        Kind::Thought => {
            it.str("type", "thinking")
                .str("thinking", "")
                .str("signature", "");
        }
        Kind::Call { id, name, .. } => {
            it.str("type", "tool_use")
                .str("id", id)
                .str("name", name)
                .raw("input", "{}");
        }
        Kind::Search(_) => {}
    });
}

fn delta(out: &mut Vec<u8>, index: u64, kind: &str, fill: impl FnOnce(&mut Object<'_>)) {
    event(out, "content_block_delta", |it| {
        it.number("index", index).object("delta", |it| {
            it.str("type", kind);
            fill(it);
        });
    });
}

/// A delta with words: written by hand, since a stream is made of them.
fn delta_of(kind: &Kind, index: u64, words: &JsonStr<'_>, out: &mut Vec<u8>) {
    let head: &[u8] = match kind {
        Kind::Text => b",\"delta\":{\"type\":\"text_delta\",\"text\":\"",
        Kind::Thought => b",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"",
        Kind::Call { .. } => b",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"",
        Kind::Search(_) => return,
    };
    // Free text is JSON's text within JSON's text here.
    let inner = matches!(kind, Kind::Call { custom: true, .. }).then(|| JsonStr::of(words.spelling()));
    let words = inner.as_ref().unwrap_or(words);
    out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    write::number(out, index);
    out.extend_from_slice(head);
    out.extend_from_slice(words.spelling().as_bytes());
    out.extend_from_slice(b"\"}}\n\n");
}

impl Encode for StreamOut {
    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, .. } => self.start(id, out),
            Delta::Open { at, head } => self.open(*at, head, out),
            Delta::More { at, piece } => self.more(*at, piece, out),
            Delta::Close { at } => self.close(*at, out),
            Delta::Usage(usage) => self.usage = *usage,
            Delta::Stop(stop) => self.stop = stop.clone().into_owned(),
            Delta::End => self.finish(out),
            Delta::Fault(_) | Delta::Lost(_) => {}
        }
    }

    fn held(&self) -> usize {
        let blocks = self.blocks.iter();
        blocks.map(|block| size_of::<Block>() + block.kept).sum()
    }

    fn position(&self) -> StreamPosition {
        StreamPosition::default()
    }
}
