//! Exact counts of the last while, in ten buckets. No average: a burst of failures must not hide in one.

use std::time::{Duration, Instant};

const BUCKETS: usize = 10;

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: u32,
    failed: u32,
}

/// A sliding window of outcomes.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// The newest bucket first.
    buckets: [Count; BUCKETS],
    /// When the newest bucket began.
    newest: Instant,
    bucket: Duration,
}

impl Window {
    pub(super) fn new(length: Duration, now: Instant) -> Self {
        // A zero length would be a division by zero later on.
        let bucket = (length / 10).max(Duration::from_millis(1));
        Self {
            buckets: [Count::default(); BUCKETS],
            newest: now,
            bucket,
        }
    }

    /// Counts `weight` outcomes.
    pub(super) fn record(&mut self, failed: bool, weight: u32, now: Instant) {
        self.advance(now);
        if let Some(count) = self.buckets.first_mut() {
            count.all = count.all.saturating_add(weight);
            count.failed = count.failed.saturating_add(if failed { weight } else { 0 });
        }
    }

    /// How many outcomes there were, and how many of them failures.
    pub(super) fn totals(&self) -> (u32, u32) {
        self.buckets.iter().fold((0, 0), |(all, failed), count| {
            (count.all.saturating_add(all), count.failed.saturating_add(failed))
        })
    }

    /// Lets go of the buckets that are too old at `now`.
    fn advance(&mut self, now: Instant) {
        let steps = now.saturating_duration_since(self.newest).as_nanos() / self.bucket.as_nanos();
        match u32::try_from(steps) {
            Ok(steps) if (steps as usize) < BUCKETS => {
                self.buckets.rotate_right(steps as usize);
                self.buckets
                    .iter_mut()
                    .take(steps as usize)
                    .for_each(|count| *count = Count::default());
                self.newest += self.bucket * steps;
            }
            _ => {
                self.buckets = [Count::default(); BUCKETS];
                self.newest = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    #[test]
    fn outcomes_leave_the_window_with_their_bucket() {
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(Duration::from_secs(30), start);
        window.record(true, 1, at(0));
        window.record(true, 2, at(4));
        window.record(false, 1, at(29));
        assert_eq!(window.totals(), (4, 3));
        window.record(false, 1, at(30));
        assert_eq!(window.totals(), (4, 2), "the first is 30 s old");
        window.record(false, 1, at(75));
        assert_eq!(window.totals(), (1, 0), "so does one of a window and a half");
        window.record(false, 1, at(300));
        assert_eq!(window.totals(), (1, 0), "a long silence empties it");
        window.record(false, 1, at(332));
        window.record(false, 1, at(361));
        assert_eq!(window.totals(), (2, 0), "what ends a silence begins a bucket");
    }

    #[test]
    fn an_earlier_now_is_no_trouble() {
        let start = clock::now();
        let mut window = Window::new(Duration::ZERO, start + Duration::from_secs(5));
        window.record(true, 1, start);
        assert_eq!(window.totals(), (1, 1));
    }
}
