//! What is known of a proxy, as its admin listener told it.

use std::time::Instant;

use serde_json::Value;

use super::numbers::{History, Page};

/// What the admin listener said at one time.
#[derive(Debug)]
pub(super) struct Answers {
    /// `GET /api/status`.
    pub status: Value,
    /// `GET /api/requests`.
    pub requests: Value,
    /// `GET /metrics`.
    pub metrics: String,
}

/// All that a frame shows.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Who is asked.
    pub address: String,
    /// Whether the terminal shows colours.
    pub colour: bool,
    /// The last status.
    pub status: Value,
    /// The requests that ended last, the newest first.
    pub requests: Vec<Value>,
    /// The last pages of metrics.
    pub history: History,
    /// When all that was read, and how long the proxy had run then, in seconds.
    pub read: Option<(Instant, f64)>,
    /// Why the last attempt to read it came to nothing.
    pub fault: Option<String>,
}

impl Board {
    /// Takes in what was read at `now`, which is `unix` seconds since 1970.
    pub(super) fn take(&mut self, answers: Answers, now: Instant, unix: f64) {
        let page = Page::read(&answers.metrics);
        let started = page.sum("llm_proxy_start_time_seconds", &[]);
        self.read = Some((now, (unix - started).max(0.0)));
        self.history.keep(now, page);
        self.status = answers.status;
        self.requests = list(&answers.requests, "requests").cloned().collect();
        self.fault = None;
    }

    /// How old what is known is, in seconds.
    pub(super) fn age(&self, now: Instant) -> f64 {
        let read = self.read.map(|(at, _)| now.saturating_duration_since(at));
        read.unwrap_or_default().as_secs_f64()
    }
}

/// A member that is a text; empty where it is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A member that is a number; 0 where it is none.
pub(super) fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_default()
}

/// The items of a member that is a list.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}
