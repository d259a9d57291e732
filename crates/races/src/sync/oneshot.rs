//! A channel for one message.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::panicking;

use crate::Mutex;

/// Where the message is, and who is still there.
#[derive(Debug)]
struct Slot<T> {
    message: Option<T>,
    waker: Option<Waker>,
    /// The sender has sent, or gone.
    is_done: bool,
    /// The receiver has gone.
    has_left: bool,
}

/// Its sending end.
#[derive(Debug)]
pub struct Sender<T>(Arc<Mutex<Slot<T>>>);

/// Its receiving end.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Mutex<Slot<T>>>);

/// The sender has gone without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// Both ends of a new one.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Arc::new(Mutex::new(Slot {
        message: None,
        waker: None,
        is_done: false,
        has_left: false,
    }));
    (Sender(Arc::clone(&slot)), Receiver(slot))
}

impl<T> Sender<T> {
    /// Sends it.
    ///
    /// # Errors
    /// The receiver has gone: the message comes back.
    pub fn send(self, message: T) -> Result<(), T> {
        let mut slot = self.0.lock();
        if slot.has_left {
            return Err(message);
        }
        slot.message = Some(message);
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if panicking() {
            return;
        }
        let mut slot = self.0.lock();
        slot.is_done = true;
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock();
        if let Some(message) = slot.message.take() {
            return Poll::Ready(Ok(message));
        }
        if slot.is_done {
            return Poll::Ready(Err(RecvError));
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Receiver<T> {
    /// What was sent goes with it, and not under the lock: it may have an end of its own.
    fn drop(&mut self) {
        if panicking() {
            return;
        }
        let mut slot = self.0.lock();
        slot.has_left = true;
        let message = slot.message.take();
        drop(slot);
        drop(message);
    }
}
