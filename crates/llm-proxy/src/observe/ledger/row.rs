//! One request as the ledger keeps it: its access record, without the trail of attempts, and without a word of what was said.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use llm_dialect::Dialect;
use llm_dialect::usage::Usage;

use super::sums::{Named, Sum};
use crate::base::{Cost, Day};
use crate::observe::line::Line;

/// No request has more tokens; a backend that reports more must not make a sum overflow.
const MOST_TOKENS: u64 = 1_000_000_000_000;
/// No request costs more, in billionths of a dollar: a million dollars.
const MOST_COST: u64 = 1_000_000_000_000_000;

/// A row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// When it ended.
    pub at: SystemTime,
    pub request_id: String,
    pub key: Option<Arc<str>>,
    /// As the access line has it.
    pub alias: Option<Arc<str>>,
    /// Backend and model that were asked last.
    pub backend: Option<Arc<str>>,
    pub model: Option<Arc<str>>,
    pub dialect: Dialect,
    pub status: u16,
    pub class: Option<&'static str>,
    pub cancelled: bool,
    pub attempts: usize,
    pub usage: Usage,
    pub cost: Option<Cost>,
    pub first_byte: Option<Duration>,
    pub elapsed: Duration,
    pub generation: u64,
    /// What it adds to the sums of its day.
    pub sum: Sum,
}

impl Row {
    /// The row of a request that is over.
    pub(super) fn of(line: &Line<'_>) -> Self {
        let record = line.record;
        let last = record.attempts.last();
        let own = record.alias.as_ref().map(|alias| &alias.name);
        let usage = bounded(&record.usage);
        let cost = record.cost.map(|cost| cost.min(Cost::from_nanos(MOST_COST)));
        Self {
            at: line.at,
            request_id: record.request_id.clone(),
            key: record.key.clone(),
            alias: record.asked.as_ref().or(own).cloned(),
            backend: last.map(|last| Arc::clone(&last.backend.name)),
            model: last.map(|last| Arc::clone(&last.model)),
            dialect: record.dialect,
            status: line.status,
            class: line.class,
            cancelled: line.cancelled,
            attempts: record.attempts.len(),
            sum: Sum::new(&usage, cost, line.is_failure()),
            usage,
            cost,
            first_byte: record.first_byte,
            elapsed: line.elapsed,
            generation: record.generation,
        }
    }

    /// Whose it is.
    pub(super) fn whose(&self) -> Named<'_> {
        let names = [&self.key, &self.backend, &self.model];
        let names = names.map(|name| name.as_deref().unwrap_or_default());
        Named::new(Day::of(self.at), names)
    }

    /// Milliseconds since 1970.
    pub(super) fn millis(&self) -> i64 {
        millis(self.at)
    }
}

/// Milliseconds since 1970.
pub(super) fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn bounded(usage: &Usage) -> Usage {
    let least = |count: Option<u64>| count.map(|count| count.min(MOST_TOKENS));
    Usage {
        input: least(usage.input),
        output: least(usage.output),
        cache_read: least(usage.cache_read),
        cache_write: least(usage.cache_write),
        cache_write_1h: least(usage.cache_write_1h),
        reasoning: least(usage.reasoning),
    }
}

/// In milliseconds, to the microsecond, as the access line has it.
#[expect(clippy::cast_precision_loss, reason = "exact for three hundred years")]
pub(super) fn milliseconds(time: Duration) -> f64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    micros as f64 / 1e3
}
