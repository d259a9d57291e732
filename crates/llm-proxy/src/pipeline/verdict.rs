//! What follows from a failed attempt: for health, for the log, and for the client if it was the last.

use std::time::{Duration, Instant};

use http::HeaderMap;
use llm_dialect::fault::BackendError;
use llm_dialect::wire_error::ErrorKind;

use super::attempt::Lost;
use super::failure::Failure;
use super::plan::Candidate;
use crate::base::Class;
use crate::health::{self, Cooled, Probe, QuotaKind, Scope, Sole, Tried};
use crate::state::Context;

/// How soon a client may come back where nobody knows better.
const SOON: Duration = Duration::from_secs(1);

/// Tells health of a failure, and the log where something begins to cool; what does, and for how long.
#[cold]
pub(super) fn report(
    ctx: &Context,
    (candidate, probe): (&Candidate, Option<Probe>),
    lost: &Lost,
    sole: Sole,
    now: Instant,
) -> Option<(Scope, Duration)> {
    let health::Verdict {
        class,
        reset,
        firm,
        kind,
        ..
    } = lost.verdict;
    let failure = health::Failure {
        class,
        reset,
        firm,
        kind,
        sole,
        jitter: fastrand::f64(),
    };
    let mut health = ctx.live.health.lock();
    let cooled = health.failure(&candidate.target, probe, failure, now)?;
    drop(health);
    let rest = cooled.until.saturating_duration_since(now);
    announce(candidate, cooled, rest, &lost.detail);
    Some((cooled.scope, rest))
}

/// Tells the log that something begins to cool.
#[cold]
pub(super) fn announce(candidate: &Candidate, cooled: Cooled, rest: Duration, detail: &str) {
    candidate.route.backend.meters.cooled(cooled.class);
    let seconds = rest.as_secs_f64();
    let backend = &*candidate.route.backend.name;
    let key = candidate.key().map_or("", |key| &*key.name);
    let model = &*candidate.model;
    let (class, scope) = (cooled.class.name(), cooled.scope.name());
    let times = u64::from(cooled.times);
    let kind = cooled.kind.map(QuotaKind::name);
    if matches!(cooled.class, Class::Auth) {
        tracing::error!(
            backend,
            key,
            model,
            class,
            kind,
            scope,
            seconds,
            times,
            detail,
            "cooling: the key was refused"
        );
    } else {
        tracing::warn!(
            backend, key, model, class, kind, scope, seconds, times, detail, "cooling"
        );
    }
}

/// The failure that a request ends with, for its client.
#[cold]
pub(super) fn told(tried: &Tried, lost: Lost, resets: &[Option<Duration>], all_unknown: bool) -> Failure {
    let class = tried.class;
    if let (true, Some(relay)) = (speaks_for_itself(class), lost.relay.clone()) {
        return Failure::theirs(class, relay);
    }
    let class_says = if class == Class::NotFound && !all_unknown {
        Class::Server
    } else {
        class
    };
    let (kind, message) = says(class_says);
    let headers = lost
        .relay
        .map_or_else(HeaderMap::new, |relay| passing(relay.headers));
    let soonest = resets
        .iter()
        .flatten()
        .min()
        .copied()
        .filter(|_| tried.reset.is_some())
        .or_else(|| passes(class).then(|| lost.rests.unwrap_or(SOON)));
    Failure::ours(class, kind, message)
        .after(soonest)
        .with_headers(headers)
}

/// Failures that pass by themselves: their client is told when to come back, if only for how long we stay away.
fn passes(class: Class) -> bool {
    matches!(
        class,
        Class::Rate | Class::Quota | Class::Overloaded | Class::Unavailable
    )
}

/// Failures that are the caller's own, or the provider's word to the caller: relayed word for word.
fn speaks_for_itself(class: Class) -> bool {
    matches!(
        class,
        Class::Client
            | Class::Policy
            | Class::Conflict
            | Class::Unsupported
            | Class::Signature
            | Class::ContextLength
    )
}

/// Of a failed backend's headers, those that tell the client about limits; the rest describes a body that is not sent.
fn passing(headers: HeaderMap) -> HeaderMap {
    let tells =
        |name: &http::HeaderName| name.as_str().contains("ratelimit") || name.as_str() == "request-id";
    headers
        .into_iter()
        .filter_map(|(name, value)| name.filter(tells).map(|name| (name, value)))
        .collect()
}

