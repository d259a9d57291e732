//! Who is served now, who waits, and who is told to come back later.
//!
//! So many requests are in service at most: in all, of an address, of a key. The others wait, and as soon as one of
//! them may be served it is, so a newcomer finds nobody to overtake. Of those that may be, a higher priority goes
//! first, then the more urgent class; within such a level keys take turns, and within a key addresses
//! (`queue/level.rs`). A level that has waited long gets every second place, whatever stands above it.
//!
//! A full queue turns newcomers away, but for those of whom another key leaves no room: the queue's length is shared
//! out as its places are. Nobody is served who has waited `queue_timeout`.

mod level;
mod seats;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use level::{Level, Waiter};
use seats::Seats;

use super::service::Service;
use super::who::{KeyId, Rank, Who};
use crate::config::types::Concurrency;

/// Who is turned away is told to come back after this at least.
const SOONEST: Duration = Duration::from_secs(1);
/// And after this at most: told more, Claude Code gives up.
const LATEST: Duration = Duration::from_mins(1);

/// Why there is no place, and after which time to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The queue is full.
    Full {
        /// How long those who wait now will take.
        retry_after: Duration,
    },
    /// The wait is over, and no place has come free.
    WaitedTooLong {
        /// How long those who wait now will take.
        retry_after: Duration,
    },
}

/// What becomes of a newcomer. `R` is what it holds while it waits.
#[derive(Debug, PartialEq, Eq)]
pub enum Entered<R> {
    /// It is in service: it must [`leave`](Queue::leave).
    Served,
    /// It waits for its [`News`].
    Waits(Ticket, R),
    /// It is not let in.
    Refused(Refused),
}

/// What a waiter must be told: it waits no longer.
#[derive(Debug, PartialEq, Eq)]
pub struct News<W> {
    /// How to tell it.
    pub waiter: W,
    /// Who it is.
    pub who: Who,
    /// It is in service, and must [`leave`](Queue::leave), or why it will not be.
    pub place: Result<(), Refused>,
}

/// The name of one that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    rank: Rank,
    number: u64,
    /// How long it may wait.
    pub patience: Duration,
}

/// What the queue looks like from outside, for `/api/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// In service.
    pub in_service: u32,
    /// How many may be.
    pub max: u32,
    /// Waiting.
    pub waiting: usize,
    /// Of those, how many at each priority; the highest first, and none that nobody waits at.
    pub by_priority: Vec<(i32, usize)>,
}

/// The queue. `W` is how a waiter is told.
#[derive(Debug)]
pub struct Queue<W> {
    seats: Seats,
    /// Those that anybody waits in; the most urgent first.
    levels: BTreeMap<Rank, Level<W>>,
    waiting: usize,
    last_number: u64,
    /// The last place went to a level out of its order.
    aged: bool,
    service: Service,
}

impl<W> Queue<W> {
    /// Nobody is there yet.
    pub fn new(bounds: Concurrency, now: Instant) -> Self {
        Self {
            seats: Seats::new(bounds),
            levels: BTreeMap::new(),
            waiting: 0,
            last_number: 0,
            aged: false,
            service: Service::new(now),
        }
    }

    /// Takes new bounds at a reload. Who is in service stays, and so does who waits: more room is given out at once,
    /// and less shows as places come free.
    pub fn set_bounds(&mut self, bounds: Concurrency, now: Instant) -> Vec<News<W>> {
        self.seats.bounds = bounds;
        self.give_out(now)
    }

    /// A request comes. `wait` makes what it waits with, if it must: the queue's end and its own.
    pub fn enter<R>(
        &mut self,
        who: Who,
        wait: impl FnOnce() -> (W, R),
        now: Instant,
    ) -> (Entered<R>, Vec<News<W>>) {
        let mut news = if self.seats.learn(&who) {
            self.give_out(now)
        } else {
            Vec::new()
        };
        // Of those who wait nobody may be served now, or it would have been: no one is overtaken.
        if self.seats.take_if_free(&who) {
            return (Entered::Served, news);
        }
        news.append(&mut self.drop_stale(now));
        let Ok(put_out) = self.make_room(&who) else {
            return (Entered::Refused(self.full(now)), news);
        };
        if let Some(waiter) = put_out {
            news.push(waiter.news(Err(self.full(now))));
        }
        let (payload, held) = wait();
        let ticket = self.push(Waiter {
            payload,
            who,
            since: now,
        });
        (Entered::Waits(ticket, held), news)
    }

