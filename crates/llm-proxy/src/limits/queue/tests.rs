//! The queue's rules, one by one: who is served at once, in which order the others are, and who is turned away.

use super::*;
use crate::base::{Address, clock};
use crate::limits::who::RequestClass;

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// One at a time: the order in which waiters are served shows.
pub(super) const ONE: Concurrency = Concurrency {
    max_requests: 1,
    per_ip: 1_000,
    queue_size: 10_000,
    queue_timeout: Duration::from_secs(30),
};

pub(super) fn of_key(key: u64) -> Who {
    Who {
        address: None,
        key: Some(KeyId(key)),
        key_max: None,
        priority: 0,
        class: RequestClass::Main,
        cost: 1,
    }
}

fn from_address(address: u32) -> Who {
    Who {
        address: Some(Address::V4(address)),
        key: None,
        ..of_key(0)
    }
}

fn of_class(class: RequestClass) -> Who {
    Who { class, ..of_key(0) }
}

/// A queue on a clock of its own; waiters are their numbers in the order in which they came.
pub(super) struct Hall {
    pub(super) queue: Queue<usize>,
    pub(super) now: Instant,
    came: Vec<Who>,
}

impl Hall {
    pub(super) fn new(bounds: Concurrency) -> Self {
        let now = clock::now();
        Self {
            queue: Queue::new(bounds, now),
            now,
            came: Vec::new(),
        }
    }

    /// With the only place taken.
    pub(super) fn busy(bounds: Concurrency) -> Self {
        let mut hall = Self::new(bounds);
        assert_eq!(hall.come(of_key(u64::MAX)).0, Entered::Served);
        hall
    }

    pub(super) fn come(&mut self, who: Who) -> (Entered<()>, Vec<News<usize>>) {
        let number = self.came.len();
        self.came.push(who);
        self.queue.enter(who, || (number, ()), self.now)
    }

    pub(super) fn wait(&mut self, who: Who) -> Ticket {
        match self.come(who) {
            (Entered::Waits(ticket, ()), news) if news.is_empty() => ticket,
            other => panic!("must wait, and put nobody out: {other:?}"),
        }
    }

    pub(super) fn all_wait(&mut self, who: Who, times: usize) {
        (0..times).for_each(|_| _ = self.wait(who));
    }

    pub(super) fn leave(&mut self, number: usize) -> Vec<usize> {
        served(self.queue.leave(&self.came[number], self.now))
    }

    /// Whoever is in service leaves, time and again: who is served then.
    pub(super) fn order(&mut self, times: usize) -> Vec<Who> {
        let mut inside = 0;
        (0..times)
            .map_while(|_| {
                inside = *self.leave(inside).first()?;
                Some(self.came[inside])
            })
            .collect()
    }

    pub(super) fn keys(&mut self, times: usize) -> Vec<u64> {
        let order = self.order(times);
        order.into_iter().map(|who| who.key.unwrap().0).collect()
    }
}

pub(super) fn served(news: Vec<News<usize>>) -> Vec<usize> {
    let served = news.into_iter().filter(|news| news.place.is_ok());
    served.map(|news| news.waiter).collect()
}

#[test]
fn l04_one_address_that_floods_leaves_room_for_the_others() {
    let mut hall = Hall::new(Concurrency {
        max_requests: 100,
        per_ip: 2,
        ..ONE
    });
    assert_eq!(hall.come(from_address(1)).0, Entered::Served);
    assert_eq!(hall.come(from_address(1)).0, Entered::Served);
    hall.all_wait(from_address(1), 98);
    assert_eq!(
        hall.come(from_address(2)).0,
        Entered::Served,
        "y is served at once"
    );
    for _ in 0..50 {
        assert_eq!(
            hall.come(of_key(1)).0,
            Entered::Served,
            "a Unix socket has no address"
        );
    }
    assert_eq!(hall.leave(0), [2], "x goes on as its own requests end, in order");
    assert_eq!(hall.queue.view().in_service, 53);
}

#[test]
fn l05_a_thousand_waiters_of_one_key_do_not_keep_another_waiting() {
    let mut hall = Hall::busy(ONE);
    hall.all_wait(of_key(1), 1_000);
    assert_eq!(hall.keys(100), [1; 100]);
    let mut hall = Hall::busy(ONE);
    hall.all_wait(of_key(1), 1_000);
    hall.all_wait(of_key(2), 10);
    let keys = hall.keys(1_010);
    let last = keys.iter().rposition(|key| *key == 2).unwrap();
    assert!(last < 20, "alone it would take 10 turns, not {last}");
    assert_eq!(keys.len(), 1_010, "everybody is served in the end");
}

