//! Layer two: what this request does after an attempt that failed (`reliability.md` 5.3).

use std::time::Duration;

use super::classify::Verdict;
use crate::base::Class;

/// Less time than this is not worth an attempt,
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);
/// nor is less than this part of all the time that the request has.
const SHORTEST_PART: u32 = 10;

/// The pause before a repetition is a random part of this.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What the request does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This failure is the end of it, and is what the client should hear; after earlier attempts
    /// [`choose`](super::choose) has the last word.
    Relay,
    /// The next candidate. After `context_length` only one with a larger or unknown window: where there is none, relay.
    Another,
    /// Once more at the same candidate, after taking the foreign signed blocks out. Costs no attempt.
    Repair,
    /// Once more at the same candidate, over a fresh connection. Costs no attempt.
    Again,
    /// No further attempt; [`choose`](super::choose) says which failure the client hears.
    Stop(StopReason),
}

/// Why a request that might have gone on does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The answer had begun; nothing may be put in its place.
    Committed,
    /// The client went away.
    ClientGone,
    /// The request belongs to this backend alone.
    Pinned,
    /// `fallback.max_attempts`.
    Attempts,
    /// The attempt took too long to fail.
    SlowFailure,
    /// Too little time is left.
    Deadline,
    /// `fallback.retry_budget`.
    RetryBudget,
}

impl StopReason {
    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::ClientGone => "client_gone",
            Self::Pinned => "pinned",
            Self::Attempts => "max_attempts",
            Self::SlowFailure => "slow_failure",
            Self::Deadline => "deadline",
            Self::RetryBudget => "retry_budget",
        }
    }
}

/// What a request has used up when an attempt of it fails.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Attempts so far with this one; repairs and stale connections do not count.
    pub attempts: u32,
    /// `fallback.max_attempts`.
    pub max_attempts: u32,
    /// How long this attempt took.
    pub elapsed: Duration,
    /// From where on that is too long (`fallback.slow_failure_cutoff`): the user has waited enough.
    pub slow_failure_cutoff: Duration,
    /// The time that the request has.
    pub time: Time,
    /// Whether an id binds the request to this backend and key.
    pub pinned: bool,
    /// Whether the same candidate was already asked again.
    pub asked_again: bool,
    /// Whether the request was already repaired.
    pub repaired: bool,
    /// Whether [`RetryBudget::has_left`](super::RetryBudget::has_left); who then gets [`Next::Another`] takes it.
    pub budget_left: bool,
}

/// The time that a request has for all of its attempts.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// In all.
    pub whole: Duration,
    /// What is left of it.
    pub left: Duration,
    /// Whether the client has told how long it waits: then that decides what is too long.
    pub is_the_clients: bool,
}

impl Time {
    /// Whether what is left is too little for another attempt.
    fn is_too_short(self) -> bool {
        self.left < SHORTEST_ATTEMPT.min(self.whole / SHORTEST_PART)
    }
}

/// What to do after a failed attempt.
pub fn next(verdict: &Verdict, spent: &Spent) -> Next {
    match verdict.class {
        Class::Midstream => return Next::Stop(StopReason::Committed),
        // Nobody decides after an attempt that another one overtook: it is over.
        Class::ClientGone | Class::Overtaken => return Next::Stop(StopReason::ClientGone),
        Class::Signature if !spent.repaired => return Next::Repair,
        Class::StaleConn | Class::Conflict if !spent.asked_again => return Next::Again,
        _ => {}
    }
    if !verdict.falls_back {
        return Next::Relay;
    }
    stopped(verdict.class, spent).map_or(Next::Another, Next::Stop)
}

/// How long to wait before the same candidate is asked again; `jitter` (0 to 1) spreads it. A conflict needs a moment to
/// pass; a fresh connection in place of a stale one needs none.
pub fn pause(class: Class, jitter: f64) -> Duration {
    match class {
        Class::Conflict => LONGEST_PAUSE.mul_f64(jitter.clamp(0.0, 1.0)),
        _ => Duration::ZERO,
    }
}

