//! From an answer and a request to the very bytes, write by write. Pure.

use std::time::Duration;

use bytes::Bytes;

use crate::answer::{Answer, Cut, Form, Kind, Newline, Pace, Point};
use crate::api::Envelope;
use crate::fault::Fault;
use crate::gate::Gate;
use crate::http::chunked::{LAST_CHUNK, chunk};
use crate::speak::{self, Ask};

/// What is to be written, and how it ends.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Before any silence.
    pub(crate) informational: Bytes,
    pub(crate) head_delay: Duration,
    /// What the head waits for besides.
    pub(crate) gate: Option<Gate>,
    /// Head, or all there is where it goes out in one write.
    pub(crate) opening: Bytes,
    pub(crate) first_delay: Duration,
    /// One write each.
    pub(crate) writes: Vec<Bytes>,
    pub(crate) delay: Duration,
    pub(crate) end: End,
}

/// What happens to the connection after the last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    KeepAlive,
    Close,
    Reset,
    /// Nothing more, until the peer leaves.
    Stall,
}

/// Where a chunk's size should stand.
const NO_CHUNK: &[u8] = b"this is no size\r\n\0\xff\xfe";

/// An answer's content, not yet cut to size.
struct Payload {
    pieces: Vec<Bytes>,
    content_type: String,
    is_stream: bool,
}

/// How a body is framed on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    Close,
}

impl Plan {
    /// The plan of an answer to a request.
    pub(crate) fn of(answer: &Answer, ask: &Ask) -> Self {
        match &answer.kind {
            Kind::Hang => Self::bare(answer, Bytes::new(), End::Stall),
            Kind::Reset { only_reused: false } => Self::bare(answer, Bytes::new(), End::Reset),
            Kind::Raw { bytes, keep_open } => {
                let end = if *keep_open { End::KeepAlive } else { End::Close };
                Self::bare(answer, bytes.clone(), end)
            }
            _ => framed(answer, ask, payload(answer, ask)),
        }
    }

    /// The plan of an error, without pace or shape.
    pub(crate) fn of_fault(fault: &Fault, envelope: Envelope) -> Self {
        let body = Bytes::from(fault.body(envelope).into_string());
        let mut answer = Answer::status(fault.status).raw_body(body.clone(), "application/json");
        if let Some(allow) = fault.allow {
            answer = answer.header("allow", allow);
        }
        let head = head(&answer, "application/json", Framing::Length, body.len());
        Self::bare(
            &answer,
            Bytes::from([head.as_bytes(), &body].concat()),
            End::KeepAlive,
        )
    }

    fn bare(answer: &Answer, opening: Bytes, end: End) -> Self {
        Self {
            informational: Bytes::from(answer.informational.clone()),
            head_delay: answer.pace.head,
            gate: answer.gate.clone(),
            opening,
            first_delay: Duration::ZERO,
            writes: Vec::new(),
            delay: Duration::ZERO,
            end,
        }
    }
}

fn payload(answer: &Answer, ask: &Ask) -> Payload {
    match &answer.kind {
        Kind::Body {
            bytes,
            content_type,
            times,
        } => Payload {
            pieces: vec![bytes.clone(); *times],
            content_type: content_type.clone(),
            is_stream: false,
        },
        Kind::Events(events) => stream(answer, events.clone()),
        Kind::Status if answer.status < 400 => Payload::whole(Bytes::new(), "application/json"),
        Kind::Status => {
            let body = Fault::of_status(answer.status).body(ask.envelope).into_string();
            Payload::whole(Bytes::from(body), "application/json")
        }
        _ => spoken(answer, ask),
    }
}

fn spoken(answer: &Answer, ask: &Ask) -> Payload {
    let streams = match answer.form {
        Form::AsAsked => ask.stream,
        Form::Json => false,
        Form::Stream => true,
    };
    if let Some(events) = streams.then(|| speak::events(ask, &answer.speech)).flatten() {
        return stream(answer, events);
    }
    let (body, content_type) = speak::whole(ask, &answer.speech);
    Payload::whole(body, content_type)
}

impl Payload {
    fn whole(body: Bytes, content_type: &str) -> Self {
        Self {
            pieces: vec![body],
            content_type: content_type.to_owned(),
            is_stream: false,
        }
    }
}

fn stream(answer: &Answer, mut events: Vec<String>) -> Payload {
    if answer.shape.bom
        && let Some(first) = events.first_mut()
    {
        first.insert(0, '\u{feff}');
    }
    let newline = answer.shape.newline;
    Payload {
        pieces: events
            .into_iter()
            .map(|event| Bytes::from(newline.in_text(event)))
            .collect(),
        content_type: String::from("text/event-stream; charset=utf-8"),
        is_stream: true,
    }
}

impl Newline {
    fn in_text(self, text: String) -> String {
        match self {
            Self::Lf => text,
            Self::CrLf => text.replace('\n', "\r\n"),
            Self::Cr => text.replace('\n', "\r"),
        }
    }
}

