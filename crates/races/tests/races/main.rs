//! What cells that threads share promise, whoever comes first.
//!
//! Each test is run once for each order of its threads' steps. Counts of what holds at a moment are kept beside the cell,
//! in numbers of std that loom does not look at: they are looked at between two steps, when no other thread runs.
#![cfg(test)]

mod buckets;
mod gauge;
mod health;
mod observe;
mod places;
mod signals;
mod spending;
mod told;
mod vitals;

use std::sync::atomic::{AtomicUsize, Ordering};

/// Tries `test` in every order that takes the processor away from a thread at most three times before its time.
/// Practically all races show with two; without a bound some of the tests would take minutes.
fn in_every_order(test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

/// How many are inside, as they see it themselves.
#[derive(Default)]
struct Inside(AtomicUsize);

impl Inside {
    /// One comes in. How many are inside then.
    fn enter(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// One is about to leave.
    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
