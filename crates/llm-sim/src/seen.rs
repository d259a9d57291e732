//! What a simulated backend has seen: requests, connections, and breaches of protocol.
//!
//! Every change wakes the waiters, so a test waits for the thing itself and never sleeps.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use crate::clock;
use crate::http::head::{self, Head};

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The connection that it came on; numbered from 1 in the order of accepting.
    pub connection: u64,
    /// Which request on its connection this is, from 1. More than 1 means that the client reused it.
    pub nth: usize,
    /// In upper case, as sent.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// What stands behind the question mark.
    pub query: Option<String>,
    /// In the order and the case in which they came, repeated ones repeated.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Bytes,
    /// When the last byte of the request had come.
    pub arrived: Instant,
    ended: Arc<OnceLock<Instant>>,
}

impl Seen {
    pub(crate) fn new(head: Head, body: Bytes, visit: &Visit) -> Self {
        let (path, query) = match head.target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (head.target, None),
        };
        Self {
            connection: visit.id,
            nth: visit.served,
            method: head.method,
            path,
            query,
            headers: head.headers,
            body,
            arrived: clock::now(),
            ended: Arc::clone(&visit.ended),
        }
    }

    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        head::get(&self.headers, name)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// When the connection of this request ended, by either side; `None` while it is open.
    pub fn closed(&self) -> Option<Instant> {
        self.ended.get().copied()
    }
}

/// The record of one simulated backend.
#[derive(Debug)]
pub(crate) struct Journal {
    pages: Mutex<Pages>,
    changed: watch::Sender<()>,
    forgets: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Pages {
    pub(crate) seen: Vec<Seen>,
    pub(crate) wrongs: Vec<String>,
    open: BTreeMap<u64, Standing>,
    ended: HashMap<u64, Instant>,
    accepted: u64,
    requests: u64,
}

/// How an open connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    idle: bool,
    served: usize,
}

impl Journal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            pages: Mutex::default(),
            changed: watch::Sender::new(()),
            forgets: AtomicBool::new(false),
        })
    }

    /// Keeps no requests from now on: for long runs and benchmarks.
    pub(crate) fn forget(&self) {
        self.forgets.store(true, Ordering::Relaxed);
        let mut pages = self.pages();
        pages.seen.clear();
        pages.ended.clear();
    }

    /// Opens the entry of a connection; dropping the visit closes it.
    pub(crate) fn enter(self: &Arc<Self>) -> Visit {
        let id = self.change(|pages| {
            pages.accepted += 1;
            pages.open.insert(
                pages.accepted,
                Standing {
                    idle: true,
                    served: 0,
                },
            );
            pages.accepted
        });
        Visit {
            journal: Arc::clone(self),
            id,
            served: 0,
            ended: Arc::default(),
        }
    }

    /// Writes a request down; its serial number over all connections, from 1.
    pub(crate) fn record(&self, seen: &Seen) -> u64 {
        let forgets = self.forgets.load(Ordering::Relaxed);
        self.change(|pages| {
            if !forgets {
                pages.seen.push(seen.clone());
            }
            pages.requests += 1;
            pages.requests
        })
    }

    pub(crate) fn wrong(&self, connection: u64, what: &str) {
        if !self.forgets.load(Ordering::Relaxed) {
            self.change(|pages| pages.wrongs.push(format!("connection {connection}: {what}")));
        }
    }

    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, edit: impl FnOnce(&mut Pages) -> T) -> T {
        let done = edit(&mut self.pages());
        self.changed.send_replace(());
        done
    }

    /// Waits until `check` finds what it looks for.
    pub(crate) async fn until<T>(&self, mut check: impl FnMut(&Pages) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = check(&self.pages()) {
                return found;
            }
            // The sender lives in `self`, so this cannot fail while we are here.
            let _ = changed.changed().await;
        }
    }
}

impl Pages {
    pub(crate) fn open_connections(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn ended(&self, connection: u64) -> Option<Instant> {
        self.ended.get(&connection).copied()
    }

    /// The connections that have served and wait for another request now.
    pub(crate) fn idle(&self) -> Idle {
        Idle(
            self.open
                .iter()
                .filter(|(_, standing)| standing.idle && standing.served > 0)
                .map(|(id, s)| (*id, *s))
                .collect(),
        )
    }
}

/// Connections that were idle at some moment.
#[derive(Debug)]
pub(crate) struct Idle(Vec<(u64, Standing)>);

impl Idle {
    /// Whether none of them stands as it did: each has closed or has begun another request.
    pub(crate) fn is_over(&self, pages: &Pages) -> bool {
        self.0
            .iter()
            .all(|(id, standing)| pages.open.get(id) != Some(standing))
    }
}

/// A connection's entry in the journal, held by the task that serves it.
#[derive(Debug)]
pub(crate) struct Visit {
    journal: Arc<Journal>,
    pub(crate) id: u64,
    /// Requests begun on this connection.
    pub(crate) served: usize,
    ended: Arc<OnceLock<Instant>>,
}

impl Visit {
    pub(crate) fn busy(&mut self) {
        self.served += 1;
        self.stand(false);
    }

    pub(crate) fn idle(&self) {
        self.stand(true);
    }

    fn stand(&self, idle: bool) {
        let standing = Standing {
            idle,
            served: self.served,
        };
        self.journal.change(|pages| pages.open.insert(self.id, standing));
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let now = *self.ended.get_or_init(clock::now);
        let forgets = self.journal.forgets.load(Ordering::Relaxed);
        self.journal.change(|pages| {
            pages.open.remove(&self.id);
            if !forgets {
                pages.ended.insert(self.id, now);
            }
        });
    }
}
