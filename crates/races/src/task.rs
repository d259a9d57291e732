//! Wakers as `futures-util` has them.

use std::task::Waker;

/// Keeps the waker of one task, for whoever has to wake it.
#[derive(Debug, Default)]
pub struct AtomicWaker(loom::future::AtomicWaker);

impl AtomicWaker {
    /// Without a waker.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps this waker, instead of any other.
    pub fn register(&self, waker: &Waker) {
        self.0.register_by_ref(waker);
    }

    /// Wakes the task.
    pub fn wake(&self) {
        self.0.wake();
    }
}
