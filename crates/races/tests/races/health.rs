//! Health is decided under one lock, so what threads make of it is some order of whole decisions. These are the orders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::thread;
use races::Mutex;
use races::base::{Class, clock};
use races::config::types::{Fallback, Trip, WhenAllCooling};
use races::health::{Failure, Gate, Policy, Registry, Sole, Target};

use super::in_every_order;

const TARGET: Target = Target {
    backend: 1,
    key: 2,
    model: 3,
};
const LEASE: Duration = Duration::from_mins(1);

fn registry() -> Arc<Mutex<Registry>> {
    Arc::new(Mutex::new(Registry::new(Policy::from(&Fallback {
        max_attempts: 3,
        cooldown: Duration::from_secs(10),
        cooldown_max: Duration::from_mins(5),
        cooldowns: BTreeMap::new(),
        trip: Trip {
            consecutive: 1,
            error_rate: 1.0,
            min_requests: 10,
            window: Duration::from_secs(30),
        },
        retry_budget: 0.2,
        slow_failure_cutoff: Duration::from_secs(30),
        when_all_cooling: WhenAllCooling::Probe,
    }))))
}

fn failure(class: Class, reset: Option<Duration>) -> Failure {
    Failure {
        class,
        reset,
        firm: reset.is_some(),
        kind: None,
        sole: Sole::No,
        jitter: 0.5,
    }
}

fn cools_until(registry: &Mutex<Registry>, now: Instant) -> Option<Instant> {
    match registry.lock().gate(&TARGET, Sole::No, now) {
        Gate::Cooling { until, .. } => Some(until),
        _ => None,
    }
}

#[test]
fn a_probe_is_given_to_one_of_those_that_come_when_it_is_due() {
    in_every_order(|| {
        let (registry, start) = (registry(), clock::now());
        let cooled = registry
            .lock()
            .failure(&TARGET, None, failure(Class::Server, None), start);
        let due = cooled.unwrap().until;
        let comers = [(); 2].map(|()| {
            let registry = Arc::clone(&registry);
            thread::spawn(move || {
                let mut health = registry.lock();
                health.take_probe(&TARGET, Sole::No, due, LEASE)
            })
        });
        let first = registry.lock().take_probe(&TARGET, Sole::No, due, LEASE);
        let others = comers.map(|comer| comer.join().unwrap());
        let mut probes: Vec<_> = others.into_iter().chain([first]).flatten().collect();
        assert_eq!(probes.len(), 1);
        registry.lock().release(probes.remove(0));
        let again = registry.lock().take_probe(&TARGET, Sole::No, due, LEASE);
        assert!(again.is_some(), "what was given back is there for the next");
    });
}

#[test]
fn a_cooldown_ends_no_earlier_for_what_other_requests_come_to_meanwhile() {
    in_every_order(|| {
        let (registry, now) = (registry(), clock::now());
        let told = Duration::from_mins(2);
        let short = Arc::clone(&registry);
        let short = thread::spawn(move || {
            let failed = failure(Class::Rate, Some(Duration::from_secs(5)));
            short.lock().failure(&TARGET, None, failed, now)
        });
        let answered = Arc::clone(&registry);
        let answered = thread::spawn(move || answered.lock().success(&TARGET, None, now));
        let failed = failure(Class::Rate, Some(told));
        registry.lock().failure(&TARGET, None, failed, now);
        short.join().unwrap();
        answered.join().unwrap();
        assert!(cools_until(&registry, now) >= Some(now + told));
    });
}
