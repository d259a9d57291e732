//! The rate limits in force: whose buckets there are, and what one request has taken from them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::Address;
use crate::base::identity::identity;
use crate::config::types::Rate;
use crate::limits::{Buckets, Nanos, Quotas, Standing, Table, Unit};

/// Addresses are spread over so many tables, so that requests seldom wait for one another.
const SHARDS: usize = 16;
/// How many addresses a table holds: a quarter of a million in all, in some 20 MB.
const ADDRESSES: usize = 16 * 1024;

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// One address.
    Address,
    /// Everybody together.
    Global,
    /// One API key.
    Key,
    /// One alias.
    Model,
}

impl Level {
    /// As a sentence names it to the client.
    pub fn whose(self) -> &'static str {
        match self {
            Self::Address => "this address",
            Self::Global => "this proxy",
            Self::Key => "this API key",
            Self::Model => "this model",
        }
    }
}

/// The buckets of all addresses.
#[derive(Debug)]
pub struct Addresses {
    quotas: Quotas,
    shards: [Mutex<Table<Address>>; SHARDS],
}

impl Addresses {
    fn new(quotas: Quotas) -> Self {
        Self {
            quotas,
            shards: std::array::from_fn(|_| Mutex::new(Table::new(ADDRESSES))),
        }
    }

    /// How many addresses are remembered.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its limits count that unit.
    pub fn counts(&self, unit: Unit) -> bool {
        self.quotas.counts(unit)
    }

    /// Looks at an address, if a unit is counted of it.
    fn with<T>(
        &self,
        (address, unit): (Address, Unit),
        look: impl FnOnce(&mut Table<Address>, &Quotas) -> T,
    ) -> Option<T> {
        if !self.counts(unit) {
            return None;
        }
        let shard = self.shards.get(address.spread(SHARDS))?;
        Some(look(&mut shard.lock(), &self.quotas))
    }
}

/// One limit that counts for a request. What it does not count it gives without end.
#[derive(Clone, Copy, Debug)]
pub enum Counter<'a> {
    /// Buckets that are shared.
    Shared(&'a Buckets),
    /// Those of one address.
    Of(&'a Addresses, Address),
}

impl Counter<'_> {
    /// Takes `amount` of that unit.
    ///
    /// # Errors
    /// How long it takes until there is enough; nothing is taken.
    pub fn take(&self, unit: Unit, amount: f64, now: Nanos) -> Result<(), Duration> {
        match self {
            Self::Shared(buckets) => buckets.take(unit, amount, now),
            Self::Of(addresses, address) => addresses
                .with((*address, unit), |table, quotas| {
                    table.take(*address, quotas, (unit, amount), now)
                })
                .unwrap_or(Ok(())),
        }
    }

    /// What was taken was `taken`, what was used is `used`.
    fn settle(&self, unit: Unit, (taken, used): (f64, f64), now: impl Fn() -> Nanos) {
        match self {
            Self::Shared(buckets) => buckets.settle(unit, taken, used),
            Self::Of(addresses, address) => {
                addresses.with((*address, unit), |table, quotas| {
                    table.settle(*address, quotas, (unit, taken, used), now());
                });
            }
        }
    }

    /// How its scarcest bucket of that unit stands; none where it has none.
    pub fn standing(&self, unit: Unit, now: Nanos) -> Option<Standing> {
        match self {
            Self::Shared(buckets) => buckets.standing(unit, now),
            Self::Of(addresses, address) => addresses
                .with((*address, unit), |table, quotas| {
                    table.standing(*address, quotas, unit, now)
                })
                .flatten(),
        }
    }

    /// Whether it counts that unit.
    pub fn counts(&self, unit: Unit) -> bool {
        match self {
            Self::Shared(buckets) => buckets.counts(unit),
            Self::Of(addresses, _) => addresses.counts(unit),
        }
    }
}

/// A limit that may count for a request, and whose it is; none where there is none.
pub type Counting<'a> = Option<(Level, Counter<'a>)>;

/// The limits that count for a request once it is known whose it is.
#[derive(Debug, Default)]
pub struct Counted {
    /// Its key's.
    pub key: Option<Arc<Buckets>>,
    /// Its alias'.
    pub model: Option<Arc<Buckets>>,
    /// Its address', if they are of tokens: requests have been counted before.
    pub address: Option<(Arc<Addresses>, Address)>,
    /// Everybody's, if they are of tokens.
    pub global: Option<Arc<Buckets>>,
}

impl Counted {
    /// Those of its key and its model.
    pub fn own(&self) -> [Counting<'_>; 2] {
        [
            shared(Level::Key, self.key.as_ref()),
            shared(Level::Model, self.model.as_ref()),
        ]
    }

    /// All of them, in the order in which they are asked.
    pub fn all(&self) -> [Counting<'_>; 4] {
        let [key, model] = self.own();
        let address = self.address.as_ref();
        let address = address.map(|(addresses, address)| (Level::Address, Counter::Of(addresses, *address)));
        [key, model, address, shared(Level::Global, self.global.as_ref())]
    }
}

fn shared(level: Level, buckets: Option<&Arc<Buckets>>) -> Counting<'_> {
    Some((level, Counter::Shared(buckets?)))
}

