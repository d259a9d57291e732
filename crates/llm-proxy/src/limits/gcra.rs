//! A token bucket as one number: the generic cell rate algorithm.
//!
//! What is kept is the time at which the bucket will be full again. Taking moves it into the future, and what may lie
//! in the future at most is the burst. An untouched bucket is any time in the past, so forgetting a full one loses
//! nothing.

use std::time::Duration;

use super::Nanos;
use crate::base::atomic::{AtomicU64, Ordering};

/// How much a bucket yields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// Nanoseconds until one more has flown in.
    interval: f64,
    /// How many it holds.
    burst: f64,
}

/// What a bucket holds, as clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many it holds at most.
    pub limit: u64,
    /// How many may be taken now.
    pub remaining: u64,
    /// Until it is full again.
    pub reset: Duration,
}

impl Standing {
    /// The one of two that has less left, if there are any.
    pub fn scarcer(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if other.remaining < one.remaining => Some(other),
            (one, other) => one.or(other),
        }
    }
}

impl Quota {
    /// `amount` in each `period`, of which `burst` may come at once: at least one, or none would ever come.
    ///
    /// Both are positive: the config's checks see to that.
    pub fn new(amount: f64, period: Duration, burst: f64) -> Self {
        Self {
            interval: nanos(period) / amount,
            burst: burst.max(1.0),
        }
    }

    /// Takes `amount` from a bucket that is full at `full_at`: when it is full then, or how long to wait for it.
    ///
    /// More than the bucket holds is taken as all that it holds: a large request passes when nothing else does.
    ///
    /// # Errors
    /// How long it takes until there is enough.
    pub fn take(&self, full_at: Nanos, amount: f64, now: Nanos) -> Result<Nanos, Duration> {
        let amount = self.at_most(amount);
        let then = float(full_at.saturating_sub(now)) + amount * self.interval;
        let over = then - self.capacity();
        // Half a nanosecond is the error of the sums, not a debt.
        if over > 0.5 {
            return Err(in_whole(over));
        }
        Ok(now.saturating_add(rounded(then)))
    }

    /// That amount, or all that the bucket holds.
    pub fn at_most(&self, amount: f64) -> f64 {
        amount.min(self.burst)
    }

    /// The bucket after `amount` more were used than had been taken; less than nothing gives back. It may end in debt.
    pub fn settle(&self, full_at: Nanos, amount: f64) -> Nanos {
        let shift = amount * self.interval;
        if shift < 0.0 {
            full_at.saturating_sub(rounded(-shift))
        } else {
            full_at.saturating_add(rounded(shift))
        }
    }

    /// What is in it.
    pub fn standing(&self, full_at: Nanos, now: Nanos) -> Standing {
        let missing = full_at.saturating_sub(now);
        let remaining = (self.capacity() - float(missing)) / self.interval;
        Standing {
            limit: rounded(self.burst),
            // What the sums lose must not look like a request less.
            remaining: whole(remaining + 1e-6),
            reset: Duration::from_nanos(missing),
        }
    }

    /// From empty to full, in nanoseconds.
    fn capacity(&self) -> f64 {
        self.burst * self.interval
    }
}

/// That many nanoseconds, rounded up.
#[cold]
fn in_whole(nanos: f64) -> Duration {
    Duration::from_nanos(rounded(nanos.ceil()))
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// A span of nanoseconds as a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "spans of less than a hundred days are exact"
)]
fn float(nanos: Nanos) -> f64 {
    nanos as f64
}

/// The whole number next to `value`; nothing below zero.
fn rounded(value: f64) -> u64 {
    // `round` is a call into the maths library on the oldest x86-64, and every request needs a dozen.
    whole(value + 0.5)
}

/// The whole number at or below `value`; nothing below zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast cuts and saturates, which is what is wanted"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

/// A bucket that many requests take from at once, without a lock. All that it knows is one number, and each step
/// replaces the very number that it was computed from: any interleaving is some order of takes and settlements, so the
/// laws of [`Quota`] are those of the bucket, and there is no other memory that an order could be wrong about.
#[derive(Debug)]
pub struct Bucket {
    quota: Quota,
    full_at: AtomicU64,
}

impl Bucket {
    /// A full one.
    pub fn new(quota: Quota) -> Self {
        Self {
            quota,
            full_at: AtomicU64::new(0),
        }
    }

