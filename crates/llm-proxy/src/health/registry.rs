//! Layer three: who is cooling, who may probe, who is warming up (`reliability.md` 5.4).
//!
//! State is kept for each scope that an attempt says something about, by identity. A request asks [`Registry::gate`],
//! takes a [`Probe`] where one is due, and reports what it came to. What is no fault of the backend gives the probe
//! back without a verdict (C03, C04) and leaves no trace.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::cooldown::Stage;
use super::entry::{Cooled, Entry, Failure, Sole};
use super::policy::{Policy, is_hard};
use super::quota::QuotaKind;
use super::scope::{Place, Scope, Target};
use crate::base::Class;
use crate::base::hasher::Mixing;

/// So many scopes are remembered; models that clients invent must not fill the memory.
const CAPACITY: usize = 10_000;

/// Whether a target may be used now. Of its scopes the worst decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    /// Yes. `share` is the part of its weight that it should get: less than 1 while it warms up after a recovery.
    Open {
        /// From 0.1 to 1.
        share: f32,
    },
    /// Its cooldown is over: one live request may probe it, see [`Registry::take_probe`].
    Due,
    /// Another request is probing it.
    Probing {
        /// What it had cooled for.
        class: Class,
    },
    /// Not before `until`.
    Cooling {
        /// When the last of its scopes will be due.
        until: Instant,
        /// Why; a hard class where any of its scopes cools for one.
        class: Class,
    },
}

/// The right and the duty to probe. Hand it back with the outcome, or with [`Registry::release`]; if it is
/// dropped, its lease lapses.
#[derive(Debug)]
#[must_use = "a probe that is not handed back blocks its scopes until its lease lapses"]
pub struct Probe {
    token: u64,
    target: Target,
}

/// A scope that is out, for `/api/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoolingView {
    /// What is out.
    pub scope: Scope,
    /// The backend's identity.
    pub backend: u64,
    /// The key's, where the scope has one.
    pub key: Option<u64>,
    /// The model's, where the scope has one.
    pub model: Option<u64>,
    /// Why.
    pub class: Class,
    /// What is used up, where that is told.
    pub kind: Option<QuotaKind>,
    /// Until when; a past time means that it waits for a probe.
    pub until: Instant,
    /// How many times in a row it has cooled.
    pub times: u32,
    /// Whether a probe is under way.
    pub probing: bool,
}

/// The health of everything that was asked.
#[derive(Debug)]
pub struct Registry {
    policy: Policy,
    entries: HashMap<Place, Entry, Mixing>,
    last_token: u64,
}

