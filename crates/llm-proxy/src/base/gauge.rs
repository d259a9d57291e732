//! A count of what is going on, and a way to wait until nothing is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

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
