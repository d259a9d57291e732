//! What is kept of a request that is over, for a collector.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::access::Record;
use super::line::Line;

/// A request that is over.
#[derive(Clone, Debug)]
pub struct Finished {
    /// All that was noted of it.
    pub record: Arc<Record>,
    /// What the client got, as its access line says it.
    pub status: u16,
    /// Why it failed, in a word, as its access line says it.
    pub class: Option<&'static str>,
    /// Whether that was no doing of the client's own leaving.
    pub failed: bool,
    /// From its arrival to its last byte.
    pub elapsed: Duration,
    /// When it ended.
    pub at: SystemTime,
}

impl Finished {
    #[inline(never)]
    pub(super) fn of(record: &Record, elapsed: Duration, at: SystemTime) -> Self {
        let line = Line::of(record, elapsed, at);
        Self {
            status: line.status,
            class: line.class,
            failed: line.is_failure(),
            record: Arc::new(record.clone()),
            elapsed,
            at,
        }
    }

    /// Whether spans are made of it.
    pub fn is_sampled(&self) -> bool {
        self.record.trace.as_ref().is_some_and(|trace| trace.sampled)
    }

    /// How many spans it is: its own, its attempts', its wait's.
    pub fn spans(&self) -> u64 {
        if !self.is_sampled() {
            return 0;
        }
        1 + self.record.attempts.len() as u64 + u64::from(self.record.queued.is_some())
    }
}
