//! A count of what is going on, and a way to wait until nothing is.
//!
//! The count is one cell, which one atomic step at a time changes: whatever threads do is some order of those steps, and in
//! each the count is that of the guards. Waiting is the only thing here that takes two steps, and no wake-up is lost
//! between them: who waits asks to be woken before it looks at the count, and a guard changes the count before it wakes.
//! So either the look finds zero, or the wake-up comes after the asking (`notify_waiters` wakes whoever has called
//! `notified` before, polled or not). `crates/races` tries each order.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::base::atomic::{AtomicUsize, Ordering};

/// A count. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicUsize,
    zero: Notify,
}

impl Gauge {
    /// Counts one more, until the guard is dropped.
    pub fn enter(&self) -> GaugeGuard {
        self.0.count.fetch_add(1, Ordering::AcqRel);
        GaugeGuard(self.clone())
    }

    /// The same, unless `max` are counted already. Who is refused was never counted, so it keeps nobody else out.
    pub fn enter_below(&self, max: usize) -> Option<GaugeGuard> {
        let below = |now| (now < max).then_some(now + 1);
        let counted = self
            .0
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, below);
        counted.ok().map(|_| GaugeGuard(self.clone()))
    }

    /// The count now.
    pub fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until the count is zero.
    pub async fn until_zero(&self) {
        loop {
            let zero = self.0.zero.notified();
            if self.count() == 0 {
                return;
            }
            zero.await;
        }
    }
}

/// One that is counted.
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        let inner = &self.0.0;
        if inner.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            inner.zero.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_are_never_more_than_may_be_and_none_is_refused_while_there_is_room() {
        const THREADS: usize = 8;
        let gauge = Gauge::default();
        let turns = |max: usize, refused_is_fine: bool| {
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        for _ in 0..2_000 {
                            let entered = gauge.enter_below(max);
                            assert!(gauge.count() <= max);
                            assert!(entered.is_some() || refused_is_fine);
                        }
                    });
                }
            });
        };
        turns(3, true);
        turns(THREADS, false);
        assert_eq!(gauge.count(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_waits_for_zero_is_woken_however_close_the_last_one_ends() {
        let gauge = Gauge::default();
        for _ in 0..3_000 {
            let guards = [gauge.enter(), gauge.enter()];
            let ends = guards.map(|guard| tokio::spawn(async move { drop(guard) }));
            gauge.until_zero().await;
            assert_eq!(gauge.count(), 0);
            drop(ends);
        }
    }
}
