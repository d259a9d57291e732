//! One request and its response head, on a pooled, a fresh or a shared connection.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::poll_fn;
use futures_util::task::noop_waker_ref;
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::Fault;
use super::body::UpstreamBody;
use super::dial::{Dialled, too_slow};
use super::io::Io;
use super::latch::Latch;
use super::pool::Endpoint;
use super::request::{Chain, UpstreamRequest};
use super::shared::Turn;
use super::slot::Place;

/// The longest response head that is read.
const MAX_HEAD: usize = 64 * 1024;

/// A response head with its body still on the way.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: UpstreamBody,
}

/// Sends a request, from `started` on, and waits for the response head. Dropping the future, or later the reply's body, closes the
/// connection (HTTP/2: resets the stream). A reused connection that turns out closed before any byte came is
/// replaced by a fresh one, once: `request` makes it anew, which is rare enough not to keep a copy of each.
///
/// # Errors
/// See [`Fault`]; `Stale` never comes out of here.
pub async fn send(
    endpoint: &Arc<Endpoint>,
    request: impl Fn() -> UpstreamRequest,
    connect_within: Duration,
    (started, now): (Instant, fn() -> Instant),
) -> Result<Reply, Fault> {
    let trip = Trip {
        endpoint,
        connect_within,
        started,
        now,
    };
    match trip.on_a_reused_one(&request).await {
        None | Some(Err(Fault::Stale)) => trip.on_a_fresh_one(&request).await,
        Some(done) => done,
    }
}

/// A request on its way to a backend.
struct Trip<'a> {
    endpoint: &'a Arc<Endpoint>,
    connect_within: Duration,
    /// When it set out. Connections opened since are fresh, whoever opened them.
    started: Instant,
    now: fn() -> Instant,
}

impl Trip<'_> {
    async fn on_a_reused_one(&self, request: impl Fn() -> UpstreamRequest) -> Option<Result<Reply, Fault>> {
        if let Some(idle) = warm(self.endpoint, self.started) {
            return Some(self.alone_on(idle, Age::Reused, request()).await);
        }
        let place = self.endpoint.shared.place(None, self.started)?;
        Some(place.exchange(request(), self.started).await)
    }

    async fn on_a_fresh_one(&self, request: impl Fn() -> UpstreamRequest) -> Result<Reply, Fault> {
        match self.connect().await? {
            Way::Own(driven) => self.alone_on(driven, Age::Fresh, request()).await,
            Way::Shared(place) => place.exchange(request(), self.started).await,
        }
    }

    fn alone_on(
        &self,
        driven: Driven,
        age: Age,
        request: UpstreamRequest,
    ) -> impl Future<Output = Result<Reply, Fault>> {
        driven.exchange(request, self.endpoint, age, self.now)
    }

    /// A connection opened since the start: by this request, or by one before it that leaves a place on it.
    async fn connect(&self) -> Result<Way, Fault> {
        let shared = &self.endpoint.shared;
        let asked = (self.now)();
        let turn = self.turn().await?;
        if let Some(place) = shared.place(Some(self.started), asked) {
            return Ok(Way::Shared(place));
        }
        // Who was first may have found HTTP/1.1: then nobody need wait for anybody.
        let turn = turn.filter(|_| shared.is_expected());
        let waited = (self.now)().duration_since(asked);
        let left = self.connect_within.saturating_sub(waited);
        // Boxed, as is what follows with HTTP/2: large, and rare beside the waiting for an answer, which would be as large.
        let Dialled { io, http2 } = Box::pin(self.endpoint.dialer.dial(left)).await?;
        shared.expect(http2);
        if http2 {
            Box::pin(shared.adopt(io, turn, self.now)).await.map(Way::Shared)
        } else {
            Driven::over(io, (self.now)()).await.map(Way::Own)
        }
    }

    async fn turn(&self) -> Result<Option<Turn>, Fault> {
        let shared = &self.endpoint.shared;
        if !shared.is_expected() {
            return Ok(None);
        }
        match timeout(self.connect_within, shared.turn()).await {
            Ok(turn) => Ok(Some(turn)),
            Err(_) => Err(too_slow(self.connect_within)),
        }
    }
}

/// What a request goes out on.
enum Way {
    /// An HTTP/1.1 connection for itself.
    Own(Driven),
    /// A place on an HTTP/2 connection.
    Shared(Place),
}

