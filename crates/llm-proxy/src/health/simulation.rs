//! A small world on a clock of its own: backends that fail by a script, requests that walk over them by the rules of
//! this module. Hours of it pass in milliseconds, and the same seed is the same day.
//!
//! The walk is the one of `pipeline::walk`, without its sockets: what is tried here is whether the three layers, joined
//! as they are there, keep their promises at every moment of a long bad day.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::policy::tests::policy;
use super::*;
use crate::base::{Class, clock};
use crate::config::types::Strategy;
use crate::routing::{self, Signals, Smooth};

const SECOND: Duration = Duration::from_secs(1);
const COOLDOWN: Duration = Duration::from_secs(15);
const COOLDOWN_MAX: Duration = Duration::from_mins(5);
const MAX_ATTEMPTS: u32 = 3;
/// How long a request waits for a recovery.
const PATIENCE: Duration = Duration::from_secs(2);
/// No attempt takes longer, so no lease lapses under one.
const LEASE: Duration = Duration::from_secs(20);

/// A time in which a backend fails, and how.
#[derive(Clone, Copy, Debug)]
struct Outage {
    from: Duration,
    to: Duration,
    class: Class,
}

/// What is known of a backend beside its health.
#[derive(Debug, Default)]
struct Host {
    outages: Vec<Outage>,
    in_flight: u32,
    probes: u32,
    asked: u32,
    /// When it answered last.
    answered: Option<Instant>,
}

/// What happens next.
#[derive(Debug)]
enum Event {
    /// A request comes.
    Arrival,
    /// A request that waited looks again.
    Again(Request),
    /// An attempt is over.
    Over(Request, Attempt),
}

#[derive(Debug)]
struct Request {
    left: Vec<usize>,
    attempts: u32,
    goes_on: bool,
    /// Whether it was sent out before anything was due.
    probes_early: bool,
    waiting_since: Option<Instant>,
}

#[derive(Debug)]
struct Attempt {
    host: usize,
    probe: Option<Probe>,
    began: Instant,
    /// What it comes to; none: the client leaves before it tells.
    outcome: Option<Result<(), Class>>,
}

/// How often what happened.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    requests: u32,
    attempts: u32,
    answered: u32,
    refused: u32,
    left: u32,
    /// Requests that ended without an answer though some backend was well.
    let_down: u32,
    cooled: u32,
    /// A digest of all that happened, in its order.
    digest: u64,
}

struct World {
    start: Instant,
    now: Instant,
    rps: f64,
    hosts: Vec<Host>,
    registry: Registry,
    budget: RetryBudget,
    smooth: Smooth,
    dice: fastrand::Rng,
    events: BinaryHeap<Reverse<(Instant, u64)>>,
    pending: std::collections::HashMap<u64, Event>,
    numbered: u64,
    tally: Tally,
}

fn target(host: usize) -> Target {
    Target {
        backend: host as u64,
        key: 100 + host as u64,
        model: 7,
    }
}

