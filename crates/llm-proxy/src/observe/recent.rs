//! The requests that ended last, for whoever asks why one of them went where it went; and what all of them came to, by day.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::access::Record;
use super::ledger::{By, Named, Sum, Sums};
use super::line::Line;
use crate::base::Day;

/// How many are kept: some hundred kilobytes at most.
const KEPT: usize = 256;

/// They are kept whole and written only for who asks.
#[derive(Debug, Default)]
pub struct Recent {
    ended: Mutex<Ended>,
}

#[derive(Debug, Default)]
struct Ended {
    /// How many there have been; also the number of the last.
    count: u64,
    last: VecDeque<One>,
    /// What they came to; those of strangers left out.
    sums: Sums,
}

#[derive(Clone, Debug)]
struct One {
    number: u64,
    record: Box<Record>,
    elapsed: Duration,
    at: SystemTime,
}

impl Recent {
    /// Keeps the record of a request that has ended, and leaves in its place the oldest, which is forgotten: so neither is
    /// moved, and nothing is freed while others wait.
    pub(super) fn keep(&self, record: &mut Box<Record>, (elapsed, at): (Duration, SystemTime), failed: bool) {
        let mut ended = self.ended.lock();
        if record.is_known() {
            let sum = Sum::of(record, failed);
            ended.sums.count(Named::of(record, Day::of(at)), &sum);
        }
        ended.count += 1;
        let number = ended.count;
        let is_full = ended.last.len() >= KEPT;
        let oldest = is_full.then(|| ended.last.pop_front()).flatten();
        let oldest = oldest.map_or_else(Box::default, |one| one.record);
        ended.last.push_back(One {
            number,
            record: mem::replace(record, oldest),
            elapsed,
            at,
        });
    }

    /// What requests came to from that day on, in a table of its own for who asks.
    pub fn table(&self, by: By, since: Day) -> Vec<(String, Sum)> {
        self.ended.lock().sums.table(by, since)
    }

    /// At most `limit` of those that came after number `after`, the newest first; each is its access record, with its
    /// `number`. `last` is the number to ask for the next time.
    pub fn since(&self, after: u64, limit: usize) -> Value {
        let ended = self.ended.lock();
        let newest = ended.last.iter().rev();
        let wanted: Vec<One> = newest
            .take_while(|one| one.number > after)
            .take(limit)
            .cloned()
            .collect();
        let last = ended.count;
        drop(ended);
        let requests: Vec<Value> = wanted.iter().map(One::value).collect();
        json!({"requests": requests, "last": last})
    }
}

impl One {
    fn value(&self) -> Value {
        let mut value = Line::of(&self.record, self.elapsed, self.at).value();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("number".to_owned(), self.number.into());
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(recent: &Recent, id: usize) {
        let record = Record {
            request_id: format!("r{id}"),
            ..Record::default()
        };
        recent.keep(
            &mut Box::new(record),
            (Duration::from_millis(5), SystemTime::UNIX_EPOCH),
            false,
        );
    }

    fn ids(value: &Value) -> Vec<String> {
        let requests = value["requests"].as_array().unwrap().iter();
        requests
            .map(|one| one["request_id"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_newest_come_first_and_only_what_is_new_to_who_asks_again() {
        let recent = Recent::default();
        assert_eq!(recent.since(0, 10), json!({"requests": [], "last": 0}));
        (1..=3).for_each(|id| keep(&recent, id));
        let all = recent.since(0, 10);
        assert_eq!(ids(&all), ["r3", "r2", "r1"]);
        assert_eq!(all["last"], 3);
        assert_eq!(all["requests"][0]["number"], 3);
        assert_eq!(
            all["requests"][0]["time"], "1970-01-01T00:00:00.000Z",
            "when it ended, not now"
        );
        assert_eq!(ids(&recent.since(2, 10)), ["r3"]);
        assert_eq!(ids(&recent.since(0, 2)), ["r3", "r2"]);
        assert!(ids(&recent.since(3, 10)).is_empty());
    }

    #[test]
    fn a_bounded_number_is_kept() {
        let recent = Recent::default();
        (1..=KEPT + 7).for_each(|id| keep(&recent, id));
        let all = recent.since(0, usize::MAX);
        assert_eq!(ids(&all).len(), KEPT);
        assert_eq!(ids(&all).last().unwrap(), "r8");
    }
}
