//! How fast places come free, measured, so that whoever is turned away hears an honest time.

use std::time::{Duration, Instant};

/// What the window is counted in.
const BUCKET: Duration = Duration::from_secs(1);
const BUCKETS: usize = 10;

/// Departures of the last ten seconds.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// The newest bucket first.
    buckets: [u32; BUCKETS],
    /// When the newest bucket began.
    newest: Instant,
}

impl Service {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            buckets: [0; BUCKETS],
            newest: now,
        }
    }

    /// Somebody has left.
    pub(super) fn depart(&mut self, now: Instant) {
        self.advance(now);
        if let Some(newest) = self.buckets.first_mut() {
            *newest = newest.saturating_add(1);
        }
    }

    /// How long it takes until `number` have left, at the measured rate; `None`: nobody has left lately.
    pub(super) fn time_for(&mut self, number: usize, now: Instant) -> Option<Duration> {
        self.advance(now);
        // The time before the first departure does not count: an idle program is not a slow one.
        let oldest = self.buckets.iter().rposition(|departures| *departures > 0)?;
        let departures: u64 = self.buckets.iter().copied().map(u64::from).sum();
        let since_newest = now.saturating_duration_since(self.newest);
        let span = BUCKET.as_secs_f64() * as_f64(oldest) + since_newest.as_secs_f64();
        // A rate of the first instants would be a guess.
        let span = span.max(BUCKET.as_secs_f64());
        let seconds = span * as_f64(number) / as_f64(departures);
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// Lets go of the buckets that are too old at `now`.
    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.newest);
        if passed < BUCKET {
            return;
        }
        let steps = u32::try_from(passed.as_secs()).unwrap_or(u32::MAX);
        let kept = BUCKETS.saturating_sub(steps as usize);
        self.buckets.rotate_right(BUCKETS - kept);
        self.buckets
            .iter_mut()
            .take(BUCKETS - kept)
            .for_each(|bucket| *bucket = 0);
        self.newest += BUCKET * steps;
    }
}

/// Counts here are far below 2^52, where this is exact.
fn as_f64(number: impl TryInto<u32>) -> f64 {
    number.try_into().map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    /// Departures every `millis` from the start on; how long 100 more would take in the end.
    fn after(start: Instant, millis: u64, number: u64) -> Option<Duration> {
        let mut service = Service::new(start);
        let mut now = start;
        for _ in 0..number {
            now += Duration::from_millis(millis);
            service.depart(now);
        }
        service.time_for(100, now)
    }

    #[test]
    fn a_steady_rate_is_told_as_it_is() {
        let start = clock::now();
        for (millis, number, seconds) in [
            (100, 500, 10.0),
            (10, 5_000, 1.0),
            (500, 100, 50.0),
            (100, 50, 10.0),
        ] {
            let told = after(start, millis, number).unwrap().as_secs_f64();
            let off = (told / seconds - 1.0).abs();
            assert!(
                off < 0.12,
                "{number} departures every {millis} ms: {told} s, not {seconds} s"
            );
        }
    }

    #[test]
    fn what_was_long_ago_says_nothing_and_an_idle_time_does_not_count() {
        let start = clock::now();
        let mut service = Service::new(start);
        assert_eq!(service.time_for(1, start), None, "nothing has been measured");
        service.depart(start);
        assert_eq!(
            service.time_for(1, start + BUCKET * 10),
            None,
            "ten seconds are over"
        );
        let later = start + Duration::from_hours(1);
        (0..10).for_each(|_| service.depart(later));
        assert_eq!(
            service.time_for(10, later),
            Some(BUCKET),
            "the hour before was idle"
        );
        assert_eq!(
            service.time_for(10, later + BUCKET * 5),
            Some(BUCKET * 5),
            "that it has come to a stop since counts"
        );
    }

    #[test]
    fn an_earlier_now_is_no_trouble() {
        let start = clock::now();
        let mut service = Service::new(start + BUCKET);
        service.depart(start);
        assert_eq!(service.time_for(1, start), Some(BUCKET));
    }
}
