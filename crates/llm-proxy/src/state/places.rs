//! The places of requests in service, as values: who holds one is in service, and dropping it hands it on.
//!
//! `limits::queue` decides; this is its clock, its lock and its messenger. A place goes to its waiter inside the
//! message itself, so there is no instant at which it belongs to nobody: a waiter that has left meanwhile drops it
//! with the message. The lock is never held while anybody is woken.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::base::atomic::{AtomicU64, Ordering};
use crate::base::clock;
use crate::config::types::Concurrency;
use crate::limits::queue::{Entered, News, Queue, QueueView, Refused, Ticket};
use crate::limits::who::Who;

type Message = Result<Place, Refused>;

/// All places, and the queue for them.
#[derive(Debug)]
pub struct Places {
    queue: Mutex<Queue<oneshot::Sender<Message>>>,
    full: AtomicU64,
    timed_out: AtomicU64,
}

/// What `/api/status` shows of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacesView {
    /// As it is now.
    pub now: QueueView,
    /// How many were turned away because it was full, since the start.
    pub full: u64,
    /// How many waited too long, since the start.
    pub timed_out: u64,
}

impl Places {
    /// Nobody is there yet.
    pub fn new(bounds: Concurrency) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(Queue::new(bounds, clock::now())),
            full: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
        })
    }

    /// Takes new bounds at a reload. Everybody who is in service or waits stays.
    pub fn set_bounds(self: &Arc<Self>, bounds: Concurrency) {
        let news = self.queue.lock().set_bounds(bounds, clock::now());
        self.tell(news);
    }

    /// Waits for a place, from `since` on, which is now. Where one is free this neither waits nor allocates; a future
    /// that is dropped while it waits leaves the queue at once.
    ///
    /// # Errors
    /// [`Refused`]: the queue is full, or the wait was too long.
    pub async fn enter(self: &Arc<Self>, who: Who, since: Instant) -> Result<Place, Refused> {
        let (entered, news) = self.queue.lock().enter(who, oneshot::channel, since);
        self.tell(news);
        let message = match entered {
            Entered::Served => Ok(self.place(who)),
            Entered::Refused(refused) => Err(refused),
            Entered::Waits(ticket, message) => {
                // Boxed: a request that finds a place free has no room for this, nor its code in the way.
                let waits: Pin<Box<dyn Future<Output = Message> + Send>> =
                    Box::pin(self.waiting(ticket, message).place(since));
                waits.await
            }
        };
        message.inspect_err(|refused| self.count(*refused))
    }

    /// What it looks like.
    pub fn view(&self) -> PlacesView {
        PlacesView {
            now: self.queue.lock().view(),
            full: self.full.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
        }
    }

    /// Gives everybody their message. A place whose waiter has left is dropped here, and so handed on.
    fn tell(self: &Arc<Self>, news: Vec<News<oneshot::Sender<Message>>>) {
        // As nearly always.
        if news.is_empty() {
            return;
        }
        for News { waiter, who, place } in news {
            let message = place.map(|()| self.place(who));
            drop(waiter.send(message));
        }
    }

    /// The place that the queue has given to `who`.
    fn place(self: &Arc<Self>, who: Who) -> Place {
        Place {
            places: Arc::clone(self),
            who,
            waited: None,
        }
    }

    fn waiting(self: &Arc<Self>, ticket: Ticket, message: oneshot::Receiver<Message>) -> Waiting<'_> {
        let places = self;
        Waiting {
            places,
            ticket,
            message,
        }
    }

    fn count(&self, refused: Refused) {
        let counter = match refused {
            Refused::Full { .. } => &self.full,
            Refused::WaitedTooLong { .. } => &self.timed_out,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The right to be in service; dropping it hands it on.
#[derive(Debug)]
#[must_use = "a place that is dropped is given to the next"]
pub struct Place {
    places: Arc<Places>,
    who: Who,
    waited: Option<Duration>,
}

impl Place {
    /// How long the request waited for it; `None`: not at all.
    pub fn waited(&self) -> Option<Duration> {
        self.waited
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let news = self.places.queue.lock().leave(&self.who, clock::now());
        self.places.tell(news);
    }
}

/// A request in the queue. Dropped, it leaves: first the queue, so that it is given no place any more, then its end
/// of the message, with the place that it may have been given before.
struct Waiting<'a> {
    places: &'a Arc<Places>,
    ticket: Ticket,
    message: oneshot::Receiver<Message>,
}

impl Waiting<'_> {
    async fn place(mut self, since: Instant) -> Message {
        let told = match timeout(self.ticket.patience, &mut self.message).await {
            Ok(told) => told,
            Err(_) if self.leave() => return Err(self.too_late()),
            // It has just been given a place, or been put out, and is about to be told.
            Err(_) => (&mut self.message).await,
        };
        // Nobody drops a sender without a message; if it were so, it would be no reason to wait on.
        let mut place = told.unwrap_or_else(|_| Err(self.too_late()))?;
        place.waited = Some(clock::now().saturating_duration_since(since));
        Ok(place)
    }

    /// Leaves the queue; `false`: it was no longer in it.
    fn leave(&self) -> bool {
        // The guard goes before what it gives: a sender that is dropped wakes.
        let sender = self.places.queue.lock().cancel(&self.ticket);
        sender.is_some()
    }

    fn too_late(&self) -> Refused {
        let retry_after = self.places.queue.lock().retry_after(clock::now());
        Refused::WaitedTooLong { retry_after }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
