//! To be told that something has happened.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread::panicking;

use crate::Mutex;

/// Tells tasks that something has happened.
#[derive(Debug, Default)]
pub struct Notify(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How often all were told.
    rounds: u64,
    /// One was told when nobody waited: the next does not wait.
    permit: bool,
    waiting: Vec<Waiter>,
    last: u64,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    waker: Waker,
    told: bool,
}

impl Notify {
    /// To wait for the next word to all, from now on, or for a word to one.
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            round: self.0.lock().rounds,
            id: None,
        }
    }

    /// Tells all that have called [`notified`](Self::notified) before.
    pub fn notify_waiters(&self) {
        let mut state = self.0.lock();
        state.rounds += 1;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waiter in waiting {
            waiter.waker.wake();
        }
    }

    /// Tells the one that has waited longest, or else the next that will.
    pub fn notify_one(&self) {
        let mut state = self.0.lock();
        let Some(waiter) = state.waiting.iter_mut().find(|waiter| !waiter.told) else {
            state.permit = true;
            return;
        };
        waiter.told = true;
        let waker = waiter.waker.clone();
        drop(state);
        waker.wake();
    }
}

/// A wait.
#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
    round: u64,
    id: Option<u64>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.notify.0.lock();
        let own = self.id;
        let at = state.waiting.iter().position(|waiter| Some(waiter.id) == own);
        let told = at
            .and_then(|at| state.waiting.get(at))
            .is_some_and(|own| own.told);
        if state.rounds != self.round || told || std::mem::take(&mut state.permit) {
            at.map(|at| state.waiting.remove(at));
            drop(state);
            self.id = None;
            return Poll::Ready(());
        }
        state.last += 1;
        let id = state.last;
        let waiter = Waiter {
            id,
            waker: cx.waker().clone(),
            told: false,
        };
        match at.and_then(|at| state.waiting.get_mut(at)) {
            Some(own) => *own = waiter,
            None => state.waiting.push(waiter),
        }
        drop(state);
        self.id = Some(id);
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    /// What was told to one that has left is told to the next. A test that has failed takes no further step.
    fn drop(&mut self) {
        let Some(id) = self.id.filter(|_| !panicking()) else {
            return;
        };
        let mut state = self.notify.0.lock();
        let at = state.waiting.iter().position(|waiter| waiter.id == id);
        let told = at.map(|at| state.waiting.remove(at)).is_some_and(|own| own.told);
        drop(state);
        if told {
            self.notify.notify_one();
        }
    }
}
