//! What is counted: plain numbers that requests add to, and that whoever asks for metrics reads.
//!
//! A request finds its numbers by the handles that it has anyway, the alias and the backends of its attempts; there is
//! no look-up by name, no lock and no allocation. What has no alias counts as `other`, so nobody outside can make a
//! label. A request adds its numbers when it is over, from its access record: the two agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use llm_dialect::Dialect;
use llm_dialect::usage::Usage;

use super::access::Attempt;
use super::lately::Lately;
use crate::base::{Class, Cost};
use crate::config::types::Protocol;

/// The name that stands for everything which is no alias.
pub const OTHER: &str = "other";

/// The statuses that are told apart. Backends may send any; the rest are [`OTHER`].
const STATUSES: [(u16, &str); 22] = [
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (402, "402"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (429, "429"),
    (499, "499"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
    (529, "529"),
];
/// The kinds of tokens.
const KINDS: [&str; 5] = ["input", "output", "cache_read", "cache_write", "reasoning"];
/// How many bounds a histogram has.
const BOUNDS: usize = 15;
/// Upper bounds for what the proxy itself adds, in microseconds.
static ADDED: [u64; BOUNDS] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 2_500_000,
    10_000_000, 60_000_000,
];
/// Upper bounds for first bytes of backends, in microseconds.
static FIRST_BYTE: [u64; BOUNDS] = [
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_000_000,
    4_000_000,
    8_000_000,
    15_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
];

/// A count that only grows.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something took how long.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64; BOUNDS],
    /// By the bound that it is not above; the last: above all.
    counts: [Count; BOUNDS + 1],
    /// In microseconds.
    sum: Count,
}

/// What a histogram has seen.
#[derive(Debug)]
pub struct Seen {
    /// Upper bounds in seconds, each with how many were not above it.
    pub buckets: Vec<(f64, u64)>,
    /// How many there were.
    pub count: u64,
    /// Seconds in all.
    pub sum: f64,
}

impl Histogram {
    fn new(bounds: &'static [u64; BOUNDS]) -> Self {
        Self {
            bounds,
            counts: Default::default(),
            sum: Count::default(),
        }
    }

    fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = self.bounds.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get(at) {
            count.add(1);
        }
        self.sum.add(micros);
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        let mut count = 0;
        let counted = self.counts.iter().map(|one| {
            count += one.get();
            count
        });
        let counted: Vec<u64> = counted.collect();
        let bounds = self.bounds.iter().map(|bound| seconds(*bound));
        Seen {
            buckets: bounds.zip(counted).collect(),
            count,
            sum: seconds(self.sum.get()),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds are exact for three hundred years"
)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// The numbers of an alias.
#[derive(Debug)]
pub struct AliasMeters {
    /// Its name; a glob's own pattern.
    pub name: Arc<str>,
    /// By dialect and status; the last status: any other.
    requests: [[Count; 23]; 3],
    tokens: [Count; 5],
    /// In billionths of a dollar.
    cost: Count,
    /// Answers whose tokens are known, and whose price is not.
    unpriced: Count,
}

impl AliasMeters {
    /// Nothing has been counted.
    pub fn new(name: &str) -> Self {
        Self {
            name: Arc::from(name),
            requests: Default::default(),
            tokens: Default::default(),
            cost: Count::default(),
            unpriced: Count::default(),
        }
    }

    /// A request is over.
    pub(super) fn request(&self, dialect: Dialect, status: u16) {
        let known = STATUSES.iter().position(|(code, _)| *code == status);
        let of_dialect = self.requests.get(dialect as usize);
        if let Some(count) = of_dialect.and_then(|counts| counts.get(known.unwrap_or(STATUSES.len()))) {
            count.add(1);
        }
    }

    /// Its tokens, and what they cost.
    pub(super) fn used(&self, usage: &Usage, cost: Option<Cost>) {
        match cost {
            Some(cost) => self.cost.add(cost.nanos()),
            None if !usage.is_unknown() => self.unpriced.add(1),
            None => {}
        }
        let used = [
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            usage.reasoning,
        ];
        for (count, used) in self.tokens.iter().zip(&used) {
            if let Some(tokens) = used.filter(|tokens| *tokens > 0) {
                count.add(tokens);
            }
        }
    }

    /// Requests by dialect and status, without those that never were.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let statuses = || STATUSES.iter().map(|(_, name)| *name).chain([OTHER]);
        let dialects = Dialect::ALL.iter().zip(&self.requests);
        let all = dialects.flat_map(move |(dialect, counts)| {
            let counts = statuses().zip(counts);
            counts.map(|(status, count)| (dialect.name(), status, count.get()))
        });
        all.filter(|(_, _, count)| *count > 0)
    }

    /// Tokens by kind.
    pub fn tokens(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.tokens.iter().map(Count::get))
    }

    /// What its answers cost, as far as their price is known.
    pub fn cost(&self) -> Cost {
        Cost::from_nanos(self.cost.get())
    }

    /// How many answers had tokens and no known price.
    pub fn unpriced(&self) -> u64 {
        self.unpriced.get()
    }
}

/// Where a backend is, and what it speaks.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// Its host name or IP literal.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Its protocol family.
    pub protocol: Protocol,
}

