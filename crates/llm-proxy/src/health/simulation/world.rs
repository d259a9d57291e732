//! The world of the simulation: backends with their outages, requests, and the promises that are looked at with every
//! event.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::super::policy::tests::policy;
use super::super::*;
use crate::base::{Class, clock};
use crate::config::types::Strategy;
use crate::routing::{self, Signals, Smooth};

pub(super) const SECOND: Duration = Duration::from_secs(1);
const COOLDOWN: Duration = Duration::from_secs(15);
pub(super) const COOLDOWN_MAX: Duration = Duration::from_mins(5);
const MAX_ATTEMPTS: u32 = 3;
/// How long a request waits for a recovery.
const PATIENCE: Duration = Duration::from_secs(2);
/// No attempt takes longer, so no lease lapses under one.
pub(super) const LEASE: Duration = Duration::from_secs(20);

/// A time in which a backend fails, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) class: Class,
}

/// What is known of a backend beside its health.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) outages: Vec<Outage>,
    pub(super) in_flight: u32,
    pub(super) probes: u32,
    pub(super) asked: u32,
    /// When it answered last.
    pub(super) answered: Option<Instant>,
}

/// What happens next.
#[derive(Debug)]
pub(super) enum Event {
    /// A request comes.
    Arrival,
    /// A request that waited looks again.
    Again(Request),
    /// An attempt is over.
    Over(Request, Attempt),
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) left: Vec<usize>,
    pub(super) attempts: u32,
    pub(super) goes_on: bool,
    /// Whether it was sent out before anything was due.
    pub(super) probes_early: bool,
    pub(super) waiting_since: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) host: usize,
    pub(super) probe: Option<Probe>,
    pub(super) began: Instant,
    /// What it comes to; none: the client leaves before it tells.
    pub(super) outcome: Option<Result<(), Class>>,
}

/// How often what happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) requests: u32,
    pub(super) attempts: u32,
    pub(super) answered: u32,
    pub(super) refused: u32,
    pub(super) left: u32,
    /// Requests that ended without an answer though some backend was well.
    pub(super) let_down: u32,
    pub(super) cooled: u32,
    /// A digest of all that happened, in its order.
    pub(super) digest: u64,
}

pub(super) struct World {
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) rps: f64,
    pub(super) hosts: Vec<Host>,
    pub(super) registry: Registry,
    pub(super) budget: RetryBudget,
    pub(super) smooth: Smooth,
    pub(super) dice: fastrand::Rng,
    pub(super) events: BinaryHeap<Reverse<(Instant, u64)>>,
    pub(super) pending: std::collections::HashMap<u64, Event>,
    pub(super) numbered: u64,
    pub(super) tally: Tally,
}

pub(super) fn target(host: usize) -> Target {
    Target {
        backend: host as u64,
        key: 100 + host as u64,
        model: 7,
    }
}

/// What the strategy may know.
pub(super) struct Shares(Vec<f32>);

impl Signals for Shares {
    fn in_flight(&self, _route: usize) -> u32 {
        0
    }
    fn latency_ms(&self, _route: usize) -> Option<f64> {
        None
    }
    fn share(&self, route: usize) -> f32 {
        self.0.get(route).copied().unwrap_or(1.0)
    }
}

impl World {
    pub(super) fn new(seed: u64, rps: f64, scripts: Vec<Vec<Outage>>) -> Self {
        let start = clock::now();
        let host = |outages| Host {
            outages,
            ..Host::default()
        };
        Self {
            start,
            now: start,
            rps,
            hosts: scripts.into_iter().map(host).collect(),
            registry: Registry::new(policy(COOLDOWN)),
            budget: RetryBudget::new(0.2, start),
            smooth: Smooth::default(),
            dice: fastrand::Rng::with_seed(seed),
            events: BinaryHeap::new(),
            pending: std::collections::HashMap::new(),
            numbered: 0,
            tally: Tally::default(),
        }
    }

    pub(super) fn sole(&self) -> Sole {
        if self.hosts.len() == 1 {
            Sole::Candidate
        } else {
            Sole::No
        }
    }

    pub(super) fn at(&mut self, when: Instant, event: Event) {
        self.numbered += 1;
        self.pending.insert(self.numbered, event);
        self.events.push(Reverse((when, self.numbered)));
    }

    /// Runs until that time; `watch` sees the world after every event.
    pub(super) fn run(&mut self, until: Duration, mut watch: impl FnMut(&Self)) {
        let end = self.start + until;
        self.at(self.now, Event::Arrival);
        while let Some(Reverse((when, number))) = self.events.pop() {
            if when > end {
                break;
            }
            self.now = when;
            match self.pending.remove(&number).unwrap() {
                Event::Arrival => self.arrive(),
                Event::Again(request) => self.walk(request),
                Event::Over(request, attempt) => self.over(request, attempt),
            }
            self.check();
            watch(self);
        }
    }

