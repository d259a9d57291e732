//! Requests that are over, on their way to a collector: a bounded queue, which nobody waits for.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::finished::Finished;
use crate::base::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many may wait: about four megabytes at most.
const MAX_WAITING: usize = 2_048;
/// As many as this are worth being told of; fewer are found by whoever looks now and then.
pub const ENOUGH: usize = 256;

/// Where requests wait that are over. Nothing is kept as long as nobody takes them.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Mutex<VecDeque<Finished>>,
    arrived: Notify,
    open: AtomicBool,
    dropped: AtomicU64,
    sent: AtomicU64,
}

impl Outbox {
    /// From now on somebody takes them, or no more than those that wait.
    pub fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }

    /// Takes one, unless too many wait.
    #[inline(never)]
    pub(super) fn put(&self, finished: Finished) {
        if !self.open.load(Ordering::Acquire) {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MAX_WAITING {
            drop(waiting);
            return self.lost(finished.spans());
        }
        waiting.push_back(finished);
        let count = waiting.len();
        drop(waiting);
        if count == ENOUGH {
            self.arrived.notify_one();
        }
    }

    /// Waits until there are many ([`ENOUGH`]).
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Those that wait, the oldest first.
    pub fn take(&self) -> VecDeque<Finished> {
        std::mem::take(&mut *self.waiting.lock())
    }

    /// So many spans will never be sent.
    pub fn lost(&self, spans: u64) {
        self.dropped.fetch_add(spans, Ordering::Relaxed);
    }

    /// So many spans have been taken by a collector.
    pub fn delivered(&self, spans: u64) {
        self.sent.fetch_add(spans, Ordering::Relaxed);
    }

    /// Spans that were never sent.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Spans that a collector has taken.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use futures_util::FutureExt;

    use super::super::access::Record;
    use super::super::trace::{Dice, Trace};
    use super::*;

    fn finished(sampled: bool) -> Finished {
        let dice = Dice {
            trace: 1,
            span: 1,
            sampled,
        };
        let record = Record {
            trace: Some(Box::new(Trace::begin(None, dice))),
            queued: Some(Duration::ZERO),
            ..Record::default()
        };
        Finished::of(&record, Duration::ZERO, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn nothing_is_kept_while_nobody_takes_it() {
        let outbox = Outbox::default();
        outbox.put(finished(true));
        assert!(outbox.take().is_empty());
        outbox.set_open(true);
        outbox.put(finished(true));
        outbox.set_open(false);
        outbox.put(finished(true));
        assert_eq!((outbox.take().len(), outbox.dropped()), (1, 0));
    }

    #[tokio::test]
    async fn only_many_are_told_of() {
        let outbox = Outbox::default();
        outbox.set_open(true);
        for _ in 1..ENOUGH {
            outbox.put(finished(true));
        }
        let mut arrived = std::pin::pin!(outbox.arrived());
        assert!(arrived.as_mut().now_or_never().is_none(), "one is missing");
        outbox.put(finished(true));
        assert!(arrived.now_or_never().is_some());
    }

    #[test]
    fn a_bounded_number_waits_and_the_spans_of_the_rest_are_counted() {
        let outbox = Outbox::default();
        outbox.set_open(true);
        for _ in 0..MAX_WAITING + 3 {
            outbox.put(finished(true));
        }
        outbox.put(finished(false));
        assert_eq!(
            outbox.dropped(),
            6,
            "two spans each, and none of what is not sampled"
        );
        assert_eq!(outbox.take().len(), MAX_WAITING);
        outbox.put(finished(false));
        assert_eq!(outbox.take().len(), 1);
    }
}
