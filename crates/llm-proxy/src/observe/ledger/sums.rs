//! What requests came to, added up by day, key, backend and model: the same sums in memory, in a ledger's batches and in
//! its table of days.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use llm_dialect::usage::Usage;

use crate::base::{Cost, Day};
use crate::observe::Record;
use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap};

/// How many sums are kept apart in memory. What comes on top is one sum a day.
const KEPT: usize = 4096;
/// For how many days sums stay in memory.
const DAYS: u32 = 31;
/// Whose sum that is: more names than anybody looks at.
const REST: &str = "other";
/// What has no name.
const NOBODY: &str = "-";

/// Whose requests are added up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whose {
    /// The day that they ended on.
    pub day: Day,
    /// The name of their key; empty: they came without.
    pub key: Arc<str>,
    /// The backend that was asked last; empty: none was.
    pub backend: Arc<str>,
    /// Its model.
    pub model: Arc<str>,
}

/// The same, borrowed: looking for a sum costs no allocation.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    day: Day,
    key: &'a str,
    backend: &'a str,
    model: &'a str,
}

impl<'a> Named<'a> {
    /// Those of a day by their names: key, backend and model.
    pub(super) fn new(day: Day, [key, backend, model]: [&'a str; 3]) -> Self {
        Self {
            day,
            key,
            backend,
            model,
        }
    }

    /// Whose that request is, which ended on that day.
    pub fn of(record: &'a Record, day: Day) -> Self {
        let last = record.attempts.last();
        Self {
            day,
            key: record.key.as_deref().unwrap_or_default(),
            backend: last.map_or("", |last| &last.backend.name),
            model: last.map_or("", |last| &last.model),
        }
    }

    /// The same, to keep.
    pub(super) fn owned(self) -> Whose {
        Whose {
            day: self.day,
            key: Arc::from(self.key),
            backend: Arc::from(self.backend),
            model: Arc::from(self.model),
        }
    }
}

impl Whose {
    fn named(&self) -> Named<'_> {
        Named {
            day: self.day,
            key: &self.key,
            backend: &self.backend,
            model: &self.model,
        }
    }
}

impl Hash for Whose {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.named().hash(state);
    }
}

impl Hash for Named<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.day.hash(state);
        for name in [self.key, self.backend, self.model] {
            name.hash(state);
        }
    }
}

impl Equivalent<Whose> for Named<'_> {
    fn equivalent(&self, whose: &Whose) -> bool {
        let own = [&*whose.key, &whose.backend, &whose.model];
        self.day == whose.day && own == [self.key, self.backend, self.model]
    }
}

/// What some requests came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many there were.
    pub requests: u64,
    /// How many failed, through no leaving of their clients.
    pub errors: u64,
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Those of them that came from a prompt cache.
    pub cached: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// What those cost whose price is known, in billionths of a dollar.
    pub cost: u64,
    /// How many those are.
    pub priced: u64,
    /// How many used tokens whose price is not known.
    pub unpriced: u64,
}

impl Sum {
    /// One request.
    pub fn of(record: &Record, failed: bool) -> Self {
        Self::new(&record.usage, record.cost, failed)
    }

    /// One request with that usage.
    pub(super) fn new(usage: &Usage, cost: Option<Cost>, failed: bool) -> Self {
        let used = [usage.input, usage.output]
            .into_iter()
            .flatten()
            .any(|tokens| tokens > 0);
        Self {
            requests: 1,
            errors: u64::from(failed),
            input: usage.input.unwrap_or(0),
            cached: usage.cache_read.unwrap_or(0),
            output: usage.output.unwrap_or(0),
            cost: cost.map_or(0, Cost::nanos),
            priced: u64::from(cost.is_some()),
            unpriced: u64::from(used && cost.is_none()),
        }
    }

