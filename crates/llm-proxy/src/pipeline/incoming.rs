//! The body of a client's request, however it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use parking_lot::Mutex;

/// A request's body.
#[derive(Debug)]
pub enum RequestBody {
    /// All that is left of it: it has come, or there is none.
    Whole(Bytes),
    /// It comes over an HTTP/1.1 connection, of this length, if that is known.
    Inlet(Arc<Inlet>, Option<u64>),
    /// It comes over a stream of HTTP/2.
    Stream(Incoming),
}

/// The body ended before it was complete, or it is not framed as it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Incomplete;

impl RequestBody {
    /// How long it is, where that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Inlet(_, length) => *length,
            Self::Stream(incoming) => incoming.size_hint().exact(),
        }
    }

    /// The next piece; none at its end.
    ///
    /// # Errors
    /// See [`Incomplete`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Incomplete>>> {
        match self {
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
            }
            Self::Inlet(inlet, _) => inlet.poll_take(),
            Self::Stream(incoming) => poll_stream(incoming, cx),
        }
    }
}

/// Trailers have no meaning for anybody here.
fn poll_stream(incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Incomplete>>> {
    loop {
        let frame = match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(_why)) => return Poll::Ready(Some(Err(Incomplete))),
            Some(Ok(frame)) => frame,
        };
        if let Ok(data) = frame.into_data() {
            return Poll::Ready(Some(Ok(data)));
        }
    }
}

/// Where a connection of HTTP/1.1 hands a body over, to a request that it polls itself: whoever waits here is polled
/// again once there is something, so nobody has to be woken.
#[derive(Debug, Default)]
pub struct Inlet(Mutex<Arrived>);

#[derive(Debug, Default)]
struct Arrived {
    piece: Option<Bytes>,
    end: End,
    wanted: bool,
}

/// What follows the piece that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// More, later.
    #[default]
    Open,
    /// Nothing.
    Over,
    /// Something should, and never will.
    Broken,
}

impl Inlet {
    /// Whether somebody waits for the next piece.
    pub fn is_wanted(&self) -> bool {
        self.0.lock().wanted
    }

    /// Hands over what has come, after the last piece was taken.
    pub fn give(&self, piece: Option<Bytes>, end: End) {
        *self.0.lock() = Arrived {
            piece,
            end,
            wanted: false,
        };
    }

    fn poll_take(&self) -> Poll<Option<Result<Bytes, Incomplete>>> {
        let mut body = self.0.lock();
        match (body.piece.take(), body.end) {
            (Some(piece), _) => Poll::Ready(Some(Ok(piece))),
            (None, End::Over) => Poll::Ready(None),
            (None, End::Broken) => Poll::Ready(Some(Err(Incomplete))),
            (None, End::Open) => {
                body.wanted = true;
                Poll::Pending
            }
        }
    }
}
