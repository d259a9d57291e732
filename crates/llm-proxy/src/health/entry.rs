//! What is known of one scope: its breaker while it is in use, its cooldown while it is not, and the rules that
//! lead from a failure to a cooldown.

use std::time::{Duration, Instant};

use super::breaker::Breaker;
use super::cooldown::{Cooldown, Stage};
use super::policy::{Policy, is_hard};
use super::quota::QuotaKind;
use super::scope::Scope;
use crate::base::Class;
use crate::config::types::Trip;

/// Refused connections in a row that bench a backend.
const REFUSALS: u32 = 2;

/// Whether an alias has anywhere else to go. What is its last resort is not benched for a soft fault (C09).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sole {
    /// There are other backends.
    No,
    /// It is the only backend, with further models there.
    Backend,
    /// It is the only backend and model, with further keys.
    Model,
    /// It is the only backend, model and key.
    Candidate,
}

/// A failed attempt, as health sees it.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// What it came to.
    pub class: Class,
    /// When the backend wants to be asked again.
    pub reset: Option<Duration>,
    /// Whether it said so in words; see [`super::Verdict::firm`].
    pub firm: bool,
    /// What is used up, where that is told.
    pub kind: Option<QuotaKind>,
    /// Whether the alias that was asked for has anywhere else to go.
    pub sole: Sole,
    /// A random number from 0 to 1.
    pub jitter: f64,
}

/// A scope that has just begun to cool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooled {
    /// What cools.
    pub scope: Scope,
    /// Why.
    pub class: Class,
    /// What is used up, where that is told.
    pub kind: Option<QuotaKind>,
    /// Until when.
    pub until: Instant,
    /// How many times in a row it has.
    pub times: u32,
}

/// The state of one scope.
#[derive(Debug)]
pub(super) struct Entry {
    scope: Scope,
    pub(super) cooldown: Cooldown,
    breaker: Breaker,
    /// What was used up when it went out.
    kind: Option<QuotaKind>,
    /// When it last heard of an outcome.
    pub(super) touched: Instant,
}

impl Entry {
    pub(super) fn new(scope: Scope, policy: &Policy, now: Instant) -> Self {
        let breaker = Breaker::new(policy.trip(), now);
        Self {
            scope,
            cooldown: Cooldown::new(),
            breaker,
            kind: None,
            touched: now,
        }
    }

    /// Begins to count outcomes from nothing, by that policy.
    pub(super) fn count_anew(&mut self, policy: &Policy, now: Instant) {
        self.breaker = Breaker::new(policy.trip(), now);
    }

    /// Keys have no warm-up: it is backends that a returning crowd tramples.
    pub(super) fn stage(&self, now: Instant) -> Stage {
        match (self.cooldown.stage(now), self.scope) {
            (Stage::In { .. }, Scope::Key | Scope::KeyModel) => Stage::In { share: 1.0 },
            (stage, _) => stage,
        }
    }

    /// Whether it is out for a soft fault that `sole` disregards.
    pub(super) fn is_spared(&self, sole: Sole) -> bool {
        let soft = |(_, class, _): (Instant, Class, u32)| !is_hard(class);
        sole.spares(self.scope) && self.cooldown.out().is_some_and(soft)
    }

    pub(super) fn succeed(&mut self, now: Instant) {
        self.touched = now;
        if !self.cooldown.is_out() {
            self.breaker.success(now);
        }
    }

    /// A failure of this scope; `probed`: by the probe that was to tell whether it is well again.
    pub(super) fn fail(
        &mut self,
        failure: Failure,
        probed: bool,
        policy: &Policy,
        now: Instant,
    ) -> Option<Cooled> {
        self.touched = now;
        let spared = !is_hard(failure.class) && failure.sole.spares(self.scope);
        if self.cooldown.is_out() && !probed {
            return if spared {
                None
            } else {
                self.late(failure, policy, now)
            };
        }
        let tripped = probed || at_once(failure) || self.counted(failure, policy, now);
        if spared || !tripped {
            return None;
        }
        self.cooldown
            .trip(failure.class, now, |times| length(policy, failure, times));
        self.kind = failure.kind;
        self.count_anew(policy, now);
        self.cooled()
    }

    /// What cools, for the log; `None` while it is in use.
    pub(super) fn cooled(&self) -> Option<Cooled> {
        let (until, class, times) = self.cooldown.out()?;
        Some(Cooled {
            scope: self.scope,
            class,
            kind: self.kind,
            until,
            times,
        })
    }

    /// The failure of a request that was under way when the scope went out: no trip of its own, but what it states
    /// may make the scope stay out longer. News only where that was over.
    fn late(&mut self, failure: Failure, policy: &Policy, now: Instant) -> Option<Cooled> {
        let was_cooling = matches!(self.cooldown.stage(now), Stage::Cooling { .. });
        if at_once(failure) {
            let before = self.cooldown.out();
            self.cooldown
                .extend(failure.class, now, |times| length(policy, failure, times));
            if self.cooldown.out() != before {
                self.kind = failure.kind;
            }
        }
        let is_cooling = matches!(self.cooldown.stage(now), Stage::Cooling { .. });
        self.cooled().filter(|_| is_cooling && !was_cooling)
    }

    /// Counts a failure that may be chance; whether it was one too many.
    fn counted(&mut self, failure: Failure, policy: &Policy, now: Instant) -> bool {
        // Silence up to the first byte costs its user the most.
        let weight = if failure.class == Class::TtftTimeout { 2 } else { 1 };
        self.breaker.failure(weight, trip(policy, self.scope), now)
    }
}

impl Sole {
    /// Whether a soft fault leaves that scope in use.
    fn spares(self, scope: Scope) -> bool {
        match scope {
            Scope::Backend => self != Self::No,
            Scope::BackendModel => matches!(self, Self::Model | Self::Candidate),
            Scope::Key | Scope::KeyModel => self == Self::Candidate,
        }
    }
}

/// Whether one failure is enough. A bare 503 is not (5.2): it has to state a time, or the reason in words.
fn at_once(failure: Failure) -> bool {
    match failure.class {
        Class::Rate | Class::Overloaded => true,
        Class::Unavailable => failure.firm || failure.reset.is_some(),
        class => is_hard(class),
    }
}

fn trip(policy: &Policy, scope: Scope) -> Trip {
    let trip = policy.trip();
    match scope {
        // A share of refused connections means nothing: those that are accepted are not counted there.
        Scope::Backend => Trip {
            consecutive: REFUSALS.min(trip.consecutive),
            min_requests: u32::MAX,
            ..trip
        },
        _ => trip,
    }
}

/// A stated reset time takes the place of the computed one for rate and quota, and is its floor for the rest.
fn length(policy: &Policy, failure: Failure, times: u32) -> Duration {
    let computed = policy.length(failure.class, times, failure.jitter);
    match (failure.reset, failure.class) {
        (Some(reset), Class::Rate | Class::Quota) => reset,
        (Some(reset), _) => computed.max(reset),
        (None, _) => computed,
    }
}
