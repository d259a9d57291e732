//! The time that a request has in all: `timeout.total` of the route, or less where its client says so.

use std::time::{Duration, Instant};

use crate::health::Time;
use crate::state::{Context, Route};

/// When the client's own patience is over, if it has told.
pub(super) fn of_client(ctx: &Context) -> Option<Instant> {
    ctx.entry.started().checked_add(ctx.hints.patience?)
}

/// When the request's time is over on that route.
pub(super) fn end(ctx: &Context, route: &Route) -> Instant {
    ctx.entry.started() + whole(ctx, route).0
}

/// Whether that end is of the client's own choice, and so no fault of a backend that is still at work then.
pub(super) fn is_the_clients(ctx: &Context, route: &Route) -> bool {
    ctx.hints.patience.is_some_and(|own| own < route.timeouts.total)
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
    match ctx.hints.patience {
        Some(own) if own < total => (own, true),
        // It is told all the same: who waits for an hour does not mind a slow failure.
        Some(_) => (total, true),
        None => (total, false),
    }
}
