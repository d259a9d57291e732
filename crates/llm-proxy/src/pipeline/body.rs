//! The body that a client reads. It holds the request's record and its places: they end with its last byte, or with
//! the client.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::early::{Next, Waiting};
use super::own::Own;
use super::rates;
use super::reader::Reader;
use super::stream::{Flow, Opaque, Stream};
use crate::base::Class;
use crate::observe::Entry;
use crate::state::Held;

/// What of a whole answer an HTTP/2 client is given at once. What it is given beside its window waits in memory, and
/// holds no place any longer.
const AT_ONCE: usize = 256 * 1024;

/// A response body. Boxed: it is large, and passes through every layer with its response.
#[derive(Debug)]
pub struct AnswerBody(Box<Parcel>);

#[derive(Debug)]
struct Parcel {
    kind: Kind,
    /// The request's record; written when this is dropped.
    entry: Option<Box<Entry>>,
    /// What the request holds; given back when this is dropped.
    held: Held,
    /// What its head is to say of ours. Boxed: a body moves several times before it is sent.
    own: Option<Box<Own>>,
    /// Who takes it, over HTTP/2.
    reader: Option<Arc<Reader>>,
}

#[derive(Debug)]
enum Kind {
    /// All of it at once.
    Whole(Bytes),
    /// A stream of events, watched as it passes.
    Stream(Box<Stream>),
    /// Bytes that nobody looks into.
    Opaque(Box<Opaque>),
    /// Signs of life, until there is an answer.
    Waiting(Box<Waiting>),
    /// Nothing is left.
    Done,
}

impl AnswerBody {
    /// A body of these bytes.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let kind = if bytes.is_empty() {
            Kind::Done
        } else {
            Kind::Whole(bytes)
        };
        Self::of(kind)
    }

    /// A stream of events.
    pub(super) fn stream(stream: Stream) -> Self {
        Self::of(Kind::Stream(Box::new(stream)))
    }

    /// A body that has begun before its answer.
    pub(super) fn waiting(waiting: Waiting) -> Self {
        Self::of(Kind::Waiting(Box::new(waiting)))
    }

    /// A body that passes unseen.
    pub(super) fn opaque(flow: Flow) -> Self {
        Self::of(Kind::Opaque(Box::new(Opaque::new(flow))))
    }

    fn of(kind: Kind) -> Self {
        let reader = Reader::here();
        if let Some(reader) = &reader {
            // Its window may be shut from the first: then not even the beginning is asked for.
            reader.has(true);
        }
        Self(Box::new(Parcel {
            kind,
            entry: None,
            held: Held::default(),
            own: None,
            reader,
        }))
    }

    /// What the head before this body is to say of ours.
    pub fn own(&mut self) -> &mut Own {
        self.0.own.get_or_insert_default()
    }

    /// The same, for who writes that head; none where nothing is to be said.
    pub fn take_own(&mut self) -> Option<Box<Own>> {
        self.0.own.take()
    }

    /// Ties the request's record to this body, and what it holds.
    #[must_use]
    pub fn with_entry(mut self, mut entry: Box<Entry>, held: Held) -> Self {
        entry.record.complete = matches!(self.0.kind, Kind::Done);
        self.0.entry = Some(entry);
        self.0.held = held;
        self
    }
}

impl Parcel {
    /// These bytes go to the client.
    fn passes(&mut self, bytes: &[u8]) {
        if let Some(entry) = &mut self.entry {
            entry.answered(bytes);
        }
    }

    /// The request is over, and its record says all that will be known of it.
    fn release(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        if let Some(entry) = &self.entry {
            rates::settle(&mut held, &entry.record);
        }
        self.entry = None;
    }

    /// The last byte is out.
    fn complete(&mut self, class: Option<Class>) {
        if let Some(entry) = &mut self.entry {
            if let Kind::Stream(stream) = &self.kind {
                entry.record.used(stream.usage());
            }
            entry.record.complete = true;
            entry.record.class = entry.record.class.or(class);
        }
        self.kind = Kind::Done;
        self.release();
    }
}

/// What a stream has next.
pub(super) enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// These bytes, and they are the last: the answer broke off for this reason.
    Broken(Bytes, Class),
    /// Nothing more: it is whole.
    End,
}

impl Body for AnswerBody {
    type Data = Bytes;
    /// A broken answer without an error event: HTTP itself says that it is not whole.
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = self.0.next_frame(cx);
        if let Some(reader) = &self.0.reader {
            reader.has(matches!(next, Poll::Ready(Some(Ok(_)))));
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0.kind, Kind::Done)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Done => SizeHint::with_exact(0),
            Kind::Stream(_) | Kind::Opaque(_) | Kind::Waiting(_) => SizeHint::default(),
        }
    }
}

impl Parcel {
    fn next_frame(&mut self, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match &mut self.kind {
            Kind::Done => return Poll::Ready(None),
            Kind::Whole(bytes) if self.reader.is_some() && bytes.len() > AT_ONCE => {
                let bytes = bytes.split_to(AT_ONCE);
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.passes(&bytes);
                self.complete(None);
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Kind::Stream(stream) => stream.poll(cx),
            Kind::Opaque(opaque) => opaque.poll(cx),
            Kind::Waiting(waiting) => match waiting.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Next::Sign(sign)) => Poll::Ready(Piece::Bytes(sign)),
                Poll::Ready(Next::Answer(body)) => {
                    *self = *body.0;
                    return self.next_frame(cx);
                }
            },
        };
        match piece {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Piece::Bytes(bytes)) => {
                self.passes(&bytes);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(Piece::Broken(bytes, class)) => {
                self.passes(&bytes);
                self.complete(Some(class));
                let aborted = || io::Error::from(io::ErrorKind::ConnectionAborted);
                Poll::Ready(Some(if bytes.is_empty() {
                    Err(aborted())
                } else {
                    Ok(Frame::data(bytes))
                }))
            }
            Poll::Ready(Piece::End) => {
                self.complete(None);
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for Parcel {
    /// The client left: what it has read is counted; a backend that wants it is read on to its end.
    fn drop(&mut self) {
        if let Kind::Stream(stream) = std::mem::replace(&mut self.kind, Kind::Done) {
            self.leave(stream);
        }
        self.release();
    }
}

impl Parcel {
    fn leave(&mut self, mut stream: Box<Stream>) {
        if stream.is_whole() {
            // Common: clients close at the terminal marker, before the body's own end.
            stream.remember();
        }
        if let Some(entry) = &mut self.entry {
            entry.record.used(stream.usage());
            entry.record.complete = stream.is_whole();
        }
        if stream.reads_on_alone() {
            // Its place is free at once: whoever waits for it does not care for exact usage.
            self.held.place = None;
            let held = std::mem::take(&mut self.held);
            tokio::spawn(stream.drain(self.entry.take(), held));
        }
    }
}
