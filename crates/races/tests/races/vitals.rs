//! The places at a backend (`max_concurrent`).

use std::sync::Arc;

use loom::thread;
use races::state::vitals::Vitals;

use super::{Inside, in_every_order};

const PLACES: u32 = 2;

fn takes_a_place(vitals: &Arc<Vitals>, inside: &Inside) -> bool {
    let place = vitals.enter(Some(PLACES));
    let entered = place.is_some();
    if entered {
        assert!(inside.enter() <= PLACES as usize);
        inside.leave();
    }
    drop(place);
    entered
}

#[test]
fn a_backend_has_no_more_requests_than_it_may_and_each_place_comes_back_once() {
    in_every_order(|| {
        let (vitals, inside) = (Arc::new(Vitals::default()), Arc::new(Inside::default()));
        let others = [(); 2].map(|()| {
            let (vitals, inside) = (Arc::clone(&vitals), Arc::clone(&inside));
            thread::spawn(move || takes_a_place(&vitals, &inside))
        });
        let first = takes_a_place(&vitals, &inside);
        let others = others.map(|other| other.join().unwrap());
        let entered = [first, others[0], others[1]]
            .iter()
            .filter(|entered| **entered)
            .count();
        assert!(entered >= PLACES as usize, "there was room for two");
        assert_eq!(vitals.in_flight(), 0);
    });
}
