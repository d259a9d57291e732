//! What the log is told of a collector: once that something is wrong, and once that it is well again.

use super::collector::{Sent, Signal};

/// How it stands with one signal.
#[derive(Debug)]
pub(super) struct Trouble {
    signal: Signal,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Well,
    /// With what was lost of all spans when it began.
    Since(u64),
    /// It will never be taken, and is not sent any more.
    Final,
}

impl Trouble {
    pub(super) fn new(signal: Signal) -> Self {
        Self {
            signal,
            state: State::Well,
        }
    }

    /// Whether it makes no sense to send any more. Spans are sent all the same: what was wrong with one batch need not be
    /// with the next.
    pub(super) fn is_final(&self) -> bool {
        self.state == State::Final
    }

    /// Says what has changed. `dropped`: spans that were lost so far.
    pub(super) fn tell(&mut self, at: &str, sent: &Sent, dropped: u64) {
        let signal = self.signal.name();
        let why = match sent {
            Sent::Taken { rejected: 0, .. } => {
                if let State::Since(before) = std::mem::replace(&mut self.state, State::Well) {
                    let lost = dropped.saturating_sub(before);
                    tracing::info!(
                        "telemetry: the collector at {at} takes {signal} again; {lost} spans were lost"
                    );
                }
                return;
            }
            Sent::Taken { why, .. } | Sent::Later { why, .. } | Sent::Refused(why) => why,
        };
        let is_final = self.signal == Signal::Metrics && matches!(sent, Sent::Refused(_));
        if self.state == State::Well {
            let then = if is_final {
                "none are sent until the config is loaded again"
            } else {
                "what waits for too long is dropped and counted"
            };
            tracing::warn!("telemetry: the collector at {at} does not take {signal}: {why}; {then}");
            self.state = State::Since(dropped);
        }
        if is_final {
            self.state = State::Final;
        }
    }
}