/// The numbers of a backend.
#[derive(Debug)]
pub struct BackendMeters {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub server: Server,
    /// By class; the last: those that answered.
    attempts: [Count; Class::ALL.len() + 1],
    cooldowns: [Count; Class::ALL.len()],
    /// From the beginning of an attempt to its first real content.
    pub first_byte: Histogram,
    /// In billionths of a dollar.
    cost: Count,
    /// How it went in the last quarter of an hour.
    pub lately: Lately,
}

impl BackendMeters {
    /// Nothing has been counted of one that is nowhere.
    pub fn new(name: &str) -> Self {
        Self::at(name, Server::default())
    }

    /// Nothing has been counted of the one that is there.
    pub fn at(name: &str, server: Server) -> Self {
        Self {
            name: Arc::from(name),
            server,
            attempts: Default::default(),
            cooldowns: Default::default(),
            first_byte: Histogram::new(&FIRST_BYTE),
            cost: Count::default(),
            lately: Lately::default(),
        }
    }

    /// An attempt is over.
    fn attempt(&self, class: Option<Class>, took: Duration) {
        let at = class.map_or(Class::ALL.len(), |class| class as usize);
        if let Some(count) = self.attempts.get(at) {
            count.add(1);
        }
        if class.is_none() {
            self.first_byte.note(took);
        }
    }

    /// An answer of it cost so much.
    pub(super) fn spent(&self, cost: Cost) {
        self.cost.add(cost.nanos());
    }

    /// What its answers cost, as far as their price is known.
    pub fn cost(&self) -> Cost {
        Cost::from_nanos(self.cost.get())
    }

    /// Something of it begins to cool.
    pub fn cooled(&self, class: Class) {
        if let Some(count) = self.cooldowns.get(class as usize) {
            count.add(1);
        }
    }

    /// Attempts by class, `ok` among them, without those that never were.
    pub fn attempts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let classes = Class::ALL.into_iter().map(Class::name).chain(["ok"]);
        let counted = classes.zip(self.attempts.iter().map(Count::get));
        counted.filter(|(_, count)| *count > 0)
    }

    /// Cooldowns by class, without those that never were.
    pub fn cooldowns(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let classes = Class::ALL.into_iter().map(Class::name);
        let counted = classes.zip(self.cooldowns.iter().map(Count::get));
        counted.filter(|(_, count)| *count > 0)
    }
}

/// The numbers of all requests together.
#[derive(Debug)]
pub struct Totals {
    /// Requests without an alias.
    pub other: AliasMeters,
    /// What the proxy itself takes of the time to the first byte.
    pub added: Histogram,
    /// Second attempts that were begun beside a silent first one.
    hedges: Count,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            other: AliasMeters::new(OTHER),
            added: Histogram::new(&ADDED),
            hedges: Count::default(),
        }
    }
}

impl Totals {
    /// An attempt was begun beside a silent one.
    pub(super) fn hedge(&self) {
        self.hedges.add(1);
    }

    /// How many were.
    pub fn hedges(&self) -> u64 {
        self.hedges.get()
    }

    /// Counts a request's attempts, and what of the time to its first byte neither they nor the queue took.
    pub(super) fn attempts(&self, attempts: &[Attempt], first_byte: Option<Duration>, queued: Duration) {
        let mut theirs = queued;
        for attempt in attempts {
            attempt.backend.attempt(attempt.class, attempt.took);
            theirs += attempt.took;
        }
        if let Some(first_byte) = first_byte {
            self.added.note(first_byte.saturating_sub(theirs));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_bound_in_and_all_below_it() {
        let histogram = Histogram::new(&ADDED);
        for micros in [0, 100, 101, 250, 1_000_000, 1_000_001, 9_000_000] {
            histogram.note(Duration::from_micros(micros));
        }
        let seen = histogram.seen();
        assert_eq!(seen.buckets[..3], [(0.0001, 2), (0.000_25, 4), (0.0005, 4)]);
        assert_eq!(seen.buckets[11], (1.0, 5));
        assert_eq!((seen.count, seen.sum), (7, 11.000_452));
    }

    #[test]
    fn every_class_and_dialect_has_a_place_of_its_own_and_odd_statuses_share_one() {
        let backend = BackendMeters::new("a");
        for class in Class::ALL {
            backend.attempt(Some(class), Duration::ZERO);
            backend.cooled(class);
        }
        backend.attempt(None, Duration::ZERO);
        let names: Vec<&str> = Class::ALL.into_iter().map(Class::name).collect();
        let attempts: Vec<(&str, u64)> = backend.attempts().collect();
        assert_eq!(attempts.len(), Class::ALL.len() + 1);
        assert!(attempts.iter().all(|(_, count)| *count == 1));
        assert_eq!(
            backend.cooldowns().map(|(name, _)| name).collect::<Vec<_>>(),
            names
        );
        assert_eq!(
            backend.first_byte.seen().count,
            1,
            "only what answered has a first byte"
        );

        let alias = AliasMeters::new("m");
        for dialect in Dialect::ALL {
            for status in [200, 418, 599] {
                alias.request(dialect, status);
            }
        }
        let requests: Vec<_> = alias.requests().collect();
        let expected = Dialect::ALL.map(|dialect| [(dialect.name(), "200", 1), (dialect.name(), OTHER, 2)]);
        assert_eq!(requests, expected.concat());
    }
}
