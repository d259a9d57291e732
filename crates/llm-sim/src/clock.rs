//! The only place of this crate that reads a clock: arrivals and closings are stamped with it.

use std::time::Instant;

/// Now, on the clock that never steps.
#[expect(clippy::disallowed_methods, reason = "this is the clock's home in this crate")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
