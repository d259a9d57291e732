//! Buckets of many that nobody counts: addresses of clients. Its memory is bounded, whoever comes.

use std::hash::Hash;
use std::time::Duration;
use std::{iter, slice};

use indexmap::IndexMap;

use super::Nanos;
use super::gcra::{Quota, Standing};
use super::rates::{Quotas, Unit};
use crate::base::hasher::{self, Drawn};

/// How many are looked at for one that may be forgotten when there is no room.
const SAMPLE: usize = 16;
/// Below this nothing is swept.
const SMALL: usize = 256;

/// When the buckets of one address are full.
#[derive(Clone, Copy, Debug, Default)]
struct Cells {
    /// Those of requests: a second, a minute.
    requests: [Nanos; 2],
    /// That of tokens.
    tokens: Nanos,
}

impl Cells {
    /// All of them are full at that time.
    fn all(full_at: Nanos) -> Self {
        Self {
            requests: [full_at; 2],
            tokens: full_at,
        }
    }

    /// When the last of them is.
    fn full_at(&self) -> Nanos {
        self.requests.into_iter().fold(self.tokens, Nanos::max)
    }

    /// Those of that unit, each with its quota.
    fn of<'a>(
        &'a mut self,
        quotas: &'a Quotas,
        unit: Unit,
    ) -> impl Iterator<Item = (&'a mut Nanos, &'a Quota)> {
        let (cells, quotas) = match unit {
            Unit::Requests => (self.requests.as_mut_slice(), quotas.requests.as_slice()),
            Unit::Tokens => (slice::from_mut(&mut self.tokens), slice::from_ref(&quotas.tokens)),
        };
        iter::zip(cells, quotas).filter_map(|(cell, quota)| Some((cell, quota.as_ref()?)))
    }
}

/// Buckets by address.
///
/// Full ones are swept out: they are what an unknown address has anyway. When there is no room left, the one that is
/// missing least goes, so that nobody gets out of a used up bucket by a flood of other addresses.
#[derive(Debug)]
pub struct Table<K> {
    /// Hashed by a random key: clients choose their addresses.
    cells: IndexMap<K, Cells, Drawn>,
    most: usize,
    /// How many may still come before full ones are swept out: so that sweeping costs each of them little.
    until_sweep: usize,
    /// Where the next look for one to forget begins.
    hand: usize,
}

impl<K: Copy + Eq + Hash> Table<K> {
    /// An empty one that holds `most` addresses.
    pub fn new(most: usize) -> Self {
        Self {
            cells: IndexMap::with_hasher(hasher::drawn()),
            most: most.max(1),
            until_sweep: SMALL,
            hand: 0,
        }
    }

    /// Takes `amount` of that unit from the buckets of `key`.
    ///
    /// # Errors
    /// How long it takes until there is enough; nothing is taken.
    pub fn take(
        &mut self,
        key: K,
        quotas: &Quotas,
        (unit, amount): (Unit, f64),
        now: Nanos,
    ) -> Result<(), Duration> {
        let known = self.cells.get_mut(&key);
        let mut cells = known.as_deref().copied().unwrap_or_default();
        for (cell, quota) in cells.of(quotas, unit) {
            *cell = quota.take(*cell, amount, now)?;
        }
        match known {
            Some(known) => *known = cells,
            None => self.add(key, cells, now),
        }
        Ok(())
    }

    /// What was taken was `taken`, what was used is `used`.
    pub fn settle(&mut self, key: K, quotas: &Quotas, (unit, taken, used): (Unit, f64, f64), now: Nanos) {
        let known = self.cells.get_mut(&key);
        let mut cells = known.as_deref().copied().unwrap_or_else(|| Cells::all(now));
        for (cell, quota) in cells.of(quotas, unit) {
            *cell = quota.settle(*cell, used - quota.at_most(taken));
        }
        match known {
            Some(known) => *known = cells,
            None => self.add(key, cells, now),
        }
    }

    /// How the scarcest bucket of that unit stands; none where there is none.
    pub fn standing(&self, key: K, quotas: &Quotas, unit: Unit, now: Nanos) -> Option<Standing> {
        let mut cells = self.cells.get(&key).copied().unwrap_or_default();
        cells
            .of(quotas, unit)
            .map(|(cell, quota)| quota.standing(*cell, now))
            .min_by_key(|standing| standing.remaining)
    }

