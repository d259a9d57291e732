//! What a test says that a backend shall answer: the content, the timing, the shape on the wire, the end.
//!
//! An [`Answer`] is data. [`crate::plan`] turns it and a request into bytes; so the same answer fits every
//! dialect, streamed or not.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::gate::Gate;
use crate::speak::speech::{Speech, Tool};

/// One scripted answer. Start with a constructor, refine with the methods; the order does not matter.
#[derive(Debug, Clone)]
#[must_use = "an answer does nothing until a Sim is told to give it"]
pub struct Answer {
    pub(crate) kind: Kind,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) speech: Speech,
    pub(crate) form: Form,
    pub(crate) informational: Vec<u8>,
    pub(crate) pace: Pace,
    pub(crate) gate: Option<Gate>,
    pub(crate) shape: Shape,
    pub(crate) cut: Option<(Point, Cut)>,
}

/// Where the bytes of an answer come from.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// The request is checked, then answered from `speech`.
    Healthy,
    /// The usual error of the status, in the request's dialect; nothing where it is no error.
    Status,
    /// One body, given `times` times over.
    Body {
        bytes: Bytes,
        content_type: String,
        times: usize,
    },
    /// A stream of these events, as they are.
    Events(Vec<String>),
    /// These bytes in place of a response.
    Raw {
        bytes: Bytes,
        keep_open: bool,
    },
    Hang,
    Reset {
        only_reused: bool,
    },
}

/// Whether a healthy answer is JSON or a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    AsAsked,
    Json,
    Stream,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    pub(crate) head: Duration,
    pub(crate) first: Duration,
    pub(crate) each: Duration,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub(crate) chunk_bytes: Option<usize>,
    pub(crate) one_write: bool,
    pub(crate) newline: Newline,
    pub(crate) bom: bool,
    pub(crate) over: usize,
    pub(crate) close_delimited: bool,
    pub(crate) hangs_up: bool,
    pub(crate) unasked: Bytes,
}

/// After how much of the answer a cut comes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Point {
    Events(usize),
    Deltas(usize),
}

/// How an answer breaks off.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Cut {
    /// An RST.
    Rst,
    /// A FIN in the middle of the body: HTTP itself can tell that something is missing.
    Fin,
    /// The body ends as it should, but the dialect's terminal marker never came.
    End,
    /// Bytes that are neither content nor its framing, then a FIN. Told only where the content comes in chunks.
    Garbage,
    /// Silence on an open connection, until the peer leaves.
    Stall,
    /// This JSON as the dialect's error event, then the end of the body.
    Error(Value),
    /// The usual error of this status as the dialect's error event, then the end of the body.
    Fault(u16),
}

/// How the lines of a stream end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Newline {
    /// As all providers do.
    #[default]
    Lf,
    /// As some relays do.
    CrLf,
    /// Legal, and seen nowhere but in tests.
    Cr,
}

impl Answer {
    fn of(kind: Kind, status: u16) -> Self {
        Self {
            kind,
            status,
            headers: Vec::new(),
            speech: Speech::default(),
            form: Form::AsAsked,
            informational: Vec::new(),
            pace: Pace::default(),
            gate: None,
            shape: Shape::default(),
            cut: None,
        }
    }

    /// What a provider in good health says: JSON or a stream as asked, deterministic, with usage; an
    /// error of the right kind where the request breaks the provider's rules.
    pub fn healthy() -> Self {
        Self::of(Kind::Healthy, 200)
    }

    /// A status with the usual error body in the dialect of the request, or below 400 with an empty body;
    /// [`Answer::body`] and [`Answer::raw_body`] replace it.
    pub fn status(status: u16) -> Self {
        Self::of(Kind::Status, status)
    }

    /// A stream of exactly these events, each with the empty line that ends it. Nothing is added.
    pub fn events<S: Into<String>>(events: impl IntoIterator<Item = S>) -> Self {
        Self::of(Kind::Events(events.into_iter().map(Into::into).collect()), 200)
    }

    /// These bytes on the wire in place of a response, then a FIN; see [`Answer::keep_open`].
    pub fn raw_response(bytes: impl Into<Bytes>) -> Self {
        Self::of(
            Kind::Raw {
                bytes: bytes.into(),
                keep_open: false,
            },
            200,
        )
    }

    /// Reads the request and never answers; ends when the peer leaves.
    pub fn hang() -> Self {
        Self::of(Kind::Hang, 200)
    }

    /// Reads the request and answers with an RST.
    pub fn reset() -> Self {
        Self::of(Kind::Reset { only_reused: false }, 200)
    }

    /// An RST if the connection has served before, as from a pool gone stale; else healthy.
    pub fn reset_on_reused() -> Self {
        Self::of(Kind::Reset { only_reused: true }, 200)
    }

    /// A JSON body.
    pub fn body(self, json: Value) -> Self {
        self.raw_body(json.to_string(), "application/json")
    }

    /// Any body with its content type.
    pub fn raw_body(mut self, bytes: impl Into<Bytes>, content_type: &str) -> Self {
        self.kind = Kind::Body {
            bytes: bytes.into(),
            content_type: content_type.to_owned(),
            times: 1,
        };
        self
    }

    /// The body set before, `times` times over: a gibibyte in the memory of a mebibyte.
    pub fn times(mut self, times: usize) -> Self {
        if let Kind::Body { times: known, .. } = &mut self.kind {
            *known = times;
        }
        self
    }

