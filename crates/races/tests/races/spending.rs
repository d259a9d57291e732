//! Budgets: money that is put aside.

use loom::thread;
use races::base::Cost;
use races::config::types::{Budget, Period};
use races::state::budget;
use races::state::spending::Spendings;

use super::in_every_order;

#[test]
fn money_is_put_aside_for_one_and_what_was_not_spent_comes_back() {
    in_every_order(|| {
        let dollar = Budget {
            usd: 1.0,
            per: Period::Day,
        };
        let key = budget(&Spendings::default(), "team", dollar);
        let spends = |key: races::state::spending::Budget| {
            move || {
                let Ok(mut reserved) = key.reserve(Cost::from_dollars(1.0), 0) else {
                    return 0.0;
                };
                assert_eq!(
                    key.balance().reserved,
                    Cost::from_dollars(1.0),
                    "nobody else has any of it"
                );
                reserved.cost = Cost::from_dollars(0.25);
                0.25
            }
        };
        let other = thread::spawn(spends(key.clone()));
        let spent = spends(key.clone())() + other.join().unwrap();
        let balance = key.balance();
        assert_eq!(balance.reserved, Cost::ZERO);
        assert_eq!(balance.spent, Cost::from_dollars(spent));
        assert!(spent > 0.0, "the one that came first found a dollar");
    });
}

#[test]
fn what_two_at_once_have_spent_is_counted_of_both() {
    in_every_order(|| {
        let dollar = Budget {
            usd: 1.0,
            per: Period::Day,
        };
        let key = budget(&Spendings::default(), "team", dollar);
        let cost = Cost::from_dollars(0.25);
        let others = [(); 2].map(|()| {
            let mut reserved = key.reserve(Cost::from_dollars(0.4), 0).unwrap();
            reserved.cost = cost;
            thread::spawn(move || drop(reserved))
        });
        for other in others {
            other.join().unwrap();
        }
        let balance = key.balance();
        assert_eq!((balance.reserved, balance.spent), (Cost::ZERO, cost.plus(cost)));
    });
}