    /// Takes `amount`.
    ///
    /// # Errors
    /// How long it takes until there is enough; nothing is taken.
    pub fn take(&self, amount: f64, now: Nanos) -> Result<(), Duration> {
        let mut before = self.full_at.load(Ordering::Relaxed);
        loop {
            let after = self.quota.take(before, amount, now)?;
            let swapped =
                self.full_at
                    .compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => return Ok(()),
                Err(current) => before = current,
            }
        }
    }

    /// What was taken was `taken`, what was used is `used`.
    pub fn settle(&self, taken: f64, used: f64) {
        // What was taken from a bucket that was too small for it was no more than all that it holds.
        let difference = used - self.quota.at_most(taken);
        let settled = |full_at| Some(self.quota.settle(full_at, difference));
        // It never gives up: the function always has a value.
        let _ = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, settled);
    }

    /// What is in it.
    pub fn standing(&self, now: Nanos) -> Standing {
        self.quota.standing(self.full_at.load(Ordering::Relaxed), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_mins(1);

    fn seconds(count: f64) -> Nanos {
        rounded(count * 1e9)
    }

    #[test]
    fn l07_a_burst_passes_and_then_one_in_each_interval() {
        let bucket = Bucket::new(Quota::new(60.0, MINUTE, 10.0));
        let now = seconds(100.0);
        let passed = (0..70).filter(|_| bucket.take(1.0, now).is_ok()).count();
        assert_eq!(passed, 10);
        assert_eq!(bucket.take(1.0, now), Err(SECOND), "the time until the next");
        assert_eq!(
            bucket.take(1.0, now + seconds(0.999)),
            Err(Duration::from_millis(1))
        );
        assert_eq!(bucket.take(1.0, now + seconds(1.0)), Ok(()));
        assert!(bucket.take(1.0, now + seconds(1.0)).is_err());
    }

    #[test]
    fn l08_ten_minutes_at_twice_the_rate_pass_the_limit_and_the_burst() {
        for (rpm, burst) in [(60.0, 10.0), (600.0, 600.0), (7.5, 1.0)] {
            let bucket = Bucket::new(Quota::new(rpm, MINUTE, burst));
            let asked = (0_u32..).map(|at| seconds(f64::from(at) * 30.0 / rpm));
            let passed = asked
                .take_while(|now| *now <= seconds(600.0))
                .filter(|now| bucket.take(1.0, *now).is_ok())
                .count();
            let most = rpm * 10.0 + burst;
            let passed = f64::from(u32::try_from(passed).unwrap());
            assert!(
                passed <= most && passed > most - 2.0,
                "{passed} of {most} at {rpm}"
            );
        }
    }

    #[test]
    fn a_rate_below_one_lets_one_through_at_a_time() {
        let bucket = Bucket::new(Quota::new(0.2, SECOND, 0.2));
        assert_eq!(bucket.take(1.0, 0), Ok(()));
        assert_eq!(bucket.take(1.0, 0), Err(Duration::from_secs(5)));
    }

    #[test]
    fn more_than_it_holds_waits_for_a_full_bucket_and_leaves_it_in_debt() {
        let bucket = Bucket::new(Quota::new(600.0, MINUTE, 600.0));
        bucket.take(1.0, 0).unwrap();
        assert!(bucket.take(100_000.0, 0).is_err(), "it is not full");
        assert_eq!(bucket.take(100_000.0, seconds(1.0)), Ok(()));
        bucket.settle(100_000.0, 1_200.0);
        assert_eq!(bucket.take(1.0, seconds(1.0)), Err(Duration::from_millis(60_100)));
    }

    #[test]
    fn what_was_not_used_is_there_for_the_next() {
        let bucket = Bucket::new(Quota::new(1_000.0, MINUTE, 1_000.0));
        let now = seconds(7.0);
        bucket.take(900.0, now).unwrap();
        assert!(bucket.take(900.0, now).is_err());
        bucket.settle(900.0, 90.0);
        assert_eq!(bucket.standing(now).remaining, 910);
        assert_eq!(bucket.take(900.0, now), Ok(()));
    }

    #[test]
    fn it_says_how_it_stands() {
        let bucket = Bucket::new(Quota::new(60.0, MINUTE, 60.0));
        let now = seconds(1.0);
        let full = Standing {
            limit: 60,
            remaining: 60,
            reset: Duration::ZERO,
        };
        assert_eq!(bucket.standing(now), full);
        bucket.take(3.0, now).unwrap();
        let less = Standing {
            limit: 60,
            remaining: 57,
            reset: Duration::from_secs(3),
        };
        assert_eq!(bucket.standing(now), less);
    }

    #[test]
    fn many_at_once_take_no_more_than_there_is() {
        let bucket = Bucket::new(Quota::new(1.0, MINUTE, 1_000.0));
        let passed = std::thread::scope(|scope| {
            let takers =
                (0..8).map(|_| scope.spawn(|| (0..1_000).filter(|_| bucket.take(1.0, 0).is_ok()).count()));
            let takers: Vec<_> = takers.collect();
            takers
                .into_iter()
                .map(|taker| taker.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(passed, 1_000);
    }

    /// A bucket as one would write it down first: what is in it, and when that was looked at.
    struct Naive {
        amount: f64,
        seen: f64,
        burst: f64,
        each: f64,
    }

    impl Naive {
        fn flow(&mut self, now: f64) {
            self.amount = (self.amount + (now - self.seen) / self.each).min(self.burst);
            self.seen = now;
        }
    }

    proptest! {
        #[test]
        fn it_counts_as_a_bucket_with_a_tap_does(
            rate in 0.5_f64..2_000.0,
            burst in 1.0_f64..500.0,
            steps in prop::collection::vec((0.0_f64..0.5, 0.1_f64..600.0, prop::option::of(0.0_f64..2.0)), 1..200),
        ) {
            let bucket = Bucket::new(Quota::new(rate, SECOND, burst));
            let mut naive = Naive { amount: burst, seen: 0.0, burst, each: 1.0 / rate };
            let mut now = 0.0;
            for (pause, amount, used) in steps {
                now += pause;
                naive.flow(now);
                let wanted = amount.min(burst);
                // Where the two are closer than a rounding, either may be right.
                if (naive.amount - wanted).abs() < 1e-3 {
                    return Ok(());
                }
                let taken = bucket.take(amount, seconds(now));
                prop_assert_eq!(taken.is_ok(), naive.amount > wanted);
                match taken {
                    Ok(()) => {
                        naive.amount -= wanted;
                        if let Some(share) = used {
                            bucket.settle(amount, amount * share);
                            naive.amount = (naive.amount + wanted - amount * share).min(burst);
                        }
                    }
                    Err(wait) => {
                        let missing = (wanted - naive.amount) / rate;
                        prop_assert!((wait.as_secs_f64() - missing).abs() < 1e-5);
                    }
                }
            }
        }
    }
}
