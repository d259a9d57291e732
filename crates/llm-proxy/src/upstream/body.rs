//! A response body on its way in, with whatever has arrived joined into one piece.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::future::poll_fn;
use http_body::Body;
use hyper::body::Incoming;

use super::Fault;
use super::exchange::{Driven, described, nobody};
use super::pool::Endpoint;
use super::slot::Place;

/// How much is joined before it is handed on: a piece becomes one write towards the client.
const JOINED: usize = 32 * 1024;

/// The body of a backend's answer. Dropping it before its end closes the connection (HTTP/2: resets the stream).
pub struct UpstreamBody {
    incoming: Incoming,
    /// The connection to drive, until the body ends; none over HTTP/2.
    driven: Option<Driven>,
    home: Option<Arc<Endpoint>>,
    /// The place on a shared connection, until the body ends. Below `incoming`: the stream is reset before it is free.
    place: Option<Place>,
    now: fn() -> Instant,
    /// What broke, until it has been told.
    fault: Option<Fault>,
    ended: bool,
}

impl UpstreamBody {
    pub(super) fn driven(
        driven: Driven,
        incoming: Incoming,
        home: Arc<Endpoint>,
        now: fn() -> Instant,
    ) -> Self {
        Self {
            incoming,
            driven: Some(driven),
            home: Some(home),
            place: None,
            now,
            fault: None,
            ended: false,
        }
    }

    pub(super) fn shared(incoming: Incoming, place: Place) -> Self {
        Self {
            incoming,
            driven: None,
            home: None,
            place: Some(place),
            now: crate::base::clock::now,
            fault: None,
            ended: false,
        }
    }

    /// The next piece; `None` at the end, after which the connection is back in its pool.
    ///
    /// # Errors
    /// [`Fault::Reset`] where the connection broke inside the body, [`Fault::Garbled`] where its framing is wrong.
    pub async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if self.ended {
            return Poll::Ready(self.fault.take().map(Err));
        }
        if let Some(driven) = &self.driven {
            driven.latch.close(cx);
        }
        let polled = self.poll_joined(cx);
        if let Some(driven) = &self.driven {
            driven.latch.open();
        }
        polled
    }

    /// All that is there, in one piece.
    fn poll_joined(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let mut joined = Joined::default();
        loop {
            match self.poll_piece(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    joined.add(piece);
                    if joined.len() >= JOINED {
                        return Poll::Ready(joined.take().map(Ok));
                    }
                }
                Poll::Ready(Some(Err(fault))) => return self.broken(joined, fault),
                Poll::Ready(None) => {
                    self.finish();
                    return Poll::Ready(joined.take().map(Ok));
                }
                Poll::Pending => {
                    return joined
                        .take()
                        .map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(piece))));
                }
            }
        }
    }

    /// What came before the break is handed on first; the break is told at the next poll.
    fn broken(&mut self, joined: Joined, fault: Fault) -> Poll<Option<Result<Bytes, Fault>>> {
        self.ended = true;
        self.driven = None;
        self.place = None;
        match joined.take() {
            Some(piece) => {
                self.fault = Some(fault);
                Poll::Ready(Some(Ok(piece)))
            }
            None => Poll::Ready(Some(Err(fault))),
        }
    }

    /// One frame: from what hyper holds ready, else after the connection has read more. Frames of a driven connection
    /// come while it is polled here, so only the connection need wake us: its frames would wake us for nothing.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let Some(driven) = &mut self.driven else {
            return poll_data(&mut self.incoming, cx);
        };
        if let Poll::Ready(piece) = poll_data(&mut self.incoming, &mut nobody()) {
            return Poll::Ready(piece);
        }
        if driven.drive().is_pending() {
            return poll_data(&mut self.incoming, &mut nobody());
        }
        // Finished: the body holds the rest, or the error. Nothing is left to be driven or reused.
        self.driven = None;
        poll_data(&mut self.incoming, cx)
    }

    /// The whole answer has been read: the connection goes back to its pool, if it may serve again.
    fn finish(&mut self) {
        self.ended = true;
        self.place = None;
        let (Some(mut driven), Some(home)) = (self.driven.take(), self.home.take()) else {
            return;
        };
        // Mostly it has been waiting for the next request since the body's last byte was read.
        if driven.is_reusable() || (driven.drive().is_pending() && driven.is_reusable()) {
            home.put(driven, (self.now)());
        }
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The next bytes that hyper holds ready.
fn poll_data(incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
    loop {
        match Pin::new(&mut *incoming).poll_frame(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(broken(&error)))),
            Poll::Ready(Some(Ok(frame))) => {
                // Trailers have no meaning for our clients.
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }
}

fn broken(error: &hyper::Error) -> Fault {
    if error.is_parse() {
        Fault::Garbled(error.to_string())
    } else {
        Fault::Reset(described(error))
    }
}

/// Pieces put together; a single one is never copied.
#[derive(Default)]
enum Joined {
    #[default]
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Joined {
    fn add(&mut self, piece: Bytes) {
        *self = match std::mem::take(self) {
            Self::Nothing => Self::One(piece),
            Self::One(first) => {
                let mut all = BytesMut::with_capacity(first.len() + piece.len().max(8 * 1024));
                all.extend_from_slice(&first);
                all.extend_from_slice(&piece);
                Self::Many(all)
            }
            Self::Many(mut all) => {
                all.extend_from_slice(&piece);
                Self::Many(all)
            }
        };
    }

    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(piece) => piece.len(),
            Self::Many(all) => all.len(),
        }
    }

    fn take(self) -> Option<Bytes> {
        match self {
            Self::Nothing => None,
            Self::One(piece) => Some(piece),
            Self::Many(all) => Some(all.freeze()),
        }
    }
}
