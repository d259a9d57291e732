//! Who is in service, and whether one more may be.

use std::collections::HashMap;
use std::hash::Hash;

use crate::base::Address;
use crate::config::types::Concurrency;
use crate::limits::who::{KeyId, Who};

/// Counts of those in service against their bounds.
#[derive(Debug)]
pub(super) struct Seats {
    pub(super) bounds: Concurrency,
    taken: u32,
    addresses: Counts<Address>,
    keys: Counts<KeyId>,
}

impl Seats {
    pub(super) fn new(bounds: Concurrency) -> Self {
        Self {
            bounds,
            taken: 0,
            addresses: Counts::default(),
            keys: Counts::default(),
        }
    }

    /// How many are in service.
    pub(super) fn taken(&self) -> u32 {
        self.taken
    }

    /// Whether any more may be, whoever it is.
    pub(super) fn is_open(&self) -> bool {
        self.taken < self.bounds.max_requests
    }

    /// Whether an address may have one more. A Unix socket has no address, and no bound of one.
    pub(super) fn has_room_for(&self, address: Option<Address>) -> bool {
        address.is_none_or(|address| self.addresses.of(address) < self.bounds.per_ip)
    }

    /// Whether a key may have one more.
    pub(super) fn has_room_within(&self, key: Option<KeyId>, max: Option<u32>) -> bool {
        key.zip(max).is_none_or(|(key, max)| self.keys.of(key) < max)
    }

    /// Whether `who` may be served.
    pub(super) fn fits(&self, who: &Who) -> bool {
        self.is_open() && self.has_room_for(who.address) && self.has_room_within(who.key, who.key_max)
    }

    pub(super) fn take(&mut self, who: &Who) {
        self.taken += 1;
        self.addresses.add(who.address);
        self.keys.add(who.key);
    }

    pub(super) fn free(&mut self, who: &Who) {
        self.taken = self.taken.saturating_sub(1);
        self.addresses.sub(who.address);
        self.keys.sub(who.key);
    }

    /// How many addresses and keys are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.addresses.0.len() + self.keys.0.len()
    }
}

/// How many there are of each that there is. Addresses are anybody's choice, so the hash is std's, keyed at random.
#[derive(Debug)]
struct Counts<K>(HashMap<K, u32>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    fn of(&self, of: K) -> u32 {
        self.0.get(&of).copied().unwrap_or_default()
    }

    fn add(&mut self, of: Option<K>) {
        if let Some(of) = of {
            *self.0.entry(of).or_default() += 1;
        }
    }

    fn sub(&mut self, of: Option<K>) {
        let Some(of) = of else { return };
        if let Some(count) = self.0.get_mut(&of) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&of);
            }
        }
    }
}