    /// How many addresses it holds.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Remembers one that is not known yet.
    fn add(&mut self, key: K, cells: Cells, now: Nanos) {
        match self.until_sweep.checked_sub(1) {
            Some(left) => self.until_sweep = left,
            None => self.sweep(now),
        }
        if self.cells.len() >= self.most {
            self.forget_one();
        }
        self.cells.insert(key, cells);
    }

    fn sweep(&mut self, now: Nanos) {
        self.cells.retain(|_, cells| cells.full_at() > now);
        self.until_sweep = self.cells.len().max(SMALL);
        if self.cells.len() < self.cells.capacity() / 4 {
            self.cells.shrink_to(2 * self.cells.len().max(SMALL));
        }
    }

    /// Forgets the one of the next few that is missing least.
    fn forget_one(&mut self) {
        let count = self.cells.len();
        let few = (0..SAMPLE.min(count)).map(|step| (self.hand + step) % count);
        let missing = |at: &usize| self.cells.get_index(*at).map(|(_, cells)| cells.full_at());
        if let Some(least) = few.min_by_key(missing) {
            self.cells.swap_remove_index(least);
        }
        self.hand = (self.hand + SAMPLE) % count.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::Rate;

    const SECOND: Nanos = 1_000_000_000;
    const ONE: (Unit, f64) = (Unit::Requests, 1.0);

    fn two_a_second() -> Quotas {
        Quotas::of(&Rate {
            rps: Some(2.0),
            ..Rate::default()
        })
    }

    #[test]
    fn each_address_has_buckets_of_its_own() {
        let (quotas, mut table) = (two_a_second(), Table::new(100));
        assert_eq!(table.take(1, &quotas, ONE, 0), Ok(()));
        assert_eq!(table.take(1, &quotas, ONE, 0), Ok(()));
        assert_eq!(table.take(1, &quotas, ONE, 0), Err(Duration::from_millis(500)));
        assert_eq!(table.take(2, &quotas, ONE, 0), Ok(()));
        assert_eq!(table.take(1, &quotas, ONE, SECOND / 2), Ok(()));
    }

    #[test]
    fn l15_a_million_addresses_take_bounded_room_and_free_none_of_them() {
        let (quotas, mut table) = (two_a_second(), Table::new(10_000));
        let used_up = u64::MAX;
        for _ in 0..2 {
            assert_eq!(table.take(used_up, &quotas, ONE, SECOND), Ok(()));
        }
        for address in 0..1_000_000 {
            assert_eq!(table.take(address, &quotas, ONE, SECOND), Ok(()));
        }
        assert_eq!(table.len(), 10_000);
        assert!(
            table.take(used_up, &quotas, ONE, SECOND).is_err(),
            "a flood of other addresses does not fill a used up bucket"
        );
    }

    #[test]
    fn l15_full_buckets_are_swept_out() {
        let (quotas, mut table) = (two_a_second(), Table::new(100_000));
        for address in 0..50_000 {
            assert_eq!(table.take(address, &quotas, ONE, SECOND), Ok(()));
        }
        assert_eq!(table.len(), 50_000);
        for address in 50_000..150_000 {
            assert_eq!(table.take(address, &quotas, ONE, 10 * SECOND), Ok(()));
        }
        assert!(table.len() <= 100_000);
        assert_eq!(table.take(7, &quotas, ONE, 10 * SECOND), Ok(()));
        for address in 200_000..300_000 {
            assert_eq!(table.take(address, &quotas, ONE, 20 * SECOND), Ok(()));
        }
        assert!(
            table.take(7, &quotas, ONE, 20 * SECOND).is_ok(),
            "long full again"
        );
    }

    #[test]
    fn tokens_are_settled_where_they_were_taken() {
        let quotas = Quotas::of(&Rate {
            tpm: Some(600.0),
            ..Rate::default()
        });
        let mut table = Table::new(10);
        let now = 5 * SECOND;
        assert_eq!(table.take(1, &quotas, (Unit::Tokens, 500.0), now), Ok(()));
        assert!(table.take(1, &quotas, (Unit::Tokens, 200.0), now).is_err());
        table.settle(1, &quotas, (Unit::Tokens, 500.0, 50.0), now);
        let left = table.standing(1, &quotas, Unit::Tokens, now).map(|s| s.remaining);
        assert_eq!(left, Some(550));
        assert_eq!(table.standing(1, &quotas, Unit::Requests, now), None);
    }
}