/// What the strategy may know.
struct Shares(Vec<f32>);

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
    fn new(seed: u64, rps: f64, scripts: Vec<Vec<Outage>>) -> Self {
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

    fn sole(&self) -> Sole {
        if self.hosts.len() == 1 {
            Sole::Candidate
        } else {
            Sole::No
        }
    }

    fn at(&mut self, when: Instant, event: Event) {
        self.numbered += 1;
        self.pending.insert(self.numbered, event);
        self.events.push(Reverse((when, self.numbered)));
    }

    /// Runs until that time; `watch` sees the world after every event.
    fn run(&mut self, until: Duration, mut watch: impl FnMut(&Self)) {
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
    fn check(&self) {
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

    fn arrive(&mut self) {
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
    fn order(&mut self) -> Vec<usize> {
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
    fn walk(&mut self, mut request: Request) {
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
    fn look_on(&mut self, request: Request) {
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

    fn attempt(&mut self, mut request: Request, at: usize, probe: Option<Probe>) {
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
    fn outcome(&mut self, host: usize) -> Option<Result<(), Class>> {
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

    fn failing(&self, host: usize) -> Option<Class> {
        let passed = self.now - self.start;
        let outages = &self.hosts[host].outages;
        let outage = outages
            .iter()
            .find(|outage| (outage.from..outage.to).contains(&passed));
        outage.map(|outage| outage.class)
    }

    fn over(&mut self, mut request: Request, attempt: Attempt) {
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
    fn report(&mut self, host: usize, probe: Option<Probe>, (class, reset): (Class, Option<Duration>)) {
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

    fn spent(&mut self, attempts: u32, elapsed: Duration) -> Spent {
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

    fn give_back(&mut self, probe: Option<Probe>) {
        if let Some(probe) = probe {
            self.registry.release(probe);
        }
    }

    fn refuse(&mut self) {
        self.tally.refused += 1;
        let well = (0..self.hosts.len()).any(|host| self.failing(host).is_none());
        self.tally.let_down += u32::from(well);
        self.note(usize::MAX, 0);
    }

    fn note(&mut self, host: usize, what: u64) {
        let since = u64::try_from((self.now - self.start).as_nanos()).unwrap();
        let mixed = self.tally.digest ^ since ^ (host as u64).rotate_left(32) ^ what;
        self.tally.digest = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    }
}

/// Outages of one host: some of each kind, from a minute to a quarter of an hour, with room to recover between them.
fn bad_day(dice: &mut fastrand::Rng, length: Duration) -> Vec<Outage> {
    let kinds = [
        Class::Server,
        Class::Connect,
        Class::TtftTimeout,
        Class::Overloaded,
        Class::Rate,
        Class::BadResponse,
    ];
    let mut outages = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        let from = at + COOLDOWN_MAX * 2 + SECOND * dice.u32(0..1_800);
        let to = from + SECOND * dice.u32(60..900);
        if to + COOLDOWN_MAX * 2 > length {
            return outages;
        }
        let class = kinds[dice.usize(..kinds.len())];
        outages.push(Outage { from, to, class });
        at = to;
    }
}

fn scripts(seed: u64, hosts: usize, length: Duration) -> Vec<Vec<Outage>> {
    let mut dice = fastrand::Rng::with_seed(seed);
    (0..hosts).map(|_| bad_day(&mut dice, length)).collect()
}

const DAY: Duration = Duration::from_hours(6);

#[test]
fn hours_of_trouble_keep_every_promise() {
    for seed in 0..6 {
        let hosts = [2, 3, 4][usize::try_from(seed % 3).unwrap()];
        let all = scripts(seed, hosts, DAY);
        let mut world = World::new(seed, 3.0, all.clone());
        let mut recoveries = 0;
        let mut due: Vec<(usize, Duration)> = Vec::new();
        for (host, outages) in all.iter().enumerate() {
            due.extend(outages.iter().map(|outage| (host, outage.to)));
        }
        world.run(DAY, |world| {
            // A backend that is well again is asked, and answers, before its longest cooldown is over twice.
            let passed = world.now - world.start;
            due.retain(|(host, since)| {
                let answered = world.hosts[*host].answered;
                let is_back = answered.is_some_and(|at| at >= world.start + *since);
                recoveries += u32::from(is_back);
                let late = passed.saturating_sub(*since);
                assert!(
                    is_back || late <= COOLDOWN_MAX + LEASE + SECOND * 5,
                    "seed {seed}: host {host} was well for {late:?} and nobody came"
                );
                !is_back
            });
        });
        let tally = &world.tally;
        assert!(
            due.is_empty() && recoveries > 10,
            "seed {seed}: {recoveries} recoveries, {due:?} left"
        );
        assert!(
            tally.requests > 60_000 && tally.cooled > 10,
            "seed {seed}: {tally:?}"
        );
        assert!(
            tally.let_down * 200 < tally.requests,
            "seed {seed}: more than half a percent went without though somebody was well: {tally:?}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_day() {
    let run = |seed| {
        let length = Duration::from_hours(1);
        let mut world = World::new(seed, 3.0, scripts(seed, 3, length));
        world.run(length, |_| {});
        world.tally
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11).digest, run(12).digest);
}

fn outage(from: u64, to: u64, class: Class) -> Outage {
    Outage {
        from: SECOND * u32::try_from(from).unwrap(),
        to: SECOND * u32::try_from(to).unwrap(),
        class,
    }
}

/// Everything is down for ten minutes under a heavy load: the retries stay in their budget (`check`), few requests are
/// burnt on what is down, and all of it comes back.
#[test]
fn f44_a_total_outage_is_not_multiplied() {
    let down = vec![outage(60, 660, Class::Server)];
    let mut world = World::new(3, 50.0, vec![down.clone(), down]);
    let mut asked_while_down = (0, 0);
    world.run(SECOND * 1_200, |world| {
        let asked: u32 = world.hosts.iter().map(|host| host.asked).sum();
        let passed = world.now - world.start;
        if passed < SECOND * 60 {
            asked_while_down.0 = asked;
        }
        if passed < SECOND * 660 {
            asked_while_down.1 = asked;
        }
    });
    let burnt = asked_while_down.1 - asked_while_down.0;
    // One probe at a time of each of them, and everybody else is told to come back.
    assert!(burnt * 8 < 30_000, "{burnt} of 30000 requests met what was down");
    assert!(world.tally.answered > 25_000, "{:?}", world.tally);
}

/// The only backend fails for an hour: every request is tried, and the first one after it is answered.
#[test]
fn c09_the_last_backend_is_asked_through_every_soft_fault() {
    for class in [
        Class::Server,
        Class::Connect,
        Class::TtftTimeout,
        Class::Overloaded,
        Class::Rate,
    ] {
        let mut world = World::new(5, 2.0, vec![vec![outage(60, 3_660, class)]]);
        world.run(SECOND * 4_000, |_| {});
        assert_eq!(
            world.tally.attempts, world.tally.requests,
            "{class}: each is tried once"
        );
    }
}

/// After its probe a backend gets a tenth of its weight, and all of it ten seconds later.
#[test]
fn c01_a_recovered_backend_warms_up() {
    let mut world = World::new(9, 200.0, vec![vec![outage(30, 40, Class::Server)], vec![]]);
    let (mut recovered, mut before) = (None, (0, 0));
    let mut shares = Vec::new();
    world.run(SECOND * 120, |world| {
        let (a, b) = (&world.hosts[0], &world.hosts[1]);
        let back = world.start + SECOND * 40;
        if recovered.is_none() && a.answered.is_some_and(|at| at > back) {
            recovered = Some(world.now);
            before = (a.asked, b.asked);
        }
        if let Some(since) = recovered
            && world.now >= since + SECOND * (u32::try_from(shares.len()).unwrap() + 1)
        {
            let (a, b) = (a.asked - before.0, b.asked - before.1);
            before = (before.0 + a, before.1 + b);
            shares.push(f64::from(a) / f64::from(a + b));
        }
    });
    let share = |second: usize| shares[second];
    assert!((0.08..=0.20).contains(&share(0)), "the first second: {shares:?}");
    assert!((0.20..=0.42).contains(&share(4)), "half way: {shares:?}");
    assert!((0.45..=0.55).contains(&share(12)), "warm: {shares:?}");
}
