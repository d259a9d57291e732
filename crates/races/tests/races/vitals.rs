//! The places at a backend (`max_concurrent`).

use std::sync::Arc;

use loom::thread;
use races::state::vitals::Vitals;

use super::{Inside, in_every_order};

fn takes_a_place(vitals: &Arc<Vitals>, inside: &Inside) -> bool {
    let place = vitals.enter(Some(1));
    let entered = place.is_some();
    if entered {
        assert_eq!(inside.enter(), 1);
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
        assert!(first || others.contains(&true));
        assert_eq!(vitals.in_flight(), 0);
    });
}
