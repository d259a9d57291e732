//! The queue before backends that take their time: what it does to a load that fits, and to one that does not.

use std::collections::VecDeque;

use super::tests::{Hall, ONE, SECOND, of_key, served};
use super::*;

/// Backends that take as long for every request.
struct Shop {
    hall: Hall,
    takes: Duration,
    /// Who is inside, when that ends, first to last.
    inside: VecDeque<(Instant, usize)>,
    waits: Vec<Duration>,
    arrived: Vec<Instant>,
    refused: Vec<Duration>,
}

impl Shop {
    fn new(bounds: Concurrency, takes: Duration) -> Self {
        Self {
            hall: Hall::new(bounds),
            takes,
            inside: VecDeque::new(),
            waits: Vec::new(),
            arrived: Vec::new(),
            refused: Vec::new(),
        }
    }

    fn come(&mut self, who: Who) {
        let number = self.arrived.len();
        self.arrived.push(self.hall.now);
        let (entered, news) = self.hall.come(who);
        match entered {
            Entered::Served => self.serve(number),
            Entered::Waits(..) => {}
            Entered::Refused(Refused::Full { retry_after }) => self.refused.push(retry_after),
            Entered::Refused(other) => panic!("{other:?}"),
        }
        assert!(served(news).is_empty());
    }

    fn serve(&mut self, number: usize) {
        self.inside.push_back((self.hall.now + self.takes, number));
        self.waits.push(self.hall.now - self.arrived[number]);
        let most = self.hall.queue.view().max as usize;
        assert!(self.inside.len() <= most, "never more than that at once");
    }

    /// A millisecond passes.
    fn tick(&mut self) {
        self.hall.now += SECOND / 1_000;
        while let Some((end, number)) = self.inside.front().copied()
            && end <= self.hall.now
        {
            self.inside.pop_front();
            for next in self.hall.leave(number) {
                self.serve(next);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.inside.is_empty() && self.hall.queue.view().waiting == 0
    }
}

#[test]
fn l01_thirty_requests_of_a_second_take_three_with_ten_places() {
    let bounds = Concurrency {
        max_requests: 10,
        queue_size: 20,
        ..ONE
    };
    let mut shop = Shop::new(bounds, SECOND);
    let began = shop.hall.now;
    for key in 0..30 {
        shop.come(of_key(key));
    }
    while !shop.is_empty() {
        shop.tick();
    }
    assert_eq!((shop.hall.now - began, shop.refused.len()), (SECOND * 3, 0));
}

#[test]
fn l16_ten_times_the_capacity_takes_nothing_of_it_and_is_over_when_it_is_over() {
    let bounds = Concurrency {
        max_requests: 10,
        queue_size: 100,
        queue_timeout: SECOND * 5,
        ..ONE
    };
    let mut shop = Shop::new(bounds, SECOND / 10);
    let mut dice = fastrand::Rng::with_seed(16);
    // A hundred a second are served, and a thousand come; half of them are of one key.
    for _ in 0..60_000 {
        let key = if dice.bool() { 0 } else { dice.u64(1..20) };
        shop.come(of_key(key));
        shop.tick();
        assert!(shop.hall.queue.view().waiting <= 100);
    }
    assert!(
        shop.waits.len() >= 5_900,
        "{} of 6,000 that might have been served",
        shop.waits.len()
    );
    shop.waits.sort_unstable();
    let late = shop.waits[shop.waits.len() * 99 / 100];
    assert!(
        late < bounds.queue_timeout,
        "p99 of those who were served: {late:?}"
    );
    let honest = shop.refused[shop.refused.len() / 2].as_secs_f64();
    assert!(
        (0.9..1.5).contains(&honest),
        "a queue of a hundred is served in a second, not {honest} s"
    );
    let ended = shop.hall.now;
    while !shop.is_empty() {
        shop.tick();
    }
    assert!(
        shop.hall.now - ended < SECOND * 2,
        "then it is as if nothing had been"
    );
    assert!(shop.hall.queue.levels.is_empty() && shop.hall.queue.seats.remembered() == 0);
}
