//! What the log is told of a collector: once that something is wrong, and once that it is well again.

use super::collector::{Sent, Signal};

/// How it stands with one signal.
#[derive(Debug)]
pub(super) struct Trouble {
    signal: Signal,
    /// What was lost of all spans when it began; none where all is well.
    since: Option<u64>,
}

impl Trouble {
    pub(super) fn new(signal: Signal) -> Self {
        Self { signal, since: None }
    }

    /// Says what has changed. `dropped`: spans that were lost so far.
    pub(super) fn tell(&mut self, at: &str, sent: &Sent, dropped: u64) {
        let signal = self.signal.name();
        match sent {
            Sent::Taken { rejected: 0, .. } => {
                if let Some(before) = self.since.take() {
                    let lost = dropped.saturating_sub(before);
                    tracing::info!(
                        "telemetry: the collector at {at} takes {signal} again; {lost} spans were lost"
                    );
                }
            }
            Sent::Taken { why, .. } | Sent::Later { why, .. } | Sent::Refused(why) => {
                if self.since.is_none() {
                    tracing::warn!("telemetry: the collector at {at} does not take {signal}: {why}");
                    self.since = Some(dropped);
                }
            }
        }
    }
}