    /// Adds others. What a backend reports may be any number: none makes a sum begin anew.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.errors, other.errors),
            (&mut self.input, other.input),
            (&mut self.cached, other.cached),
            (&mut self.output, other.output),
            (&mut self.cost, other.cost),
            (&mut self.priced, other.priced),
            (&mut self.unpriced, other.unpriced),
        ];
        for (own, more) in pairs {
            *own = own.saturating_add(more);
        }
    }

    /// Its numbers, in the order of a database's columns.
    pub(super) fn numbers(&self) -> [i64; 8] {
        let all = [
            self.requests,
            self.errors,
            self.input,
            self.cached,
            self.output,
            self.cost,
            self.priced,
            self.unpriced,
        ];
        all.map(|number| i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// The sum that has these numbers.
    pub(super) fn from_numbers(numbers: [i64; 8]) -> Self {
        let numbers = numbers.map(|number| u64::try_from(number).unwrap_or(0));
        let [requests, errors, input, cached, output, cost, priced, unpriced] = numbers;
        Self {
            requests,
            errors,
            input,
            cached,
            output,
            cost,
            priced,
            unpriced,
        }
    }

    /// What it cost; none where the price of nothing is known.
    pub fn cost(&self) -> Option<Cost> {
        (self.priced > 0).then(|| Cost::from_nanos(self.cost))
    }

    /// The share of the input that came from a prompt cache; none without input.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn hit_ratio(&self) -> Option<f64> {
        (self.input > 0).then(|| self.cached as f64 / self.input as f64)
    }
}

/// By what sums are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The name of the key.
    Key,
    /// The backend's model.
    Model,
    /// The backend.
    Backend,
    /// The day in UTC.
    Day,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Key, Self::Model, Self::Backend, Self::Day];

    /// Its name in queries and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Model => "model",
            Self::Backend => "backend",
            Self::Day => "day",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name)
    }
}

/// Sums of requests, by whose they are.
#[derive(Debug, Default)]
pub struct Sums {
    of: IndexMap<Whose, Sum, RandomState>,
    /// No sum is of a day before.
    oldest: Day,
}

impl Sums {
    /// Adds up; what is new gets a sum of its own, whatever their number.
    pub fn add(&mut self, whose: Named<'_>, sum: &Sum) {
        match self.of.get_mut(&whose) {
            Some(own) => own.add(sum),
            None => drop(self.of.insert(whose.owned(), *sum)),
        }
    }

    /// Adds one request, in bounded memory: of too many names the later ones are one sum, and old days are forgotten.
    pub fn count(&mut self, whose: Named<'_>, sum: &Sum) {
        if let Some(own) = self.of.get_mut(&whose) {
            return own.add(sum);
        }
        let oldest = whose.day.before(DAYS - 1);
        if self.oldest < oldest {
            self.oldest = oldest;
            self.of.retain(|other, _| other.day >= oldest);
        }
        let rest = Named {
            day: whose.day,
            key: REST,
            backend: REST,
            model: REST,
        };
        let one = if self.of.len() < KEPT { whose } else { rest };
        self.add(one, sum);
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&Whose, &Sum)> {
        self.of.iter()
    }

    /// What a key has spent from that day on.
    pub fn spent(&self, key: &str, since: Day) -> Cost {
        let own = self
            .of
            .iter()
            .filter(|(whose, _)| *whose.key == *key && whose.day >= since);
        own.map(|(_, sum)| Cost::from_nanos(sum.cost)).sum()
    }

    /// What is told of the days from `since` on: a sum for each name, the dearest first; days in their order.
    pub fn table(&self, by: By, since: Day) -> Vec<(String, Sum)> {
        let mut rows: IndexMap<String, Sum> = IndexMap::new();
        for (whose, sum) in self.of.iter().filter(|(whose, _)| whose.day >= since) {
            rows.entry(whose.name(by)).or_default().add(sum);
        }
        let mut rows: Vec<(String, Sum)> = rows.into_iter().collect();
        let size = |sum: &Sum| (sum.cost, sum.input.saturating_add(sum.output), sum.requests);
        rows.sort_by(|(name, sum), (other, than)| match by {
            By::Day => name.cmp(other),
            _ => size(than).cmp(&size(sum)).then_with(|| name.cmp(other)),
        });
        rows
    }
}

