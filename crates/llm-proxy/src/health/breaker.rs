//! When failures that may be chance become a reason to stop: so many in a row, or too large a share of a window.

use std::time::Instant;

use super::window::Window;
use crate::config::types::Trip;

/// The outcomes of one scope while it is in use.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    consecutive: u32,
    window: Window,
}

impl Breaker {
    pub(super) fn new(trip: Trip, now: Instant) -> Self {
        Self {
            consecutive: 0,
            window: Window::new(trip.window, now),
        }
    }

    pub(super) fn success(&mut self, now: Instant) {
        self.consecutive = 0;
        self.window.record(false, 1, now);
    }

    /// Counts a failure as `weight` of them; whether that trips it.
    pub(super) fn failure(&mut self, weight: u32, trip: Trip, now: Instant) -> bool {
        self.consecutive = self.consecutive.saturating_add(weight);
        self.window.record(true, weight, now);
        let (all, failed) = self.window.totals();
        let too_many = all >= trip.min_requests && f64::from(failed) >= f64::from(all) * trip.error_rate;
        self.consecutive >= trip.consecutive || too_many
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock;

    const TRIP: Trip = Trip {
        consecutive: 3,
        error_rate: 0.5,
        min_requests: 10,
        window: Duration::from_secs(30),
    };

    /// Runs outcomes (`x`: failure, `.`: success) 100 ms apart; the index at which it trips.
    fn trips_at(outcomes: &str, trip: Trip) -> Option<usize> {
        let mut now = clock::now();
        let mut breaker = Breaker::new(trip, now);
        outcomes.bytes().position(|outcome| {
            now += Duration::from_millis(100);
            if outcome == b'x' {
                return breaker.failure(1, trip, now);
            }
            breaker.success(now);
            false
        })
    }

    #[test]
    fn c10_c11_what_trips_and_what_does_not() {
        let blip = format!("x{}", ".".repeat(100));
        for (name, outcomes, expected) in [
            ("three in a row", "..xxx", Some(4)),
            ("C10: half of ten, never three in a row", "x.x.x.x..x", Some(9)),
            ("C10: the failures first", "xx.xx.x...x", Some(10)),
            ("too few requests", "x.x.x.x.", None),
            ("a third of them", "x..x..x..x..x..x..x", None),
            ("C11: one failure, a hundred successes", blip.as_str(), None),
        ] {
            assert_eq!(trips_at(outcomes, TRIP), expected, "{name}");
        }
    }
}
