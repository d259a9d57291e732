//! Failure: what counts as one, what falls back, what cools down.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

use crate::base::Class;

/// What happens when everything that a request could use is cooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAllCooling {
    /// Wait up to two seconds for the first to recover, else probe it at once while the others get 503.
    Probe,
    /// Fail at once.
    Fail,
    /// Send it to the one that recovers first.
    AlwaysTry,
}

/// How requests fall back and what cools down.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// Attempts over all candidates of one request; at least 1.
    pub max_attempts: u32,
    /// The base cooldown.
    pub cooldown: Duration,
    /// Its cap when it doubles.
    pub cooldown_max: Duration,
    /// Bases of their own, by class (the built-in ones and the file's).
    pub cooldowns: BTreeMap<Class, Duration>,
    /// When failures trip the breaker.
    pub trip: Trip,
    /// Extra attempts as a share of requests; 1: no limit.
    pub retry_budget: f64,
    /// An attempt that took longer than this to fail is the last.
    pub slow_failure_cutoff: Duration,
    /// When all are cooling.
    pub when_all_cooling: WhenAllCooling,
}

/// When failures trip the breaker of a backend's model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trip {
    /// So many in a row.
    pub consecutive: u32,
    /// Or this share of the requests in the window,
    pub error_rate: f64,
    /// of which there must be so many.
    pub min_requests: u32,
    /// The window.
    pub window: Duration,
}

/// What counts as a failure, on top of the built-in classes.
#[derive(Clone, Debug)]
pub struct Detection {
    /// Statuses that fall back.
    pub error_codes: Vec<StatusPattern>,
    /// Texts and patterns in error bodies and first events that fall back.
    pub error_patterns: Vec<TextPattern>,
    /// Classes for a backend's odd answers.
    pub error_map: Vec<ErrorMap>,
}

/// Statuses: one, or a hundred of them (`5xx`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusPattern {
    /// This one.
    Exact(u16),
    /// All with this first digit.
    Hundred(u8),
}

impl StatusPattern {
    /// Whether `status` fits.
    pub fn matches(self, status: u16) -> bool {
        match self {
            Self::Exact(code) => code == status,
            Self::Hundred(digit) => u16::from(digit) == status / 100,
        }
    }
}

/// A text or a pattern to look for.
#[derive(Clone, Debug)]
pub enum TextPattern {
    /// This text, in any case.
    Text(String),
    /// This regular expression.
    Regex(Regex),
}

impl TextPattern {
    /// Whether it occurs in `text`.
    pub fn found_in(&self, text: &str) -> bool {
        match self {
            Self::Text(needle) => text.to_lowercase().contains(&needle.to_lowercase()),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// A class for a backend's odd answers.
#[derive(Clone, Debug)]
pub struct ErrorMap {
    /// Only this backend; none: all.
    pub backend: Option<String>,
    /// Only this status; none: all.
    pub status: Option<StatusPattern>,
    /// Only with this in the body; none: all.
    pub pattern: Option<TextPattern>,
    /// The class.
    pub class: Class,
}
