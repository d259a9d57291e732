//! Smooth weighted round robin: each gets exactly its share, and never in a lump (C14).
//!
//! The method of nginx: at each pick everybody gains its weight, the richest is picked and pays all that was gained.

use std::collections::HashMap;

/// What each route has gained and not yet spent. One for each alias; it begins anew with a new config.
#[derive(Clone, Debug, Default)]
pub struct Smooth {
    credit: HashMap<usize, f64>,
}

impl Smooth {
    /// Picks one of `candidates` (route, weight) and books it. Of equals the first; weights that are not above zero
    /// count as equal to one another where there are no others. `None` only where there is nobody.
    pub fn pick(&mut self, candidates: &[(usize, f64)]) -> Option<usize> {
        let only_zeros = candidates.iter().all(|(_, weight)| *weight <= 0.0);
        let worth = |weight: f64| if only_zeros { 1.0 } else { weight.max(0.0) };
        let mut total = 0.0;
        let mut richest: Option<(usize, f64)> = None;
        for (route, weight) in candidates {
            let credit = self.credit.entry(*route).or_insert(0.0);
            *credit += worth(*weight);
            total += worth(*weight);
            // A weight of zero is for when the others are gone, however rich it was before.
            let counts = only_zeros || *weight > 0.0;
            if counts && richest.is_none_or(|(_, most)| *credit > most) {
                richest = Some((*route, *credit));
            }
        }
        let (route, _) = richest?;
        *self.credit.entry(route).or_insert(0.0) -= total;
        Some(route)
    }

    /// What a route has gained and not spent: who has more is due sooner.
    pub fn credit(&self, route: usize) -> f64 {
        self.credit.get(&route).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picks(weights: &[f64], times: usize) -> Vec<usize> {
        let candidates: Vec<_> = weights.iter().copied().enumerate().collect();
        let mut smooth = Smooth::default();
        (0..times).map(|_| smooth.pick(&candidates).unwrap()).collect()
    }

    #[test]
    fn c14_eight_to_two_is_exact_and_has_no_long_runs() {
        let picks = picks(&[8.0, 2.0], 1_000);
        assert_eq!(picks.iter().filter(|route| **route == 0).count(), 800);
        let longest = picks.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
        assert!(longest <= Some(5), "{longest:?}");
    }

    #[test]
    fn a_weight_of_zero_is_picked_when_the_others_are_gone() {
        assert_eq!(picks(&[0.0, 1.0], 3), [1, 1, 1]);
        assert_eq!(picks(&[0.0, 0.0], 4), [0, 1, 0, 1]);
        assert_eq!(Smooth::default().pick(&[]), None);
    }

    proptest! {
        #[test]
        fn everybody_gets_its_share_at_any_length(weights in prop::collection::vec(1_u32..20, 1..6), rounds in 1_usize..200) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let total: f64 = weights.iter().sum();
            let picks = picks(&weights, rounds);
            for (route, weight) in weights.iter().enumerate() {
                let got = f64::from(u32::try_from(picks.iter().filter(|pick| **pick == route).count()).unwrap());
                let due = f64::from(u32::try_from(rounds).unwrap()) * weight / total;
                let slack = f64::from(u32::try_from(weights.len()).unwrap());
                prop_assert!((got - due).abs() <= slack, "route {route} got {got}, was due {due}");
            }
        }

        #[test]
        fn nothing_is_lost_when_candidates_come_and_go(turns in prop::collection::vec(1_usize..8, 1..300)) {
            let mut smooth = Smooth::default();
            for turn in turns {
                // The bits of `turn` say which of three are there.
                let there: Vec<_> = (0..3).filter(|route| turn & (1 << route) != 0).map(|route| (route, 5.0)).collect();
                let picked = smooth.pick(&there).unwrap();
                prop_assert!(there.iter().any(|(route, _)| *route == picked));
                let sum: f64 = (0..3).map(|route| smooth.credit(route)).sum();
                prop_assert!(sum.abs() < 1e-6);
            }
        }
    }
}
