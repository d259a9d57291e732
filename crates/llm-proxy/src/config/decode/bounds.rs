//! Clocks, rates, requests at once, sizes.

use crate::config::fields::bounds::{
    CONCURRENCY, HEADERS, LIMITS, OVERRIDES, RATE, RATE_LIMIT, STREAM, TIMEOUT,
};
use crate::config::types::{
    Concurrency, Limits, NEVER, Rate, RateLimits, Stream, TimeoutOverrides, Timeouts,
};
use crate::config::view::View;

pub(super) fn timeouts(top: &View<'_>) -> Timeouts {
    let timeout = top.section("timeout", &TIMEOUT);
    Timeouts {
        request: timeout.duration("request"),
        connect: timeout.duration("connect"),
        first_byte: timeout.duration("first_byte"),
        idle: timeout.duration("idle"),
        total: timeout.duration("total"),
        hedge_after: timeout.duration_or_never("hedge_after").unwrap_or(NEVER),
        min_rate: timeout.int("min_rate").unwrap_or(0),
        min_rate_window: timeout.duration("min_rate_window"),
    }
}

/// The `timeout` of a backend or an alias.
pub(super) fn overrides(item: &View<'_>) -> TimeoutOverrides {
    let timeout = item.section("timeout", &OVERRIDES);
    TimeoutOverrides {
        connect: timeout.maybe_duration("connect"),
        first_byte: timeout.maybe_duration("first_byte"),
        idle: timeout.maybe_duration("idle"),
        total: timeout.maybe_duration("total"),
        hedge_after: timeout.duration_or_never("hedge_after"),
        min_rate: timeout.int("min_rate"),
        min_rate_window: timeout.maybe_duration("min_rate_window"),
    }
}

pub(super) fn rate_limits(top: &View<'_>) -> Option<RateLimits> {
    let limits = top.maybe_section("rate_limit", &RATE_LIMIT)?;
    let per_model = limits.entries("per_model").iter();
    Some(RateLimits {
        global: rate(&limits, "global"),
        per_ip: rate(&limits, "per_ip"),
        per_model: per_model
            .map(|entry| (entry.key.clone(), parts(&View::new(&RATE, Some(&entry.node)))))
            .collect(),
    })
}

/// The rate under `key`, if there is one.
pub(super) fn rate(view: &View<'_>, key: &str) -> Option<Rate> {
    view.maybe_section(key, &RATE).map(|rate| parts(&rate))
}

fn parts(rate: &View<'_>) -> Rate {
    Rate {
        rps: rate.number("rps"),
        rpm: rate.number("rpm"),
        tpm: rate.number("tpm"),
        burst: rate.number("burst"),
    }
}

pub(super) fn concurrency(top: &View<'_>) -> Concurrency {
    let section = top.section("concurrency", &CONCURRENCY);
    let count = |key| section.int(key).unwrap_or(1);
    Concurrency {
        max_requests: count("max_requests"),
        per_ip: count("per_ip"),
        queue_size: count("queue_size"),
        queue_timeout: section.duration("queue_timeout"),
    }
}

pub(super) fn limits(top: &View<'_>) -> Limits {
    let limits = top.section("limits", &LIMITS);
    let size = |key| usize::try_from(limits.size(key)).unwrap_or(usize::MAX);
    Limits {
        max_body: size("max_body"),
        max_header: size("max_header"),
        max_json_depth: limits.int("max_json_depth").unwrap_or(1),
        max_response: size("max_response"),
        max_event: size("max_event"),
        max_connections: limits.int("max_connections"),
    }
}

/// Whether answers carry our own headers.
pub(super) fn expose_headers(top: &View<'_>) -> bool {
    top.section("headers", &HEADERS).truth("expose")
}

pub(super) fn stream(top: &View<'_>) -> Stream {
    let stream = top.section("stream", &STREAM);
    Stream {
        heartbeat: stream.maybe_duration("heartbeat"),
        early_heartbeat_after: stream.maybe_duration("early_heartbeat_after"),
    }
}
