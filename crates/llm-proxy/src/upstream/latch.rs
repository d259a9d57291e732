//! Wake-ups of a connection that is polled inside the task of the request that uses it.
//!
//! hyper's connection and its bodies wake one another. Both are polled here in turn, until neither has anything more,
//! so what one asks of the other meanwhile is done anyway: passed on to the task, it would have all of it polled once
//! more for nothing, at every event of a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Holds wake-ups back while it is closed.
#[derive(Debug)]
pub(super) struct Latch {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Shared {
    task: AtomicWaker,
    /// The task is polling: it looks for itself before it goes to sleep.
    closed: AtomicBool,
    /// Somebody has woken it since the connection's last poll began.
    woken: AtomicBool,
}

impl Latch {
    /// An open latch without a task.
    pub(super) fn new() -> Self {
        let shared = Arc::<Shared>::default();
        let waker = Waker::from(Arc::clone(&shared));
        Self { shared, waker }
    }

    /// The task of `cx` begins to poll.
    pub(super) fn close(&self, cx: &Context<'_>) {
        self.shared.task.register(cx.waker());
        self.shared.closed.store(true, Ordering::SeqCst);
    }

    /// What the connection is to be polled with, at once: that poll sees to all that it was woken for before.
    pub(super) fn waker(&self) -> &Waker {
        self.shared.woken.swap(false, Ordering::SeqCst);
        &self.waker
    }

    /// The task has polled. What has happened since the connection's last poll began wakes it now.
    pub(super) fn open(&self) {
        self.shared.closed.store(false, Ordering::SeqCst);
        if self.shared.woken.swap(false, Ordering::SeqCst) {
            self.shared.task.wake();
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    /// First the note, then the look at the latch; [`Latch::open`] does it the other way round. One of the two wakes.
    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.closed.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A closed latch, and how often its task was woken.
    fn closed() -> (Latch, Arc<Count>) {
        let (latch, count) = (Latch::new(), Arc::<Count>::default());
        latch.close(&Context::from_waker(&Waker::from(Arc::clone(&count))));
        (latch, count)
    }

    #[test]
    fn what_a_later_poll_of_the_connection_sees_wakes_nobody() {
        let (latch, count) = closed();
        latch.waker().wake_by_ref();
        let _polled = latch.waker();
        latch.open();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_comes_during_or_after_the_last_poll_wakes_the_task_once_the_latch_opens() {
        let (latch, count) = closed();
        let waker = latch.waker().clone();
        waker.wake_by_ref();
        waker.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        latch.open();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn an_open_latch_passes_wake_ups_on_at_once() {
        let (latch, count) = closed();
        let waker = latch.waker().clone();
        latch.open();
        waker.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