/// What a client reads of each class. No backend, URL or key is named.
fn says(class: Class) -> (ErrorKind, &'static str) {
    match class {
        Class::Connect | Class::Reset | Class::StaleConn => (
            ErrorKind::UpstreamUnavailable,
            "No backend of this model could be reached; try again in a moment.",
        ),
        Class::TtftTimeout => (
            ErrorKind::UpstreamTimeout,
            "The backends of this model did not answer in time; try again in a moment.",
        ),
        Class::Unavailable => (
            ErrorKind::UpstreamCooling,
            "The backends of this model are unavailable; try again in a moment.",
        ),
        Class::Overloaded => (
            ErrorKind::UpstreamOverloaded,
            "The backends of this model are overloaded; try again in a moment.",
        ),
        Class::Rate => (
            ErrorKind::UpstreamRate,
            "The rate limit of this model's backends is reached; try again later.",
        ),
        Class::Quota => (
            ErrorKind::UpstreamQuota,
            "The quota of this model's backends is used up; ask the proxy's operator.",
        ),
        Class::Auth | Class::ForbiddenModel => (
            ErrorKind::UpstreamAuth,
            "The proxy's own credentials for this model were refused; ask its operator.",
        ),
        Class::NotFound => (
            ErrorKind::UpstreamNotFound,
            "No backend knows this model any longer; ask the proxy's operator.",
        ),
        Class::BadResponse => (
            ErrorKind::UpstreamBadResponse,
            "The backends of this model gave no usable answer; try again in a moment.",
        ),
        Class::Conflict => (
            ErrorKind::UpstreamConflict,
            "The backend reports a conflict; try again.",
        ),
        Class::ContextLength => (
            ErrorKind::ContextLength,
            "prompt is too long for every backend of this model.",
        ),
        Class::Client | Class::Policy | Class::Unsupported | Class::Signature => (
            ErrorKind::InvalidBody,
            "The backend refused the request as invalid.",
        ),
        Class::Local => (
            ErrorKind::UpstreamTimeout,
            "The time for this request is over (`timeout.total`, or the client's own `x-request-timeout-ms`); ask for \
             less at once, or raise it.",
        ),
        Class::Server | Class::Midstream | Class::Overtaken | Class::ClientGone => (
            ErrorKind::UpstreamUnavailable,
            "Every backend of this model failed; try again in a moment.",
        ),
    }
}

/// What a client of another dialect is told of an error that a backend reports within its stream.
pub(super) fn said_midstream(error: &BackendError) -> ErrorKind {
    let says = |word: &str| error.kind.contains(word) || error.code.contains(word);
    match error.status {
        _ if says("context_length") => ErrorKind::ContextLength,
        _ if says("insufficient_quota") || says("billing") => ErrorKind::UpstreamQuota,
        Some(429) => ErrorKind::UpstreamRate,
        _ if says("rate_limit") => ErrorKind::UpstreamRate,
        Some(503 | 529) => ErrorKind::UpstreamOverloaded,
        _ if says("overloaded") => ErrorKind::UpstreamOverloaded,
        _ if says("invalid") => ErrorKind::UpstreamRejected,
        _ => ErrorKind::UpstreamUnavailable,
    }
}

/// The time that a client gave its request is over before anybody was asked.
#[cold]
pub(super) fn out_of_time() -> Failure {
    let (kind, message) = says(Class::Local);
    Failure::local(kind, message)
}

/// Nothing is left but backends that have no place free.
#[cold]
pub(super) fn all_full() -> Failure {
    let message = "All backends of this model are busy; try again in a moment.";
    Failure::local(ErrorKind::Overloaded, message).after(Some(SOON))
}

/// The one that keeps what a request goes on from is cooling, and no other would know it.
#[cold]
pub(super) fn maker_cools(class: Class, until: Option<Instant>, now: Instant) -> Failure {
    let message = "The backend that keeps what this request goes on from is resting; try again later, or send the \
                   whole conversation.";
    Failure::ours(class, ErrorKind::UpstreamCooling, message).after(Some(left(until, now)))
}

/// How long it is until then; soon, where nobody knows.
fn left(until: Option<Instant>, now: Instant) -> Duration {
    until.map_or(SOON, |until| until.saturating_duration_since(now))
}

/// Nothing is left but what is cooling: said at once, with the time of the first recovery.
#[cold]
pub(super) fn all_cooling(class: Class, until: Option<Instant>, now: Instant) -> Failure {
    let (kind, message) = match class {
        Class::Auth | Class::ForbiddenModel | Class::Quota | Class::NotFound | Class::Rate => says(class),
        Class::Overloaded => says(Class::Overloaded),
        _ => says(Class::Unavailable),
    };
    Failure::ours(class, kind, message).after(Some(left(until, now)))
}
