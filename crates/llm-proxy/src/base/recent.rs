//! A map of bounded size that keeps what was used last.
//!
//! Two halves, and no order within one: what is used is in the young half, and when that is full it becomes the old one,
//! whose entries are forgotten. So nothing is forgotten before as many others as a half holds have been used since, and a
//! look-up costs as little as in a plain map.
//!
//! The two change places, and keep their memory: once both have been full nothing is allocated any more, and no request
//! pays for a table that grows again from nothing.

use std::collections::HashMap;
use std::mem;

use super::hasher::Mixing;

/// The map. Its keys are identities (`base::identity`).
#[derive(Debug)]
pub struct Recent<V> {
    young: HashMap<u64, V, Mixing>,
    old: HashMap<u64, V, Mixing>,
    half: usize,
}

impl<V> Recent<V> {
    /// A map that remembers at least the last `half` keys that were used, and never more than twice as many.
    pub fn new(half: usize) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            half: half.max(1),
        }
    }

    /// The value of a key, which has been used by this.
    pub fn get(&mut self, key: u64) -> Option<&mut V> {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key)?;
            self.insert(key, value);
        }
        self.young.get_mut(&key)
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: u64, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, value);
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: u64) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whatever_is_used_stays_and_the_rest_makes_room() {
        let mut recent = Recent::new(3);
        for key in 1..=3 {
            recent.insert(key, key * 10);
        }
        recent.insert(4, 40);
        assert_eq!(recent.get(1), Some(&mut 10), "in the old half, and used by this");
        recent.insert(5, 50);
        recent.insert(6, 60);
        assert_eq!(recent.get(2), None, "not used since");
        assert_eq!(recent.get(1), Some(&mut 10), "used since");
        recent.remove(1);
        assert_eq!(recent.get(1), None);
        assert!(!recent.is_empty());
    }

    #[test]
    fn once_both_halves_have_been_full_their_memory_stays_as_it_is() {
        const HALF: usize = 28;
        let mut recent = Recent::new(HALF);
        let room = |recent: &Recent<u64>| (recent.young.capacity(), recent.old.capacity());
        (0..2 * HALF as u64).for_each(|key| recent.insert(key, key));
        let full = room(&recent);
        assert_eq!(full, (HALF, HALF), "a table of 32 is just full with 28");
        for key in 1_000..2_000 {
            recent.insert(key, key);
            assert_eq!(room(&recent), full, "{key}");
        }
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_never_forgets_the_last_ones(
            half in 1_usize..9,
            steps in prop::collection::vec((0_u64..24, 0_u8..4), 0..200),
        ) {
            let mut recent = Recent::new(half);
            // Keys by their last use, the latest last, and whether they are still there to be remembered.
            let mut used: Vec<(u64, bool)> = Vec::new();
            for (key, step) in steps {
                let is_there = match step {
                    0 => {
                        recent.remove(key);
                        false
                    }
                    1 => {
                        if recent.get(key).is_none() {
                            continue;
                        }
                        true
                    }
                    _ => {
                        recent.insert(key, key);
                        true
                    }
                };
                used.retain(|(own, _)| *own != key);
                used.push((key, is_there));
                prop_assert!(recent.len() <= 2 * half);
            }
            let is_kept = |key| recent.young.contains_key(key) || recent.old.contains_key(key);
            for (key, is_there) in used.iter().rev().take(half) {
                prop_assert!(is_kept(key) == *is_there, "{key} was used lately");
            }
            for key in recent.young.keys().chain(recent.old.keys()) {
                prop_assert!(used.contains(&(*key, true)), "{key} was never put in, or was removed");
            }
        }
    }
}
