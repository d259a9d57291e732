//! The order in which the candidates of one priority are tried: the first choice, then the rest as its fallbacks.
//!
//! Only candidates that may be used now belong in: what is skipped later would still be booked as chosen. A route
//! that warms up after a recovery gets its share of its weight; a weight of zero comes last.

use super::smooth::Smooth;
use crate::config::types::Strategy;

/// A route that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its index in the alias's routes.
    pub route: usize,
    /// Its weight in the config.
    pub weight: u32,
}

/// What is known of an alias's routes at the moment.
pub trait Signals {
    /// Requests in flight at the route's backend.
    fn in_flight(&self, route: usize) -> u32;
    /// The moving average of its first-byte latency in milliseconds; `None`: never measured, or so long ago that it
    /// says nothing, and worth exploring.
    fn latency_ms(&self, route: usize) -> Option<f64>;
    /// The share of its weight that it should get, from 0.1 to 1: less than 1 while it warms up.
    fn share(&self, route: usize) -> f32;
}

/// A candidate with what the order needs of it.
#[derive(Clone, Copy, Debug)]
struct Runner {
    route: usize,
    weight: f64,
    share: f64,
}

/// Orders all `candidates` of a tier. `smooth` is the alias's own; `random` gives 64 random bits at each call.
pub fn order(
    strategy: Strategy,
    candidates: &[Candidate],
    signals: &dyn Signals,
    smooth: &mut Smooth,
    random: &mut dyn FnMut() -> u64,
) -> Vec<usize> {
    let runners: Vec<Runner> = candidates
        .iter()
        .map(|candidate| Runner::new(*candidate, signals))
        .collect();
    match strategy {
        Strategy::Weighted => weighted(runners, smooth),
        Strategy::LeastBusy => least_busy(runners, signals, smooth),
        Strategy::Fastest => fastest(runners, signals, random),
        Strategy::Random => at_random(runners, random),
    }
    .into_iter()
    .map(|runner| runner.route)
    .collect()
}

impl Runner {
    fn new(candidate: Candidate, signals: &dyn Signals) -> Self {
        let share = f64::from(signals.share(candidate.route)).clamp(0.01, 1.0);
        Self {
            route: candidate.route,
            weight: f64::from(candidate.weight) * share,
            share,
        }
    }

    /// Whether it is only for when the others are gone.
    fn is_reserve(&self) -> bool {
        self.weight <= 0.0
    }
}

/// The pick of the round robin, then those that are due soonest.
fn weighted(mut runners: Vec<Runner>, smooth: &mut Smooth) -> Vec<Runner> {
    let picked = pick(&runners, smooth);
    runners.sort_by(|a, b| {
        let due = |runner: &Runner| smooth.credit(runner.route) + runner.weight;
        (a.is_reserve().cmp(&b.is_reserve())).then(due(b).total_cmp(&due(a)))
    });
    to_front(runners, picked)
}

/// The fewest in flight, which a warming route multiplies; of equals, whom the round robin picks.
fn least_busy(mut runners: Vec<Runner>, signals: &dyn Signals, smooth: &mut Smooth) -> Vec<Runner> {
    let load = |runner: &Runner| (f64::from(signals.in_flight(runner.route)) + 1.0) / runner.share;
    let compare =
        |a: &Runner, b: &Runner| (a.is_reserve().cmp(&b.is_reserve())).then(load(a).total_cmp(&load(b)));
    runners.sort_by(compare);
    let Some(least) = runners.first().copied() else {
        return runners;
    };
    let ties: Vec<Runner> = runners
        .iter()
        .copied()
        .filter(|runner| compare(runner, &least).is_eq())
        .collect();
    let picked = pick(&ties, smooth);
    to_front(runners, picked)
}

/// The faster of two drawn by weight, an unknown one before both; then the fastest known.
fn fastest(runners: Vec<Runner>, signals: &dyn Signals, random: &mut dyn FnMut() -> u64) -> Vec<Runner> {
    let mut runners = at_random(runners, random);
    let known = |runner: &Runner| signals.latency_ms(runner.route);
    let drawn = runners.iter().take(2).filter(|runner| !runner.is_reserve());
    let winner = drawn.min_by(|a, b| known(a).unwrap_or(-1.0).total_cmp(&known(b).unwrap_or(-1.0)));
    let winner = winner.map(|runner| runner.route);
    runners.sort_by(|a, b| {
        let latency = |runner: &Runner| known(runner).unwrap_or(f64::INFINITY);
        (a.is_reserve().cmp(&b.is_reserve())).then(latency(a).total_cmp(&latency(b)))
    });
    to_front(runners, winner)
}

/// Draws one after the other by weight: each waits for a random time that is the shorter the more it weighs.
fn at_random(runners: Vec<Runner>, random: &mut dyn FnMut() -> u64) -> Vec<Runner> {
    let mut waiting: Vec<(f64, Runner)> = runners
        .into_iter()
        .map(|runner| {
            let weight = if runner.is_reserve() { 1.0 } else { runner.weight };
            (-fraction(random()).ln() / weight, runner)
        })
        .collect();
    waiting.sort_by(|(a, x), (b, y)| (x.is_reserve().cmp(&y.is_reserve())).then(a.total_cmp(b)));
    waiting.into_iter().map(|(_, runner)| runner).collect()
}

/// A number above 0 and up to 1.
fn fraction(bits: u64) -> f64 {
    let upper = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    (f64::from(upper) + 1.0) / (f64::from(u32::MAX) + 1.0)
}

