//! The places of requests in service, and the queue for them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loom::future::block_on;
use loom::thread;
use races::base::clock;
use races::config::types::Concurrency;
use races::limits::who::{RequestClass, Who};
use races::state::places::{Place, Places};
use races::time::run_out;

use super::{Inside, in_every_order};

const ANYBODY: Who = Who {
    address: None,
    key: None,
    key_max: None,
    priority: 0,
    class: RequestClass::Main,
    cost: 1,
};

fn one_place() -> Arc<Places> {
    Places::new(Concurrency {
        max_requests: 1,
        per_ip: 10,
        queue_size: 10,
        queue_timeout: Duration::from_secs(30),
    })
}

fn enter(places: &Arc<Places>) -> Option<Place> {
    block_on(places.enter(ANYBODY, clock::now())).ok()
}

fn nobody_is_there(places: &Places) {
    let now = places.view().now;
    assert_eq!((now.in_service, now.waiting), (0, 0));
}

#[test]
fn one_is_served_after_the_other_and_all_are() {
    in_every_order(|| {
        let (places, inside) = (one_place(), Arc::new(Inside::default()));
        let served = |(places, inside): (Arc<Places>, Arc<Inside>)| {
            move || {
                let place = enter(&places);
                assert!(place.is_some());
                assert_eq!(inside.enter(), 1);
                inside.leave();
            }
        };
        let other = thread::spawn(served((Arc::clone(&places), Arc::clone(&inside))));
        served((Arc::clone(&places), inside))();
        other.join().unwrap();
        nobody_is_there(&places);
    });
}

#[test]
fn a_place_for_one_whose_patience_ends_just_then_is_not_lost() {
    in_every_order(|| {
        let places = one_place();
        let held = enter(&places);
        assert!(held.is_some());
        let waiting = Arc::clone(&places);
        let waiter = thread::spawn(move || enter(&waiting).is_some());
        let clock = thread::spawn(run_out);
        drop(held);
        clock.join().unwrap();
        let served = waiter.join().unwrap();
        assert_eq!(places.view().timed_out, u64::from(!served));
        nobody_is_there(&places);
    });
}

#[test]
fn a_place_for_one_that_leaves_just_then_goes_to_the_next() {
    in_every_order(|| {
        let places = one_place();
        let held = enter(&places);
        assert!(held.is_some());
        let leaving = Arc::clone(&places);
        let leaver = thread::spawn(move || {
            let mut entering = pin!(leaving.enter(ANYBODY, clock::now()));
            let polled = entering.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            // Whether it has a place, waits for one or is just being given one: it goes.
            matches!(polled, Poll::Ready(Ok(_)))
        });
        drop(held);
        assert!(enter(&places).is_some(), "the next is served");
        leaver.join().unwrap();
        nobody_is_there(&places);
    });
}
