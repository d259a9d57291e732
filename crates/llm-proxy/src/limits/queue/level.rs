//! The waiters of one level, and whose turn it is among them.
//!
//! Between keys this is deficit round robin, with the deficit written as the round in which a key is next due: whoever
//! is served is due again as many rounds later as the request cost. So keys that pay the same take turns, one that
//! pays sixteen waits for sixteen turns of the others, and nobody has to be visited in vain. A key that comes in is
//! due at once, however many wait for another. Within a key, addresses take turns.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::seats::Seats;
use crate::base::Address;
use crate::limits::who::{KeyId, Who};

/// One that waits.
#[derive(Debug)]
pub(super) struct Waiter<W> {
    pub(super) payload: W,
    pub(super) who: Who,
    pub(super) since: Instant,
}

/// Waiters that nothing sets apart but whose they are.
#[derive(Debug)]
pub(super) struct Level<W> {
    /// By number, so the longest wait is the first.
    waiters: BTreeMap<u64, Waiter<W>>,
    /// Those who have any, by the round in which they are due; of one round, who has waited longer for it.
    flows: Vec<Flow>,
    /// The latest round in which anybody has been served.
    round: u64,
}

/// The waiters of a key, or all those without one.
#[derive(Debug)]
struct Flow {
    key: Option<KeyId>,
    /// The round in which it is due.
    due: u64,
    /// Its addresses, the one whose turn it is first.
    lanes: VecDeque<Lane>,
}

/// The waiters of an address within a key: first come, first served.
#[derive(Debug)]
struct Lane {
    address: Option<Address>,
    /// By number.
    waiters: VecDeque<u64>,
}

impl<W> Default for Level<W> {
    fn default() -> Self {
        Self {
            waiters: BTreeMap::new(),
            flows: Vec::new(),
            round: 0,
        }
    }
}

impl<W> Level<W> {
    /// How many wait here.
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether nobody waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// The number of who has waited longest, and since when.
    pub(super) fn oldest(&self) -> Option<(u64, Instant)> {
        let (number, waiter) = self.waiters.first_key_value()?;
        Some((*number, waiter.since))
    }

    /// Lets one wait under a number above all those before.
    pub(super) fn push(&mut self, number: u64, waiter: Waiter<W>) {
        let (key, address) = (waiter.who.key, waiter.who.address);
        self.waiters.insert(number, waiter);
        let at = self.position(key).unwrap_or_else(|| {
            let (due, lanes) = (self.round, VecDeque::new());
            self.insert(Flow { key, due, lanes })
        });
        if let Some(flow) = self.flows.get_mut(at) {
            flow.push(address, number);
        }
    }

    /// Whose turn it is among those that may be served. Who may not is passed over and keeps its turn, so those
    /// that are looked at in vain are never more than their bounds have put there.
    pub(super) fn next(&self, seats: &Seats) -> Option<u64> {
        self.flows.iter().find_map(|flow| flow.next(seats))
    }

    /// Takes out one that is now served: its key has had its turn, and so has its address.
    pub(super) fn serve(&mut self, number: u64) -> Option<Waiter<W>> {
        let waiter = self.waiters.remove(&number)?;
        let at = self.position(waiter.who.key)?;
        let mut flow = self.flows.remove(at);
        flow.serve(waiter.who.address, number);
        self.round = self.round.max(flow.due);
        flow.due = self.round + u64::from(waiter.who.cost.max(1));
        if !flow.lanes.is_empty() {
            self.insert(flow);
        }
        Some(waiter)
    }

    /// Takes out one that is not served; nobody's turn changes.
    pub(super) fn remove(&mut self, number: u64) -> Option<Waiter<W>> {
        let waiter = self.waiters.remove(&number)?;
        let at = self.position(waiter.who.key)?;
        let flow = self.flows.get_mut(at)?;
        flow.remove(waiter.who.address, number);
        if flow.lanes.is_empty() {
            self.flows.remove(at);
        }
        Some(waiter)
    }

    /// How many wait for a key.
    pub(super) fn waiting(&self, key: Option<KeyId>) -> usize {
        self.flow(key).map_or(0, Flow::waiting)
    }

    /// How many wait for a key from an address.
    pub(super) fn waiting_from(&self, key: Option<KeyId>, address: Option<Address>) -> usize {
        let lane = self.flow(key).and_then(|flow| flow.lane(address));
        lane.map_or(0, |lane| lane.waiters.len())
    }

    /// Of those keys the one with the most waiters, and how many it has.
    pub(super) fn longest(&self, of: impl Fn(Option<KeyId>) -> bool) -> Option<(Option<KeyId>, usize)> {
        let flows = self.flows.iter().filter(|flow| of(flow.key));
        let lengths = flows.map(|flow| (flow.key, flow.waiting()));
        lengths.max_by_key(|(_, waiting)| *waiting)
    }

    /// Of a key's waiters the newest from the address that has the most there, and how many that has.
    pub(super) fn newest(&self, key: Option<KeyId>) -> Option<(u64, usize)> {
        let lanes = self.flow(key)?.lanes.iter();
        let lane = lanes.max_by_key(|lane| lane.waiters.len())?;
        Some((*lane.waiters.back()?, lane.waiters.len()))
    }

    fn position(&self, key: Option<KeyId>) -> Option<usize> {
        self.flows.iter().position(|flow| flow.key == key)
    }

    fn flow(&self, key: Option<KeyId>) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.key == key)
    }

    /// Puts a flow behind all that are due as early; where that is.
    fn insert(&mut self, flow: Flow) -> usize {
        let at = self.flows.partition_point(|other| other.due <= flow.due);
        self.flows.insert(at, flow);
        at
    }
}

impl Flow {
    fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiters.len()).sum()
    }

    fn lane(&self, address: Option<Address>) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.address == address)
    }

    fn push(&mut self, address: Option<Address>, number: u64) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.address == address) {
            return lane.waiters.push_back(number);
        }
        let waiters = VecDeque::from([number]);
        self.lanes.push_back(Lane { address, waiters });
    }

    fn next(&self, seats: &Seats) -> Option<u64> {
        if !seats.has_room_within(self.key) {
            return None;
        }
        let mut lanes = self.lanes.iter();
        let lane = lanes.find(|lane| seats.has_room_for(lane.address))?;
        lane.waiters.front().copied()
    }

    /// Takes a waiter out and puts its address behind the others.
    fn serve(&mut self, address: Option<Address>, number: u64) {
        self.remove(address, number);
        let at = self.lanes.iter().position(|lane| lane.address == address);
        if let Some(lane) = at.and_then(|at| self.lanes.remove(at)) {
            self.lanes.push_back(lane);
        }
    }

    fn remove(&mut self, address: Option<Address>, number: u64) {
        let Some(at) = self.lanes.iter().position(|lane| lane.address == address) else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(at) else {
            return;
        };
        if let Ok(waiter) = lane.waiters.binary_search(&number) {
            lane.waiters.remove(waiter);
        }
        if lane.waiters.is_empty() {
            self.lanes.remove(at);
        }
    }
}