/// A limit that has no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Whose.
    pub level: Level,
    /// Of what.
    pub unit: Unit,
    /// Until there is enough.
    pub wait: Duration,
    /// How it stands.
    pub standing: Option<Standing>,
}

/// Takes a request's `amount` of that unit from each of these limits, or from none.
///
/// # Errors
/// The first that has not enough; what the ones before it gave is given back.
pub fn take(counters: &[Counting<'_>], (unit, amount): (Unit, f64), now: Nanos) -> Result<(), Over> {
    for (at, counting) in counters.iter().enumerate() {
        let Some((level, counter)) = counting else {
            continue;
        };
        if let Err(wait) = counter.take(unit, amount, now) {
            give_back(counters.get(..at).unwrap_or_default(), (unit, amount), now);
            return Err(Over {
                level: *level,
                unit,
                wait,
                standing: counter.standing(unit, now),
            });
        }
    }
    Ok(())
}

/// Gives back the `amount` of that unit that these limits gave to a request, which another one refused.
#[cold]
pub fn give_back(counters: &[Counting<'_>], (unit, amount): (Unit, f64), now: Nanos) {
    settle(counters, unit, (amount, 0.0), || now);
}

/// Corrects what was taken to what was used. Only the limits of addresses ask for the time.
pub(super) fn settle(counters: &[Counting<'_>], unit: Unit, taken_used: (f64, f64), now: impl Fn() -> Nanos) {
    for (_, counter) in counters.iter().flatten() {
        counter.settle(unit, taken_used, &now);
    }
}

/// All buckets, by what they are for. A limit whose numbers a reload leaves alone keeps what has been taken from it.
#[derive(Debug, Default)]
pub struct Rates {
    shared: Mutex<HashMap<u64, Arc<Buckets>>>,
    addresses: Mutex<HashMap<u64, Arc<Addresses>>>,
}

impl Rates {
    /// The buckets of a limit: of which level, and of what in it.
    pub(super) fn shared(&self, (level, of): (Level, &str), rate: &Rate) -> Arc<Buckets> {
        let quotas = Quotas::of(rate);
        let id = identity(&[level.whose().as_bytes(), of.as_bytes(), &numbers(&quotas)]);
        let mut shared = self.shared.lock();
        let buckets = shared
            .entry(id)
            .or_insert_with(|| Arc::new(Buckets::new(&quotas)));
        Arc::clone(buckets)
    }

    /// The buckets of all addresses.
    pub(super) fn addresses(&self, rate: &Rate) -> Arc<Addresses> {
        let quotas = Quotas::of(rate);
        let mut all = self.addresses.lock();
        let addresses = all
            .entry(identity(&[&numbers(&quotas)]))
            .or_insert_with(|| Arc::new(Addresses::new(quotas)));
        Arc::clone(addresses)
    }

    /// Forgets the limits that no config holds any longer.
    pub(super) fn forget_unused(&self) {
        self.shared
            .lock()
            .retain(|_, buckets| Arc::strong_count(buckets) > 1);
        self.addresses
            .lock()
            .retain(|_, addresses| Arc::strong_count(addresses) > 1);
    }
}

/// What tells one set of quotas from another.
fn numbers(quotas: &Quotas) -> Vec<u8> {
    format!("{quotas:?}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn per_minute(requests: f64) -> Rate {
        Rate {
            rpm: Some(requests),
            ..Rate::default()
        }
    }

    #[test]
    fn l12_what_a_later_limit_refuses_earlier_ones_give_back() {
        let rates = Rates::default();
        let wide = rates.shared((Level::Key, "team"), &per_minute(10.0));
        let narrow = rates.shared((Level::Model, "gpt"), &per_minute(1.0));
        let counters = [
            Some((Level::Key, Counter::Shared(&wide))),
            None,
            Some((Level::Model, Counter::Shared(&narrow))),
        ];
        let one = (Unit::Requests, 1.0);
        assert_eq!(take(&counters, one, 0), Ok(()));
        let over = take(&counters, one, 0).unwrap_err();
        assert_eq!((over.level, over.wait), (Level::Model, Duration::from_mins(1)));
        let left = wide
            .standing(Unit::Requests, 0)
            .map(|standing| standing.remaining);
        assert_eq!(left, Some(9), "only the request that passed is counted");
    }

    #[test]
    fn a_reload_keeps_the_limits_that_it_leaves_alone() {
        let rates = Rates::default();
        let one = (Unit::Requests, 1.0);
        let first = rates.shared((Level::Key, "team"), &per_minute(2.0));
        assert_eq!(first.take(one.0, one.1, 0), Ok(()));
        let same = rates.shared((Level::Key, "team"), &per_minute(2.0));
        assert!(Arc::ptr_eq(&first, &same));
        for other in [
            rates.shared((Level::Key, "team"), &per_minute(3.0)),
            rates.shared((Level::Key, "other"), &per_minute(2.0)),
            rates.shared((Level::Model, "team"), &per_minute(2.0)),
        ] {
            assert!(!Arc::ptr_eq(&first, &other));
        }
        drop((first, same));
        rates.forget_unused();
        assert!(rates.shared.lock().is_empty());
    }
}
