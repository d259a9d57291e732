//! Rows on their way into the ledger: a bounded queue that one thread empties, so that no request waits for a database.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::row::Row;
use crate::base::clock;
use crate::config::types::Ledger as Settings;

/// How many rows may wait: some 20 MB. Beyond them rows are dropped and counted.
const MAX_WAITING: usize = 50_000;
/// How many are written together at most.
const BATCH: usize = 2_000;
/// As many do not wait for more.
const ENOUGH: usize = 1_000;
/// How long rows gather before they are written together.
const GATHER: Duration = Duration::from_millis(200);

/// What the requests, the program and the thread share.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Something is there for the thread.
    arrived: Condvar,
    /// The thread has done something.
    done: Condvar,
    on: AtomicBool,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    rows: VecDeque<Row>,
    /// How many the thread holds, which are not written yet.
    in_hand: usize,
    /// What is in force; none: no ledger.
    settings: Option<Settings>,
    /// Whether the thread has yet to hear of it.
    ordered: bool,
    /// Whether somebody waits for all to be written.
    hurry: bool,
    /// Whether the thread has let go of the database, for good or until it is told otherwise.
    closed: bool,
    /// Why nothing can be written at the moment.
    error: Option<Arc<str>>,
}

/// How a ledger stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Its kind; none: there is none.
    pub kind: Option<&'static str>,
    /// Rows that are not written yet.
    pub pending: usize,
    /// Rows that were dropped since the start.
    pub dropped: u64,
    /// Why nothing can be written at the moment.
    pub error: Option<Arc<str>>,
}

/// What the thread is to do.
#[derive(Debug)]
pub(super) enum Task {
    /// To go by other settings; none: to let go of the database.
    Adopt(Option<Settings>),
    /// To write: what it holds already, or what [`Queue::batch`] gives.
    Write,
    /// Nobody wants anything, and the time that it named has come.
    Idle,
}

impl Queue {
    /// Whether rows are wanted.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Takes a row, or drops it if too many wait.
    pub(super) fn take(&self, row: Row) {
        let mut waiting = self.waiting.lock();
        if waiting.rows.len() + waiting.in_hand >= MAX_WAITING {
            drop(waiting);
            self.lose(1);
            return;
        }
        waiting.rows.push_back(row);
        let count = waiting.rows.len();
        drop(waiting);
        if count == 1 || count == ENOUGH {
            self.arrived.notify_one();
        }
    }

    /// Has the thread go by these settings from now on.
    pub(super) fn order(&self, settings: Option<Settings>) {
        let mut waiting = self.waiting.lock();
        self.on.store(settings.is_some(), Ordering::Relaxed);
        waiting.settings = settings;
        waiting.ordered = true;
        waiting.closed = false;
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Waits until all is written, but not longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let until = clock::now() + limit;
        let mut waiting = self.waiting.lock();
        waiting.hurry = true;
        self.arrived.notify_one();
        while waiting.settings.is_some() && (!waiting.rows.is_empty() || waiting.in_hand > 0) {
            if self.done.wait_until(&mut waiting, until).timed_out() {
                return;
            }
        }
    }

    /// Has the thread write what it can at once, and let go of the database; waits for that, but not longer than `limit`.
    pub(super) fn close(&self, limit: Duration) {
        self.order(None);
        let until = clock::now() + limit;
        let mut waiting = self.waiting.lock();
        while !waiting.closed {
            if self.done.wait_until(&mut waiting, until).timed_out() {
                return;
            }
        }
    }

    /// Waits for something to do. While nothing can be written, only until `retry`; else until `idle` at the longest.
    pub(super) fn next(&self, retry: Option<Instant>, idle: Instant) -> Task {
        let mut waiting = self.waiting.lock();
        loop {
            if std::mem::take(&mut waiting.ordered) {
                return Task::Adopt(waiting.settings.clone());
            }
            let now = clock::now();
            let wanted = !waiting.rows.is_empty() || waiting.in_hand > 0;
            if waiting.hurry && wanted {
                return Task::Write;
            }
            waiting.hurry = false;
            let until = match retry {
                Some(retry) if wanted && retry <= now => return Task::Write,
                Some(retry) if wanted => retry,
                None if wanted => {
                    self.gather(&mut waiting);
                    if !waiting.ordered {
                        return Task::Write;
                    }
                    continue;
                }
                _ if idle <= now => return Task::Idle,
                _ => idle,
            };
            self.arrived.wait_until(&mut waiting, until);
        }
    }

    /// Waits a little for more rows.
    fn gather(&self, waiting: &mut parking_lot::MutexGuard<'_, Waiting>) {
        let until = clock::now() + GATHER;
        while waiting.rows.len() < ENOUGH && !waiting.hurry && !waiting.ordered {
            if self.arrived.wait_until(waiting, until).timed_out() {
                return;
            }
        }
    }

    /// The rows to write next, at most a batch of them.
    pub(super) fn batch(&self) -> Vec<Row> {
        let mut waiting = self.waiting.lock();
        let count = waiting.rows.len().min(BATCH);
        let rows: Vec<Row> = waiting.rows.drain(..count).collect();
        waiting.in_hand = rows.len();
        if waiting.rows.is_empty() && waiting.rows.capacity() > BATCH {
            // After a burst its memory goes back.
            waiting.rows = VecDeque::new();
        }
        rows
    }

    /// A batch is written, or given up.
    pub(super) fn settled(&self) {
        let mut waiting = self.waiting.lock();
        waiting.in_hand = 0;
        waiting.error = None;
        waiting.hurry &= !waiting.rows.is_empty();
        drop(waiting);
        self.done.notify_all();
    }

    /// Nothing can be written at the moment.
    pub(super) fn failed(&self, why: &str) {
        let mut waiting = self.waiting.lock();
        waiting.error = Some(Arc::from(why));
        // Who is in a hurry has had the one try that this is worth.
        waiting.hurry = false;
        drop(waiting);
        self.done.notify_all();
    }

    /// The database is let go of, and all rows that wait are given up: how many.
    pub(super) fn closed(&self) -> usize {
        let mut waiting = self.waiting.lock();
        let lost = waiting.rows.len() + waiting.in_hand;
        waiting.rows = VecDeque::new();
        waiting.in_hand = 0;
        waiting.error = None;
        waiting.closed = true;
        drop(waiting);
        self.lose(lost as u64);
        self.done.notify_all();
        lost
    }

    /// Counts rows that were dropped.
    pub(super) fn lose(&self, rows: u64) {
        self.dropped.fetch_add(rows, Ordering::Relaxed);
    }

    /// How many rows were dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How it stands.
    pub(super) fn state(&self) -> State {
        let waiting = self.waiting.lock();
        State {
            kind: waiting.settings.as_ref().map(|settings| settings.at.kind()),
            pending: waiting.rows.len() + waiting.in_hand,
            dropped: self.dropped(),
            error: waiting.error.clone(),
        }
    }

    /// What is in force.
    pub(super) fn settings(&self) -> Option<Settings> {
        self.waiting.lock().settings.clone()
    }
}