fn framed(answer: &Answer, ask: &Ask, payload: Payload) -> Plan {
    let shape = &answer.shape;
    let framing = match payload.is_stream {
        _ if shape.close_delimited => Framing::Close,
        true if shape.over == 0 => Framing::Chunked,
        _ => Framing::Length,
    };
    let length = payload.pieces.iter().map(Bytes::len).sum::<usize>() + shape.over;
    let head = head(answer, &payload.content_type, framing, length);

    let mut pieces = payload.pieces;
    if !payload.is_stream {
        pieces = recut(pieces, shape.chunk_bytes);
    }
    let (mut end, whole) = cut(answer, ask, &mut pieces);
    if payload.is_stream {
        pieces = recut(pieces, shape.chunk_bytes);
    }
    if end == End::KeepAlive && (framing == Framing::Close || shape.over > 0 || shape.hangs_up) {
        end = End::Close;
    }
    let writes = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
    assembled(answer, head, writes_of(answer, framing, writes, whole), end)
}

/// Puts pieces of content into their framing, and behind it what nobody asked for.
fn writes_of(answer: &Answer, framing: Framing, mut pieces: Vec<Bytes>, whole: bool) -> Vec<Bytes> {
    if framing == Framing::Chunked {
        pieces = pieces.iter().map(|piece| Bytes::from(chunk(piece))).collect();
        match &answer.cut {
            Some((_, Cut::Garbage)) => pieces.push(Bytes::from_static(NO_CHUNK)),
            _ if whole => lengthen(&mut pieces, LAST_CHUNK),
            _ => {}
        }
    }
    if whole {
        lengthen(&mut pieces, &answer.shape.unasked);
    }
    pieces
}

/// What comes at the end goes out with what is last: a chunked body's end is one packet less so, as servers do it.
fn lengthen(writes: &mut Vec<Bytes>, end: &[u8]) {
    if !end.is_empty() {
        let last = writes.pop().unwrap_or_default();
        writes.push(Bytes::from([&last, end].concat()));
    }
}

/// Joins what needs no silence in between.
fn assembled(answer: &Answer, head: String, writes: Vec<Bytes>, end: End) -> Plan {
    let Pace {
        head: head_delay,
        first: first_delay,
        each: delay,
    } = answer.pace;
    let single = writes.len() <= 1 && first_delay.is_zero() && answer.shape.chunk_bytes.is_none();
    let (opening, writes) = if answer.shape.one_write || single {
        (
            Bytes::from([head.as_bytes(), &writes.concat()].concat()),
            Vec::new(),
        )
    } else {
        (Bytes::from(head), writes)
    };
    Plan {
        head_delay,
        first_delay,
        writes,
        delay,
        ..Plan::bare(answer, opening, end)
    }
}

/// Applies the cut: what remains, how the connection ends, and whether the body's framing is completed.
fn cut(answer: &Answer, ask: &Ask, pieces: &mut Vec<Bytes>) -> (End, bool) {
    let Some((point, cut)) = &answer.cut else {
        return (End::KeepAlive, true);
    };
    pieces.truncate(match *point {
        Point::Events(k) => k,
        Point::Deltas(k) => k + ask.api.events_before_deltas(),
    });
    let newline = answer.shape.newline;
    let told = pieces.len();
    let mut tell = |events: Vec<String>| {
        pieces.extend(
            events
                .into_iter()
                .map(|event| Bytes::from(newline.in_text(event))),
        );
        (End::Close, true)
    };
    match cut {
        Cut::Rst => (End::Reset, false),
        Cut::Fin | Cut::Garbage => (End::Close, false),
        Cut::Stall => (End::Stall, false),
        Cut::End => (End::KeepAlive, true),
        Cut::Fault(status) => tell(Fault::of_status(*status).events(ask.api, told)),
        Cut::Error(json) => {
            let name = if ask.api.names_its_events() {
                "event: error\n"
            } else {
                ""
            };
            tell(vec![format!("{name}data: {json}\n\n")])
        }
    }
}

/// Cuts all into pieces of `size` bytes, the last one shorter; as they are where there is no size.
fn recut(pieces: Vec<Bytes>, size: Option<usize>) -> Vec<Bytes> {
    let Some(size) = size else { return pieces };
    let all = Bytes::from(pieces.concat());
    (0..all.len())
        .step_by(size)
        .map(|from| all.slice(from..all.len().min(from + size)))
        .collect()
}

fn head(answer: &Answer, content_type: &str, framing: Framing, length: usize) -> String {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    let own_type = answer
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if !own_type {
        head.extend(["content-type: ", content_type, "\r\n"]);
    }
    match framing {
        Framing::Length => head.extend(["content-length: ", &length.to_string(), "\r\n"]),
        Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
        Framing::Close => head.push_str("connection: close\r\n"),
    }
    for (name, value) in &answer.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    head
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        529 => "Overloaded",
        _ => "Status",
    }
}