    /// One that was in service goes; its place is given out.
    pub fn leave(&mut self, who: &Who, now: Instant) -> Vec<News<W>> {
        self.seats.free(who);
        self.service.depart(now);
        self.give_out(now)
    }

    /// One that waits goes, and is handed back; `None`: it was no longer waiting, so there is [`News`] for it.
    pub fn cancel(&mut self, ticket: &Ticket) -> Option<W> {
        Some(self.remove(ticket.rank, ticket.number)?.payload)
    }

    /// Puts out those who have waited too long. The queue does so by itself before it gives a place to anybody.
    pub fn drop_stale(&mut self, now: Instant) -> Vec<News<W>> {
        let mut news = Vec::new();
        while let Some(waiter) = self.pop_stale(now) {
            let retry_after = self.retry_after(now);
            news.push(waiter.news(Err(Refused::WaitedTooLong { retry_after })));
        }
        news
    }

    /// When one that is turned away now should come back: when those who wait have been served, as far as anybody
    /// knows.
    pub fn retry_after(&mut self, now: Instant) -> Duration {
        let measured = self.service.time_for(self.waiting + 1, now);
        let time = measured.unwrap_or(self.seats.bounds.queue_timeout);
        time.clamp(SOONEST, LATEST)
    }

    /// What it looks like.
    pub fn view(&self) -> QueueView {
        let mut by_priority: Vec<(i32, usize)> = Vec::new();
        for (rank, level) in &self.levels {
            match by_priority.last_mut() {
                Some((priority, waiting)) if *priority == rank.priority.0 => *waiting += level.len(),
                _ => by_priority.push((rank.priority.0, level.len())),
            }
        }
        QueueView {
            in_service: self.seats.taken(),
            max: self.seats.bounds.max_requests,
            waiting: self.waiting,
            by_priority,
        }
    }

    /// Gives places to waiters for as long as there is one for any.
    fn give_out(&mut self, now: Instant) -> Vec<News<W>> {
        if self.waiting == 0 {
            return Vec::new();
        }
        let mut news = self.drop_stale(now);
        while let Some(waiter) = self.serve_next(now) {
            self.seats.seat(&waiter.who);
            news.push(waiter.news(Ok(())));
        }
        news
    }

    fn serve_next(&mut self, now: Instant) -> Option<Waiter<W>> {
        if !self.seats.is_open() {
            return None;
        }
        let usual = self.in_order()?;
        let aged = if self.aged {
            None
        } else {
            self.aged_below(usual.0, now)
        };
        self.aged = aged.is_some();
        let (rank, number) = aged.unwrap_or(usual);
        self.change(rank, |level| level.serve(number))
    }

    /// Whose turn it is: the first level in which anybody may be served.
    fn in_order(&self) -> Option<(Rank, u64)> {
        let next = |(rank, level): (&Rank, &Level<W>)| Some((*rank, level.next(&self.seats)?));
        self.levels.iter().find_map(next)
    }

    /// Whose turn it is in the level below `rank` that has waited longest, if that is long. The level's own order
    /// holds: by the length of the wait alone, a key with a thousand waiters would have all such places.
    fn aged_below(&self, rank: Rank, now: Instant) -> Option<(Rank, u64)> {
        let long = self.seats.bounds.queue_timeout / 2;
        let below = self.levels.iter().filter(|(other, _)| **other > rank);
        let aged = below.filter_map(|(rank, level)| {
            let (number, since) = level.oldest()?;
            let waited = now.saturating_duration_since(since);
            (waited > long).then_some((number, *rank, level.next(&self.seats)?))
        });
        let (_, rank, next) = aged.min_by_key(|(number, ..)| *number)?;
        Some((rank, next))
    }

