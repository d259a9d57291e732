//! What a backend does at the moment, counted: its requests, the turn of its keys, how quick it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::cache::CacheCount;
use crate::base::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::base::hasher::Mixing;

/// Counters of a backend.
///
/// `in_flight` and `turn` are a cell each, which one atomic step at a time changes, and nothing else is published through
/// them. Whatever threads do is some order of [`enter`](Vitals::enter) and of the drop of its guard, and in each order the
/// count is that of the guards.
#[derive(Debug, Default)]
pub struct Vitals {
    /// What its prompt cache has been worth.
    pub cache: CacheCount,
    in_flight: AtomicU32,
    turn: AtomicU64,
    /// Whether the operator has switched it off.
    off: AtomicBool,
    latency: Mutex<HashMap<u64, Latency, Mixing>>,
}

/// First-byte latency of a model, smoothed.
#[derive(Clone, Copy, Debug)]
struct Latency {
    milliseconds: f64,
    noted: Instant,
}

/// How much a new latency weighs against all before it.
const NEW_LATENCY: f64 = 0.2;
/// A latency older than this says nothing any more: the backend is worth another look.
const LATENCY_HOLDS: Duration = Duration::from_mins(1);
/// How many models' latencies are kept.
const MAX_LATENCIES: usize = 1_000;

impl Vitals {
    /// Requests that it is working on.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes a place, unless `max` are taken.
    pub fn enter(self: &Arc<Self>, max: Option<u32>) -> Option<InFlight> {
        let max = max.unwrap_or(u32::MAX);
        let entered = self
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| {
                (now < max).then_some(now + 1)
            });
        entered.ok().map(|_| InFlight(Arc::clone(self)))
    }

    /// The turn of the rotation of its keys.
    pub fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    /// A key was asked before the others of a request: the next request begins with the one behind it.
    pub fn asked_first(&self, key: usize) {
        self.turn.store(key as u64 + 1, Ordering::Relaxed);
    }

    /// Switches the backend off or on, for new requests.
    pub fn switch_off(&self, off: bool) {
        self.off.store(off, Ordering::Relaxed);
    }

    /// Whether the operator has switched it off.
    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed)
    }

    /// Notes how long a first byte took.
    pub fn note_latency(&self, model: u64, took: Duration, now: Instant) {
        let milliseconds = took.as_secs_f64() * 1e3;
        let mut latency = self.latency.lock();
        if latency.len() >= MAX_LATENCIES && !latency.contains_key(&model) {
            latency.clear();
        }
        let known = latency.entry(model).or_insert(Latency {
            milliseconds,
            noted: now,
        });
        known.milliseconds += (milliseconds - known.milliseconds) * NEW_LATENCY;
        known.noted = now;
    }

    /// How long first bytes of the model that answered last take, in milliseconds, and when it did.
    pub fn last_latency(&self) -> Option<(f64, Instant)> {
        let latency = self.latency.lock();
        let last = latency.values().max_by_key(|known| known.noted)?;
        Some((last.milliseconds, last.noted))
    }

    /// How long first bytes take in milliseconds, if that was seen lately.
    pub fn latency(&self, model: u64, now: Instant) -> Option<f64> {
        let known = *self.latency.lock().get(&model)?;
        (now.saturating_duration_since(known.noted) < LATENCY_HOLDS).then_some(known.milliseconds)
    }
}

/// A place at a backend; given back when it is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<Vitals>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_take_no_more_places_than_there_are() {
        const PLACES: u32 = 3;
        let vitals = Arc::new(Vitals::default());
        let entered: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let mut entered = 0;
                        for _ in 0..2_000 {
                            if let Some(_place) = vitals.enter(Some(PLACES)) {
                                assert!((1..=PLACES).contains(&vitals.in_flight()));
                                entered += 1;
                            }
                        }
                        entered
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(entered > 0);
        assert_eq!(vitals.in_flight(), 0, "each place is given back once");
        let held: Vec<_> = (0..5).filter_map(|_| vitals.enter(Some(PLACES))).collect();
        assert_eq!(held.len(), 3, "a full backend has none left");
    }
}
