//! Layer two: what this request does after an attempt that failed (`reliability.md` 5.3).

use std::time::Duration;

use super::classify::Verdict;
use crate::base::Class;

/// An attempt that failed after this long does not start another: the user has waited enough.
pub const SLOW_FAILURE: Duration = Duration::from_secs(30);
/// Less time than this is not worth an attempt.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);

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
    /// From where on that is too long; usually [`SLOW_FAILURE`].
    pub slow_failure_cutoff: Duration,
    /// What is left of a deadline that the client set; none: it set none.
    pub deadline_left: Option<Duration>,
    /// Whether an id binds the request to this backend and key.
    pub pinned: bool,
    /// Whether the same candidate was already asked again.
    pub asked_again: bool,
    /// Whether the request was already repaired.
    pub repaired: bool,
    /// Whether [`RetryBudget::has_left`](super::RetryBudget::has_left); who then gets [`Next::Another`] takes it.
    pub budget_left: bool,
}

/// What to do after a failed attempt.
pub fn next(verdict: &Verdict, spent: &Spent) -> Next {
    match verdict.class {
        Class::Midstream => return Next::Stop(StopReason::Committed),
        Class::ClientGone => return Next::Stop(StopReason::ClientGone),
        Class::Signature if !spent.repaired => return Next::Repair,
        Class::StaleConn | Class::Conflict if !spent.asked_again => return Next::Again,
        _ => {}
    }
    if !verdict.falls_back {
        return Next::Relay;
    }
    stopped(verdict.class, spent).map_or(Next::Another, Next::Stop)
}

/// What stands in the way of another candidate.
fn stopped(class: Class, spent: &Spent) -> Option<StopReason> {
    let may_be_slow = class == Class::TtftTimeout || spent.deadline_left.is_some();
    let reasons = [
        (spent.pinned, StopReason::Pinned),
        (spent.attempts >= spent.max_attempts, StopReason::Attempts),
        (
            spent.elapsed > spent.slow_failure_cutoff && !may_be_slow,
            StopReason::SlowFailure,
        ),
        (
            spent.deadline_left.is_some_and(|left| left < SHORTEST_ATTEMPT),
            StopReason::Deadline,
        ),
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

    const FRESH: Spent = Spent {
        attempts: 1,
        max_attempts: 3,
        elapsed: Duration::from_millis(50),
        slow_failure_cutoff: SLOW_FAILURE,
        deadline_left: None,
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
    fn what_stops_a_request() {
        let slow = Duration::from_secs(40);
        let in_time = Some(slow);
        let late = Some(Duration::ZERO);
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
            ("slow, in time", Class::Server, Spent { elapsed: slow, deadline_left: in_time, ..FRESH }, Next::Another),
            ("no time", Class::Server, Spent { deadline_left: late, ..FRESH }, stop(StopReason::Deadline)),
            ("F44", Class::Server, Spent { budget_left: false, ..FRESH }, stop(StopReason::RetryBudget)),
            ("F24 needs no budget", Class::Client, Spent { budget_left: false, ..FRESH }, Next::Relay),
        ];
        for (id, class, spent, expected) in cases {
            assert_eq!(after(class, spent), expected, "{id}");
        }
    }
}
