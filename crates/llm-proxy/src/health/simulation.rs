//! A small world on a clock of its own: backends that fail by a script, requests that walk over them by the rules of
//! this module. Hours of it pass in milliseconds, and the same seed is the same day.
//!
//! The walk is the one of `pipeline::walk`, without its sockets: what is tried here is whether the three layers, joined
//! as they are there, keep their promises at every moment of a long bad day.

#[cfg(test)]
mod world;

use std::time::Duration;

use self::world::{COOLDOWN_MAX, LEASE, Outage, SECOND, World};
use crate::base::Class;

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
