//! Joins one dialect's decoder with another's encoder: the only place that knows of pairs.
//!
//! A request: [`request`], whose [`Terms`] its answer needs. A whole answer: [`answer`]. A stream: [`Transcoder`]. An
//! answer that comes in the other form than was asked for: [`replayed`], [`Gatherer`].

use std::sync::Arc;

use bytes::Bytes;

use crate::answer::AnswerFault;
use crate::canon::restore::{self, Restore};
use crate::canon::{
    Decode, Delta, Encode, Encoded, Gather, Losses, Refusal, Request, Response, Target, Terms, WireEvent,
};
use crate::dialect::Dialect;
use crate::fault::BackendError;
use crate::sse::{self, RawEvent};
use crate::watch::StreamPosition;
use crate::{chat, estimate, messages, responses};

/// A request in the backend's terms.
#[derive(Debug)]
pub struct Converted {
    /// Its body.
    pub body: Vec<u8>,
    /// What its answer has to keep to.
    pub terms: Terms,
}

/// Reads a request that a client wrote in the dialect `from`.
///
/// # Errors
/// It is no sound request of that dialect, or asks for something that no other dialect can express.
pub fn read<'a>(from: Dialect, body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Refusal> {
    match from {
        Dialect::Chat => chat::request_in(body, losses),
        Dialect::Messages => messages::request_in(body, losses),
        Dialect::Responses => responses::request_in(body, losses),
    }
}

/// Writes a request for `target`. `terms` holds what the caller knows of the answer's terms; the request fills in the rest.
///
/// # Errors
/// It asks for something that the target's dialect cannot express.
pub fn write(
    request: &Request<'_>,
    target: &Target<'_>,
    terms: Terms,
    losses: &mut Losses,
) -> Result<Converted, Refusal> {
    let encoded = match target.dialect {
        Dialect::Chat => chat::request_out(request, target, losses),
        Dialect::Messages => messages::request_out(request, target, losses),
        Dialect::Responses => responses::request_out(request, target, losses),
    };
    let Encoded {
        body,
        names,
        json_tool,
    } = encoded?;
    let terms = Terms {
        model: request.model.clone().into_owned(),
        stream: request.stream,
        include_usage: request.include_usage,
        input_tokens: if request.stream {
            estimate::by_length(request, body.len())
        } else {
            0
        },
        echo: if request.echo.is_empty() {
            String::new()
        } else {
            responses::echo(request)
        },
        family: target.family.to_owned(),
        backend_model: target.model.to_owned(),
        names,
        json_tool,
        ..terms
    };
    Ok(Converted { body, terms })
}

/// [`read`] and [`write`] in one go.
///
/// # Errors
/// As theirs.
pub fn request(
    from: Dialect,
    body: &str,
    target: &Target<'_>,
    terms: Terms,
    losses: &mut Losses,
) -> Result<Converted, Refusal> {
    let request = read(from, body, losses)?;
    write(&request, target, terms, losses)
}

/// Converts a whole answer of a backend that speaks `from` for a client that speaks `to`.
///
/// # Errors
/// It is no answer.
pub fn answer(
    from: Dialect,
    to: Dialect,
    body: &str,
    terms: &Terms,
    losses: &mut Losses,
) -> Result<Vec<u8>, AnswerFault> {
    let mut response = read_answer(from, body)?;
    restore::restore(&mut response, terms);
    Ok(write_answer(to, &response, terms, losses))
}

/// Converts a whole answer into the stream that was asked for.
///
/// # Errors
/// It is no answer.
pub fn replayed(from: Dialect, to: Dialect, body: &str, terms: &Arc<Terms>) -> Result<Vec<u8>, AnswerFault> {
    let mut response = read_answer(from, body)?;
    restore::restore(&mut response, terms);
    let (mut out, mut encode) = (Vec::new(), encoder(to, terms));
    response.replay(&mut |delta| encode.delta(&delta, &mut out));
    Ok(out)
}

fn read_answer(from: Dialect, body: &str) -> Result<Response<'_>, AnswerFault> {
    match from {
        Dialect::Chat => chat::answer_in(body),
        Dialect::Messages => messages::answer_in(body),
        Dialect::Responses => responses::answer_in(body),
    }
}