    /// What must hold at every moment.
    pub(super) fn check(&self) {
        for (host, known) in self.hosts.iter().enumerate() {
            assert!(
                known.probes <= 1,
                "{} probes of host {host} at once",
                known.probes
            );
        }
        let tally = &self.tally;
        let passed = (self.now - self.start).as_secs_f64();
        let allowed = f64::from(tally.requests) * 1.2 + 10.0 * (passed + 1.0);
        let attempts = f64::from(tally.attempts);
        assert!(
            attempts <= allowed,
            "{attempts} attempts, {allowed} allowed after {passed} s"
        );
        if self.sole() != Sole::No {
            let gate = self.registry.gate(&target(0), self.sole(), self.now);
            let is_hard = |class| is_hard(class);
            let benched = match gate {
                Gate::Cooling { class, .. } | Gate::Probing { class } => !is_hard(class),
                Gate::Open { .. } | Gate::Due => false,
            };
            assert!(!benched, "the last backend is benched for a soft fault: {gate:?}");
        }
    }

    pub(super) fn arrive(&mut self) {
        let gap = -(1.0 - self.dice.f64()).ln() / self.rps;
        self.at(self.now + Duration::from_secs_f64(gap), Event::Arrival);
        self.tally.requests += 1;
        self.budget.request();
        let left = self.order();
        self.walk(Request {
            left,
            attempts: 0,
            goes_on: false,
            probes_early: false,
            waiting_since: None,
        });
    }

    /// The hosts in the order of a weighted round robin, those that are out last.
    pub(super) fn order(&mut self) -> Vec<usize> {
        let gates = (0..self.hosts.len()).map(|host| self.registry.gate(&target(host), Sole::No, self.now));
        let shares = gates.map(|gate| match gate {
            Gate::Open { share } => Some(share),
            Gate::Due => Some(1.0),
            Gate::Probing { .. } | Gate::Cooling { .. } => None,
        });
        let shares: Vec<Option<f32>> = shares.collect();
        let candidate = |route| routing::Candidate { route, weight: 1 };
        let (open, out): (Vec<usize>, Vec<usize>) =
            (0..shares.len()).partition(|host| shares[*host].is_some());
        let open: Vec<_> = open.into_iter().map(candidate).collect();
        let signals = Shares(shares.iter().map(|share| share.unwrap_or(1.0)).collect());
        let dice = &mut self.dice;
        let random = &mut || dice.u64(..);
        let mut order = routing::order(Strategy::Weighted, &open, &signals, &mut self.smooth, random);
        order.extend(out);
        order
    }

    /// The first host that may be asked; where all are out, a wait, a probe before its time, or a refusal.
    pub(super) fn walk(&mut self, mut request: Request) {
        let mut soonest: Option<(usize, Option<Instant>)> = None;
        for at in 0..request.left.len() {
            let host = request.left[at];
            match self.registry.gate(&target(host), self.sole(), self.now) {
                Gate::Open { .. } => return self.attempt(request, at, None),
                Gate::Due => {
                    let probe = self
                        .registry
                        .take_probe(&target(host), self.sole(), self.now, LEASE);
                    return self.attempt(request, at, probe);
                }
                Gate::Probing { .. } => soonest = Some((at, None)),
                Gate::Cooling { until, .. } => {
                    let later = soonest.is_some_and(|(_, best)| best.is_none_or(|best| best <= until));
                    soonest = if later { soonest } else { Some((at, Some(until))) };
                }
            }
        }
        if request.attempts > 0 {
            return self.look_on(request);
        }
        let Some((at, until)) = soonest else {
            return self.refuse();
        };
        let patience = *request.waiting_since.get_or_insert(self.now) + PATIENCE;
        let look = until.unwrap_or_else(|| (self.now + SECOND / 4).min(patience));
        if look <= patience && self.now < patience {
            return self.at(look, Event::Again(request));
        }
        match self
            .registry
            .force_probe(&target(request.left[at]), self.now, LEASE)
        {
            Some(probe) => {
                request.probes_early = true;
                self.attempt(request, at, Some(probe));
            }
            None => self.refuse(),
        }
    }

    /// A probe before its time keeps its right to fall back.
    pub(super) fn look_on(&mut self, request: Request) {
        let free = (0..request.left.len())
            .filter(|_| request.probes_early)
            .find_map(|at| {
                let probe = self
                    .registry
                    .force_probe(&target(request.left[at]), self.now, LEASE)?;
                Some((at, probe))
            });
        match free {
            Some((at, probe)) => self.attempt(request, at, Some(probe)),
            None => self.refuse(),
        }
    }

