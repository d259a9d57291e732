//! The count behind connections, requests in flight and places of HTTP/2.

use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use races::base::gauge::Gauge;

use super::{Inside, in_every_order};

#[test]
fn no_more_are_inside_than_may_be_and_in_the_end_none() {
    in_every_order(|| {
        let (gauge, inside) = (Gauge::default(), Arc::new(Inside::default()));
        let comer = |(gauge, inside): (Gauge, Arc<Inside>)| {
            move || {
                let place = gauge.enter_below(1);
                let entered = place.is_some();
                if entered {
                    assert_eq!(inside.enter(), 1);
                    inside.leave();
                }
                drop(place);
                entered
            }
        };
        let comers = [(); 2].map(|()| thread::spawn(comer((gauge.clone(), Arc::clone(&inside)))));
        let first = comer((gauge.clone(), inside))();
        let others = comers.map(|comer| comer.join().unwrap());
        assert!(
            first || others.contains(&true),
            "the one that came first found it empty"
        );
        assert_eq!(gauge.count(), 0);
    });
}

#[test]
fn nobody_is_refused_while_there_is_room() {
    in_every_order(|| {
        let gauge = Gauge::default();
        let other = gauge.clone();
        let comer = thread::spawn(move || assert!(other.enter_below(2).is_some()));
        for _ in 0..2 {
            assert!(gauge.enter_below(2).is_some());
        }
        comer.join().unwrap();
    });
}

#[test]
fn who_waits_for_nobody_to_be_inside_is_woken_and_sees_what_they_did() {
    in_every_order(|| {
        let (gauge, done) = (
            Gauge::default(),
            Arc::new([AtomicBool::new(false), AtomicBool::new(false)]),
        );
        for at in 0..2 {
            let (place, done) = (gauge.enter(), Arc::clone(&done));
            thread::spawn(move || {
                done[at].store(true, Ordering::Relaxed);
                drop(place);
            });
        }
        block_on(gauge.until_zero());
        assert_eq!(gauge.count(), 0);
        assert!(done.iter().all(|done| done.load(Ordering::Relaxed)));
    });
}
