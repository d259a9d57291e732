//! The pace that an answer must keep while it is held back (`timeout.min_rate`): one that trickles is as good as silence,
//! as long as somebody else could still give it (S19).
//!
//! The clock begins with the first content, not with the request: how long a model thinks is `timeout.first_byte`'s.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::timeout_at;

use super::commit::Unfit;
use crate::base::clock;
use crate::config::types::Timeouts;
use crate::upstream::UpstreamBody;

/// How much has come in the window that runs, and how much has to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Bytes in a window.
    least: u64,
    window: Duration,
    /// When the window began; none: nothing that counts has come.
    began: Option<Instant>,
    /// Bytes since then.
    come: u64,
}

impl Pace {
    /// The pace that these clocks ask for, if they ask for one.
    pub(super) fn of(timeouts: &Timeouts) -> Option<Self> {
        let Timeouts {
            min_rate,
            min_rate_window: window,
            ..
        } = *timeouts;
        let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        (min_rate > 0).then(|| Self {
            least: u64::from(min_rate).saturating_mul(millis) / 1000,
            window,
            began: None,
            come: 0,
        })
    }

    /// Over how long it is measured.
    pub(super) fn window(&self) -> Duration {
        self.window
    }

    /// So much has come: the first of it begins the first window.
    pub(super) fn heard(&mut self, bytes: usize, now: Instant) {
        self.come = self.come.saturating_add(bytes as u64);
        if bytes > 0 {
            self.began.get_or_insert(now);
        }
    }

    /// Whether enough has come for the window, be it over or not.
    pub(super) fn is_kept(&self) -> bool {
        self.began.is_some() && self.come >= self.least
    }

    /// When the window is over; none before it has begun.
    fn due(&self) -> Option<Instant> {
        self.began?.checked_add(self.window)
    }

    /// The window is over. Whether enough has come in it; then the next one begins.
    fn goes_on(&mut self, now: Instant) -> bool {
        let kept = self.is_kept();
        (self.began, self.come) = (Some(now), 0);
        kept
    }
}

/// The next piece of a body, for as long as that keeps its pace; none at its end.
pub(super) async fn next(body: &mut UpstreamBody, pace: &mut Option<Pace>) -> Result<Option<Bytes>, Unfit> {
    loop {
        let due = pace.as_ref().and_then(Pace::due);
        let (Some(pace), Some(due)) = (pace.as_mut(), due) else {
            return body.next().await.transpose().map_err(Unfit::Broken);
        };
        let now = clock::now();
        if now >= due {
            if !pace.goes_on(now) {
                return Err(Unfit::Slow);
            }
            continue;
        }
        if let Ok(piece) = timeout_at(due.into(), body.next()).await {
            return piece.transpose().map_err(Unfit::Broken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(min_rate: u32, window: Duration) -> Option<Pace> {
        Pace::of(&Timeouts {
            request: SECOND,
            connect: SECOND,
            first_byte: SECOND,
            idle: SECOND,
            total: SECOND,
            hedge_after: Duration::MAX,
            min_rate,
            min_rate_window: window,
        })
    }

    #[test]
    fn s19_a_window_begins_with_the_first_content_and_what_comes_in_it_is_measured() {
        let start = clock::now();
        let mut pace = pace(20, 5 * SECOND).unwrap();
        pace.heard(0, start);
        assert_eq!(pace.due(), None, "a model may think for as long as it likes");
        let spoke = start + 60 * SECOND;
        pace.heard(60, spoke);
        assert_eq!(pace.due(), Some(spoke + 5 * SECOND));
        pace.heard(39, spoke + SECOND);
        assert!(!pace.is_kept());
        pace.heard(1, spoke + 2 * SECOND);
        assert!(pace.is_kept(), "20 a second for 5 seconds");
    }

    #[test]
    fn s19_each_window_is_measured_by_itself() {
        let start = clock::now();
        let mut pace = pace(20, 5 * SECOND).unwrap();
        pace.heard(1, start);
        pace.heard(10_000, start + SECOND);
        let over = start + 5 * SECOND;
        assert!(pace.goes_on(over));
        assert_eq!(pace.due(), Some(over + 5 * SECOND));
        pace.heard(99, over + SECOND);
        assert!(!pace.goes_on(over + 5 * SECOND), "what came before is spent");
    }

    #[test]
    fn without_a_rate_there_is_no_pace() {
        assert!(pace(0, SECOND).is_none());
        assert!(
            pace(u32::MAX, Duration::from_secs(u64::MAX / 1_000)).is_some(),
            "no sum overflows"
        );
    }
}
