//! The retry budget: what all requests together may add in further attempts.
//!
//! Where everything fails, retries multiply the load on what is already down. So each request pays a share of an
//! attempt in, each further attempt takes a whole one out, and ten a second are free for quiet times.

use std::time::Instant;

/// Further attempts that are always allowed, a second; unused ones are kept for one second.
const FREE: f64 = 10.0;
/// What may be saved up from requests: good times must not pay for a storm.
const SAVINGS: f64 = 100.0;

/// A budget for further attempts.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    share: f64,
    saved: f64,
    free: f64,
    filled: Instant,
}

impl RetryBudget {
    /// A budget of that share of requests (`fallback.retry_budget`); 1 or more: no limit.
    pub fn new(share: f64, now: Instant) -> Self {
        Self {
            share,
            saved: 0.0,
            free: FREE,
            filled: now,
        }
    }

    /// Takes a new share at a reload; savings stay.
    pub fn set_share(&mut self, share: f64) {
        self.share = share;
    }

    /// A request came: its first attempt pays in.
    pub fn request(&mut self) {
        self.saved = (self.saved + self.share.max(0.0)).min(SAVINGS);
    }

    /// Whether [`take`](Self::take) would grant a further attempt.
    pub fn has_left(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.share >= 1.0 || self.free >= 1.0 || self.saved >= 1.0
    }

    /// Takes one further attempt out; `false`: the budget is spent.
    pub fn take(&mut self, now: Instant) -> bool {
        if !self.has_left(now) {
            return false;
        }
        let purse = if self.free >= 1.0 {
            &mut self.free
        } else {
            &mut self.saved
        };
        *purse = (*purse - 1.0).max(0.0);
        true
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.free = (self.free + passed * FREE).min(FREE);
        self.filled = self.filled.max(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock;

    /// Runs `rps` requests a second that all want two further attempts; how many they got.
    fn granted(share: f64, rps: u32, seconds: u32) -> u32 {
        let start = clock::now();
        let mut budget = RetryBudget::new(share, start);
        (0..rps * seconds)
            .map(|request| {
                let now = start + Duration::from_secs(1) * request / rps;
                budget.request();
                u32::from(budget.take(now)) + u32::from(budget.take(now))
            })
            .sum()
    }

    #[test]
    fn f44_a_storm_adds_a_fifth_and_ten_a_second() {
        let granted = granted(0.2, 100, 5);
        assert!(
            (140..=160).contains(&granted),
            "{granted} of 1000 wanted; 500 requests allow 100 + 50 + 10"
        );
    }

    #[test]
    fn quiet_times_are_free_and_a_share_of_one_is_no_limit() {
        assert_eq!(granted(0.0, 5, 10), 100);
        assert_eq!(granted(1.0, 1_000, 2), 4_000);
    }

    #[test]
    fn long_health_saves_up_no_storm() {
        let now = clock::now();
        let mut budget = RetryBudget::new(0.2, now);
        (0..100_000).for_each(|_| budget.request());
        let taken = (0..1_000).filter(|_| budget.take(now)).count();
        assert_eq!(taken, 110);
    }

    #[test]
    fn a_reload_brings_a_new_share_and_a_burst_gets_ten() {
        let now = clock::now();
        let mut budget = RetryBudget::new(0.0, now);
        assert_eq!((0..100).filter(|_| budget.take(now)).count(), 10);
        budget.set_share(1.0);
        assert!(budget.take(now), "no limit any more");
    }

    #[test]
    fn no_more_than_a_second_of_quiet_is_kept() {
        let now = clock::now();
        let mut budget = RetryBudget::new(0.0, now);
        let after_a_minute = now + Duration::from_mins(1);
        assert_eq!((0..100).filter(|_| budget.take(after_a_minute)).count(), 10);
    }
}