    pub(super) fn attempt(&mut self, mut request: Request, at: usize, probe: Option<Probe>) {
        let host = request.left.remove(at);
        if std::mem::take(&mut request.goes_on) && !self.budget.take(self.now) {
            self.give_back(probe);
            return self.refuse();
        }
        request.attempts += 1;
        self.tally.attempts += 1;
        let outcome = self.outcome(host);
        let known = &mut self.hosts[host];
        known.asked += 1;
        known.in_flight += 1;
        known.probes += u32::from(probe.is_some());
        let took = match outcome {
            Some(Err(Class::TtftTimeout)) => 15.0,
            Some(Err(Class::Connect)) => 0.01,
            Some(Err(_)) => 0.2,
            Some(Ok(())) | None => 0.5 + 2.0 * self.dice.f64(),
        };
        let attempt = Attempt {
            host,
            probe,
            began: self.now,
            outcome,
        };
        self.at(
            self.now + Duration::from_secs_f64(took),
            Event::Over(request, attempt),
        );
    }

    /// What an attempt at that host comes to; one in fifty clients leaves, and one answer in two hundred is a blip.
    pub(super) fn outcome(&mut self, host: usize) -> Option<Result<(), Class>> {
        let (chance, blip) = (self.dice.u32(0..50), self.dice.u32(0..200));
        if chance == 0 {
            return None;
        }
        match self.failing(host) {
            Some(class) => Some(Err(class)),
            None if blip == 0 => Some(Err(Class::Server)),
            None => Some(Ok(())),
        }
    }

    pub(super) fn failing(&self, host: usize) -> Option<Class> {
        let passed = self.now - self.start;
        let outages = &self.hosts[host].outages;
        let outage = outages
            .iter()
            .find(|outage| (outage.from..outage.to).contains(&passed));
        outage.map(|outage| outage.class)
    }

    pub(super) fn over(&mut self, mut request: Request, attempt: Attempt) {
        let Attempt {
            host,
            probe,
            began,
            outcome,
        } = attempt;
        let known = &mut self.hosts[host];
        known.in_flight -= 1;
        known.probes -= u32::from(probe.is_some());
        let class = match outcome {
            None => {
                self.tally.left += 1;
                return self.give_back(probe);
            }
            Some(Ok(())) => {
                known.answered = Some(self.now);
                self.tally.answered += 1;
                self.registry.success(&target(host), probe, self.now);
                return self.note(host, 0);
            }
            Some(Err(class)) => class,
        };
        self.note(host, 1 + class as u64);
        let reset = (class == Class::Rate).then_some(SECOND * 7);
        self.report(host, probe, (class, reset));
        let verdict = Verdict {
            class,
            reset,
            falls_back: classify::falls_back(class),
            firm: false,
            kind: None,
        };
        let spent = self.spent(request.attempts, self.now - began);
        match next(&verdict, &spent) {
            Next::Another if !request.left.is_empty() => {
                request.goes_on = true;
                self.walk(request);
            }
            _ => self.refuse(),
        }
    }

    /// Tells health.
    pub(super) fn report(
        &mut self,
        host: usize,
        probe: Option<Probe>,
        (class, reset): (Class, Option<Duration>),
    ) {
        let failure = Failure {
            class,
            reset,
            firm: false,
            kind: None,
            sole: self.sole(),
            jitter: self.dice.f64(),
        };
        let cooled = self.registry.failure(&target(host), probe, failure, self.now);
        self.tally.cooled += u32::from(cooled.is_some());
    }

    pub(super) fn spent(&mut self, attempts: u32, elapsed: Duration) -> Spent {
        let hour = Duration::from_hours(1);
        Spent {
            attempts,
            max_attempts: MAX_ATTEMPTS,
            elapsed,
            slow_failure_cutoff: SECOND * 30,
            time: Time {
                whole: hour,
                left: hour,
                is_the_clients: false,
            },
            pinned: false,
            asked_again: true,
            repaired: true,
            budget_left: self.budget.has_left(self.now),
        }
    }

    pub(super) fn give_back(&mut self, probe: Option<Probe>) {
        if let Some(probe) = probe {
            self.registry.release(probe);
        }
    }

    pub(super) fn refuse(&mut self) {
        self.tally.refused += 1;
        let well = (0..self.hosts.len()).any(|host| self.failing(host).is_none());
        self.tally.let_down += u32::from(well);
        self.note(usize::MAX, 0);
    }

    pub(super) fn note(&mut self, host: usize, what: u64) {
        let since = u64::try_from((self.now - self.start).as_nanos()).unwrap();
        let mixed = self.tally.digest ^ since ^ (host as u64).rotate_left(32) ^ what;
        self.tally.digest = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    }
}
