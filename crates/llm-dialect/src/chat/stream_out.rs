//! A stream for a chat client.

use std::sync::Arc;

use super::answer_out::{annotation, explained, finish, is_of_the_web, points, usage};
use super::reasoning;
use crate::canon::write::{self, Object};
use crate::canon::{Citation, Delta, Encode, Head, JsonStr, Piece, Reasoning, Seal, Stop, StopReason, Terms};
use crate::names::answer_id;
use crate::sse;
use crate::usage::Usage;
use crate::watch::StreamPosition;

/// The state of a stream of chunks.
#[derive(Debug)]
pub struct StreamOut {
    terms: Arc<Terms>,
    /// What every chunk begins with, up to the delta.
    head: Vec<u8>,
    blocks: Vec<Block>,
    calls: u64,
    /// How many entries of `reasoning_details` there were.
    details: u64,
    /// Code points of the text so far.
    points: u64,
    refused: bool,
    usage: Usage,
    stop: Stop<'static>,
}

/// An open block.
#[derive(Debug)]
struct Block {
    at: u32,
    kind: Kind,
    /// Bytes of what is kept of it.
    kept: usize,
}

#[derive(Debug)]
enum Kind {
    Text {
        /// Where it began, in code points.
        from: u64,
        citations: Vec<Citation<'static>>,
    },
    Refusal,
    /// Its text is kept for the seal, which a client sends back together with it.
    Thought(Reasoning<'static>),
    Call {
        index: u64,
        custom: bool,
        empty: bool,
    },
    Silent,
}

/// What every chunk but the last ones ends with.
const TAIL: &[u8] = b",\"logprobs\":null,\"finish_reason\":null}]";

impl StreamOut {
    /// A stream by the terms of the request.
    pub fn new(terms: Arc<Terms>) -> Self {
        Self {
            terms,
            head: Vec::new(),
            blocks: Vec::new(),
            calls: 0,
            details: 0,
            points: 0,
            refused: false,
            usage: Usage::default(),
            stop: Stop::default(),
        }
    }

    fn start(&mut self, id: &str, created: Option<u64>, out: &mut Vec<u8>) {
        let mut head = Vec::new();
        write::object(&mut head, |it| {
            it.str("id", &answer_id("chatcmpl-", id, &self.terms.request_id));
            it.str("object", "chat.completion.chunk");
            it.number("created", created.unwrap_or(self.terms.now));
            it.str("model", &self.terms.model);
        });
        head.pop();
        self.head = [b"data: ", head.as_slice()].concat();
        self.chunk(out, |it| {
            it.str("role", "assistant").str("content", "");
        });
    }

    /// A chunk with this delta.
    fn chunk(&self, out: &mut Vec<u8>, delta: impl FnOnce(&mut Object<'_>)) {
        let start = out.len();
        self.begin(out);
        write::object(out, delta);
        sse::on_one_line(out.get_mut(start..).unwrap_or_default());
        out.extend_from_slice(TAIL);
        self.end(out);
    }

    fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":[{\"index\":0,\"delta\":");
    }

