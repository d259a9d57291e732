//! HTTP/2 to a backend: connections that requests share, as many as the backend's limits ask for.
//!
//! hyper would take any number of requests for one connection and let those above the backend's limit wait, unseen,
//! until their clocks run out. So places are counted here, and where none is free another connection is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::Fault;
use super::io::Io;
use super::slot::{Place, Slot};

/// The right to open the next connection of an endpoint.
pub(super) type Turn = OwnedMutexGuard<()>;

/// The HTTP/2 connections of an endpoint.
#[derive(Debug)]
pub(super) struct Shared {
    slots: Mutex<Vec<Kept>>,
    /// Many requests at once may need a connection; one opens it, the others wait to share it.
    turn: Arc<tokio::sync::Mutex<()>>,
    expected: AtomicBool,
}

#[derive(Debug)]
struct Kept {
    slot: Arc<Slot>,
    /// When it was first seen without a request, unless it has had one since.
    idle_since: Option<Instant>,
}

impl Shared {
    /// No connection yet. `expected`: whether the next one may well be HTTP/2.
    pub(super) fn new(expected: bool) -> Arc<Self> {
        Arc::new(Self {
            slots: Mutex::default(),
            turn: Arc::default(),
            expected: AtomicBool::new(expected),
        })
    }

    /// Whether the next connection is probably one to share.
    pub(super) fn is_expected(&self) -> bool {
        self.expected.load(Ordering::Relaxed)
    }

    /// What the last connection turned out to be, so probably the next.
    pub(super) fn expect(&self, http2: bool) {
        self.expected.store(http2, Ordering::Relaxed);
    }

    /// A place on the first connection that has one, among those that are shared `since` then. One that has served for
    /// long enough gets no further requests, and ends with those that it has.
    pub(super) fn place(&self, since: Option<Instant>, now: Instant) -> Option<Place> {
        let mut slots = self.slots.lock();
        slots.retain(|kept| kept.slot.is_alive() && !kept.slot.is_old(now));
        slots
            .iter_mut()
            .filter(|kept| since.is_none_or(|then| kept.slot.is_since(then)))
            .find_map(|kept| {
                let place = kept.slot.place()?;
                kept.idle_since = None;
                Some(place)
            })
    }

    /// Waits until nobody else is opening a connection. There may be places then.
    pub(super) async fn turn(&self) -> Turn {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// A place on a fresh connection, which is shared from when its limit is known. The turn ends then.
    pub(super) async fn adopt(
        self: &Arc<Self>,
        io: Io,
        turn: Option<Turn>,
        now: fn() -> Instant,
    ) -> Result<Place, Fault> {
        let home = Arc::clone(self);
        Slot::open(io, move |slot| {
            let mut slots = home.slots.lock();
            // Under the lock: a request that looked before and found nothing set out before this moment.
            slot.share(now());
            slots.push(Kept {
                slot,
                idle_since: None,
            });
            drop(slots);
            drop(turn);
        })
        .await
    }

    /// Closes connections that no request has been on for `idle_for`, and forgets those that are closed.
    pub(super) fn sweep(&self, now: Instant, idle_for: Duration) {
        self.slots.lock().retain_mut(|kept| {
            if !kept.slot.is_idle() {
                kept.idle_since = None;
                return kept.slot.is_alive();
            }
            let since = *kept.idle_since.get_or_insert(now);
            kept.slot.is_alive() && now.duration_since(since) < idle_for
        });
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::server::conn::http2;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::task::JoinHandle;

    use super::super::pool::SERVES_FOR;
    use super::*;
    use crate::base::clock;

    const IDLE: Duration = Duration::from_secs(55);

    /// A connection to a backend that takes two requests at once, once its limit is known.
    async fn two_places(shared: &Arc<Shared>) -> (Place, JoinHandle<()>) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let service = service_fn(async |_| Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::new()))));
        let serving = http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(2)
            .serve_connection(TokioIo::new(far), service);
        let backend = tokio::spawn(async {
            let _ = serving.await;
        });
        let turn = shared.turn().await;
        let adopted = shared
            .adopt(Io::Boxed(Box::new(near)), Some(turn), clock::now)
            .await;
        drop(shared.turn().await);
        (adopted.unwrap(), backend)
    }

    #[tokio::test]
    async fn a_connection_has_as_many_places_as_the_backend_says() {
        let shared = Shared::new(true);
        let (first, _backend) = two_places(&shared).await;
        let second = shared.place(None, clock::now());
        assert!(second.is_some());
        assert!(shared.place(None, clock::now()).is_none(), "both are taken");
        drop(first);
        assert!(shared.place(None, clock::now()).is_some(), "one is free again");
    }

    #[tokio::test]
    async fn only_connections_opened_since_are_fresh() {
        let (shared, before) = (Shared::new(true), clock::now());
        let (_first, _backend) = two_places(&shared).await;
        let later = clock::now() + Duration::from_millis(1);
        assert!(shared.place(Some(later), later).is_none());
        assert!(shared.place(Some(before), before).is_some());
    }

    #[tokio::test]
    async fn a_connection_is_closed_when_it_has_been_idle_for_long_and_not_before() {
        let (shared, start) = (Shared::new(true), clock::now());
        let (place, backend) = two_places(&shared).await;
        shared.sweep(start, IDLE);
        shared.sweep(start + 2 * IDLE, IDLE);
        assert!(shared.place(None, clock::now()).is_some(), "a request is on it");
        drop(place);
        shared.sweep(start + 2 * IDLE, IDLE);
        shared.sweep(start + 2 * IDLE + IDLE / 2, IDLE);
        assert!(
            shared.place(None, clock::now()).is_some(),
            "not idle for long enough"
        );
        shared.sweep(start + 3 * IDLE, IDLE);
        shared.sweep(start + 4 * IDLE, IDLE);
        assert!(shared.place(None, clock::now()).is_none());
        backend.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_has_served_for_long_gets_no_further_requests_and_keeps_those_it_has() {
        let (shared, start) = (Shared::new(true), clock::now());
        let (place, backend) = two_places(&shared).await;
        assert!(shared.place(None, start + SERVES_FOR / 2).is_some());
        let late = clock::now() + SERVES_FOR;
        assert!(shared.place(None, late).is_none());
        assert!(!backend.is_finished(), "a request is on it");
        drop(place);
        backend.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_the_backend_closed_is_forgotten() {
        let shared = Shared::new(true);
        let (_place, backend) = two_places(&shared).await;
        backend.abort();
        while shared.place(None, clock::now()).is_some() {
            tokio::task::yield_now().await;
        }
        assert!(shared.slots.lock().is_empty());
    }
}
