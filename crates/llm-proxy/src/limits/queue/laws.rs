//! The queue against a model that is slow and plain: two lists, looked through from the start each time.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::base::{Address, clock};
use crate::limits::who::RequestClass;

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Come(Who),
    /// Of those in service, one leaves.
    Leave(prop::sample::Index),
    /// Of those who wait, one gives up.
    GiveUp(prop::sample::Index),
    Pass(u64),
    /// With how much more or less the keys may have.
    Reload(Concurrency, u32),
}

fn who() -> impl Strategy<Value = Who> {
    let address = prop::option::weighted(0.8, (0_u32..4).prop_map(Address::V4));
    let class = prop::sample::select(vec![
        RequestClass::Main,
        RequestClass::Subagent,
        RequestClass::Auxiliary,
    ]);
    (address, prop::option::weighted(0.8, 0_u64..4), class, 1_u32..=16).prop_map(
        |(address, key, class, cost)| {
            Who {
                address,
                key: key.map(KeyId),
                // As in a config: bound and priority are the key's.
                key_max: key
                    .filter(|key| *key < 2)
                    .map(|key| u32::try_from(key).unwrap() + 1),
                priority: key.map_or(0, |key| i32::try_from(key % 2).unwrap()),
                class,
                cost,
            }
        },
    )
}

