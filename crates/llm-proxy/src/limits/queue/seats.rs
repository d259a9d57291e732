//! Who is in service, and whether one more may be.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem::replace;

use crate::base::Address;
use crate::base::hasher::{self, Drawn, Mixing};
use crate::config::types::Concurrency;
use crate::limits::who::{KeyId, Who};

/// Counts of those in service against their bounds. Addresses are anybody's choice, so they are hashed by a random key;
/// the maps hold only who is in service or waits.
#[derive(Debug)]
pub(super) struct Seats {
    pub(super) bounds: Concurrency,
    taken: u32,
    addresses: HashMap<Address, u32, Drawn>,
    keys: HashMap<KeyId, Share, Mixing>,
}

/// What a key has, as long as it has anything.
#[derive(Debug, Default)]
struct Share {
    taken: u32,
    waiting: u32,
    /// What it may have, as its latest request says: a reload may change it.
    max: u32,
}

impl Seats {
    pub(super) fn new(bounds: Concurrency) -> Self {
        Self {
            bounds,
            taken: 0,
            addresses: HashMap::with_hasher(hasher::drawn()),
            keys: HashMap::default(),
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
        let taken = address.and_then(|address| self.addresses.get(&address));
        taken.is_none_or(|taken| *taken < self.bounds.per_ip)
    }

    /// Whether a key may have one more.
    pub(super) fn has_room_within(&self, key: Option<KeyId>) -> bool {
        let share = key.and_then(|key| self.keys.get(&key));
        share.is_none_or(|share| share.taken < share.max)
    }

    /// Serves `who`, if it may be; `false`: it may not. Every request comes by here, so its address is hashed once.
    pub(super) fn take_if_free(&mut self, who: &Who) -> bool {
        if !self.is_open() || !self.has_room_within(who.key) {
            return false;
        }
        match who.address.map(|address| self.addresses.entry(address)) {
            Some(Entry::Occupied(taken)) if *taken.get() >= self.bounds.per_ip => return false,
            Some(Entry::Vacant(_)) if self.bounds.per_ip == 0 => return false,
            Some(taken) => *taken.or_default() += 1,
            None => {}
        }
        self.taken += 1;
        self.change(who, |share| share.taken += 1);
        true
    }

    /// Takes over what a newcomer's config says of its key; whether that is more than before.
    pub(super) fn learn(&mut self, who: &Who) -> bool {
        let Some(share) = who.key.and_then(|key| self.keys.get_mut(&key)) else {
            return false;
        };
        let max = max(who);
        let before = replace(&mut share.max, max);
        max > before
    }

    /// One is in service from now on.
    pub(super) fn take(&mut self, who: &Who) {
        self.taken += 1;
        if let Some(address) = who.address {
            *self.addresses.entry(address).or_default() += 1;
        }
        self.change(who, |share| share.taken += 1);
    }

    /// One is no longer in service.
    pub(super) fn free(&mut self, who: &Who) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(Entry::Occupied(mut taken)) = who.address.map(|address| self.addresses.entry(address)) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
        self.change(who, |share| share.taken -= 1);
    }

    /// One waits from now on.
    pub(super) fn expect(&mut self, who: &Who) {
        self.change(who, |share| share.waiting += 1);
    }

    /// One waits no longer, and is not served.
    pub(super) fn dismiss(&mut self, who: &Who) {
        self.change(who, |share| share.waiting -= 1);
    }

    /// One has waited and is served now.
    pub(super) fn seat(&mut self, who: &Who) {
        // In this order: of a key that has nothing, even for an instant, the bound is forgotten.
        self.take(who);
        self.dismiss(who);
    }

    /// Changes what a key has; what has nothing is forgotten.
    fn change(&mut self, who: &Who, change: impl FnOnce(&mut Share)) {
        let Some(key) = who.key else { return };
        let max = max(who);
        let mut share = match self.keys.entry(key) {
            Entry::Occupied(share) => share,
            Entry::Vacant(none) => none.insert_entry(Share {
                max,
                ..Share::default()
            }),
        };
        change(share.get_mut());
        if share.get().taken + share.get().waiting == 0 {
            share.remove();
        }
    }

    /// How many addresses and keys are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.addresses.len() + self.keys.len()
    }
}

fn max(who: &Who) -> u32 {
    who.key_max.unwrap_or(u32::MAX)
}
