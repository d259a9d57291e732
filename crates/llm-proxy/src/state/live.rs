//! What outlives a reload: health, counters, connections, pins.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::affinity::Affinity;
use super::compile::Snapshot;
use super::lifecycle::Lifecycle;
use super::meters::Meters;
use super::pins::Pins;
use super::places::Places;
use super::rates::Rates;
use super::spending::Spendings;
use super::told::Told;
use super::vitals::Vitals;
use crate::base::clock;
use crate::config::types::Config;
use crate::health::{Policy, Registry, RetryBudget};
use crate::limits::Guesses;
use crate::observe::access::Access;
use crate::observe::lately;
use crate::routing::Smooth;
use crate::upstream::Pools;

/// An alias, a priority, and which routes it has: of other routes the credits would mean nothing.
type TierKey = (String, i32, u64);

/// How reloads went, since the start.
#[derive(Debug)]
pub struct Reloads {
    /// Those that took effect.
    pub taken: AtomicU64,
    /// Those that were refused.
    pub refused: AtomicU64,
    /// From when on the config in force has been, in Unix seconds.
    pub since: AtomicU64,
    /// When the program started, in Unix seconds.
    pub started: u64,
}

impl Reloads {
    fn new() -> Self {
        let started = clock::unix_seconds();
        Self {
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            since: AtomicU64::new(started),
            started,
        }
    }
}

/// State keyed by identity, so that a new config finds what it kept.
#[derive(Debug)]
pub struct Live {
    /// Cooldowns and breakers.
    pub health: Mutex<Registry>,
    /// Told whenever health changes for the better, for requests that wait for it.
    pub recovered: Notify,
    /// Who guesses keys.
    pub guesses: Mutex<Guesses>,
    /// Connections to backends.
    pub pools: Pools,
    /// Who made which response.
    pub pins: Pins,
    /// Where each conversation is.
    pub affinity: Affinity,
    /// What each conversation was told by prompts.
    pub told: Told,
    /// Who is served, and who waits.
    pub places: Arc<Places>,
    /// What has been taken from the rate limits.
    pub rates: Rates,
    /// What keys have spent of their budgets.
    pub spendings: Spendings,
    /// What is counted of aliases and backends.
    pub meters: Meters,
    /// Access records, and the count of requests in flight.
    pub access: Arc<Access>,
    /// The program's phase.
    pub lifecycle: Lifecycle,
    /// Why the last reload was refused; none where it was not.
    pub last_reload_error: ArcSwapOption<String>,
    /// How reloads went.
    pub reloads: Reloads,
    vitals: Mutex<HashMap<u64, Arc<Vitals>>>,
    smooth: Mutex<HashMap<TierKey, Arc<Mutex<Smooth>>>>,
    budgets: Mutex<HashMap<u64, Arc<Mutex<RetryBudget>>>>,
}

impl Live {
    /// Nothing has happened yet.
    pub fn new(access: Arc<Access>, config: &Config) -> Arc<Self> {
        Arc::new(Self {
            health: Mutex::new(Registry::new(Policy::from(&config.fallback))),
            recovered: Notify::new(),
            guesses: Mutex::default(),
            pools: Pools::default(),
            pins: Pins::default(),
            affinity: Affinity::default(),
            told: Told::default(),
            places: Places::new(config.concurrency),
            rates: Rates::default(),
            spendings: Spendings::default(),
            meters: Meters::default(),
            access,
            lifecycle: Lifecycle::default(),
            last_reload_error: ArcSwapOption::empty(),
            reloads: Reloads::new(),
            vitals: Mutex::default(),
            smooth: Mutex::default(),
            budgets: Mutex::default(),
        })
    }

    /// Takes a new config's rules; what has happened so far to those that are still there stays.
    pub fn adopt(&self, snapshot: &Snapshot) {
        let fallback = &snapshot.config.fallback;
        let mut health = self.health.lock();
        health.set_policy(Policy::from(fallback), clock::now());
        health.retain(|backend, key| snapshot.has(backend, key));
        drop(health);
        for budget in self.budgets.lock().values() {
            budget.lock().set_share(fallback.retry_budget);
        }
        self.places.set_bounds(snapshot.config.concurrency);
        self.last_reload_error.store(None);
        self.reloads.taken.fetch_add(1, Ordering::Relaxed);
        self.reloads.since.store(clock::unix_seconds(), Ordering::Relaxed);
    }

    /// Notes why a new config was refused.
    pub fn refuse(&self, error: String) {
        self.last_reload_error.store(Some(Arc::new(error)));
        self.reloads.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The counters of a backend.
    pub(super) fn vitals(&self, backend: u64) -> Arc<Vitals> {
        Arc::clone(self.vitals.lock().entry(backend).or_default())
    }

    /// A conversation of that backend was answered elsewhere, and so many tokens of it were in its cache.
    pub fn moved(&self, backend: u64, cached: u64) {
        if let Some(vitals) = self.vitals.lock().get(&backend) {
            vitals.cache.moved(cached);
        }
    }

    /// The retry budget of a group of backends; a new one has that share of requests.
    pub(super) fn budget(&self, group: u64, share: f64) -> Arc<Mutex<RetryBudget>> {
        let mut budgets = self.budgets.lock();
        let fresh = || Arc::new(Mutex::new(RetryBudget::new(share, clock::now())));
        Arc::clone(budgets.entry(group).or_insert_with(fresh))
    }

    /// The round robin of an alias' priority, as long as it has these routes.
    pub(super) fn smooth(&self, alias: &str, priority: i32, routes: u64) -> Arc<Mutex<Smooth>> {
        Arc::clone(
            self.smooth
                .lock()
                .entry((alias.to_owned(), priority, routes))
                .or_default(),
        )
    }

    /// A point of the last quarter of an hour is over.
    pub fn close_point(&self) {
        let waiting = self.places.view().now.waiting;
        let ended = self
            .access
            .series()
            .close(self.access.in_flight().count(), waiting);
        if ended.is_multiple_of(lately::POINTS as u64) {
            self.meters.close_cells();
        }
    }

    /// Forgets the state of backends, aliases and limits that no config holds any longer, and conversations that are over.
    pub fn forget_unused(&self) {
        self.rates.forget_unused();
        self.spendings.forget_unused();
        self.meters.forget_unused();
        self.told.sweep(clock::now());
        self.vitals
            .lock()
            .retain(|_, vitals| Arc::strong_count(vitals) > 1);
        self.smooth
            .lock()
            .retain(|_, smooth| Arc::strong_count(smooth) > 1);
        self.budgets
            .lock()
            .retain(|_, budget| Arc::strong_count(budget) > 1);
    }
}
