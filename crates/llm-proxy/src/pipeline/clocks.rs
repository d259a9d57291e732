//! The clocks of an answer that flows: silence of its backend, its length in all, silence towards its client.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::base::clock;

/// How long a backend may send nothing but signs of life, within its answer: they show that somebody is there, and not
/// that anything will come.
const PROGRESS: Duration = Duration::from_mins(5);

/// All of them on one timer that is rarely touched.
#[derive(Debug)]
pub(super) struct Clocks {
    /// How long the backend may be silent.
    idle: Duration,
    /// How long it may send nothing but signs of life.
    patience: Duration,
    /// When all must be over.
    end: Instant,
    /// After how much silence the client is given a sign of life.
    beat: Option<Duration>,
    /// When the backend last sent something.
    heard: Instant,
    /// When that was last more than a sign of life.
    progressed: Instant,
    /// When the client was last sent something.
    said: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What the time has come for.
pub(super) enum Tick {
    /// The end.
    Up,
    /// A sign of life.
    Beat,
}

impl Clocks {
    /// Clocks that begin now, without signs of life.
    pub(super) fn new(idle: Duration, end: Instant) -> Self {
        let now = clock::now();
        Self {
            idle,
            patience: PROGRESS.max(idle),
            end,
            beat: None,
            heard: now,
            progressed: now,
            said: now,
            timer: None,
        }
    }

    /// Asks for signs of life.
    pub(super) fn beat(&mut self, every: Option<Duration>) {
        self.beat = every;
        self.timer = None;
    }

    /// Notes that the backend has sent something, be it only a sign of life; `false`: the time is up, however busy it is.
    pub(super) fn heard(&mut self, progress: bool) -> bool {
        self.heard = clock::now();
        if progress {
            self.progressed = self.heard;
        }
        self.heard < self.up()
    }

    /// Whether the whole time is up.
    pub(super) fn is_over(&self) -> bool {
        clock::now() >= self.end
    }

    /// The client is sent something.
    pub(super) fn said(&mut self) {
        if self.beat.is_some() {
            self.said = clock::now();
        }
    }

    /// Nothing more is needed of the backend: it gets this much silence at most, and the client no more signs of life.
    pub(super) fn linger(&mut self, idle: Duration) {
        self.idle = self.idle.min(idle);
        self.beat = None;
        // It may be set for a later time.
        self.timer = None;
    }

    fn up(&self) -> Instant {
        let silent = self.heard + self.idle;
        silent.min(self.progressed + self.patience).min(self.end)
    }

    fn due(&self) -> Instant {
        let beat = self.beat.map(|every| self.said + every);
        beat.map_or(self.up(), |beat| beat.min(self.up()))
    }

    /// Ready when the time has come. The timer is only moved when it fires: what comes just notes the time.
    pub(super) fn poll(&mut self, cx: &mut Task<'_>) -> Poll<Tick> {
        loop {
            let due = self.due();
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = clock::now();
            if now >= due {
                let is_up = now >= self.up();
                return Poll::Ready(if is_up { Tick::Up } else { Tick::Beat });
            }
            timer.as_mut().reset(due.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_hours(1);

    /// After how many seconds a stream is ended whose backend sends something each second.
    async fn ended(clocks: &mut Clocks, progress: impl Fn(u32) -> bool) -> u32 {
        for second in 1.. {
            tokio::time::advance(SECOND).await;
            if !clocks.heard(progress(second)) {
                return second;
            }
        }
        0
    }

    #[tokio::test(start_paused = true)]
    async fn a22_signs_of_life_alone_end_after_five_minutes_and_words_begin_them_anew() {
        let end = clock::now() + HOUR;
        let mut clocks = Clocks::new(90 * SECOND, end);
        assert_eq!(ended(&mut clocks, |_| false).await, 300);
        let mut clocks = Clocks::new(90 * SECOND, end);
        assert_eq!(ended(&mut clocks, |second| second == 200).await, 500);
        let mut patient = Clocks::new(600 * SECOND, end);
        assert_eq!(
            ended(&mut patient, |_| false).await,
            600,
            "never less than silence may last"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn s10_the_whole_time_ends_even_a_busy_stream() {
        let mut clocks = Clocks::new(90 * SECOND, clock::now() + HOUR);
        assert_eq!(ended(&mut clocks, |_| true).await, 3600);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_stream_and_signs_to_the_client_come_before_that() {
        let began = clock::now();
        let mut clocks = Clocks::new(90 * SECOND, began + HOUR);
        clocks.beat(Some(40 * SECOND));
        for (after, is_beat) in [(40, true), (80, true), (90, false)] {
            let tick = poll_fn(|cx| clocks.poll(cx)).await;
            assert_eq!(matches!(tick, Tick::Beat), is_beat);
            assert_eq!(clock::now() - began, after * SECOND);
            clocks.said();
        }
    }
}