fn pick(runners: &[Runner], smooth: &mut Smooth) -> Option<usize> {
    let weights: Vec<_> = runners
        .iter()
        .map(|runner| (runner.route, runner.weight))
        .collect();
    smooth.pick(&weights)
}

/// Puts the picked route first and leaves the rest as they are.
fn to_front(mut runners: Vec<Runner>, picked: Option<usize>) -> Vec<Runner> {
    runners.sort_by_key(|runner| Some(runner.route) != picked);
    runners
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[derive(Default)]
    struct Known {
        busy: HashMap<usize, u32>,
        latency: HashMap<usize, f64>,
        share: HashMap<usize, f32>,
    }

    impl Signals for Known {
        fn in_flight(&self, route: usize) -> u32 {
            self.busy.get(&route).copied().unwrap_or(0)
        }
        fn latency_ms(&self, route: usize) -> Option<f64> {
            self.latency.get(&route).copied()
        }
        fn share(&self, route: usize) -> f32 {
            self.share.get(&route).copied().unwrap_or(1.0)
        }
    }

    /// `SplitMix64`: enough chance for a test, the same at each run.
    fn dice(mut state: u64) -> impl FnMut() -> u64 {
        move || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        }
    }

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        weights
            .iter()
            .enumerate()
            .map(|(route, weight)| Candidate {
                route,
                weight: *weight,
            })
            .collect()
    }

    /// How often each route comes first in so many orders.
    fn firsts(strategy: Strategy, weights: &[u32], known: &Known, times: usize) -> Vec<usize> {
        let (mut smooth, mut random) = (Smooth::default(), dice(7));
        let mut counts = vec![0; weights.len()];
        for _ in 0..times {
            let order = order(strategy, &candidates(weights), known, &mut smooth, &mut random);
            counts[order[0]] += 1;
        }
        counts
    }

    #[test]
    fn c14_weighted_is_exact() {
        assert_eq!(
            firsts(Strategy::Weighted, &[8, 2], &Known::default(), 1_000),
            [800, 200]
        );
    }

    #[test]
    fn c01_a_warming_route_gets_a_tenth_of_its_weight() {
        let known = Known {
            share: [(0, 0.1)].into(),
            ..Known::default()
        };
        let counts = firsts(Strategy::Weighted, &[10, 1], &known, 1_000);
        assert!(counts[0].abs_diff(500) <= 1, "{counts:?}");
    }

    #[test]
    fn c16_the_idle_one_gets_the_next_ten() {
        let known = |busy| Known {
            busy: [(0, 10), (1, busy)].into(),
            ..Known::default()
        };
        for busy in 0..10 {
            assert_eq!(
                firsts(Strategy::LeastBusy, &[1, 1], &known(busy), 1),
                [0, 1],
                "{busy} of 10"
            );
        }
        assert_eq!(
            firsts(Strategy::LeastBusy, &[3, 1], &known(10), 400),
            [300, 100],
            "ties go by weight"
        );
    }

    #[test]
    fn the_faster_of_two_wins_and_the_unknown_is_explored() {
        let mut known = Known {
            latency: [(0, 900.0), (1, 100.0)].into(),
            ..Known::default()
        };
        assert_eq!(firsts(Strategy::Fastest, &[1, 1], &known, 50), [0, 50]);
        known.latency.remove(&0);
        assert_eq!(firsts(Strategy::Fastest, &[1, 1], &known, 50), [50, 0]);
    }

    #[test]
    fn the_slowest_of_three_never_wins_and_the_middle_one_sometimes() {
        let known = Known {
            latency: [(0, 10.0), (1, 20.0), (2, 30.0)].into(),
            ..Known::default()
        };
        let counts = firsts(Strategy::Fastest, &[1, 1, 1], &known, 3_000);
        assert_eq!(counts[2], 0);
        assert!(counts[1].abs_diff(1_000) < 150, "{counts:?}");
    }

    #[test]
    fn random_goes_by_weight() {
        let counts = firsts(Strategy::Random, &[3, 1], &Known::default(), 4_000);
        assert!(counts[0].abs_diff(3_000) < 150, "{counts:?}");
    }

    #[test]
    fn c15_a_first_choice_that_is_gone_leaves_its_place_to_the_next() {
        let known = Known::default();
        let rest = [
            Candidate { route: 1, weight: 28 },
            Candidate { route: 2, weight: 27 },
        ];
        let order = order(
            Strategy::Weighted,
            &rest,
            &known,
            &mut Smooth::default(),
            &mut dice(1),
        );
        assert_eq!(order, [1, 2], "new-api #6095");
    }

    proptest! {
        #[test]
        fn every_order_names_each_candidate_once_and_reserves_last(
            weights in prop::collection::vec(0_u32..5, 0..6),
            busy in prop::collection::vec(0_u32..4, 6),
            seed in any::<u64>(),
        ) {
            let known = Known { busy: busy.into_iter().enumerate().collect(), latency: [(1, 5.0)].into(), ..Known::default() };
            for strategy in [Strategy::Weighted, Strategy::LeastBusy, Strategy::Fastest, Strategy::Random] {
                let (mut smooth, mut random) = (Smooth::default(), dice(seed));
                let order = order(strategy, &candidates(&weights), &known, &mut smooth, &mut random);
                let mut sorted = order.clone();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, (0..weights.len()).collect::<Vec<_>>());
                let reserves: Vec<bool> = order.iter().map(|route| weights[*route] == 0).collect();
                prop_assert!(reserves.is_sorted(), "{:?}: {:?}", strategy, order);
            }
        }
    }
}
