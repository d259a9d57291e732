//! A backend ready for use: its connections, keys, paths and counters.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue};
use llm_dialect::Api;
use parking_lot::Mutex;

use super::cache::CacheCount;
use crate::base::Secret;
use crate::base::hasher::Mixing;
use crate::config::types;
use crate::observe::BackendMeters;
use crate::prices::Seller;
use crate::upstream::Endpoint;

/// A backend of the running config.
#[derive(Debug)]
pub struct Backend {
    /// Its settings.
    pub config: types::Backend,
    /// Its name, shared with records.
    pub name: Arc<str>,
    /// Its name as a header value.
    pub label: HeaderValue,
    /// Its identity: the same address and credentials after a reload are the same backend.
    pub id: u64,
    /// Its connections.
    pub endpoint: Arc<Endpoint>,
    /// Its keys; one nameless entry where none is sent.
    pub keys: Vec<BackendKey>,
    /// Counters that survive a reload.
    pub vitals: Arc<Vitals>,
    /// What is counted of it for metrics.
    pub meters: Arc<BackendMeters>,
    /// `https` or `http`.
    pub scheme: Scheme,
    /// Host and port as they go into `host`.
    pub authority: Authority,
    /// The same as a header value.
    pub host: HeaderValue,
    /// Where each of its calls goes.
    pub targets: BTreeMap<Api, PathAndQuery>,
    /// What must never reach a client in an error text.
    pub secrets: Vec<Secret>,
    /// Whose models it serves: reasoning that one family has sealed is of no use to another.
    pub family: Arc<str>,
    /// Whether it is `OpenAI` itself, or Azure, not one of the many hosts that speak its dialects.
    pub is_openai: bool,
}

/// A key of a backend.
#[derive(Debug)]
pub struct BackendKey {
    /// Its name in records: the backend's with a number.
    pub name: Arc<str>,
    /// Its identity.
    pub id: u64,
    /// The header that carries it, if one does.
    pub header: Option<(HeaderName, HeaderValue)>,
}

impl Backend {
    /// It, as whose prices those of its models are.
    pub fn seller(&self) -> Seller<'_> {
        Seller {
            backend: &self.name,
            host: self.authority.host(),
        }
    }

    /// Whether its answers are read to their end where the client leaves.
    pub fn is_drained(&self) -> bool {
        self.config.on_disconnect == types::OnDisconnect::Drain
    }

    /// Whether it has this call.
    pub fn speaks(&self, api: Api) -> bool {
        self.is_on() && self.config.apis.contains(&api)
    }

    /// Whether it takes requests: the config and the operator let it.
    pub fn is_on(&self) -> bool {
        self.config.enabled && !self.vitals.off.load(Ordering::Relaxed)
    }

    /// The call by which it serves a client's `api`: the same, or one of another dialect that the request is converted
    /// into; none if it has neither.
    ///
    /// Responses carries more of Anthropic's dialect than chat does (reasoning, order), but many hosts that say nothing of
    /// their calls have chat alone: Messages clients get it where the config names it, or the host is `OpenAI`.
    pub fn serves(&self, api: Api) -> Option<Api> {
        if self.speaks(api) {
            return Some(api);
        }
        let sure = self.is_openai || self.config.apis_named;
        let instead: &[Api] = match api {
            Api::Chat => &[Api::Messages, Api::Responses],
            Api::Responses => &[Api::Messages, Api::Chat],
            Api::Messages if sure => &[Api::Responses, Api::Chat],
            Api::Messages => &[Api::Chat, Api::Responses],
            _ => &[],
        };
        instead.iter().copied().find(|other| self.speaks(*other))
    }

    /// Whether it has a place free at the moment (`max_concurrent`).
    pub fn has_room(&self) -> bool {
        let max = self.config.max_concurrent;
        max.is_none_or(|max| self.vitals.in_flight() < max)
    }
}

/// Counters of a backend.
///
/// No model of them needs to be checked: `in_flight` and `turn` are a cell each, which one atomic step at a time changes,
/// and nothing else is published through them. Whatever threads do is some order of [`enter`](Vitals::enter) and of the
/// drop of its guard, and in each order the count is that of the guards.
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
