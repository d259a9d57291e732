//! The lowest layer: the cells under test, loom's numbers for them, and a clock that stands still.

pub use llm_proxy::base::{Address, Class, Cost, hasher, identity};

#[path = "../../llm-proxy/src/base/gauge.rs"]
pub mod gauge;

/// What stands for std's numbers and flags.
pub mod atomic {
    pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
}

/// A clock that stands still: what is tried again and again must be the same each time.
pub mod clock {
    use std::sync::OnceLock;
    use std::time::{Duration, Instant, SystemTime};

    /// Now, as ever.
    pub fn now() -> Instant {
        static NOW: OnceLock<Instant> = OnceLock::new();
        *NOW.get_or_init(llm_proxy::base::clock::now)
    }

    /// Now, by the calendar.
    pub fn wall() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(1_000)
    }
}
