//! Rates: buckets that requests take from at once.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use races::config::types::Rate;
use races::limits::{Bucket, Quota, Unit};
use races::state::buckets;
use races::state::rates::{Counted, Level, Rates, take};

use super::in_every_order;

const MINUTE: Duration = Duration::from_mins(1);

fn holds(count: f64) -> Arc<Bucket> {
    Arc::new(Bucket::new(Quota::new(1.0, MINUTE, count)))
}

#[test]
fn nothing_is_taken_twice() {
    in_every_order(|| {
        let bucket = holds(2.0);
        let takers = [(); 2].map(|()| {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || bucket.take(1.0, 0).is_ok())
        });
        let first = bucket.take(1.0, 0).is_ok();
        let others = takers.map(|taker| taker.join().unwrap());
        let took = [first, others[0], others[1]].iter().filter(|took| **took).count();
        assert_eq!(took, 2);
        assert_eq!(bucket.standing(0).remaining, 0);
    });
}

#[test]
fn what_is_given_back_is_there_again() {
    in_every_order(|| {
        let bucket = holds(10.0);
        let takers = [3.0, 4.0].map(|amount| {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                bucket.take(amount, 0).unwrap();
                bucket.settle(amount, 1.0);
            })
        });
        bucket.take(3.0, 0).unwrap();
        for taker in takers {
            taker.join().unwrap();
        }
        assert_eq!(bucket.standing(0).remaining, 5, "one, one and three are gone");
    });
}

#[test]
fn what_a_later_limit_refuses_earlier_ones_have_again() {
    in_every_order(|| {
        let (rates, rpm) = (Rates::default(), |rpm| Rate {
            rpm: Some(rpm),
            ..Rate::default()
        });
        let wide = buckets(&rates, Level::Key, "team", &rpm(10.0));
        let narrow = buckets(&rates, Level::Model, "m", &rpm(1.0));
        let is_let_in = |limits: Counted| take(&limits.own(), (Unit::Requests, 1.0), 0).is_ok();
        let limits = || Counted {
            key: Some(Arc::clone(&wide)),
            model: Some(Arc::clone(&narrow)),
            ..Counted::default()
        };
        let others = limits();
        let other = thread::spawn(move || is_let_in(others));
        let passed = is_let_in(limits());
        assert_ne!(passed, other.join().unwrap(), "one of two passes");
        let left = wide
            .standing(Unit::Requests, 0)
            .map(|standing| standing.remaining);
        assert_eq!(left, Some(9));
    });
}