    /// One more header. A `content-type` replaces the answer's own; any other is added.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// For [`Answer::raw_response`]: the connection stays open for another request.
    pub fn keep_open(mut self) -> Self {
        if let Kind::Raw { keep_open, .. } = &mut self.kind {
            *keep_open = true;
        }
        self
    }

    /// An informational response, such as 100 or 103, before the answer; may be called again.
    pub fn informational(mut self, status: u16, headers: &[(&str, &str)]) -> Self {
        let mut head = format!("HTTP/1.1 {status} Informational\r\n");
        for (name, value) in headers {
            head.extend([*name, ": ", *value, "\r\n"]);
        }
        head.push_str("\r\n");
        self.informational.extend_from_slice(head.as_bytes());
        self
    }
}

/// What a healthy answer says.
impl Answer {
    /// The text.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.speech.text = Some(text.into());
        self
    }

    /// One more call of a tool; `arguments` is JSON text. No text is said unless it is asked for.
    pub fn tool_call(mut self, name: &str, arguments: &str) -> Self {
        self.speech.tools.push(Tool::function(name, arguments));
        self
    }

    /// The same, of a custom tool with its raw text if it is one, and a delta for each character.
    pub(crate) fn awkward_call(mut self, name: &str, arguments: &str, is_custom: bool) -> Self {
        self.speech.tools.push(Tool {
            is_custom,
            deltas: usize::MAX,
            ..Tool::function(name, arguments)
        });
        self
    }

    /// Reasoning before the answer: `reasoning_content`, a signed thinking block, a reasoning summary.
    pub fn reasoning(mut self, text: impl Into<String>) -> Self {
        self.speech.reasoning = Some(text.into());
        self
    }

    /// A refusal in place of the text.
    pub fn refusal(mut self) -> Self {
        self.speech.refuses = true;
        self
    }

    /// A legitimate answer with nothing in it: zero output tokens, a normal end.
    pub fn empty(mut self) -> Self {
        self.speech.empty = true;
        self
    }

    /// The text in this many deltas; it is repeated where it has fewer characters.
    pub fn deltas(mut self, deltas: usize) -> Self {
        self.speech.deltas = Some(deltas);
        self
    }

    /// The end is that of an answer cut by its token limit (`length`, `max_tokens`, `incomplete`).
    pub fn truncated(mut self) -> Self {
        self.speech.truncated = true;
        self
    }

    /// The usage to report: input tokens, cached ones among them, and output tokens.
    pub fn usage(mut self, input: u64, output: u64) -> Self {
        self.speech.usage = Some((input, output));
        self
    }

    /// How many of the input tokens came from the cache.
    pub fn cached(mut self, tokens: u64) -> Self {
        self.speech.cached = tokens;
        self
    }

    /// JSON even where a stream is asked for.
    pub fn as_json(mut self) -> Self {
        self.form = Form::Json;
        self
    }

    /// A stream even where JSON is asked for.
    pub fn as_stream(mut self) -> Self {
        self.form = Form::Stream;
        self
    }
}

/// Timing, shape on the wire, and end.
impl Answer {
    /// Silence before the head.
    pub fn head_delay(mut self, delay: Duration) -> Self {
        self.pace.head = delay;
        self
    }

    /// Silence before the head for as long as the gate is closed.
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Silence between the head and the first event, or the body.
    pub fn first_delay(mut self, delay: Duration) -> Self {
        self.pace.first = delay;
        self
    }

    /// From one event, or piece of [`Answer::chunk_bytes`], to the next.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.pace.each = delay;
        self
    }

    /// Breaks off after `k` events, the dialect's opening ones counted. Of a body that is no stream an event
    /// is all of it, or one piece of [`Answer::chunk_bytes`].
    pub fn after(mut self, k: usize, cut: Cut) -> Self {
        self.cut = Some((Point::Events(k), cut));
        self
    }

    /// Breaks off after `k` deltas of text, whatever the dialect opens with: for one test in all dialects.
    pub fn after_deltas(mut self, k: usize, cut: Cut) -> Self {
        self.cut = Some((Point::Deltas(k), cut));
        self
    }

    /// Every write, and every HTTP chunk, carries `n` bytes of the body, wherever that cuts.
    pub fn chunk_bytes(mut self, n: usize) -> Self {
        self.shape.chunk_bytes = Some(n.max(1));
        self
    }

    /// Head, events and end in one write.
    pub fn one_write(mut self) -> Self {
        self.shape.one_write = true;
        self
    }

    /// How the stream's lines end.
    pub fn newline(mut self, newline: Newline) -> Self {
        self.shape.newline = newline;
        self
    }

    /// A byte order mark before the first event.
    pub fn bom(mut self) -> Self {
        self.shape.bom = true;
        self
    }

    /// A `content-length` that promises this many bytes more than will come; then a FIN.
    pub fn content_length_over(mut self, n: usize) -> Self {
        self.shape.over = n;
        self
    }

    /// No framing: the body ends where the connection does, as from an HTTP/1.0 server.
    pub fn close_delimited(mut self) -> Self {
        self.shape.close_delimited = true;
        self
    }

    /// A FIN after the whole answer, as of a server whose keep-alive has just run out. Nothing announces it; add a
    /// `connection: close` header for that.
    pub fn hangs_up(mut self) -> Self {
        self.shape.hangs_up = true;
        self
    }

    /// After the whole answer, in one write with its end, come these bytes, for which nobody has asked.
    pub fn unasked(mut self, bytes: impl Into<Bytes>) -> Self {
        self.shape.unasked = bytes.into();
        self
    }
}
