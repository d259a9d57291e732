//! The one reading of the clock.

use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures time; this is its only clock"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}
