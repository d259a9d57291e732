//! The signals that steer the program.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Each of them, listened for from the start to the end.
pub(super) struct Signals {
    /// SIGHUP: reload.
    pub(super) hangup: Signal,
    /// SIGUSR2: hand over to a new program.
    pub(super) successor: Signal,
    /// SIGTERM: the end.
    pub(super) terminate: Signal,
    /// SIGINT: likewise.
    pub(super) interrupt: Signal,
}

impl Signals {
    /// Listens for them.
    ///
    /// # Errors
    /// The system does not let us.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            successor: signal(SignalKind::user_defined2())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// SIGTERM or SIGINT.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
