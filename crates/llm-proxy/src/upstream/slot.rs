//! One HTTP/2 connection to a backend: its places, its driver, and a request on it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::poll_fn;
use futures_util::task::AtomicWaker;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;

use super::Fault;
use super::body::UpstreamBody;
use super::exchange::{Reply, described};
use super::io::Io;
use super::pool::SERVES_FOR;
use super::request::{Chain, UpstreamRequest};
use crate::base::gauge::{Gauge, GaugeGuard};

/// A silent connection is asked for a sign of life after this long while requests are open on it.
const PING_EVERY: Duration = Duration::from_secs(20);
/// The most requests at once on a connection, however many the backend would take: what RFC 9113 (6.5.2) asks
/// of every server, and few enough that a lost packet holds up few.
const MOST: usize = 100;
/// hyper's limit before the backend has told its own, which fits 32 bits and so is never mistaken for this one.
const UNTOLD: usize = usize::MAX - 1;
/// A backend that has not sent its settings by then breaks the protocol: that connection serves one request.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

type Connection = http2::Connection<TokioIo<Io>, Chain, Nudge>;

/// An HTTP/2 connection that requests share.
///
/// Its places are a [`Gauge`], so the last is never given twice. The limit is another cell: a backend that lowers it may get
/// one request more than it told a moment ago, which hyper holds back.
pub(super) struct Slot {
    sender: http2::SendRequest<Chain>,
    /// Since when others than the first may have a place.
    shared_since: OnceLock<Instant>,
    /// Requests on it whose answers have not ended.
    open: Gauge,
    /// How many the backend takes. Its own count: with a handle on the slot, the driver would keep itself alive.
    limit: Arc<AtomicUsize>,
    /// It has failed a request; hyper notices that a little later than the request does.
    lost: AtomicBool,
}

impl Slot {
    /// Speaks HTTP/2 on `io`, and takes the first place. The backend's limit must be known before anybody else may
    /// have one: `settled` is called then, and dropped where that never comes to be.
    pub(super) async fn open(
        io: Io,
        settled: impl FnOnce(Arc<Self>) + Send + 'static,
    ) -> Result<Place, Fault> {
        let nudge = Nudge::default();
        let (sender, connection) = http2::Builder::new(nudge.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .adaptive_window(true)
            .initial_max_send_streams(UNTOLD)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| Fault::Connect(described(&error)))?;
        let slot = Arc::new(Self {
            sender,
            shared_since: OnceLock::new(),
            open: Gauge::default(),
            limit: Arc::new(AtomicUsize::new(MOST)),
            lost: AtomicBool::new(false),
        });
        let first = Place {
            _open: slot.open.enter(),
            slot: Arc::clone(&slot),
        };
        let limit = Arc::clone(&slot.limit);
        tokio::spawn(drive(connection, nudge, limit, || settled(slot)));
        Ok(first)
    }

    /// Whether it takes further requests, be it now or later.
    pub(super) fn is_alive(&self) -> bool {
        !self.lost.load(Ordering::Relaxed) && !self.sender.is_closed()
    }

    /// Whether no request is on it.
    pub(super) fn is_idle(&self) -> bool {
        self.open.count() == 0
    }

    /// Lets others have places from now on.
    pub(super) fn share(&self, now: Instant) {
        let _ = self.shared_since.set(now);
    }

    /// Whether nobody could have had a place before `then`, but the first.
    pub(super) fn is_since(&self, then: Instant) -> bool {
        self.shared_since.get().is_none_or(|since| *since >= then)
    }

    /// Whether it has served for long enough.
    pub(super) fn is_old(&self, now: Instant) -> bool {
        let since = self.shared_since.get();
        since.is_some_and(|since| now.duration_since(*since) >= SERVES_FOR)
    }

    /// A place for a request, if one is free.
    pub(super) fn place(self: &Arc<Self>) -> Option<Place> {
        let counted = self.open.enter_below(self.limit.load(Ordering::Relaxed))?;
        Some(Place {
            slot: Arc::clone(self),
            _open: counted,
        })
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("open", &self.open.count())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// The right to one request on a connection; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    slot: Arc<Slot>,
    /// What counts the request.
    _open: GaugeGuard,
}

impl Place {
    /// Sends the request and waits for the response head. `started`: when the request set out, before which a
    /// connection counts as reused.
    ///
    /// # Errors
    /// [`Fault::Stale`] where a reused connection was lost, or the backend says that it has not looked at the request.
    pub(super) async fn exchange(self, request: UpstreamRequest, started: Instant) -> Result<Reply, Fault> {
        let mut sender = self.slot.sender.clone();
        match sender.send_request(request.for_http2()).await {
            Ok(response) => Ok(self.reply(response)),
            Err(error) => Err(self.fault(&error, started)),
        }
    }

    fn reply(self, response: http::Response<Incoming>) -> Reply {
        let (head, body) = response.into_parts();
        Reply {
            status: head.status,
            headers: head.headers.into(),
            body: UpstreamBody::shared(body, self),
        }
    }

    /// What an error before the response head means: for this request, and for the connection.
    #[cold]
    fn fault(&self, error: &hyper::Error, started: Instant) -> Fault {
        let cause = error
            .source()
            .and_then(|source| source.downcast_ref::<h2::Error>());
        let of_stream = cause.is_some_and(h2::Error::is_reset);
        if !of_stream {
            self.slot.lost.store(true, Ordering::Relaxed);
        }
        if cause.is_some_and(h2::Error::is_library) {
            return Fault::Garbled(described(error));
        }
        let refused = cause.and_then(h2::Error::reason) == Some(h2::Reason::REFUSED_STREAM);
        if (refused || !of_stream) && !self.slot.is_since(started) {
            return Fault::Stale;
        }
        Fault::Reset(described(error))
    }
}

/// Runs a connection until the last sender is gone or the socket breaks; each request on it hears of its errors.
async fn drive(mut connection: Connection, nudge: Nudge, limit: Arc<AtomicUsize>, settled: impl FnOnce()) {
    let told = poll_fn(|cx| {
        nudge.0.register(cx.waker());
        match step(&mut connection, &limit, cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending if connection.current_max_send_streams() == UNTOLD => Poll::Pending,
            Poll::Pending => Poll::Ready(true),
        }
    });
    match timeout(SETTLED_WITHIN, told).await {
        Ok(true) => settled(),
        Ok(false) => return,
        Err(_) => drop(settled),
    }
    poll_fn(|cx| step(&mut connection, &limit, cx)).await;
}

/// Lets the connection work, and keeps its limit up to date: a backend may change it at any time.
fn step(connection: &mut Connection, limit: &AtomicUsize, cx: &mut Context<'_>) -> Poll<()> {
    let done = Pin::new(&mut *connection).poll(cx);
    limit.store(connection.current_max_send_streams().min(MOST), Ordering::Relaxed);
    done.map(|_| ())
}

/// Runs hyper's tasks, and after each of their steps wakes who waits for the backend's settings: they come in by
/// one of those, and hyper tells nobody.
#[derive(Clone, Default)]
struct Nudge(Arc<AtomicWaker>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Nudge {
    fn execute(&self, task: F) {
        let waiting = Arc::clone(&self.0);
        let mut task = Box::pin(task);
        tokio::spawn(poll_fn(move |cx| {
            let step = task.as_mut().poll(cx);
            waiting.wake();
            step
        }));
    }
}
