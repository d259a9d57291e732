//! Bounds: clocks, rates, requests at once, sizes.

use std::collections::BTreeMap;
use std::time::Duration;

/// A time that never comes.
pub const NEVER: Duration = Duration::MAX;

/// The clocks of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For its headers and body to arrive.
    pub request: Duration,
    /// To connect to a backend.
    pub connect: Duration,
    /// To the commit point.
    pub first_byte: Duration,
    /// Silence inside a stream.
    pub idle: Duration,
    /// All of it.
    pub total: Duration,
    /// After so long without content somebody else is asked beside; [`NEVER`]: nobody is.
    pub hedge_after: Duration,
    /// The slowest that an answer may come while it is held back, in bytes a second; 0: at any pace.
    pub min_rate: u32,
    /// Over how long that is measured.
    pub min_rate_window: Duration,
}

/// Clocks that a backend or a model sets for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    /// To connect to a backend.
    pub connect: Option<Duration>,
    /// To the commit point.
    pub first_byte: Option<Duration>,
    /// Silence inside a stream.
    pub idle: Option<Duration>,
    /// All of it.
    pub total: Option<Duration>,
    /// After so long without content somebody else is asked beside.
    pub hedge_after: Option<Duration>,
    /// The slowest that an answer may come while it is held back.
    pub min_rate: Option<u32>,
    /// Over how long that is measured.
    pub min_rate_window: Option<Duration>,
}

impl Timeouts {
    /// These clocks with what `over` sets put in their place.
    #[must_use]
    pub fn with(self, over: TimeoutOverrides) -> Self {
        Self {
            request: self.request,
            connect: over.connect.unwrap_or(self.connect),
            first_byte: over.first_byte.unwrap_or(self.first_byte),
            idle: over.idle.unwrap_or(self.idle),
            total: over.total.unwrap_or(self.total),
            hedge_after: over.hedge_after.unwrap_or(self.hedge_after),
            min_rate: over.min_rate.unwrap_or(self.min_rate),
            min_rate_window: over.min_rate_window.unwrap_or(self.min_rate_window),
        }
    }
}

/// Rates by level.
#[derive(Clone, Debug, Default)]
pub struct RateLimits {
    /// All requests together.
    pub global: Option<Rate>,
    /// One address.
    pub per_ip: Option<Rate>,
    /// One alias.
    pub per_model: BTreeMap<String, Rate>,
}

/// A rate: any of its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Requests a second.
    pub rps: Option<f64>,
    /// Requests a minute.
    pub rpm: Option<f64>,
    /// Tokens a minute.
    pub tpm: Option<f64>,
    /// Requests that may come at once.
    pub burst: Option<f64>,
}

/// Requests at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// In all.
    pub max_requests: u32,
    /// Of one address.
    pub per_ip: u32,
    /// Waiting.
    pub queue_size: u32,
    /// How long one waits.
    pub queue_timeout: Duration,
}

/// Sizes, in bytes but for the depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A request's body, decompressed.
    pub max_body: usize,
    /// A request's header section.
    pub max_header: usize,
    /// How deep JSON may nest.
    pub max_json_depth: usize,
    /// An answer that is not a stream; of a converted stream, what has to be kept for its end.
    pub max_response: usize,
    /// One event of a stream.
    pub max_event: usize,
    /// Open connections of clients; none: as many as the system has room for.
    pub max_connections: Option<usize>,
}

/// Streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Silence towards the client after which a ping is sent; none: never.
    pub heartbeat: Option<Duration>,
    /// Pings before the commit point after this time; none: never.
    pub early_heartbeat_after: Option<Duration>,
}
