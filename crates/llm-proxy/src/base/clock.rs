//! The only place that reads a clock. Decisions take the time as an argument.

use std::time::{Instant, SystemTime};

/// Now, on the clock that never steps.
#[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
pub fn now() -> Instant {
    Instant::now()
}

/// Now, on the wall clock: for logs and for reset times that backends state as dates.
#[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}