fn write_answer(to: Dialect, response: &Response<'_>, terms: &Terms, losses: &mut Losses) -> Vec<u8> {
    match to {
        Dialect::Chat => chat::answer_out(response, terms, losses),
        Dialect::Messages => messages::answer_out(response, terms, losses),
        Dialect::Responses => responses::answer_out(response, terms, losses),
    }
}

fn decoder(from: Dialect) -> Box<dyn Decode> {
    match from {
        Dialect::Chat => Box::new(chat::StreamIn::default()),
        Dialect::Messages => Box::new(messages::StreamIn::default()),
        Dialect::Responses => Box::new(responses::StreamIn::default()),
    }
}

fn encoder(to: Dialect, terms: &Arc<Terms>) -> Box<dyn Encode> {
    let terms = Arc::clone(terms);
    match to {
        Dialect::Chat => Box::new(chat::StreamOut::new(terms)),
        Dialect::Messages => Box::new(messages::StreamOut::new(terms)),
        Dialect::Responses => Box::new(responses::StreamOut::new(terms)),
    }
}

/// How a stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passing {
    /// More is to come.
    Going,
    /// It is whole.
    Ended,
    /// It broke, by the backend's word or by its silence. Nothing more will be written.
    Fault(BackendError),
}

/// What a stream on its way may take of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Largest event of the backend's, in bytes.
    pub event: usize,
    /// Most bytes that are kept of the stream for what is still to come of it, about. Most streams keep next to nothing;
    /// one in the Responses dialect repeats all of itself at its end.
    pub kept: usize,
}

/// A backend's stream as deltas in the client's terms.
#[derive(Debug)]
struct Reader {
    events: sse::Decoder,
    deltas: Deltas,
}

/// What becomes of an event.
#[derive(Debug)]
struct Deltas {
    decode: Box<dyn Decode>,
    restore: Option<Restore>,
    passing: Passing,
    /// Most bytes that this and the sink may keep.
    most_kept: usize,
}

/// Who the deltas are for.
trait Sink {
    fn delta(&mut self, delta: &Delta<'_>);

    /// About how many bytes it keeps of them.
    fn held(&self) -> usize;
}

/// Writes them in the client's dialect.
struct Writer<'w> {
    encode: &'w mut dyn Encode,
    out: &'w mut Vec<u8>,
}

impl Sink for Writer<'_> {
    fn delta(&mut self, delta: &Delta<'_>) {
        self.encode.delta(delta, self.out);
    }

    fn held(&self) -> usize {
        self.encode.held()
    }
}

impl Sink for Gather {
    fn delta(&mut self, delta: &Delta<'_>) {
        self.delta(delta);
    }

    /// It is there to keep all, and whoever feeds it counts what goes in.
    fn held(&self) -> usize {
        0
    }
}

impl Reader {
    fn new(from: Dialect, terms: &Arc<Terms>, bounds: Bounds) -> Self {
        Self {
            events: sse::Decoder::new(bounds.event),
            deltas: Deltas {
                decode: decoder(from),
                restore: Restore::is_needed(terms).then(|| Restore::new(Arc::clone(terms))),
                passing: Passing::Going,
                most_kept: bounds.kept,
            },
        }
    }

    fn feed(&mut self, chunk: Bytes, sink: &mut dyn Sink) -> Passing {
        let deltas = &mut self.deltas;
        let fed = self.events.feed(&chunk, &mut |event| deltas.event(event, sink));
        if fed.is_err() {
            deltas.broken("an event of the stream is too large");
        }
        deltas.passing.clone()
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Passing {
        let events = std::mem::replace(&mut self.events, sse::Decoder::new(0));
        if let Some(rest) = events.finish() {
            // Some hosts close before the blank line of their last event.
            self.deltas.event(&RawEvent::unfinished(&rest), sink);
        }
        self.deltas.end(sink);
        self.deltas.passing.clone()
    }
}

impl Deltas {
    fn event(&mut self, event: &RawEvent<'_>, sink: &mut dyn Sink) {
        if self.passing != Passing::Going {
            return;
        }
        self.read(event, sink);
        // Event by event, so that no cut of the bytes decides what is written.
        if self.held(sink) > self.most_kept {
            self.broken("more of the stream would have to be kept than `limits.max_response` allows");
        }
    }

