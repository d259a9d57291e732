//! The clocks of an answer that flows: silence of its backend, its length in all, silence towards its client.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::base::clock;

/// All of them on one timer that is rarely touched.
#[derive(Debug)]
pub(super) struct Clocks {
    /// How long the backend may be silent.
    idle: Duration,
    /// When all must be over.
    end: Instant,
    /// After how much silence the client is given a sign of life.
    beat: Option<Duration>,
    /// When the backend last sent something.
    heard: Instant,
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
            end,
            beat: None,
            heard: now,
            said: now,
            timer: None,
        }
    }

    /// Asks for signs of life.
    pub(super) fn beat(&mut self, every: Option<Duration>) {
        self.beat = every;
        self.timer = None;
    }

    /// Notes that the backend has sent something; `false`: the whole time is up, however busy it is.
    pub(super) fn progress(&mut self) -> bool {
        self.heard = clock::now();
        self.heard < self.end
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
        (self.heard + self.idle).min(self.end)
    }

    fn due(&self) -> Instant {
        let beat = self.beat.map(|every| self.said + every);
        beat.map_or(self.up(), |beat| beat.min(self.up()))
    }

    /// Ready when the time has come. The timer is only moved when it fires: progress just notes the time.
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