#[test]
fn l05_it_makes_no_difference_for_how_long_the_thousand_have_waited() {
    let mut hall = Hall::busy(ONE);
    hall.all_wait(of_key(1), 1_000);
    hall.now += SECOND * 20;
    hall.all_wait(of_key(2), 10);
    let keys = hall.keys(40);
    assert!(
        keys[..20].iter().filter(|key| **key == 2).count() == 10,
        "{keys:?}"
    );
}

#[test]
fn l05_ten_keys_with_one_request_each_are_served_within_eleven_turns() {
    let mut hall = Hall::busy(ONE);
    hall.all_wait(of_key(0), 100);
    (1..=10).for_each(|key| _ = hall.wait(of_key(key)));
    let mut keys = hall.keys(11);
    keys.sort_unstable();
    assert_eq!(keys, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn l06_a_higher_priority_goes_first_and_then_the_more_urgent_class() {
    let mut hall = Hall::busy(ONE);
    let who = |priority, class| Who {
        priority,
        class,
        ..of_key(0)
    };
    let expected = [
        who(5, RequestClass::Main),
        who(5, RequestClass::Auxiliary),
        who(0, RequestClass::Main),
        who(0, RequestClass::Subagent),
        who(0, RequestClass::Auxiliary),
        who(-3, RequestClass::Main),
    ];
    expected.iter().rev().for_each(|who| _ = hall.wait(*who));
    assert_eq!(hall.queue.view().by_priority, [(5, 2), (0, 3), (-3, 1)]);
    assert_eq!(hall.order(6), expected);
}

#[test]
fn l06_a_low_priority_that_has_waited_long_gets_every_second_place() {
    let mut hall = Hall::busy(ONE);
    let batch = |key| Who {
        priority: -1,
        ..of_key(key)
    };
    hall.all_wait(batch(1), 10);
    hall.wait(batch(2));
    hall.all_wait(of_key(3), 20);
    hall.now += ONE.queue_timeout / 2;
    assert_eq!(hall.keys(5), [3; 5], "half of the time is not more than half");
    hall.now += SECOND / 1_000;
    assert_eq!(
        hall.leave(hall.came.len() - 16),
        [1],
        "then the batch has its turn"
    );
    let mut inside = 1;
    let mut keys = Vec::new();
    for _ in 0..6 {
        inside = hall.leave(inside)[0];
        keys.push(hall.came[inside].key.unwrap().0);
    }
    assert_eq!(keys, [3, 2, 3, 1, 3, 1], "and its own keys take turns at that");
}

#[test]
fn a_key_over_its_own_bound_waits_and_blocks_nobody() {
    let mut hall = Hall::new(Concurrency {
        max_requests: 10,
        ..ONE
    });
    let narrow = Who {
        key_max: Some(1),
        priority: 9,
        ..of_key(1)
    };
    assert_eq!(hall.come(narrow).0, Entered::Served);
    hall.all_wait(narrow, 2);
    assert_eq!(hall.come(of_key(2)).0, Entered::Served, "others pass by");
    assert_eq!(hall.leave(3), [0; 0], "a free place is of no use to it");
    assert_eq!(hall.leave(0), [1], "its own is");
}

#[test]
fn k06_a_key_that_may_have_more_after_a_reload_gets_it_in_turn() {
    let mut hall = Hall::new(Concurrency {
        max_requests: 10,
        ..ONE
    });
    let may = |max| Who {
        key_max: Some(max),
        ..of_key(1)
    };
    assert_eq!(hall.come(may(1)).0, Entered::Served);
    hall.all_wait(may(1), 2);
    let (entered, news) = hall.come(may(3));
    assert!(matches!(entered, Entered::Waits(..)), "two came before it");
    assert_eq!(served(news), [1, 2]);
    assert!(matches!(hall.come(may(1)).0, Entered::Waits(..)));
    assert_eq!(
        hall.leave(0),
        [0; 0],
        "and with less, those who are in service stay"
    );
    assert_eq!(hall.leave(1), [0; 0]);
    assert_eq!(hall.leave(2), [3]);
}

#[test]
fn who_is_passed_over_keeps_its_turn() {
    let bounds = Concurrency {
        max_requests: 2,
        per_ip: 1,
        ..ONE
    };
    let mut hall = Hall::new(bounds);
    let at = |key, address| Who {
        address: Some(Address::V4(address)),
        ..of_key(key)
    };
    assert_eq!(hall.come(at(1, 1)).0, Entered::Served);
    assert_eq!(hall.come(at(9, 9)).0, Entered::Served);
    hall.wait(at(1, 1));
    (2..6).for_each(|n| _ = hall.wait(at(2, n)));
    assert_eq!(hall.leave(1), [3], "the first is at its bound of one");
    assert_eq!(hall.leave(3), [4]);
    assert_eq!(
        hall.leave(0),
        [2],
        "now it is not, and it has waited for its turn"
    );
}

#[test]
fn one_place_may_come_free_for_two() {
    let mut hall = Hall::new(Concurrency {
        max_requests: 10,
        per_ip: 1,
        ..ONE
    });
    let who = |key, address| Who {
        address: Some(Address::V4(address)),
        key_max: Some(1),
        ..of_key(key)
    };
    assert_eq!(hall.come(who(1, 1)).0, Entered::Served);
    hall.wait(who(1, 2));
    hall.wait(who(2, 1));
    assert_eq!(
        hall.leave(0),
        [1, 2],
        "one waited for its key, the other for its address"
    );
}

#[test]
fn a_key_pays_for_long_bodies_with_its_turns() {
    let mut hall = Hall::busy(ONE);
    hall.all_wait(
        Who {
            cost: 16,
            ..of_key(1)
        },
        10,
    );
    hall.all_wait(of_key(2), 100);
    let keys = hall.keys(68);
    assert_eq!(keys.iter().filter(|key| **key == 1).count(), 4, "{keys:?}");
    let longest = keys.chunk_by(|a, b| a == b).map(<[u64]>::len).max();
    assert_eq!(longest, Some(16), "and its turns are spread out");
}

#[test]
fn addresses_of_one_key_take_turns() {
    let mut hall = Hall::busy(ONE);
    hall.all_wait(from_address(1), 50);
    hall.all_wait(from_address(2), 3);
    hall.all_wait(from_address(3), 1);
    let order = hall.order(8).into_iter().map(|who| match who.address {
        Some(Address::V4(address)) => address,
        other => panic!("{other:?}"),
    });
    assert_eq!(order.collect::<Vec<_>>(), [1, 2, 3, 1, 2, 1, 2, 1]);
}

#[test]
fn l02_a_full_queue_turns_away_at_once() {
    let mut hall = Hall::busy(Concurrency { queue_size: 2, ..ONE });
    hall.all_wait(of_key(1), 2);
    let refused = Entered::Refused(Refused::Full {
        retry_after: ONE.queue_timeout,
    });
    assert_eq!(hall.come(of_key(1)), (refused, vec![]));
    assert_eq!(hall.queue.view().waiting, 2);
    let mut hall = Hall::busy(Concurrency { queue_size: 0, ..ONE });
    assert!(
        matches!(hall.come(of_key(1)).0, Entered::Refused(_)),
        "without a queue nobody waits"
    );
}

#[test]
fn a_greedy_key_makes_room_in_a_full_queue_until_all_have_their_share() {
    let mut hall = Hall::busy(Concurrency {
        queue_size: 10,
        ..ONE
    });
    hall.all_wait(of_key(1), 10);
    for newest in [10, 9, 8, 7] {
        let (entered, news) = hall.come(of_key(2));
        assert!(matches!(entered, Entered::Waits(..)));
        assert_eq!(news.len(), 1);
        assert_eq!(news[0].waiter, newest, "the newest goes: it has waited least");
        assert!(matches!(news[0].place, Err(Refused::Full { .. })));
    }
    let (entered, news) = hall.come(of_key(2));
    assert!(
        matches!(entered, Entered::Refused(_)) && news.is_empty(),
        "6 to 4: fair enough"
    );
    assert_eq!(hall.queue.view().waiting, 10);
    assert_eq!(hall.keys(10), [1, 2, 1, 2, 1, 2, 1, 2, 1, 1]);
}

#[test]
fn a_greedy_address_makes_room_for_another_of_the_same_key() {
    let mut hall = Hall::busy(Concurrency { queue_size: 4, ..ONE });
    hall.all_wait(from_address(1), 4);
    let (entered, news) = hall.come(from_address(2));
    assert!(matches!(entered, Entered::Waits(..)));
    assert_eq!(news[0].waiter, 4);
    assert!(matches!(hall.come(from_address(1)).0, Entered::Refused(_)));
    assert!(
        matches!(hall.come(from_address(2)).0, Entered::Refused(_)),
        "3 to 2 is fair"
    );
}

#[test]
fn the_more_urgent_is_never_put_out_for_the_less() {
    let size = Concurrency { queue_size: 4, ..ONE };
    let mut hall = Hall::busy(size);
    hall.all_wait(of_class(RequestClass::Main), 4);
    let (entered, _) = hall.come(Who {
        key: Some(KeyId(7)),
        ..of_class(RequestClass::Auxiliary)
    });
    assert!(matches!(entered, Entered::Refused(_)));
    let mut hall = Hall::busy(size);
    hall.all_wait(of_class(RequestClass::Auxiliary), 4);
    let (entered, news) = hall.come(of_class(RequestClass::Main));
    assert!(matches!(entered, Entered::Waits(..)), "even within a key");
    assert_eq!(news.len(), 1);
}

#[test]
fn l03_who_has_waited_too_long_is_told_so_and_never_served() {
    let mut hall = Hall::busy(ONE);
    hall.wait(of_key(1));
    hall.now += SECOND * 29;
    hall.wait(of_key(2));
    hall.now += SECOND;
    let news = hall.queue.leave(&hall.came[0], hall.now);
    let told: Vec<_> = news
        .iter()
        .map(|news| (news.waiter, news.place.is_ok()))
        .collect();
    assert_eq!(told, [(1, false), (2, true)]);
    assert!(matches!(news[0].place, Err(Refused::WaitedTooLong { .. })));
}

#[test]
fn who_has_waited_too_long_takes_no_room_in_the_queue() {
    let mut hall = Hall::busy(Concurrency { queue_size: 1, ..ONE });
    hall.wait(of_key(1));
    hall.now += SECOND * 30;
    let (entered, news) = hall.come(of_key(1));
    assert!(matches!(entered, Entered::Waits(..)));
    assert!(matches!(news[0].place, Err(Refused::WaitedTooLong { .. })));
}

#[test]
fn one_that_leaves_the_queue_frees_its_room_and_is_handed_back_once() {
    let mut hall = Hall::busy(Concurrency { queue_size: 1, ..ONE });
    let ticket = hall.wait(of_key(1));
    assert_eq!(hall.queue.cancel(&ticket), Some(1));
    assert_eq!(hall.queue.cancel(&ticket), None);
    let ticket = hall.wait(of_key(1));
    assert_eq!(hall.leave(0), [2]);
    assert_eq!(hall.queue.cancel(&ticket), None, "it is in service");
}

#[test]
fn k06_a_reload_keeps_everybody_and_gives_out_what_it_adds() {
    let mut hall = Hall::busy(ONE);
    hall.all_wait(of_key(1), 5);
    let wider = Concurrency {
        max_requests: 3,
        ..ONE
    };
    assert_eq!(served(hall.queue.set_bounds(wider, hall.now)), [1, 2]);
    let narrower = Concurrency { queue_size: 1, ..ONE };
    assert_eq!(hall.queue.set_bounds(narrower, hall.now), []);
    let view = hall.queue.view();
    assert_eq!((view.in_service, view.max, view.waiting), (3, 1, 3));
    assert!(
        matches!(hall.come(of_key(2)).0, Entered::Refused(_)),
        "the queue is over its new length"
    );
    assert_eq!(hall.leave(0), [0; 0]);
    assert_eq!(hall.leave(1), [0; 0]);
    assert_eq!(hall.leave(2), [3], "below the new bound");
}

#[test]
fn l02_who_is_turned_away_hears_when_the_queue_will_have_been_served() {
    let mut hall = Hall::busy(Concurrency {
        queue_size: 49,
        ..ONE
    });
    let told = |hall: &mut Hall| match hall.come(of_key(1)).0 {
        Entered::Refused(Refused::Full { retry_after }) => retry_after.as_secs_f64().round(),
        other => panic!("{other:?}"),
    };
    hall.all_wait(of_key(1), 49);
    assert!(
        (told(&mut hall) - 30.0).abs() < 0.1,
        "unmeasured: what waiting would take at most"
    );
    let mut inside = 0;
    for _ in 0..100 {
        hall.now += SECOND / 10;
        inside = hall.leave(inside)[0];
        let _ = hall.wait(of_key(1));
    }
    let five = told(&mut hall);
    assert!((4.0..=6.0).contains(&five), "50 at 10 a second: {five} s");
    let mut hall = Hall::busy(Concurrency {
        queue_size: 1,
        queue_timeout: SECOND * 900,
        ..ONE
    });
    let _ = hall.wait(of_key(1));
    assert!(
        (told(&mut hall) - 60.0).abs() < 0.1,
        "Claude Code gives up beyond a minute"
    );
}
