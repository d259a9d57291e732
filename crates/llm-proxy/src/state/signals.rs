//! What a client's connection and the requests on it tell one another.
//!
//! Over HTTP/1.1 a request is polled inside its connection's task, so a flag is seen at the next poll of that task.
//! Over HTTP/2 each request has a task of its own and must be woken: it leaves a waker.
//!
//! No wake-up is lost, whatever comes first. [`Signals::end`] sets the flag, then wakes all that are on the list, under its
//! lock; a request puts itself on the list under that lock, and registers before it reads the flag. So one that is not
//! on the list in time takes the lock later, and sees the flag. The other cells are flags that nothing hangs on, or a count.

use std::sync::{Arc, Weak};
use std::task::Context;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::base::atomic::{AtomicBool, Ordering};

/// Flags of one client connection.
#[derive(Debug, Default)]
pub struct Signals {
    /// Every request on it must end now.
    ending: AtomicBool,
    /// It must be closed after the answer that is being sent.
    close: AtomicBool,
    /// A request has come over it.
    begun: AtomicBool,
    /// It speaks HTTP/2.
    multiplexed: AtomicBool,
    followers: Mutex<Vec<Weak<AtomicWaker>>>,
}

impl Signals {
    /// Tells every request on the connection to end.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
        for follower in self.followers.lock().iter().filter_map(Weak::upgrade) {
            follower.wake();
        }
    }

    /// Whether every request must end now, and no other may begin.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Asks for the connection to be closed after this answer.
    pub fn close_after_this(&self) {
        self.close.store(true, Ordering::Release);
    }

    /// Whether the connection is to be closed. HTTP/2 connections go on: only the stream ends.
    pub fn wants_close(&self) -> bool {
        self.close.load(Ordering::Acquire) && !self.is_multiplexed()
    }

    /// Notes that a request's head is there.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Whether any request has come.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Notes that the connection speaks HTTP/2.
    pub fn set_multiplexed(&self) {
        self.multiplexed.store(true, Ordering::Release);
    }

    /// Whether the connection speaks HTTP/2.
    pub fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Acquire)
    }

    /// A request's view of the connection.
    pub fn follow(self: &Arc<Self>) -> Follower {
        let waker = self.is_multiplexed().then(|| {
            let waker = Arc::new(AtomicWaker::new());
            let mut followers = self.followers.lock();
            followers.retain(|follower| follower.strong_count() > 0);
            followers.push(Arc::downgrade(&waker));
            waker
        });
        Follower {
            signals: Arc::clone(self),
            waker,
        }
    }
}

/// A request's view of its connection.
#[derive(Clone, Debug)]
pub struct Follower {
    signals: Arc<Signals>,
    waker: Option<Arc<AtomicWaker>>,
}

impl Follower {
    /// Whether the request must end now; if not, the task will be woken when it must.
    pub fn must_end(&self, cx: &Context<'_>) -> bool {
        if let Some(waker) = &self.waker {
            waker.register(cx.waker());
        }
        self.signals.ending.load(Ordering::Acquire)
    }

    /// Asks for the connection to be closed after this answer.
    pub fn close_after_this(&self) {
        self.signals.close_after_this();
    }
}
