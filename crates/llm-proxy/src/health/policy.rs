//! How long what cools: the operator's settings joined with the built-in bases of `reliability.md` 5.2.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::Class;
use crate::config::types::{Fallback, Trip};

/// Base and cap of what passes quickly: a rate, a refused connection.
const BRIEF: Duration = Duration::from_secs(5);
const BRIEF_MAX: Duration = Duration::from_mins(1);
/// Bases of the hard classes, where the config names none.
const AUTH: Duration = Duration::from_mins(10);
const QUOTA: Duration = Duration::from_mins(30);
const NOT_FOUND: Duration = Duration::from_mins(10);
const FORBIDDEN_MODEL: Duration = Duration::from_mins(30);
/// A key that stays refused cools for up to so many times its base (10 minutes: an hour).
const AUTH_GROWTH: u32 = 6;

/// Whether a failure of that class lasts until somebody does something: even the only backend is benched for it.
pub fn is_hard(class: Class) -> bool {
    matches!(
        class,
        Class::Auth | Class::Quota | Class::NotFound | Class::ForbiddenModel
    )
}

/// Whether that class says that the request is at fault and not the backend.
pub fn blames_the_caller(class: Class) -> bool {
    matches!(
        class,
        Class::Client
            | Class::ContextLength
            | Class::Signature
            | Class::Unsupported
            | Class::Policy
            | Class::Conflict
    )
}

/// When the breaker trips and for how long a scope then cools.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    cooldown: Duration,
    cooldown_max: Duration,
    cooldowns: BTreeMap<Class, Duration>,
    trip: Trip,
}

impl From<&Fallback> for Policy {
    fn from(fallback: &Fallback) -> Self {
        Self {
            cooldown: fallback.cooldown,
            cooldown_max: fallback.cooldown_max,
            cooldowns: fallback.cooldowns.clone(),
            trip: fallback.trip,
        }
    }
}

impl Policy {
    /// When failures trip the breaker.
    pub fn trip(&self) -> Trip {
        self.trip
    }

    /// The cooldown of a first trip: `fallback.cooldowns` where it names the class, else the built-in base.
    ///
    /// The built-in bases of `rate` and `connect` give way to a smaller `fallback.cooldown`: who wants quick
    /// returns wants them there too.
    pub fn base(&self, class: Class) -> Duration {
        if let Some(base) = self.cooldowns.get(&class) {
            return *base;
        }
        match class {
            Class::Rate | Class::Connect => BRIEF.min(self.cooldown),
            Class::Auth => AUTH,
            Class::Quota => QUOTA,
            Class::NotFound => NOT_FOUND,
            Class::ForbiddenModel => FORBIDDEN_MODEL,
            _ => self.cooldown,
        }
    }

    /// What doubling stops at. A base beyond `fallback.cooldown_max` does not double, but for `auth`.
    pub fn cap(&self, class: Class) -> Duration {
        let base = self.base(class);
        match class {
            Class::Rate | Class::Connect if !self.cooldowns.contains_key(&class) => {
                BRIEF_MAX.min(self.cooldown_max)
            }
            Class::Auth => self.cooldown_max.max(base.saturating_mul(AUTH_GROWTH)),
            _ => self.cooldown_max.max(base),
        }
    }

    /// The cooldown of the trip with that number (1: the first). `jitter` (0 to 1) spreads it by a fifth either way.
    pub fn length(&self, class: Class, times: u32, jitter: f64) -> Duration {
        let doublings = times.saturating_sub(1).min(31);
        let cap = self.cap(class);
        let doubled = self.base(class).saturating_mul(1 << doublings).min(cap);
        doubled.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)).min(cap)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::types::WhenAllCooling;

    /// The contract's defaults, with that base cooldown.
    pub(in crate::health) fn policy(cooldown: Duration) -> Policy {
        let minutes = Duration::from_mins;
        Policy::from(&Fallback {
            max_attempts: 3,
            cooldown,
            cooldown_max: minutes(5),
            cooldowns: BTreeMap::from([
                (Class::Auth, minutes(10)),
                (Class::Quota, minutes(30)),
                (Class::NotFound, minutes(10)),
            ]),
            trip: Trip {
                consecutive: 3,
                error_rate: 0.5,
                min_requests: 10,
                window: Duration::from_secs(30),
            },
            retry_budget: 0.2,
            slow_failure_cutoff: Duration::from_secs(30),
            when_all_cooling: WhenAllCooling::Probe,
        })
    }

    impl Policy {
        /// The same with another window.
        pub(in crate::health) fn with_window(mut self, window: Duration) -> Self {
            self.trip.window = window;
            self
        }
    }

    #[test]
    fn cooldowns_double_up_to_their_cap() {
        let policy = policy(Duration::from_secs(15));
        for (class, times, seconds) in [
            (Class::Server, 1, 15),
            (Class::Server, 2, 30),
            (Class::Server, 5, 240),
            (Class::Server, 6, 300),
            (Class::Server, u32::MAX, 300),
            (Class::Rate, 1, 5),
            (Class::Rate, 9, 60),
            (Class::Connect, 2, 10),
            (Class::Connect, 9, 60),
            (Class::Auth, 1, 600),
            (Class::Auth, 9, 3_600),
            (Class::Quota, 3, 1_800),
            (Class::ForbiddenModel, 1, 1_800),
        ] {
            let length = policy.length(class, times, 0.5);
            assert_eq!(
                length,
                Duration::from_secs(seconds),
                "{class} for the {times}th time"
            );
        }
    }

    #[test]
    fn a_small_cooldown_holds_for_the_soft_classes_and_not_for_the_hard_ones() {
        let policy = policy(Duration::from_millis(300));
        for class in [Class::Rate, Class::Connect, Class::Server, Class::Overloaded] {
            assert_eq!(policy.base(class), Duration::from_millis(300), "{class}");
        }
        assert_eq!(policy.base(Class::Auth), Duration::from_mins(10));
    }

    #[test]
    fn what_the_operator_names_is_taken_at_its_word() {
        let mut policy = policy(Duration::from_secs(15));
        policy.cooldowns.insert(Class::Rate, Duration::from_mins(2));
        assert_eq!(policy.length(Class::Rate, 1, 0.5), Duration::from_mins(2));
        assert_eq!(policy.length(Class::Rate, 3, 0.5), Duration::from_mins(5));
    }

    #[test]
    fn jitter_is_a_fifth_either_way() {
        let policy = policy(Duration::from_secs(10));
        assert_eq!(policy.length(Class::Server, 1, 0.0), Duration::from_secs(8));
        assert_eq!(policy.length(Class::Server, 1, 1.0), Duration::from_secs(12));
        assert_eq!(policy.length(Class::Server, 1, 5.0), Duration::from_secs(12));
    }

    #[test]
    fn hard_classes_have_bases_of_their_own_where_the_config_names_none() {
        let mut policy = policy(Duration::from_secs(15));
        policy.cooldowns.clear();
        for (class, minutes) in [
            (Class::Auth, 10),
            (Class::Quota, 30),
            (Class::NotFound, 10),
            (Class::ForbiddenModel, 30),
        ] {
            assert_eq!(policy.base(class), Duration::from_mins(minutes), "{class}");
        }
    }
}