impl Registry {
    /// A registry in which everything is healthy.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            entries: HashMap::default(),
            last_token: 0,
        }
    }

    /// Takes a new policy at a reload. What cools goes on cooling as it was decided; what is in use is counted anew
    /// where the window has another length.
    pub fn set_policy(&mut self, policy: Policy, now: Instant) {
        if policy.trip().window != self.policy.trip().window {
            self.entries
                .values_mut()
                .for_each(|entry| entry.count_anew(&policy, now));
        }
        self.policy = policy;
    }

    /// Whether `target` may be used by an alias that has that much to choose from: what `sole` spares does not count
    /// here, whoever benched it.
    pub fn gate(&self, target: &Target, sole: Sole, now: Instant) -> Gate {
        let entries = target
            .places()
            .into_iter()
            .filter_map(|place| self.entries.get(&place));
        let counted = entries.filter(|entry| !entry.is_spared(sole));
        counted
            .map(|entry| entry.stage(now))
            .fold(Gate::Open { share: 1.0 }, worse)
    }

    /// The probe of a target whose [`gate`](Self::gate) is [`Gate::Due`], for one request at a time. `lease`: how
    /// long it may take at most (`timeout.first_byte`).
    pub fn take_probe(
        &mut self,
        target: &Target,
        sole: Sole,
        now: Instant,
        lease: Duration,
    ) -> Option<Probe> {
        (self.gate(target, sole, now) == Gate::Due).then(|| self.lend(target, now + lease))
    }

    /// A probe before the cooldown is over, for when everything cools; `None` while another request probes.
    pub fn force_probe(&mut self, target: &Target, now: Instant, lease: Duration) -> Option<Probe> {
        let probed = |place| {
            self.entries
                .get(&place)
                .is_some_and(|entry: &Entry| entry.cooldown.is_probed(now))
        };
        let free = !target.places().into_iter().any(probed);
        free.then(|| self.lend(target, now + lease))
    }

    /// Takes a probe back that learnt nothing: the client left, a limit refused, the request was at fault.
    pub fn release(&mut self, probe: Probe) {
        for place in probe.target.places() {
            if let Some(entry) = self.entries.get_mut(&place) {
                entry.cooldown.take_back(probe.token);
            }
        }
    }

    /// An answer is whole, or a probe's has reached its commit point. A probe closes all that it held; without one, what is out stays out.
    pub fn success(&mut self, target: &Target, probe: Option<Probe>, now: Instant) {
        self.entry(target.place(Scope::BackendModel), now).succeed(now);
        if let Some(entry) = self.entries.get_mut(&target.place(Scope::Backend)) {
            entry.succeed(now);
        }
        if let Some(probe) = probe {
            for place in probe.target.places() {
                self.recover(place, probe.token, now);
            }
        }
    }

    /// A stream reached its commit point: the backend itself is there. What its model is worth shows at the end.
    pub fn began(&mut self, target: &Target, now: Instant) {
        self.reached(target, None, now);
    }

    /// An attempt failed. `Some` where a scope begins to cool by it: once per transition, for the log.
    ///
    /// Classes that are no fault over there only give the probe back.
    pub fn failure(
        &mut self,
        target: &Target,
        probe: Option<Probe>,
        failure: Failure,
        now: Instant,
    ) -> Option<Cooled> {
        let Some(scope) = Scope::of(failure.class) else {
            if let Some(probe) = probe {
                self.release(probe);
            }
            return None;
        };
        if failure.class != Class::Connect {
            self.reached(target, probe.as_ref(), now);
        }
        let place = target.place(scope);
        let probed = probe.is_some_and(|probe| self.settle(probe, place));
        self.entry(place, now);
        let entry = self.entries.get_mut(&place)?;
        entry.fail(failure, probed, &self.policy, now)
    }

    /// All that is out.
    pub fn cooling(&self, now: Instant) -> Vec<CoolingView> {
        self.entries
            .iter()
            .filter_map(|(place, entry)| view(*place, entry, now))
            .collect()
    }

    /// Forgets all but what is said of these backends and their keys: what a reload took away comes back unburdened.
    pub fn retain(&mut self, is_there: impl Fn(u64, Option<u64>) -> bool) {
        self.entries.retain(|place, _| is_there(place.backend, place.key));
    }

    /// Forgets what is held against a backend, its models and its keys.
    pub fn reset(&mut self, backend: u64) {
        self.entries.retain(|place, _| place.backend != backend);
    }

    fn lend(&mut self, target: &Target, until: Instant) -> Probe {
        self.last_token = self.last_token.wrapping_add(1);
        for place in target.places() {
            if let Some(entry) = self.entries.get_mut(&place) {
                entry.cooldown.lend(self.last_token, until);
            }
        }
        Probe {
            token: self.last_token,
            target: *target,
        }
    }

    /// Hands back all that a failed probe held, but for the scope that it speaks about; whether it held that one.
    fn settle(&mut self, probe: Probe, about: Place) -> bool {
        let held = self
            .entries
            .get(&about)
            .is_some_and(|entry| entry.cooldown.is_lent_to(probe.token));
        self.release(probe);
        held
    }

    /// Whatever else failed, a connection came about: the backend itself is there.
    fn reached(&mut self, target: &Target, probe: Option<&Probe>, now: Instant) {
        let place = target.place(Scope::Backend);
        if let Some(probe) = probe {
            self.recover(place, probe.token, now);
        }
        if let Some(entry) = self.entries.get_mut(&place) {
            entry.succeed(now);
        }
    }

    fn recover(&mut self, place: Place, token: u64, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&place) {
            entry.cooldown.recover(token, now);
        }
    }

    fn entry(&mut self, place: Place, now: Instant) -> &mut Entry {
        if self.entries.len() >= CAPACITY && !self.entries.contains_key(&place) {
            self.make_room();
        }
        let fresh = || Entry::new(place.scope, &self.policy, now);
        self.entries.entry(place).or_insert_with(fresh)
    }

    /// Forgets a quarter: the healthy first, then models before keys and backends, of each the longest untouched.
    fn make_room(&mut self) {
        let rank =
            |place: &Place, entry: &Entry| (entry.cooldown.is_out(), place.model.is_none(), entry.touched);
        let mut all: Vec<_> = self
            .entries
            .iter()
            .map(|(place, entry)| (rank(place, entry), *place))
            .collect();
        all.sort_unstable_by_key(|(rank, _)| *rank);
        for (_, place) in all.iter().take(CAPACITY / 4) {
            self.entries.remove(place);
        }
    }
}

