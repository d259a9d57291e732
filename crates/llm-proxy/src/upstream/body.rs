//! A response body on its way in, with whatever has arrived joined into one piece.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::future::poll_fn;
use http::HeaderMap;
use http_body::Body;
use hyper::body::Incoming;

use super::Fault;
use super::exchange::described;
use super::http1::Connection;
use super::pool::Endpoint;
use super::slot::Place;

/// How much is joined before it is handed on: a piece becomes one write towards the client.
const JOINED: usize = 32 * 1024;

/// The body of a backend's answer. Dropping it before its end closes the connection (HTTP/2: resets the stream).
pub struct UpstreamBody {
    source: Source,
    /// What broke, until it has been told.
    fault: Option<Box<Fault>>,
}

/// What came behind the body, if anything did.
type Trailers = Option<Box<HeaderMap>>;

/// Where the pieces come from.
enum Source {
    /// A connection of its own, which goes home to its pool.
    Own {
        connection: Box<Connection>,
        home: Arc<Endpoint>,
        now: fn() -> Instant,
    },
    /// A place on a shared one. Boxed: it is thrice as large as the other.
    Shared(Box<Shared>),
    /// Nothing comes any more.
    Ended(Trailers),
}

/// A stream of a shared connection. It is reset before its place is free.
struct Shared {
    incoming: Incoming,
    _place: Place,
    trailers: Trailers,
}

impl UpstreamBody {
    pub(super) fn own(connection: Box<Connection>, home: Arc<Endpoint>, now: fn() -> Instant) -> Self {
        Self {
            source: Source::Own {
                connection,
                home,
                now,
            },
            fault: None,
        }
    }

    pub(super) fn shared(incoming: Incoming, place: Place) -> Self {
        Self {
            source: Source::Shared(Box::new(Shared {
                incoming,
                _place: place,
                trailers: None,
            })),
            fault: None,
        }
    }

    /// What came behind the body, over HTTP/2, once it has ended.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        match &self.source {
            Source::Ended(trailers) => trailers.as_deref(),
            _ => None,
        }
    }

    /// The next piece; `None` at the end, after which the connection is back in its pool.
    ///
    /// # Errors
    /// [`Fault::Reset`] where the connection broke inside the body, [`Fault::Garbled`] where its framing is wrong.
    pub async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same for those who poll: all that is there, in one piece.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if matches!(self.source, Source::Ended(_)) {
            return Poll::Ready(self.fault.take().map(|fault| Err(*fault)));
        }
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
        self.source = Source::Ended(None);
        match joined.take() {
            Some(piece) => {
                self.fault = Some(Box::new(fault));
                Poll::Ready(Some(Ok(piece)))
            }
            None => Poll::Ready(Some(Err(fault))),
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        match &mut self.source {
            Source::Own { connection, .. } => connection
                .poll_content(cx)
                .map(|piece| piece.map(|piece| piece.map_err(Fault::from))),
            Source::Shared(shared) => poll_data(&mut shared.incoming, &mut shared.trailers, cx),
            Source::Ended(_) => Poll::Ready(None),
        }
    }

    /// The whole answer has been read: a connection goes back to its pool, if it may serve again.
    fn finish(&mut self) {
        match std::mem::replace(&mut self.source, Source::Ended(None)) {
            Source::Own {
                connection,
                home,
                now,
            } if connection.is_reusable() => home.put(connection, now()),
            Source::Shared(shared) => self.source = Source::Ended(shared.trailers),
            _ => {}
        }
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody")
            .field("ended", &matches!(self.source, Source::Ended(_)))
            .finish_non_exhaustive()
    }
}

/// The next bytes that hyper holds ready.
fn poll_data(
    incoming: &mut Incoming,
    trailers: &mut Trailers,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, Fault>>> {
    loop {
        match Pin::new(&mut *incoming).poll_frame(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(broken(&error)))),
            Poll::Ready(Some(Ok(frame))) => {
                // Trailers have no meaning for our clients, but gRPC says in them how it went.
                match frame.into_data() {
                    Ok(data) => return Poll::Ready(Some(Ok(data))),
                    Err(frame) => *trailers = frame.into_trailers().ok().map(Box::new),
                }
            }
        }
    }
}

#[cold]
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