impl Whose {
    /// What it is called in a table.
    fn name(&self, by: By) -> String {
        let name = match by {
            By::Key => &self.key,
            By::Model => &self.model,
            By::Backend => &self.backend,
            By::Day => return self.day.to_string(),
        };
        if name.is_empty() { NOBODY } else { name }.to_owned()
    }
}

/// All rows of a table together.
pub fn total(rows: &[(String, Sum)]) -> Sum {
    let mut total = Sum::default();
    for (_, sum) in rows {
        total.add(sum);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose<'a>(day: i32, key: &'a str, model: &'a str) -> Named<'a> {
        Named {
            day: Day(day),
            key,
            backend: "b",
            model,
        }
    }

    /// One request with those tokens.
    fn one(input: u64, cached: u64, output: u64) -> Sum {
        let usage = Usage {
            input: Some(input),
            output: Some(output),
            cache_read: Some(cached),
            ..Usage::default()
        };
        let record = Record {
            usage,
            ..Record::default()
        };
        Sum::of(&record, false)
    }

    fn priced(sum: Sum, cost: u64) -> Sum {
        Sum {
            cost,
            priced: 1,
            unpriced: 0,
            ..sum
        }
    }

    #[test]
    fn requests_are_added_up_by_what_is_asked_for() {
        let mut sums = Sums::default();
        for (whose, sum) in [
            (whose(10, "team", "m"), priced(one(100, 40, 10), 5_000_000)),
            (whose(11, "team", "m"), priced(one(50, 0, 5), 2_000_000)),
            (whose(11, "", "n"), one(7, 0, 1)),
            (whose(11, "", ""), Sum::of(&Record::default(), true)),
        ] {
            sums.count(whose, &sum);
        }
        let told = |by, since| {
            let rows = sums.table(by, Day(since)).into_iter();
            let rows = rows.map(|(name, sum)| {
                (
                    name,
                    sum.requests,
                    sum.errors,
                    sum.input,
                    sum.cost().map(Cost::dollars),
                )
            });
            rows.collect::<Vec<_>>()
        };
        let row = |name: &str, requests, errors, input, dollars| {
            (name.to_owned(), requests, errors, input, dollars)
        };
        assert_eq!(
            told(By::Key, 0),
            [row("team", 2, 0, 150, Some(0.007)), row("-", 2, 1, 7, None)]
        );
        assert_eq!(
            told(By::Model, 0),
            [
                row("m", 2, 0, 150, Some(0.007)),
                row("n", 1, 0, 7, None),
                row("-", 1, 1, 0, None)
            ]
        );
        assert_eq!(
            told(By::Day, 0),
            [
                row("1970-01-11", 1, 0, 100, Some(0.005)),
                row("1970-01-12", 3, 1, 57, Some(0.002))
            ]
        );
        assert_eq!(told(By::Backend, 11), [row("b", 3, 1, 57, Some(0.002))]);
        let all = total(&sums.table(By::Key, Day(0)));
        assert_eq!(
            (all.requests, all.unpriced, all.priced),
            (4, 1, 2),
            "no tokens need no price"
        );
        assert_eq!(all.hit_ratio(), Some(40.0 / 157.0));
    }

    #[test]
    fn names_without_end_take_no_memory_without_end() {
        let mut sums = Sums::default();
        let sum = one(1, 0, 1);
        for n in 0..3 * KEPT {
            sums.count(whose(100, "k", &format!("m{n}")), &sum);
        }
        assert!(sums.iter().count() <= KEPT + 1);
        assert_eq!(
            total(&sums.table(By::Model, Day(0))).requests,
            3 * KEPT as u64,
            "none is lost"
        );
        // A month later there is room for new names.
        sums.count(whose(131, "k", "new"), &sum);
        assert_eq!(sums.iter().count(), 1);
    }

    #[test]
    fn no_number_of_a_backend_overflows_a_sum() {
        let mut sum = priced(one(u64::MAX, u64::MAX, u64::MAX - 1), u64::MAX);
        sum.add(&sum.clone());
        assert_eq!((sum.input, sum.cost, sum.requests), (u64::MAX, u64::MAX, 2));
    }
}