    fn push(&mut self, waiter: Waiter<W>) -> Ticket {
        self.last_number += 1;
        self.waiting += 1;
        self.seats.expect(&waiter.who);
        let (rank, number) = (waiter.who.rank(), self.last_number);
        self.levels.entry(rank).or_default().push(number, waiter);
        Ticket {
            rank,
            number,
            patience: self.seats.bounds.queue_timeout,
        }
    }

    /// Takes a waiter out who is not served.
    fn remove(&mut self, rank: Rank, number: u64) -> Option<Waiter<W>> {
        let waiter = self.change(rank, |level| level.remove(number))?;
        self.seats.dismiss(&waiter.who);
        Some(waiter)
    }

    /// Takes a waiter out of a level; a level without any goes.
    fn change(
        &mut self,
        rank: Rank,
        out: impl FnOnce(&mut Level<W>) -> Option<Waiter<W>>,
    ) -> Option<Waiter<W>> {
        let level = self.levels.get_mut(&rank)?;
        let waiter = out(level)?;
        self.waiting -= 1;
        if level.is_empty() {
            self.levels.remove(&rank);
        }
        Some(waiter)
    }

    fn pop_stale(&mut self, now: Instant) -> Option<Waiter<W>> {
        let most = self.seats.bounds.queue_timeout;
        let mut oldest = self
            .levels
            .iter()
            .filter_map(|(rank, level)| Some((*rank, level.oldest()?)));
        let is_stale = |since: Instant| now.saturating_duration_since(since) >= most;
        let (rank, (number, _)) = oldest.find(|(_, (_, since))| is_stale(*since))?;
        self.remove(rank, number)
    }

    fn full(&mut self, now: Instant) -> Refused {
        let retry_after = self.retry_after(now);
        Refused::Full { retry_after }
    }

    /// Whether `who` may wait; where the queue is full, who is put out for it.
    fn make_room(&mut self, who: &Who) -> Result<Option<Waiter<W>>, Full> {
        let size = self.seats.bounds.queue_size as usize;
        if self.waiting < size {
            return Ok(None);
        }
        // After a reload that made the queue shorter nobody is put out, and nobody comes in.
        let greedy = (self.waiting == size)
            .then(|| self.greedy(who))
            .flatten()
            .ok_or(Full)?;
        let (rank, number) = greedy;
        self.remove(rank, number).map(Some).ok_or(Full)
    }

    /// The newest waiter of whoever has clearly more of the queue than `who` would have: another key in a level that
    /// is no more urgent, or else another address of the same key.
    fn greedy(&self, who: &Who) -> Option<(Rank, u64)> {
        let rank = who.rank();
        let own = self.levels.get(&rank);
        let clearly_more = |than: usize| move |waiting: &usize| *waiting > than + 2;
        let waiting = own.map_or(0, |level| level.waiting(who.key));
        if let Some((rank, key, _)) = self
            .longest(rank, who.key)
            .filter(|(.., most)| clearly_more(waiting)(most))
        {
            let (number, _) = self.levels.get(&rank)?.newest(key)?;
            return Some((rank, number));
        }
        let from_there = own?.waiting_from(who.key, who.address);
        let (number, most) = own?.newest(who.key)?;
        clearly_more(from_there)(&most).then_some((rank, number))
    }

    /// The flow with the most waiters in that level or below it, but for the newcomer's own; of equals the least urgent.
    fn longest(&self, rank: Rank, key: Option<KeyId>) -> Option<(Rank, Option<KeyId>, usize)> {
        let flows = self.levels.range(rank..).filter_map(|(other, level)| {
            let (flow, waiting) = level.longest(|flow| *other != rank || flow != key)?;
            Some((*other, flow, waiting))
        });
        flows.max_by_key(|(.., waiting)| *waiting)
    }
}

impl<W> Waiter<W> {
    fn news(self, place: Result<(), Refused>) -> News<W> {
        News {
            waiter: self.payload,
            who: self.who,
            place,
        }
    }
}

/// There is no room in the queue.
struct Full;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod tests;