/// An idle connection that is still open, if there is one.
fn warm(endpoint: &Endpoint, now: Instant) -> Option<Driven> {
    while let Some(mut idle) = endpoint.take(now) {
        if idle.is_open() {
            return Some(idle);
        }
    }
    None
}

/// To poll for what needs no wake-up.
pub(super) fn nobody() -> Context<'static> {
    Context::from_waker(noop_waker_ref())
}

/// Whether a connection has served before: what its closing means depends on that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    Reused,
}

/// An HTTP/1.1 connection that nobody polls but the request that uses it.
pub(super) struct Driven {
    sender: http1::SendRequest<Chain>,
    /// Boxed once, when it is opened: it is large, and moves with every reply and into the pool and out again.
    connection: Box<http1::Connection<TokioIo<Io>, Chain>>,
    opened: Instant,
    /// Whom it wakes. Closed by whoever polls it, for as long as that takes.
    pub(super) latch: Latch,
}

impl Driven {
    pub(super) async fn over(io: Io, opened: Instant) -> Result<Self, Fault> {
        let (sender, connection) = http1::Builder::new()
            .max_header_size(MAX_HEAD)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| Fault::Connect(error.to_string()))?;
        Ok(Self {
            sender,
            connection: Box::new(connection),
            opened,
            latch: Latch::new(),
        })
    }

    /// One look at a connection from the pool: has the backend closed it meanwhile?
    fn is_open(&mut self) -> bool {
        Pin::new(&mut *self.connection).poll(&mut nobody()).is_pending() && self.sender.is_ready()
    }

    /// Lets the connection read and write, within a closed latch. Ready when it is finished, well or ill.
    pub(super) fn drive(&mut self) -> Poll<Result<(), hyper::Error>> {
        let mut cx = Context::from_waker(self.latch.waker());
        Pin::new(&mut *self.connection).poll(&mut cx)
    }

    /// When it was opened.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether the next request may go out on it.
    pub(super) fn is_reusable(&self) -> bool {
        self.sender.is_ready()
    }

    /// The request is on its way before the future is polled, which so need not hold it as well.
    fn exchange(
        mut self,
        request: UpstreamRequest,
        endpoint: &Arc<Endpoint>,
        age: Age,
        now: fn() -> Instant,
    ) -> impl Future<Output = Result<Reply, Fault>> {
        let response = self.sender.send_request(request.for_http1());
        async move {
            let response = match self.head(response).await {
                Ok(response) => response,
                Err(error) => return Err(self.fault(&error, age)),
            };
            let (head, body) = response.into_parts();
            let body = UpstreamBody::driven(self, body, Arc::clone(endpoint), now);
            Ok(Reply {
                status: head.status,
                headers: head.headers,
                body,
            })
        }
    }

    /// Polls the connection and the response together: the connection does the work, the response tells. It can only
    /// come while the connection is polled, just before we look: woken for it, the task would be polled once for nothing.
    async fn head(
        &mut self,
        response: impl Future<Output = Result<http::Response<Incoming>, hyper::Error>>,
    ) -> Result<http::Response<Incoming>, hyper::Error> {
        let mut response = pin!(response);
        let (connection, latch) = (&mut *self.connection, &self.latch);
        let mut finished = false;
        poll_fn(move |cx| {
            latch.close(cx);
            if !finished {
                // An error of the connection also reaches the response, with the better description.
                let mut cx = Context::from_waker(latch.waker());
                finished = Pin::new(&mut *connection).poll(&mut cx).is_ready();
            }
            let response = response.as_mut().poll(&mut nobody());
            latch.open();
            response
        })
        .await
    }

    /// What an error before the whole response head means.
    fn fault(self, error: &hyper::Error, age: Age) -> Fault {
        if error.is_parse() {
            return Fault::Garbled(error.to_string());
        }
        // Some bytes of an answer: the backend has done the work, and must not be asked to do it twice.
        let has_begun = !self.connection.into_parts().read_buf.is_empty();
        match age {
            Age::Reused if !has_begun => Fault::Stale,
            Age::Reused | Age::Fresh => Fault::Reset(described(error)),
        }
    }
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").finish_non_exhaustive()
    }
}

/// An error with its cause: hyper's own text often says only what it was doing.
pub(super) fn described(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