    /// Clients that asked for the counts find the member in every chunk.
    fn end(&self, out: &mut Vec<u8>) {
        if self.terms.include_usage {
            out.extend_from_slice(b",\"usage\":null");
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn text_chunk(&self, out: &mut Vec<u8>, member: &str, words: &JsonStr<'_>) {
        self.begin(out);
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(member.as_bytes());
        out.extend_from_slice(b"\":\"");
        out.extend_from_slice(words.spelling().as_bytes());
        out.extend_from_slice(b"\"}");
        out.extend_from_slice(TAIL);
        self.end(out);
    }

    fn open(&mut self, at: u32, head: &Head<'_>, out: &mut Vec<u8>) {
        let kind = match head {
            Head::Text => Kind::Text {
                from: self.points,
                citations: Vec::new(),
            },
            Head::Refusal => {
                self.refused = true;
                Kind::Refusal
            }
            Head::Reasoning { summary } => Kind::Thought(Reasoning {
                summary: *summary,
                ..Reasoning::default()
            }),
            Head::ToolCall { id, name, custom, .. } => {
                let index = self.calls;
                self.calls += 1;
                self.call_head(out, index, (id, name), *custom);
                Kind::Call {
                    index,
                    custom: *custom,
                    empty: true,
                }
            }
            Head::WebSearch(_) => Kind::Silent,
        };
        self.blocks.push(Block { at, kind, kept: 0 });
    }

    fn call_head(&self, out: &mut Vec<u8>, index: u64, (id, name): (&JsonStr<'_>, &str), custom: bool) {
        let (kind, member) = if custom {
            ("custom", "input")
        } else {
            ("function", "arguments")
        };
        self.chunk(out, |it| {
            it.array("tool_calls", |list| {
                list.object(|it| {
                    it.number("index", index).text("id", id).str("type", kind);
                    it.object(kind, |it| {
                        it.str("name", name).str(member, "");
                    });
                });
            });
        });
    }

    fn call_words(&self, out: &mut Vec<u8>, index: u64, custom: bool, words: &JsonStr<'_>) {
        let (kind, member) = if custom {
            ("custom", "input")
        } else {
            ("function", "arguments")
        };
        self.chunk(out, |it| {
            it.array("tool_calls", |list| {
                list.object(|it| {
                    it.number("index", index).object(kind, |it| {
                        it.text(member, words);
                    });
                });
            });
        });
    }

    fn more(&mut self, at: u32, piece: &Piece<'_>, out: &mut Vec<u8>) {
        let Some(place) = self.blocks.iter().position(|block| block.at == at) else {
            return;
        };
        match piece {
            Piece::Words(words) => {
                if matches!(self.kind(place), Some(Kind::Thought(_))) {
                    self.keep(place, piece);
                }
                self.words(place, words, out);
            }
            Piece::NextPart => {
                let pause = JsonStr::spelled_so("\\n\\n");
                if let Some(Kind::Thought(reasoning)) = self.kind(place) {
                    reasoning.parts.push(JsonStr::EMPTY);
                    self.keep(place, piece);
                    self.text_chunk(out, "reasoning_content", &pause);
                }
            }
            Piece::Seal(seal) => self.seal(place, seal, out),
            Piece::Citation(citation) => {
                if let Some(Kind::Text { citations, .. }) = self.kind(place)
                    && is_of_the_web(citation)
                {
                    citations.push(citation.clone().into_owned());
                    self.keep(place, piece);
                }
            }
            Piece::Logprobs(items) => {
                self.begin(out);
                out.extend_from_slice(b"{},\"logprobs\":{\"content\":[");
                let start = out.len();
                out.extend_from_slice(items.as_bytes());
                sse::on_one_line(out.get_mut(start..).unwrap_or_default());
                out.extend_from_slice(b"],\"refusal\":null},\"finish_reason\":null}]");
                self.end(out);
            }
        }
    }

    fn keep(&mut self, place: usize, piece: &Piece<'_>) {
        if let Some(block) = self.blocks.get_mut(place) {
            block.kept += piece.size();
        }
    }

    fn kind(&mut self, place: usize) -> Option<&mut Kind> {
        self.blocks.get_mut(place).map(|block| &mut block.kind)
    }

    fn words(&mut self, place: usize, words: &JsonStr<'_>, out: &mut Vec<u8>) {
        match self.kind(place) {
            Some(Kind::Text { .. }) => {
                self.points += points(words);
                self.text_chunk(out, "content", words);
            }
            Some(Kind::Refusal) => self.text_chunk(out, "refusal", words),
            Some(Kind::Thought(reasoning)) => {
                match reasoning.parts.last_mut() {
                    Some(part) => part.push(words),
                    None => reasoning.parts.push(words.clone().into_owned()),
                }
                self.text_chunk(out, "reasoning_content", words);
            }
            Some(Kind::Call { index, custom, empty }) => {
                *empty = false;
                let (index, custom) = (*index, *custom);
                self.call_words(out, index, custom, words);
            }
            Some(Kind::Silent) | None => {}
        }
    }

    fn seal(&mut self, place: usize, seal: &Seal<'_>, out: &mut Vec<u8>) {
        let Some(Kind::Thought(reasoning)) = self.kind(place) else {
            return;
        };
        let mut sealed = std::mem::take(reasoning);
        sealed.seal = Some(seal.clone().into_owned());
        if let Some(block) = self.blocks.get_mut(place) {
            block.kept = 0;
        }
        let mut details = Vec::new();
        let mut index = self.details;
        write::array(&mut details, |list| {
            reasoning::write_details(list, &sealed, &mut index);
        });
        self.details = index;
        if details.len() > 2 {
            let details = String::from_utf8(details).unwrap_or_default();
            self.chunk(out, |it| {
                it.raw("reasoning_details", &details);
            });
        }
    }

    fn close(&mut self, at: u32, out: &mut Vec<u8>) {
        let Some(place) = self.blocks.iter().position(|block| block.at == at) else {
            return;
        };
        match self.blocks.swap_remove(place).kind {
            Kind::Call {
                index,
                custom: false,
                empty: true,
            } => self.call_words(out, index, false, &JsonStr::spelled_so("{}")),
            Kind::Text { from, citations } if !citations.is_empty() => {
                let to = self.points;
                self.chunk(out, |it| {
                    it.array("annotations", |list| {
                        for citation in &citations {
                            annotation(list, citation, from, to);
                        }
                    });
                });
            }
            _ => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.stop.reason == StopReason::Refusal && !self.refused {
            let words = explained(&self.stop);
            self.text_chunk(out, "refusal", &words);
        }
        self.begin(out);
        out.extend_from_slice(b"{},\"logprobs\":null,\"finish_reason\":\"");
        out.extend_from_slice(finish(&self.stop, self.refused).as_bytes());
        out.extend_from_slice(b"\"}]");
        self.end(out);
        if self.terms.include_usage && !self.usage.is_unknown() {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b",\"choices\":[],\"usage\":");
            write::object(out, |it| usage(it, &self.usage));
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl Encode for StreamOut {
    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, created, .. } => self.start(id, *created, out),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{
        Block as Whole, Decode, Gather, Json, Response, Text, ToolCall, ToolInput, WireEvent,
    };
    use crate::chat::StreamIn;
    use crate::chat::told::told;

    fn stream_out(include_usage: bool) -> StreamOut {
        StreamOut::new(Arc::new(Terms {
            model: "alias".to_owned(),
            include_usage,
            now: 5,
            request_id: "r".to_owned(),
            ..Terms::default()
        }))
    }

    fn written(response: &Response<'_>, include_usage: bool) -> String {
        let (mut encode, mut out) = (stream_out(include_usage), Vec::new());
        response.replay(&mut |delta| encode.delta(&delta, &mut out));
        String::from_utf8(out).unwrap()
    }

    fn read_back(stream: &str) -> Response<'static> {
        let (mut decode, mut gather) = (StreamIn::default(), Gather::default());
        for event in stream.split("\n\n").filter(|event| !event.is_empty()) {
            let data = event.strip_prefix("data: ").expect("one line of data an event");
            assert!(!data.contains('\n'), "{event}");
            decode.event(WireEvent { name: None, data }, &mut |delta| gather.delta(&delta));
        }
        gather.finish().0
    }

    fn thought(seal: Seal<'static>) -> Whole<'static> {
        Whole::Reasoning(Reasoning {
            parts: vec![JsonStr::of("t")],
            seal: Some(seal),
            ..Reasoning::default()
        })
    }

    fn call(id: &'static str, input: ToolInput<'static>) -> Whole<'static> {
        Whole::ToolCall(ToolCall {
            id: JsonStr::of(id),
            name: "f".into(),
            namespace: None,
            input,
        })
    }

    fn answer() -> Response<'static> {
        Response {
            id: "chatcmpl-1".into(),
            model: "alias".into(),
            created: Some(7),
            blocks: vec![
                thought(Seal::Details(Json::spelled_so(
                    r#"[{"type":"reasoning.text","text":"t","signature":"s","format":"f","index":0}]"#,
                ))),
                Whole::Text(Text {
                    citations: vec![Citation {
                        url: JsonStr::of("u"),
                        title: JsonStr::of("t"),
                        span: Some((0, 2)),
                        ..Citation::default()
                    }],
                    logprobs: Some(Json::spelled_so(r#"[{"token":"a","top_logprobs":[]}]"#)),
                    ..Text::plain(JsonStr::spelled_so(r"a\u00fc\n"))
                }),
                call("x", ToolInput::Arguments(JsonStr::spelled_so(r#"{\"a\":1}"#))),
                call("y", ToolInput::Custom(JsonStr::of("free {} text"))),
                call("z", ToolInput::Arguments(JsonStr::EMPTY)),
            ],
            stop: Stop::because(StopReason::ToolCalls),
            usage: Usage {
                input: Some(9),
                output: Some(4),
                cache_read: Some(2),
                cache_write: Some(1),
                cache_write_1h: None,
                reasoning: Some(3),
            },
            service_tier: None,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(read_back(&written(&answer(), true)), answer());
        let short = written(&answer(), false);
        assert!(!short.contains("usage"), "nobody asked for the counts");
        assert!(read_back(&short).usage.is_unknown());
    }

    #[test]
    fn a_chunk_is_what_clients_expect() {
        let response = Response {
            blocks: vec![Whole::text(JsonStr::of("a"))],
            ..Response::default()
        };
        let written = written(&response, true);
        let head = r#"data: {"id":"chatcmpl-454349e422f05297191ead13","object":"chat.completion.chunk","created":5,"model":"alias","choices":[{"index":0,"delta":"#;
        let lines: Vec<&str> = written.split_terminator("\n\n").collect();
        assert_eq!(
            lines,
            [
                format!(
                    r#"{head}{{"role":"assistant","content":""}},"logprobs":null,"finish_reason":null}}],"usage":null}}"#
                ),
                format!(r#"{head}{{"content":"a"}},"logprobs":null,"finish_reason":null}}],"usage":null}}"#),
                format!(r#"{head}{{}},"logprobs":null,"finish_reason":"stop"}}],"usage":null}}"#),
                "data: [DONE]".to_owned(),
            ]
        );
    }

    #[test]
    fn what_a_backend_laid_out_over_lines_stays_one_event() {
        let details = "[\n {\"type\":\"reasoning.encrypted\",\r\n\"data\":\"d\"}\n]";
        let response = Response {
            blocks: vec![
                thought(Seal::Details(Json::spelled_so(details))),
                Whole::Text(Text {
                    logprobs: Some(Json::spelled_so("[\n{\"token\":\n\"a\"}\n]")),
                    ..Text::plain(JsonStr::of("a"))
                }),
            ],
            ..Response::default()
        };
        let read = read_back(&written(&response, true));
        assert_eq!(
            told(&read),
            r#"thought t [{"type":"reasoning.encrypted",  "data":"d"}] | text a | end"#
        );
    }

    #[test]
    fn only_sources_with_an_address_are_told() {
        let cited = |url: &'static str| Response {
            blocks: vec![Whole::Text(Text {
                citations: vec![Citation {
                    url: JsonStr::of(url),
                    ..Citation::default()
                }],
                ..Text::plain(JsonStr::of("a"))
            })],
            ..Response::default()
        };
        assert!(written(&cited("u"), false).contains("annotations"));
        assert!(!written(&cited(""), false).contains("annotations"));
    }

    #[test]
    fn a_refusal_is_explained_before_the_end() {
        for (blocks, explanation, expected) in [
            (Vec::new(), Some("why"), "refusal why | filter"),
            (Vec::new(), None, "refusal The model refused to answer. | filter"),
            (
                vec![Whole::Refusal(JsonStr::of("no"))],
                Some("why"),
                "refusal no | refusal",
            ),
        ] {
            let response = Response {
                blocks,
                stop: Stop {
                    explanation: explanation.map(JsonStr::of),
                    ..Stop::because(StopReason::Refusal)
                },
                ..Response::default()
            };
            assert_eq!(told(&read_back(&written(&response, false))), expected);
        }
    }

    #[test]
    fn parts_of_a_summary_are_told_apart() {
        let response = Response {
            blocks: vec![Whole::Reasoning(Reasoning {
                parts: vec![JsonStr::of("one"), JsonStr::of("two")],
                summary: true,
                seal: Some(Seal::Encrypted {
                    id: JsonStr::of("rs_1"),
                    data: JsonStr::of("d"),
                }),
                family: None,
            })],
            ..Response::default()
        };
        let read = read_back(&written(&response, false));
        assert_eq!(
            told(&read),
            concat!(
                r#"thought one\n\ntwo [{"type":"reasoning.summary","summary":"one","format":"openai-responses-v1","index":0},"#,
                r#"{"type":"reasoning.summary","summary":"two","format":"openai-responses-v1","index":1},"#,
                r#"{"type":"reasoning.encrypted","data":"d","id":"rs_1","format":"openai-responses-v1","index":2}] | end"#
            )
        );
    }

    #[test]
    fn what_a_model_has_laid_out_over_lines_stays_one_event() {
        let (mut encode, mut out) = (StreamOut::new(Arc::new(Terms::default())), Vec::new());
        let items = "{\r\n\"token\":\n\"a\"}".into();
        let start = Delta::Start {
            id: "r".into(),
            model: "m".into(),
            created: None,
        };
        for delta in [
            start,
            Delta::Open {
                at: 0,
                head: Head::Text,
            },
            Delta::More {
                at: 0,
                piece: Piece::Logprobs(items),
            },
        ] {
            encode.delta(&delta, &mut out);
        }
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\"token\""), "{text}");
        assert!(!text.contains('\r'), "{text}");
        for event in text.split_terminator("\n\n") {
            assert!(event.starts_with("data: ") && !event.contains('\n'), "{event}");
        }
    }
}
