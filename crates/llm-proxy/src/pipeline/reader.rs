//! Whether an HTTP/2 client takes what there is for it. A stream that it stops reading stands still behind its flow
//! control, unseen: the connection goes on, and nobody asks the answer for more.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::base::clock;

tokio::task_local! {
    /// That of the stream which this task serves.
    static HERE: Arc<Reader>;
}

/// The client's side of one stream.
#[derive(Debug, Default)]
pub struct Reader {
    /// Since when it has something to take; none while it waits for more.
    since: Mutex<Option<Instant>>,
}

impl Reader {
    /// That of the task which asks; none outside of HTTP/2 streams.
    pub(super) fn here() -> Option<Arc<Self>> {
        HERE.try_with(Arc::clone).ok()
    }

    /// Runs `poll` as part of the task that serves this reader's stream.
    pub fn serving<T>(self: &Arc<Self>, poll: impl FnOnce() -> T) -> T {
        HERE.sync_scope(Arc::clone(self), poll)
    }

    /// Whether there is something for it now. It was asked for, so what there was before has been taken.
    pub(super) fn has(&self, something: bool) {
        *self.since.lock() = something.then(clock::now);
    }

    /// Since when the client has something to take.
    pub fn waited_for_since(&self) -> Option<Instant> {
        *self.since.lock()
    }
}
