//! The only place that reads a clock. Decisions take the time as an argument.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit, Zoned};

/// Now, on the clock that never steps: tokio's, which is the system's, but that a test can pause it.
#[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Now, on the wall clock: for logs and for reset times that backends state as dates.
#[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Now, as the clock on this machine's wall shows it, with its zone: for texts that tell the time.
pub fn local() -> Zoned {
    let now = Timestamp::try_from(wall()).unwrap_or(Timestamp::UNIX_EPOCH);
    now.to_zoned(TimeZone::system())
}

/// The point in time that is so far away, as RFC 3339 in whole seconds of UTC.
pub fn in_utc(away: Duration) -> String {
    wall()
        .checked_add(away)
        .map_or_else(|| utc(SystemTime::UNIX_EPOCH), utc)
}

/// A point in time as RFC 3339 in whole seconds of UTC.
pub fn utc(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    at.round(Unit::Second).unwrap_or(at).to_string()
}

/// Now, in whole Unix seconds.
pub fn unix_seconds() -> u64 {
    let since = wall().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// A point in time as nanoseconds since the program's first look at its clock; earlier ones are 0.
pub fn nanos(at: Instant) -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let since = at.saturating_duration_since(*ORIGIN.get_or_init(now));
    later(0, since)
}

/// A point in time of [`nanos`], and so much later.
pub fn later(at: u64, by: Duration) -> u64 {
    at.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX))
}
