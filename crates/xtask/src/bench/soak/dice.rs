//! Chance that can be repeated: every source of it has the run's seed and a name of its own.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use fastrand::Rng;

/// Dice of their own for each list of numbers; the first is the run's seed.
pub(super) fn of(names: &[u64]) -> Rng {
    Rng::with_seed(mixed(names))
}

/// One number of many, spread over all bits.
pub(super) fn mixed(names: &[u64]) -> u64 {
    names.iter().fold(0x9e37_79b9_7f4a_7c15, |mixed, name| {
        let step = (mixed ^ name).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let step = (step ^ (step >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
        step ^ (step >> 29)
    })
}

/// A seed that is no other run's.
pub(super) fn fresh_seed() -> u64 {
    // Short, since a person may have to type it again.
    RandomState::new().build_hasher().finish() & 0xffff_ffff
}

/// Takes one of these, each as often as its weight says.
pub(super) fn weighted<T: Copy>(dice: &mut Rng, choices: &[(u32, T)]) -> Option<T> {
    let all = choices.iter().map(|(weight, _)| weight).sum();
    let mut left = dice.u32(0..u32::max(all, 1));
    choices.iter().find_map(|(weight, choice)| {
        let hit = left < *weight;
        left = left.saturating_sub(*weight);
        hit.then_some(*choice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_names_have_the_same_dice() {
        assert_eq!(of(&[1, 2]).u64(..), of(&[1, 2]).u64(..));
        assert_ne!(of(&[1, 2]).u64(..), of(&[2, 1]).u64(..));
        assert_ne!(mixed(&[1, 0]), mixed(&[1]));
    }

    #[test]
    fn weights_are_kept() {
        let mut dice = of(&[7]);
        let mut hits = [0_u32; 3];
        for _ in 0..4000 {
            let choice = weighted(&mut dice, &[(1, 0), (0, 1), (3, 2)]).expect("there are choices");
            hits[choice] += 1;
        }
        assert_eq!(hits[1], 0);
        assert!((800..1200).contains(&hits[0]), "{hits:?}");
        assert_eq!(weighted::<u8>(&mut dice, &[]), None);
    }
}
