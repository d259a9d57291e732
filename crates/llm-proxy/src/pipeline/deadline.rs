//! The time that a request has in all: `timeout.total` of the route, or less where its client says so.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};

use crate::health::Time;
use crate::state::{Context, Route};

/// How long the client will wait for the whole answer, in milliseconds.
const PATIENCE: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// What the client says it will wait for; none where it does not say so in a whole number above zero.
pub(super) fn patience(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(PATIENCE)?.to_str().ok()?;
    let millis: u64 = text.trim().parse().ok()?;
    (millis > 0).then_some(Duration::from_millis(millis))
}

/// When the client's own patience is over, if it has told.
pub(super) fn of_client(ctx: &Context) -> Option<Instant> {
    ctx.entry.started().checked_add(patience(&ctx.headers)?)
}

/// When the request's time is over on that route.
pub(super) fn end(ctx: &Context, route: &Route) -> Instant {
    ctx.entry.started() + whole(ctx, route).0
}

/// Whether that end is of the client's own choice, and so no fault of a backend that is still at work then.
pub(super) fn is_the_clients(ctx: &Context, route: &Route) -> bool {
    patience(&ctx.headers).is_some_and(|own| own < route.timeouts.total)
}

/// The request's time on that route, as the next step wants to know it.
pub(super) fn time(ctx: &Context, route: &Route, now: Instant) -> Time {
    let (whole, is_the_clients) = whole(ctx, route);
    Time {
        whole,
        left: (ctx.entry.started() + whole).saturating_duration_since(now),
        is_the_clients,
    }
}

/// How long that is, and whether the client decided it.
fn whole(ctx: &Context, route: &Route) -> (Duration, bool) {
    let total = route.timeouts.total;
    match patience(&ctx.headers) {
        Some(own) if own < total => (own, true),
        // It is told all the same: who waits for an hour does not mind a slow failure.
        Some(_) => (total, true),
        None => (total, false),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_whole_number_above_zero_is_a_deadline() {
        for (text, expected) in [
            ("1500", Some(1_500)),
            (" 20 ", Some(20)),
            ("0", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("99999999999999999999", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(PATIENCE, HeaderValue::from_str(text).unwrap());
            assert_eq!(patience(&headers), expected.map(Duration::from_millis), "{text}");
        }
        assert_eq!(patience(&HeaderMap::new()), None);
    }
}