fn bounds() -> impl Strategy<Value = Concurrency> {
    (1_u32..6, 1_u32..4, 0_u32..12, 1_u64..20).prop_map(|(max_requests, per_ip, queue_size, seconds)| {
        Concurrency {
            max_requests,
            per_ip,
            queue_size,
            queue_timeout: Duration::from_secs(seconds),
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => who().prop_map(Step::Come),
        5 => any::<prop::sample::Index>().prop_map(Step::Leave),
        2 => any::<prop::sample::Index>().prop_map(Step::GiveUp),
        2 => (0_u64..5_000).prop_map(Step::Pass),
        1 => (bounds(), 0_u32..3).prop_map(|(bounds, more)| Step::Reload(bounds, more)),
    ]
}

#[derive(Clone, Copy)]
struct Waiting {
    number: usize,
    who: Who,
    since: Instant,
    ticket: Ticket,
}

struct Model {
    bounds: Concurrency,
    more: u32,
    /// What each key may have, where that is bounded.
    key_max: HashMap<KeyId, u32>,
    queue: Queue<usize>,
    now: Instant,
    came: usize,
    serving: Vec<Who>,
    /// In the order in which they came.
    waiting: Vec<Waiting>,
    /// Whether the last place went to a lower level than it might have.
    aged: bool,
}

impl Model {
    fn new(bounds: Concurrency) -> Self {
        let now = clock::now();
        Self {
            bounds,
            more: 0,
            key_max: HashMap::new(),
            queue: Queue::new(bounds, now),
            now,
            came: 0,
            serving: Vec::new(),
            waiting: Vec::new(),
            aged: false,
        }
    }

    fn fits(&self, who: &Who) -> bool {
        let serving = |same: &dyn Fn(&Who) -> bool| self.serving.iter().filter(|who| same(who)).count();
        let below = |count: usize, most: u32| count < most as usize;
        let from_there = serving(&|other| other.address == who.address);
        let of_key = serving(&|other| other.key == who.key);
        below(self.serving.len(), self.bounds.max_requests)
            && (who.address.is_none() || below(from_there, self.bounds.per_ip))
            && (of_key == 0 || who.key.is_none_or(|key| below(of_key, self.key_max[&key])))
    }

    /// The latest request of a key says what it may have.
    fn learn(&mut self, who: &Who) {
        if let Some(key) = who.key {
            self.key_max.insert(key, who.key_max.unwrap_or(u32::MAX));
        }
    }

    fn is_stale(&self, waiting: &Waiting) -> bool {
        self.now.saturating_duration_since(waiting.since) >= self.bounds.queue_timeout
    }

    fn is_old(&self, waiting: &Waiting) -> bool {
        self.now.saturating_duration_since(waiting.since) > self.bounds.queue_timeout / 2
    }

    /// Whether anybody who waits at such a level might be served.
    fn has_fitting(&self, level: impl Fn(Rank) -> bool) -> bool {
        let mut there = self.waiting.iter().filter(|waiting| level(waiting.who.rank()));
        there.any(|waiting| self.fits(&waiting.who))
    }

    fn take(&mut self, number: usize) -> Waiting {
        let at = self.waiting.iter().position(|waiting| waiting.number == number);
        self.waiting
            .remove(at.expect("only those who wait are told anything, and once"))
    }

    fn do_step(&mut self, step: &Step) {
        match step {
            Step::Come(who) => self.come(Who {
                key_max: who.key_max.map(|max| max + self.more),
                ..*who
            }),
            Step::Leave(index) if !self.serving.is_empty() => {
                let who = self.serving.remove(index.index(self.serving.len()));
                let news = self.queue.leave(&who, self.now);
                self.hear(news);
            }
            Step::GiveUp(index) if !self.waiting.is_empty() => {
                let gone = self.waiting.remove(index.index(self.waiting.len()));
                assert_eq!(self.queue.cancel(&gone.ticket), Some(gone.number));
            }
            Step::Pass(millis) => self.now += Duration::from_millis(*millis),
            Step::Reload(bounds, more) => {
                self.more = *more;
                self.bounds = *bounds;
                let news = self.queue.set_bounds(*bounds, self.now);
                self.hear(news);
            }
            Step::Leave(_) | Step::GiveUp(_) => {}
        }
        self.check();
    }

    fn come(&mut self, who: Who) {
        let number = self.came;
        self.came += 1;
        self.learn(&who);
        let (entered, news) = self.queue.enter(who, || (number, ()), self.now);
        let is_put_out = |news: &News<usize>| matches!(news.place, Err(Refused::Full { .. }));
        let (put_out, others): (Vec<_>, Vec<_>) = news.into_iter().partition(is_put_out);
        self.hear(others);
        let is_full = self.waiting.len() >= self.bounds.queue_size as usize;
        let fits = self.fits(&who);
        assert_eq!(
            entered == Entered::Served,
            fits,
            "whoever fits is served at once, and nobody else"
        );
        match entered {
            Entered::Served => self.serving.push(who),
            Entered::Waits(ticket, ()) => {
                assert_eq!(
                    put_out.len() == 1,
                    is_full,
                    "one is put out where there is no room, and only there"
                );
                self.hear_put_out(&who, put_out);
                let since = self.now;
                self.waiting.push(Waiting {
                    number,
                    who,
                    since,
                    ticket,
                });
            }
            Entered::Refused(_) => assert!(is_full && put_out.is_empty()),
        }
    }

    /// Who is put out is of a flow that has clearly more, and of no more urgent a level.
    fn hear_put_out(&mut self, newcomer: &Who, put_out: Vec<News<usize>>) {
        for out in &put_out {
            let out = out.who;
            assert!(out.rank() >= newcomer.rank());
            let count = |same: &dyn Fn(&Who) -> bool| {
                self.waiting.iter().filter(|waiting| same(&waiting.who)).count()
            };
            let flow = |of: Who| move |who: &Who| (who.rank(), who.key) == (of.rank(), of.key);
            let lane = |of: Who| move |who: &Who| flow(of)(who) && who.address == of.address;
            let (out, own) = if flow(out)(newcomer) {
                (count(&lane(out)), count(&lane(*newcomer)))
            } else {
                (count(&flow(out)), count(&flow(*newcomer)))
            };
            assert!(out > own + 2, "{out} against {own}");
        }
        self.hear(put_out);
    }

    fn hear(&mut self, news: Vec<News<usize>>) {
        for News { waiter, who, place } in news {
            let waiting = self.waiting.iter().find(|waiting| waiting.number == waiter);
            assert_eq!(waiting.map(|waiting| waiting.who), Some(who));
            match place {
                Ok(()) => self.hear_served(waiter),
                Err(Refused::WaitedTooLong { retry_after }) => {
                    let gone = self.take(waiter);
                    assert!(self.is_stale(&gone), "only who has waited too long is told so");
                    assert!((SOONEST..=LATEST).contains(&retry_after));
                }
                Err(Refused::Full { retry_after }) => {
                    self.take(waiter);
                    assert!((SOONEST..=LATEST).contains(&retry_after));
                }
            }
        }
    }

    fn hear_served(&mut self, number: usize) {
        let next = self.take(number);
        let who = next.who;
        assert!(self.fits(&who), "no bound is ever exceeded");
        assert!(!self.is_stale(&next), "nobody is served who has waited too long");
        let same = |other: &&Waiting| {
            (other.who.rank(), other.who.key, other.who.address) == (who.rank(), who.key, who.address)
        };
        let first = self.waiting.iter().find(same);
        assert!(
            first.is_none_or(|other| other.number > number),
            "first come, first served"
        );
        let overtaken = self.has_fitting(|rank| rank < who.rank());
        if overtaken {
            assert!(!self.aged, "at most every second place goes to a lower level");
            let level = self.waiting.iter().chain([&next]);
            let mut level = level.filter(|other| other.who.rank() == who.rank());
            assert!(
                level.any(|other| self.is_old(other)),
                "and only to one that has waited long"
            );
        } else if !self.aged {
            let mut old = self
                .waiting
                .iter()
                .filter(|other| self.is_old(other))
                .map(|other| other.who.rank());
            let passed_over = old.any(|old| old > who.rank() && self.has_fitting(|rank| rank == old));
            assert!(
                !passed_over,
                "a level that has waited long is not passed over twice"
            );
        }
        self.aged = overtaken;
        self.serving.push(who);
    }

    fn check(&self) {
        let view = self.queue.view();
        assert_eq!(view.in_service as usize, self.serving.len());
        assert_eq!(view.waiting, self.waiting.len());
        assert_eq!(
            view.by_priority.iter().map(|(_, waiting)| waiting).sum::<usize>(),
            self.waiting.len()
        );
        for waiting in self.waiting.iter().filter(|waiting| !self.is_stale(waiting)) {
            assert!(
                !self.fits(&waiting.who),
                "nobody waits who may be served: {:?}",
                waiting.who
            );
        }
    }

    /// Everybody leaves; everybody who waits is served or told.
    fn close(mut self) {
        while !self.serving.is_empty() {
            let who = self.serving.remove(0);
            let news = self.queue.leave(&who, self.now);
            self.hear(news);
            self.check();
        }
        self.now += Duration::from_hours(1);
        let news = self.queue.drop_stale(self.now);
        self.hear(news);
        assert!(self.waiting.is_empty());
        assert!(
            self.queue.levels.is_empty(),
            "nothing is remembered of those who are gone"
        );
        assert_eq!(
            self.queue.seats.remembered(),
            0,
            "nothing is remembered of those who are gone"
        );
    }
}

proptest! {
    #[test]
    fn the_queue_keeps_its_rules_whatever_happens(bounds in bounds(), steps in prop::collection::vec(step(), 0..150)) {
        let mut model = Model::new(bounds);
        for step in &steps {
            model.do_step(step);
        }
        model.close();
    }

    /// Keys that always have somebody waiting get equal work, but for one request's worth on either side.
    #[test]
    fn keys_of_one_level_share_the_work(costs in prop::collection::vec(1_u32..=16, 2..6), turns in 1_usize..400) {
        let bounds = Concurrency { max_requests: 1, per_ip: 1, queue_size: 100, queue_timeout: Duration::from_hours(1) };
        let now = clock::now();
        let mut queue: Queue<usize> = Queue::new(bounds, now);
        let key = |key: usize| Who {
            address: None,
            key: Some(KeyId(key as u64)),
            key_max: None,
            priority: 0,
            class: RequestClass::Main,
            cost: costs[key],
        };
        // One is in service, and two of each wait: no key ever runs dry.
        queue.enter(key(0), || (0, ()), now);
        for round in 0..2 * costs.len() {
            queue.enter(key(round % costs.len()), || (round % costs.len(), ()), now);
        }
        let mut work = vec![0; costs.len()];
        let mut inside = 0;
        for _ in 0..turns {
            let news = queue.leave(&key(inside), now);
            prop_assert_eq!(news.len(), 1);
            inside = news[0].waiter;
            work[inside] += costs[inside];
            queue.enter(key(inside), || (inside, ()), now);
        }
        let (most, least) = (work.iter().max().unwrap(), work.iter().min().unwrap());
        prop_assert!(most - least <= 32, "{work:?}");
    }
}
