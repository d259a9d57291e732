//! What a client's connection and the requests on it tell one another.
//!
//! Over HTTP/1.1 a request is polled inside its connection's task, so a flag is seen at the next poll of that task.
//! Over HTTP/2 each request has a task of its own and must be woken: it leaves a waker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Context;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

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
    /// The head of the request at hand states its length twice.
    ambiguous: AtomicBool,
    /// The head of the request at hand is too long.
    oversized: AtomicBool,
    /// An answer is over: what is read next begins with a request's head.
    next_head: AtomicBool,
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

    /// Whether any request has come yet.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Notes that the request at hand states its body's length in more than one way.
    pub fn set_ambiguous(&self) {
        self.ambiguous.store(true, Ordering::Release);
    }

    /// Whether the request at hand states its body's length in more than one way.
    pub fn is_ambiguous(&self) -> bool {
        self.ambiguous.load(Ordering::Acquire)
    }

    /// Notes that the head of the request at hand is too long.
    pub fn set_oversized(&self) {
        self.oversized.store(true, Ordering::Release);
    }

    /// Whether a new head is expected; asking takes the expectation away.
    pub fn take_next_head(&self) -> bool {
        self.next_head.load(Ordering::Acquire) && self.next_head.swap(false, Ordering::AcqRel)
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

impl Drop for Follower {
    fn drop(&mut self) {
        self.signals.next_head.store(true, Ordering::Release);
    }
}

impl Follower {
    /// Whether the request must end now; if not, the task will be woken when it must.
    pub fn must_end(&self, cx: &Context<'_>) -> bool {
        if let Some(waker) = &self.waker {
            waker.register(cx.waker());
        }
        self.signals.ending.load(Ordering::Acquire)
    }

    /// Whether the request at hand states its body's length in more than one way.
    pub fn is_ambiguous(&self) -> bool {
        self.signals.is_ambiguous()
    }

    /// Whether the head of the request at hand is too long.
    pub fn is_oversized(&self) -> bool {
        self.signals.oversized.load(Ordering::Acquire)
    }

    /// Asks for the connection to be closed after this answer.
    pub fn close_after_this(&self) {
        self.signals.close_after_this();
    }
}
