//! A request that may go on although its client has left (`on_disconnect: drain`): its backend is read to its end, for
//! exact usage.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use parking_lot::Mutex;

use super::places::Place;

/// What the request and whoever serves its client tell one another.
#[derive(Debug, Default)]
pub struct Alone {
    asked: Mutex<Asked>,
    left: AtomicBool,
}

/// Whom the request waits for.
#[derive(Debug, Default)]
enum Asked {
    /// Nobody that matters once its client has left.
    #[default]
    Nobody,
    /// A backend that is to be read to its end. The request's place is here meanwhile: it is free at once when the client
    /// leaves.
    Drained(Option<Place>),
}

impl Alone {
    /// A backend is asked that is to be read to its end. Takes the request's place meanwhile.
    pub fn begin(&self, place: Option<Place>) {
        *self.asked.lock() = Asked::Drained(place);
    }

    /// It has answered, or failed; the place, if the client is still there.
    pub fn end(&self) -> Option<Place> {
        match std::mem::take(&mut *self.asked.lock()) {
            Asked::Drained(place) => place,
            Asked::Nobody => None,
        }
    }

    /// Whether the client has left: then nobody else is asked, and nobody is told.
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// The client leaves. Whether the request goes on.
    fn leave(&self) -> bool {
        let mut asked = self.asked.lock();
        let Asked::Drained(place) = &mut *asked else {
            return false;
        };
        self.left.store(true, Ordering::Release);
        *place = None;
        true
    }
}

/// A request's future. Dropped where it is to be read to its end, it goes on in a task of its own.
#[derive(Debug)]
pub struct Following<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    /// None: it is done, or has panicked.
    future: Option<Pin<Box<F>>>,
    alone: Option<Arc<Alone>>,
}

impl<F> Following<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    /// Follows `future`; without `alone` it ends when this is dropped.
    pub fn new(future: Pin<Box<F>>, alone: Option<Arc<Alone>>) -> Self {
        Self {
            future: Some(future),
            alone,
        }
    }
}

impl<F> Future for Following<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Out of reach while it is polled: should it panic, it must not go on.
        let Some(mut future) = self.future.take() else {
            return Poll::Pending;
        };
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            self.future = Some(future);
        }
        polled
    }
}

impl<F> Drop for Following<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn drop(&mut self) {
        if let (Some(future), Some(alone)) = (self.future.take(), &self.alone)
            && alone.leave()
        {
            tokio::spawn(future);
        }
    }
}