/// The gate of several scopes: cooling before probing before due before open. A hard class outlives a soft one's
/// later end, so that who may ignore soft ones cannot overlook it.
fn worse(gate: Gate, stage: Stage) -> Gate {
    match (gate, stage) {
        (
            Gate::Cooling {
                until: a,
                class: of_a,
            },
            Stage::Cooling {
                until: b,
                class: of_b,
            },
        ) => {
            let b_tells = (is_hard(of_b), b) > (is_hard(of_a), a);
            Gate::Cooling {
                until: a.max(b),
                class: if b_tells { of_b } else { of_a },
            }
        }
        (_, Stage::Cooling { until, class }) => Gate::Cooling { until, class },
        (Gate::Probing { class: a }, Stage::Probing { class: b }) => Gate::Probing {
            class: if is_hard(b) { b } else { a },
        },
        (Gate::Cooling { .. } | Gate::Probing { .. }, _) => gate,
        (_, Stage::Probing { class }) => Gate::Probing { class },
        (Gate::Due, _) | (_, Stage::Due) => Gate::Due,
        (Gate::Open { share }, Stage::In { share: other }) => Gate::Open {
            share: share.min(other),
        },
    }
}

fn view(place: Place, entry: &Entry, now: Instant) -> Option<CoolingView> {
    let Cooled {
        scope,
        class,
        kind,
        until,
        times,
    } = entry.cooled()?;
    let Place {
        backend, key, model, ..
    } = place;
    let probing = entry.cooldown.is_probed(now);
    Some(CoolingView {
        scope,
        backend,
        key,
        model,
        class,
        kind,
        until,
        times,
        probing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;
    use crate::health::policy::tests::policy;

    const A: Target = Target {
        backend: 1,
        key: 10,
        model: 100,
    };
    const A_KEY2: Target = Target { key: 11, ..A };
    const A_MODEL2: Target = Target { model: 101, ..A };
    const A_OTHER: Target = Target {
        backend: 1,
        key: 11,
        model: 101,
    };
    const SECOND: Duration = Duration::from_secs(1);
    const LEASE: Duration = Duration::from_mins(2);

    fn registry(cooldown: Duration) -> Registry {
        Registry::new(policy(cooldown))
    }

    fn of(class: Class) -> Failure {
        Failure {
            class,
            reset: None,
            firm: false,
            kind: None,
            sole: Sole::No,
            jitter: 0.5,
        }
    }

    fn is_open(registry: &Registry, target: &Target, now: Instant) -> bool {
        matches!(registry.gate(target, Sole::No, now), Gate::Open { .. })
    }

    /// Lets that class fail so many times; what the last one cooled.
    fn fail(registry: &mut Registry, class: Class, times: usize, now: Instant) -> Option<Cooled> {
        (0..times)
            .map(|_| registry.failure(&A, None, of(class), now))
            .last()
            .flatten()
    }

    #[test]
    fn each_class_cools_its_own_scope_after_so_many_failures() {
        for (id, class, needed, scope, seconds) in [
            ("F01", Class::Connect, 2, Scope::Backend, 5),
            (
                "F04: counts double",
                Class::TtftTimeout,
                2,
                Scope::BackendModel,
                15,
            ),
            ("F06", Class::Reset, 3, Scope::BackendModel, 15),
            ("F09", Class::Server, 3, Scope::BackendModel, 15),
            ("a bare 503", Class::Unavailable, 3, Scope::BackendModel, 15),
            ("F12", Class::Overloaded, 1, Scope::BackendModel, 15),
            ("F14", Class::Rate, 1, Scope::KeyModel, 5),
            ("F17", Class::Quota, 1, Scope::Key, 1_800),
            ("F19", Class::Auth, 1, Scope::Key, 600),
            ("F21", Class::ForbiddenModel, 1, Scope::KeyModel, 1_800),
            ("F22", Class::NotFound, 1, Scope::BackendModel, 600),
            ("F32", Class::BadResponse, 3, Scope::BackendModel, 15),
            ("S: broken streams", Class::Midstream, 3, Scope::BackendModel, 15),
        ] {
            let now = clock::now();
            let mut registry = registry(SECOND * 15);
            assert_eq!(
                fail(&mut registry, class, needed - 1, now),
                None,
                "{id}: too early"
            );
            let cooled = fail(&mut registry, class, 1, now);
            let until = now + SECOND * seconds;
            assert_eq!(
                cooled,
                Some(Cooled {
                    scope,
                    class,
                    kind: None,
                    until,
                    times: 1
                }),
                "{id}"
            );
            assert_eq!(
                registry.gate(&A, Sole::No, now),
                Gate::Cooling { until, class },
                "{id}"
            );
            let reach = [&A_KEY2, &A_MODEL2, &A_OTHER].map(|target| !is_open(&registry, target, now));
            let expected = match scope {
                Scope::Backend => [true, true, true],
                Scope::BackendModel => [true, false, false],
                Scope::Key => [false, true, false],
                Scope::KeyModel => [false, false, false],
            };
            assert_eq!(reach, expected, "{id} (C12): other key, other model, both other");
        }
    }

    #[test]
    fn c04_what_is_no_fault_of_the_backend_leaves_no_trace() {
        for class in Class::ALL.into_iter().filter(|class| Scope::of(*class).is_none()) {
            let now = clock::now();
            let mut registry = registry(SECOND);
            assert_eq!(fail(&mut registry, class, 50, now), None, "F24: {class}");
            assert_eq!(
                registry.gate(&A, Sole::No, now),
                Gate::Open { share: 1.0 },
                "{class}"
            );
            assert!(registry.entries.is_empty(), "{class}");
        }
    }

    #[test]
    fn f11_f13_f16_a_stated_reset_replaces_or_is_a_floor() {
        let day = Duration::from_hours(24);
        for (id, class, reset, expected) in [
            (
                "F11: 503 with Retry-After",
                Class::Unavailable,
                SECOND * 2,
                SECOND * 2,
            ),
            (
                "a floor, not a ceiling",
                Class::Overloaded,
                SECOND / 10,
                SECOND * 3 / 10,
            ),
            (
                "F13: shorter than the base",
                Class::Rate,
                SECOND / 10,
                SECOND / 10,
            ),
            ("F17", Class::Quota, SECOND * 3, SECOND * 3),
            ("F16: clamped", Class::Rate, day * 9, day),
        ] {
            let now = clock::now();
            let failure = Failure {
                reset: Some(reset),
                ..of(class)
            };
            let cooled = registry(SECOND * 3 / 10).failure(&A, None, failure, now).unwrap();
            assert_eq!(cooled.until - now, expected, "{id}");
        }
    }

    #[test]
    fn f45_a_503_in_words_cools_at_once() {
        let failure = Failure {
            firm: true,
            ..of(Class::Unavailable)
        };
        assert!(
            registry(SECOND)
                .failure(&A, None, failure, clock::now())
                .is_some()
        );
    }

    #[test]
    fn c01_one_request_probes_and_a_success_opens_with_a_slow_start() {
        let now = clock::now();
        let mut registry = registry(SECOND * 3 / 10);
        fail(&mut registry, Class::Server, 3, now);
        let now = now + SECOND;
        let probes: Vec<Probe> = (0..50)
            .filter_map(|_| registry.take_probe(&A, Sole::No, now, LEASE))
            .collect();
        assert_eq!(probes.len(), 1);
        let class = Class::Server;
        assert_eq!(registry.gate(&A, Sole::No, now), Gate::Probing { class });
        for probe in probes {
            registry.success(&A, Some(probe), now);
        }
        assert_eq!(registry.gate(&A, Sole::No, now), Gate::Open { share: 0.1 });
        assert_eq!(
            registry.gate(&A, Sole::No, now + SECOND * 10),
            Gate::Open { share: 1.0 }
        );
    }

    #[test]
    fn c02_a_probe_that_fails_doubles_the_cooldown() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        fail(&mut registry, Class::Server, 3, now);
        let now = now + SECOND;
        let probe = registry.take_probe(&A, Sole::No, now, LEASE);
        let cooled = registry.failure(&A, probe, of(Class::Server), now).unwrap();
        assert_eq!((cooled.times, cooled.until), (2, now + SECOND * 2));
    }

    #[test]
    fn c03_c04_a_probe_without_a_verdict_goes_to_the_next_request() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        fail(&mut registry, Class::Server, 3, now);
        let now = now + SECOND;
        let probe = registry.take_probe(&A, Sole::No, now, LEASE).unwrap();
        registry.release(probe);
        assert_eq!(
            registry.gate(&A, Sole::No, now),
            Gate::Due,
            "C03: the client left"
        );
        let probe = registry.take_probe(&A, Sole::No, now, LEASE);
        assert_eq!(registry.failure(&A, probe, of(Class::Client), now), None);
        assert_eq!(
            registry.gate(&A, Sole::No, now),
            Gate::Due,
            "C04: a 400 is no verdict"
        );
    }

    #[test]
    fn c06_a_forced_probe_is_single_too_and_can_end_the_cooldown_early() {
        let now = clock::now();
        let mut registry = registry(SECOND * 60);
        fail(&mut registry, Class::Server, 3, now);
        assert!(
            registry.take_probe(&A, Sole::No, now, LEASE).is_none(),
            "it is not due"
        );
        let probe = registry.force_probe(&A, now, LEASE).unwrap();
        assert!(registry.force_probe(&A, now, LEASE).is_none());
        assert!(
            matches!(registry.gate(&A, Sole::No, now), Gate::Cooling { .. }),
            "the others still learn the end"
        );
        registry.success(&A, Some(probe), now);
        assert!(is_open(&registry, &A, now));
    }

    #[test]
    fn a_probe_of_two_scopes_judges_each_by_itself() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        fail(&mut registry, Class::Connect, 2, now);
        fail(&mut registry, Class::Server, 3, now);
        let now = now + SECOND;
        let probe = registry.take_probe(&A, Sole::No, now, LEASE);
        let cooled = registry.failure(&A, probe, of(Class::Auth), now).unwrap();
        assert_eq!(cooled.scope, Scope::Key);
        assert!(
            is_open(&registry, &A_OTHER, now),
            "an answer came, so the backend is there"
        );
        assert_eq!(
            registry.gate(&A_KEY2, Sole::No, now),
            Gate::Due,
            "of the model it said nothing"
        );
    }

    #[test]
    fn c09_the_only_backend_is_benched_for_hard_faults_alone() {
        let now = clock::now();
        for class in Class::ALL {
            let mut registry = registry(SECOND);
            let failure = Failure {
                sole: Sole::Candidate,
                reset: Some(SECOND),
                firm: true,
                ..of(class)
            };
            for _ in 0..10 {
                registry.failure(&A, None, failure, now);
            }
            assert_eq!(is_open(&registry, &A, now), !is_hard(class), "{class}");
        }
        let mut registry = registry(SECOND);
        registry.failure(
            &A,
            None,
            Failure {
                sole: Sole::Model,
                ..of(Class::Rate)
            },
            now,
        );
        assert!(
            !is_open(&registry, &A, now) && is_open(&registry, &A_KEY2, now),
            "F13: the other key is used"
        );
    }

    #[test]
    fn c09_what_others_benched_is_open_to_whom_it_is_all_that_there_is() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        fail(&mut registry, Class::Server, 3, now);
        assert!(!is_open(&registry, &A, now));
        assert_eq!(registry.gate(&A, Sole::Model, now), Gate::Open { share: 1.0 });
        assert!(
            matches!(registry.gate(&A, Sole::Backend, now), Gate::Cooling { .. }),
            "there is another model to go to"
        );
        fail(&mut registry, Class::Auth, 1, now);
        assert!(matches!(
            registry.gate(&A, Sole::Candidate, now),
            Gate::Cooling { .. }
        ));
        let later = now + Duration::from_hours(1);
        let probe = registry.take_probe(&A, Sole::Candidate, later, LEASE);
        registry.success(&A, probe, later);
        assert!(is_open(&registry, &A, later), "its probe speaks for all scopes");
    }

    #[test]
    fn the_only_backend_with_another_model_benches_the_model_and_never_itself() {
        let now = clock::now();
        for (class, is_benched) in [(Class::Server, true), (Class::Connect, false)] {
            let mut registry = registry(SECOND);
            let failure = Failure {
                sole: Sole::Backend,
                ..of(class)
            };
            for _ in 0..10 {
                registry.failure(&A, None, failure, now);
            }
            assert_eq!(!is_open(&registry, &A, now), is_benched, "{class}");
            assert!(is_open(&registry, &A_MODEL2, now), "{class}");
        }
    }

    #[test]
    fn k07_what_a_reload_took_away_is_forgotten_and_the_rest_is_not() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        registry.failure(&A, None, of(Class::Auth), now);
        registry.failure(&A_KEY2, None, of(Class::Auth), now);
        fail(&mut registry, Class::Overloaded, 1, now);
        registry.retain(|_, key| key != Some(A_KEY2.key));
        let left = registry.cooling(now);
        assert!(left.iter().any(|view| view.scope == Scope::BackendModel));
        assert!(left.iter().any(|view| view.key == Some(A.key)));
        assert_eq!(left.len(), 2);
        assert!(is_open(&registry, &A_OTHER, now));
    }

    #[test]
    fn late_failures_are_no_trips_of_their_own() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        fail(&mut registry, Class::Server, 3, now);
        assert_eq!(
            fail(&mut registry, Class::Server, 100, now),
            None,
            "C10: a burst that was under way"
        );
        assert_eq!(registry.gate(&A, Sole::No, now + SECOND), Gate::Due);
        let later = Failure {
            reset: Some(SECOND * 40),
            firm: true,
            ..of(Class::Unavailable)
        };
        assert_eq!(
            registry.failure(&A, None, later, now),
            None,
            "known to cool already"
        );
        assert!(
            matches!(
                registry.gate(&A, Sole::No, now + SECOND * 39),
                Gate::Cooling { .. }
            ),
            "max(current, new)"
        );
        assert_eq!(registry.cooling(now).first().unwrap().times, 1);
    }

    #[test]
    fn what_is_used_up_goes_with_the_word_that_counts() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        let quota = |kind, seconds| Failure {
            kind: Some(kind),
            reset: Some(SECOND * seconds),
            ..of(Class::Quota)
        };
        let cooled = registry.failure(&A, None, quota(QuotaKind::FiveHours, 60), now);
        assert_eq!(cooled.unwrap().kind, Some(QuotaKind::FiveHours));
        for (later, seconds, expected) in [
            (QuotaKind::Balance, 30, QuotaKind::FiveHours),
            (QuotaKind::Week, 90, QuotaKind::Week),
        ] {
            registry.failure(&A, None, quota(later, seconds), now);
            let shown = registry.cooling(now).first().unwrap().kind;
            assert_eq!(shown, Some(expected), "{later:?} for {seconds} s");
        }
    }

    #[test]
    fn a_success_that_began_before_the_trip_opens_nothing() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        fail(&mut registry, Class::Server, 3, now);
        registry.success(&A, None, now);
        assert!(!is_open(&registry, &A, now));
    }

    #[test]
    fn refused_connections_must_follow_one_another() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        for between in [Class::Server, Class::Rate] {
            assert_eq!(fail(&mut registry, Class::Connect, 1, now), None, "{between}");
            registry.failure(&A_OTHER, None, of(between), now);
        }
        fail(&mut registry, Class::Connect, 1, now);
        registry.success(&A, None, now);
        assert_eq!(fail(&mut registry, Class::Connect, 1, now), None);
        registry.began(&A, now);
        assert_eq!(
            fail(&mut registry, Class::Connect, 1, now),
            None,
            "a stream began"
        );
    }

    #[test]
    fn however_large_a_share_of_connections_is_refused_it_benches_nobody() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        for at in 0..50 {
            assert_eq!(fail(&mut registry, Class::Connect, 1, now), None, "{at}");
            registry.began(&A, now);
        }
    }

    #[test]
    fn a_reload_counts_anew_only_where_the_window_has_another_length() {
        let now = clock::now();
        for (window, trips) in [(30, true), (60, false)] {
            let mut registry = registry(SECOND);
            fail(&mut registry, Class::Server, 2, now);
            let reloaded = policy(SECOND).with_window(SECOND * window);
            registry.set_policy(reloaded, now);
            assert_eq!(
                fail(&mut registry, Class::Server, 1, now).is_some(),
                trips,
                "{window} s"
            );
        }
    }

    #[test]
    fn a_probe_says_nothing_more_of_what_was_never_out() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        fail(&mut registry, Class::Rate, 1, now);
        let due = now + SECOND * 5;
        let probe = registry.take_probe(&A, Sole::No, due, LEASE);
        assert_eq!(registry.failure(&A, probe, of(Class::Server), due), None);
    }

    #[test]
    fn a_late_failure_is_news_where_the_cooldown_was_over() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        fail(&mut registry, Class::Overloaded, 1, now);
        let cooled = fail(&mut registry, Class::Overloaded, 1, now + SECOND * 2);
        assert_eq!(cooled.map(|cooled| cooled.until), Some(now + SECOND * 3));
    }

    #[test]
    fn a_backend_warms_up_even_where_it_is_all_that_there_is_and_a_key_does_not() {
        let now = clock::now();
        for (class, share) in [(Class::Overloaded, 0.1), (Class::Auth, 1.0)] {
            let mut registry = registry(SECOND);
            fail(&mut registry, class, 1, now);
            let probe = registry.force_probe(&A, now, LEASE);
            registry.success(&A, probe, now);
            assert_eq!(
                registry.gate(&A, Sole::Candidate, now),
                Gate::Open { share },
                "{class}"
            );
        }
    }

    #[test]
    fn of_several_scopes_the_worst_decides() {
        let until = clock::now();
        let cooling = Gate::Cooling {
            until,
            class: Class::Rate,
        };
        let soft = Gate::Probing { class: Class::Server };
        let hard = Gate::Probing { class: Class::Auth };
        for (gate, stage, expected) in [
            (soft, Stage::Probing { class: Class::Auth }, hard),
            (hard, Stage::Probing { class: Class::Server }, hard),
            (cooling, Stage::Probing { class: Class::Auth }, cooling),
            (cooling, Stage::Due, cooling),
            (soft, Stage::Due, soft),
            (soft, Stage::In { share: 1.0 }, soft),
            (Gate::Due, Stage::Probing { class: Class::Auth }, hard),
            (Gate::Due, Stage::In { share: 1.0 }, Gate::Due),
            (Gate::Open { share: 1.0 }, Stage::Due, Gate::Due),
            (
                Gate::Open { share: 0.5 },
                Stage::In { share: 0.2 },
                Gate::Open { share: 0.2 },
            ),
        ] {
            assert_eq!(worse(gate, stage), expected, "{gate:?} and {stage:?}");
        }
    }

    #[test]
    fn of_two_that_cool_the_hard_one_tells_why_and_else_the_later_in_whichever_order() {
        let start = clock::now();
        for (one, other, told) in [
            ((Class::Server, 5), (Class::Rate, 9), Class::Rate),
            ((Class::Auth, 5), (Class::Quota, 9), Class::Quota),
            ((Class::Auth, 5), (Class::Rate, 9), Class::Auth),
            ((Class::Auth, 9), (Class::Rate, 5), Class::Auth),
        ] {
            let expected = Gate::Cooling {
                until: start + SECOND * 9,
                class: told,
            };
            for ((of_a, a), (of_b, b)) in [(one, other), (other, one)] {
                let gate = Gate::Cooling {
                    until: start + SECOND * a,
                    class: of_a,
                };
                let stage = Stage::Cooling {
                    until: start + SECOND * b,
                    class: of_b,
                };
                assert_eq!(worse(gate, stage), expected, "{gate:?} and {stage:?}");
            }
        }
    }

    #[test]
    fn a_hard_fault_shows_through_a_later_end_of_a_soft_one() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        registry.failure(
            &A,
            None,
            Failure {
                reset: Some(SECOND),
                ..of(Class::Quota)
            },
            now,
        );
        registry.failure(
            &A,
            None,
            Failure {
                reset: Some(SECOND * 9),
                ..of(Class::Rate)
            },
            now,
        );
        assert_eq!(
            registry.gate(&A, Sole::No, now),
            Gate::Cooling {
                until: now + SECOND * 9,
                class: Class::Quota
            }
        );
    }

    #[test]
    fn reset_forgets_one_backend() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        fail(&mut registry, Class::Auth, 1, now);
        registry.reset(2);
        assert_eq!(registry.cooling(now).len(), 1);
        registry.reset(1);
        assert!(registry.cooling(now).is_empty() && is_open(&registry, &A, now));
    }

    #[test]
    fn a_flood_of_models_neither_fills_the_memory_nor_frees_a_bad_key() {
        let now = clock::now();
        let mut registry = registry(SECOND);
        fail(&mut registry, Class::Auth, 1, now);
        for model in 0..(2 * CAPACITY as u64) {
            let now = now + Duration::from_micros(model);
            registry.failure(&Target { model, key: 11, ..A }, None, of(Class::NotFound), now);
            assert!(registry.entries.len() <= CAPACITY);
        }
        assert!(
            !is_open(&registry, &A, now + SECOND),
            "the key is still known to be bad"
        );
    }

    /// Six hours at two requests a second against a backend that is down for the second hour and half of the fifth.
    #[test]
    fn hours_of_outage_cost_few_requests_and_recovery_comes_soon() {
        let start = clock::now();
        let mut registry = registry(SECOND * 15);
        let mut dice = fastrand::Rng::with_seed(1);
        let hour = 3_600.0;
        let is_down = |at: f64| (hour..2.0 * hour).contains(&at) || (4.0 * hour..4.5 * hour).contains(&at);
        let (mut burnt, mut skipped_in_health) = (0, 0);
        for half in 0..(6 * 3_600 * 2) {
            let at = f64::from(half) / 2.0;
            let now = start + Duration::from_secs_f64(at);
            let probe = match registry.gate(&A, Sole::No, now) {
                Gate::Open { .. } => None,
                Gate::Due => registry.take_probe(&A, Sole::No, now, LEASE),
                Gate::Probing { .. } | Gate::Cooling { .. } => {
                    skipped_in_health += u32::from(!is_down(at));
                    continue;
                }
            };
            if is_down(at) {
                burnt += 1;
                let jitter = dice.f64();
                registry.failure(
                    &A,
                    probe,
                    Failure {
                        jitter,
                        ..of(Class::Server)
                    },
                    now,
                );
            } else {
                registry.success(&A, probe, now);
            }
        }
        // An hour at up to 5 minutes a probe, half an hour likewise, the doubling at their start, 3 to trip.
        assert!(
            (20..=45).contains(&burnt),
            "{burnt} users' requests met the dead backend"
        );
        // After each outage at most one cooldown (5 minutes) passes before the probe that succeeds.
        assert!(
            skipped_in_health <= 2 * 300 * 2,
            "{skipped_in_health} requests were kept from a healthy backend"
        );
        assert_eq!(
            registry.gate(&A, Sole::No, start + Duration::from_hours(6)),
            Gate::Open { share: 1.0 }
        );
        assert!(registry.cooling(start + Duration::from_hours(6)).is_empty());
    }
}