    fn read(&mut self, event: &RawEvent<'_>, sink: &mut dyn Sink) {
        let (name, data) = event.parts();
        let (restore, passing) = (&mut self.restore, &mut self.passing);
        let out: &mut dyn FnMut(Delta<'_>) = &mut |delta| pass(delta, restore, passing, sink);
        if name != Some(b"error") && self.decode.again(&data, out) {
            return;
        }
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        match std::str::from_utf8(&data) {
            Ok(data) => self.decode.event(WireEvent { name, data }, out),
            Err(_) => self.broken("the stream is not UTF-8"),
        }
    }

    fn held(&self, sink: &dyn Sink) -> usize {
        self.decode.held().saturating_add(sink.held())
    }

    fn end(&mut self, sink: &mut dyn Sink) {
        if self.passing == Passing::Going {
            let (restore, passing) = (&mut self.restore, &mut self.passing);
            self.decode.end(&mut |delta| pass(delta, restore, passing, sink));
        }
        if self.passing == Passing::Going {
            self.broken("the stream ended before its end");
        }
    }

    fn broken(&mut self, message: &str) {
        if self.passing == Passing::Going {
            self.passing = Passing::Fault(BackendError {
                message: message.to_owned(),
                ..BackendError::default()
            });
        }
    }
}

/// Hands a delta on, unless the stream is over.
fn pass(delta: Delta<'_>, restore: &mut Option<Restore>, passing: &mut Passing, sink: &mut dyn Sink) {
    if *passing != Passing::Going {
        return;
    }
    match &delta {
        Delta::End => *passing = Passing::Ended,
        Delta::Fault(error) => *passing = Passing::Fault(error.clone()),
        _ => {}
    }
    match restore {
        Some(restore) => restore.delta(delta, &mut |delta| sink.delta(&delta)),
        None => sink.delta(&delta),
    }
}

/// A stream on its way from one dialect into another. Holds at most one unfinished event and what the grammars make it
/// hold, both within [`Bounds`].
#[derive(Debug)]
pub struct Transcoder {
    reader: Reader,
    encode: Box<dyn Encode>,
}

impl Transcoder {
    /// A transcoder of the answer to a request with these terms.
    pub fn new(from: Dialect, to: Dialect, terms: &Arc<Terms>, bounds: Bounds) -> Self {
        Self {
            reader: Reader::new(from, terms, bounds),
            encode: encoder(to, terms),
        }
    }

    /// Takes the backend's next bytes, cut anywhere, and writes what they mean.
    pub fn feed(&mut self, chunk: Bytes, out: &mut Vec<u8>) -> Passing {
        let encode = &mut *self.encode;
        self.reader.feed(chunk, &mut Writer { encode, out })
    }

    /// The backend's bytes are over.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Passing {
        let encode = &mut *self.encode;
        self.reader.finish(&mut Writer { encode, out })
    }

    /// About how many bytes it keeps of what has come, but for an unfinished event.
    pub fn held(&self) -> usize {
        self.reader.deltas.decode.held() + self.encode.held()
    }

    /// Where an event that ends the stream early would go.
    pub fn position(&self) -> StreamPosition {
        self.encode.position()
    }
}

/// A stream that is gathered into the whole answer that was asked for.
#[derive(Debug)]
pub struct Gatherer {
    reader: Reader,
    gather: Gather,
    terms: Arc<Terms>,
}

impl Gatherer {
    /// A gatherer of the answer to a request with these terms. It keeps all that it is fed.
    pub fn new(from: Dialect, terms: &Arc<Terms>, max_event: usize) -> Self {
        let bounds = Bounds {
            event: max_event,
            kept: usize::MAX,
        };
        Self {
            reader: Reader::new(from, terms, bounds),
            gather: Gather::default(),
            terms: Arc::clone(terms),
        }
    }

    /// Takes the backend's next bytes, cut anywhere.
    pub fn feed(&mut self, chunk: Bytes) -> Passing {
        self.reader.feed(chunk, &mut self.gather)
    }

    /// The backend's bytes are over: the answer for a client that speaks `to`.
    ///
    /// # Errors
    /// The stream broke.
    pub fn finish(mut self, to: Dialect, losses: &mut Losses) -> Result<Vec<u8>, BackendError> {
        match self.reader.finish(&mut self.gather) {
            Passing::Fault(error) => Err(error),
            Passing::Going | Passing::Ended => {
                let (response, lost) = self.gather.finish();
                for kind in lost {
                    losses.note(kind);
                }
                Ok(write_answer(to, &response, &self.terms, losses))
            }
        }
    }
}