/// What stands in the way of another candidate.
fn stopped(class: Class, spent: &Spent) -> Option<StopReason> {
    let may_be_slow = class == Class::TtftTimeout || spent.time.is_the_clients;
    let reasons = [
        (spent.pinned, StopReason::Pinned),
        (spent.attempts >= spent.max_attempts, StopReason::Attempts),
        (
            spent.elapsed > spent.slow_failure_cutoff && !may_be_slow,
            StopReason::SlowFailure,
        ),
        (spent.time.is_too_short(), StopReason::Deadline),
        (!spent.budget_left, StopReason::RetryBudget),
    ];
    reasons
        .into_iter()
        .find_map(|(stands, reason)| stands.then_some(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::classify::falls_back;

    const fn minutes(count: u64) -> Time {
        Time {
            whole: Duration::from_mins(count),
            left: Duration::from_mins(count),
            is_the_clients: false,
        }
    }

    const FRESH: Spent = Spent {
        attempts: 1,
        max_attempts: 3,
        elapsed: Duration::from_millis(50),
        slow_failure_cutoff: Duration::from_secs(30),
        time: minutes(30),
        pinned: false,
        asked_again: false,
        repaired: false,
        budget_left: true,
    };

    fn after(class: Class, spent: Spent) -> Next {
        next(
            &Verdict {
                class,
                reset: None,
                falls_back: falls_back(class),
                firm: false,
                kind: None,
            },
            &spent,
        )
    }

    #[test]
    fn a_first_failure_leads_where_its_class_says() {
        for class in Class::ALL {
            let expected = match class {
                Class::Midstream => Next::Stop(StopReason::Committed),
                Class::ClientGone => Next::Stop(StopReason::ClientGone),
                Class::Signature => Next::Repair,
                Class::StaleConn | Class::Conflict => Next::Again,
                Class::Client | Class::Policy | Class::Unsupported | Class::Local => Next::Relay,
                _ => Next::Another,
            };
            assert_eq!(after(class, FRESH), expected, "{class}");
        }
    }

    #[test]
    fn only_a_conflict_is_given_time_to_pass() {
        for (class, jitter, millis) in [
            (Class::Conflict, 0.0, 0),
            (Class::Conflict, 0.5, 125),
            (Class::Conflict, 9.0, 250),
            (Class::StaleConn, 1.0, 0),
        ] {
            assert_eq!(pause(class, jitter), Duration::from_millis(millis), "{class}");
        }
    }

    #[test]
    fn what_stops_a_request() {
        let slow = Duration::from_secs(40);
        let in_time = Time {
            is_the_clients: true,
            ..minutes(2)
        };
        let left = |millis| Time {
            left: Duration::from_millis(millis),
            ..minutes(2)
        };
        let small = |millis| Time {
            whole: Duration::from_millis(500),
            ..left(millis)
        };
        let stop = Next::Stop;
        #[rustfmt::skip]
        let cases = [
            ("F29: no second repair", Class::Signature, Spent { repaired: true, ..FRESH }, Next::Relay),
            ("F07: no third connection", Class::StaleConn, Spent { asked_again: true, ..FRESH }, Next::Another),
            ("409 twice", Class::Conflict, Spent { asked_again: true, ..FRESH }, Next::Relay),
            ("F41", Class::Server, Spent { attempts: 3, ..FRESH }, stop(StopReason::Attempts)),
            ("F43", Class::Server, Spent { pinned: true, ..FRESH }, stop(StopReason::Pinned)),
            ("F40", Class::Server, Spent { elapsed: slow, ..FRESH }, stop(StopReason::SlowFailure)),
            ("F04: silence is slow by nature", Class::TtftTimeout, Spent { elapsed: slow, ..FRESH }, Next::Another),
            ("F40: not at the cutoff itself", Class::Server, Spent { elapsed: Duration::from_secs(30), ..FRESH }, Next::Another),
            ("slow, in time", Class::Server, Spent { elapsed: slow, time: in_time, ..FRESH }, Next::Another),
            ("no time", Class::Server, Spent { time: left(999), ..FRESH }, stop(StopReason::Deadline)),
            ("a second", Class::Server, Spent { time: left(1_000), ..FRESH }, Next::Another),
            ("a tenth of a short time", Class::Server, Spent { time: small(50), ..FRESH }, Next::Another),
            ("less than that", Class::Server, Spent { time: small(49), ..FRESH }, stop(StopReason::Deadline)),
            ("F44", Class::Server, Spent { budget_left: false, ..FRESH }, stop(StopReason::RetryBudget)),
            ("F24 needs no budget", Class::Client, Spent { budget_left: false, ..FRESH }, Next::Relay),
        ];
        for (id, class, spent, expected) in cases {
            assert_eq!(after(class, spent), expected, "{id}");
        }
    }

    #[test]
    fn each_reason_to_stop_has_its_name() {
        let reasons = [
            StopReason::Committed,
            StopReason::ClientGone,
            StopReason::Pinned,
            StopReason::Attempts,
            StopReason::SlowFailure,
            StopReason::Deadline,
            StopReason::RetryBudget,
        ];
        let names: std::collections::BTreeSet<_> = reasons.map(StopReason::name).into();
        assert!(names.len() == reasons.len() && !names.contains(""), "{names:?}");
    }
}
