//! One request and its response head, on a pooled, a fresh or a shared connection.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::poll_fn;
use http::StatusCode;
use tokio::time::timeout;

use super::Fault;
use super::body::UpstreamBody;
use super::dial::{Dialled, too_slow};
use super::http1::{Broken, Connection};
use super::lines::Lines;
use super::pool::Endpoint;
use super::request::UpstreamRequest;
use super::shared::Turn;
use super::slot::Place;

/// A response head with its body still on the way.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: Lines,
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
        // Boxed: large, and rare beside the waiting for an answer, which would be as large.
        match self.connect().boxed().await? {
            Way::Own(connection) => self.alone_on(connection, Age::Fresh, request()).await,
            Way::Shared(place) => place.exchange(request(), self.started).await,
        }
    }

    fn alone_on(
        &self,
        connection: Box<Connection>,
        age: Age,
        request: UpstreamRequest,
    ) -> impl Future<Output = Result<Reply, Fault>> {
        exchange(connection, request, self.endpoint, age, self.now)
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
        let Dialled { io, http2 } = self.endpoint.dialer.dial(left).await?;
        shared.expect(http2);
        if http2 {
            shared.adopt(io, turn, self.now).await.map(Way::Shared)
        } else {
            Ok(Way::Own(Box::new(Connection::over(io, (self.now)()))))
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
    Own(Box<Connection>),
    /// A place on an HTTP/2 connection.
    Shared(Place),
}

/// An idle connection that is still open, if there is one.
fn warm(endpoint: &Endpoint, now: Instant) -> Option<Box<Connection>> {
    while let Some(mut idle) = endpoint.take(now) {
        if idle.is_open() {
            return Some(idle);
        }
    }
    None
}

/// Whether a connection has served before: what its closing means depends on that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    Reused,
}

/// Sends a request on a connection of its own, and waits for the response head. The request is on its way into the
/// connection before the future is polled, which so need not hold it as well.
fn exchange(
    mut connection: Box<Connection>,
    request: UpstreamRequest,
    endpoint: &Arc<Endpoint>,
    age: Age,
    now: fn() -> Instant,
) -> impl Future<Output = Result<Reply, Fault>> {
    connection.begin(request);
    async move {
        let head = match poll_fn(|cx| connection.poll_head(cx)).await {
            Ok(head) => head,
            Err(broken) => return Err(fault(broken, &connection, age)),
        };
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body: UpstreamBody::own(connection, Arc::clone(endpoint), now),
        })
    }
}

/// What an error before the whole response head means. After some bytes of an answer the backend has done the work, and
/// must not be asked to do it twice.
#[cold]
fn fault(broken: Broken, connection: &Connection, age: Age) -> Fault {
    match broken {
        Broken::Lost(_) if age == Age::Reused && !connection.has_heard() => Fault::Stale,
        broken => broken.into(),
    }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Lost(why) => Self::Reset(why),
            Broken::Garbled(why) => Self::Garbled(why.to_owned()),
        }
    }
}

/// An error with its cause: hyper's own text often says only what it was doing.
pub(super) fn described(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
