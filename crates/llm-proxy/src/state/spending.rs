//! What the keys with a budget have spent, which outlives a reload.
//!
//! It is counted here, in memory. Whoever remembers longer, a ledger, tells it at the start, and now and then what other
//! nodes have spent: [`Spendings::wanted`] says of which keys and since when, [`Spendings::seed`] takes the sum.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::base::{Cost, clock};
use crate::config::types::{self, Period};
use crate::limits::{Allowance, Balance, Purse, Short, Span};

/// What one key has spent.
#[derive(Debug)]
struct Spending {
    /// The key's name.
    key: Arc<str>,
    purse: Mutex<Purse>,
}

/// What all keys with a budget have spent, by the identity of the key.
#[derive(Debug, Default)]
pub struct Spendings(Mutex<HashMap<u64, Arc<Spending>>>);

/// A sum that is wanted: what a key has spent since then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The key's name.
    pub key: Arc<str>,
    /// The period.
    pub per: Period,
    /// When it began.
    pub since: SystemTime,
}

impl Spendings {
    /// The budget of a key, with what was spent of it.
    pub(super) fn budget(&self, id: u64, key: &str, budget: types::Budget) -> Budget {
        let fresh = || {
            Arc::new(Spending {
                key: Arc::from(key),
                purse: Mutex::new(Purse::new(clock::wall())),
            })
        };
        Budget {
            allowance: Allowance {
                amount: Cost::from_dollars(budget.usd),
                per: budget.per,
            },
            spending: Arc::clone(self.0.lock().entry(id).or_insert_with(fresh)),
        }
    }

    /// The sums that would help: both periods of each key that has a budget.
    pub fn wanted(&self) -> Vec<Wanted> {
        let now = clock::wall();
        let all = self.0.lock();
        let each = all.values().flat_map(|spending| {
            [Period::Day, Period::Month].map(|per| Wanted {
                key: Arc::clone(&spending.key),
                per,
                since: Span::of(per, now).begin(),
            })
        });
        each.collect()
    }

    /// A key has spent at least so much since then. To be told less than is known, of a period that is over, or of a key
    /// without a budget changes nothing.
    pub fn seed(&self, wanted: &Wanted, spent: Cost) {
        let now = clock::wall();
        let all = self.0.lock();
        for spending in all.values().filter(|spending| spending.key == wanted.key) {
            spending.purse.lock().seed((wanted.per, wanted.since), spent, now);
        }
    }

    /// Forgets the keys that no config holds any longer.
    pub(super) fn forget_unused(&self) {
        self.0
            .lock()
            .retain(|_, spending| Arc::strong_count(spending) > 1);
    }
}

/// A key's budget.
#[derive(Clone, Debug)]
pub struct Budget {
    /// What it allows.
    pub allowance: Allowance,
    spending: Arc<Spending>,
}

impl Budget {
    /// Puts aside what a request may cost, whose text has `input` tokens.
    ///
    /// # Errors
    /// All is spent, or may be by what is in flight.
    pub fn reserve(&self, amount: Cost, input: u64) -> Result<Reserved, Short> {
        let now = clock::wall();
        self.spending.purse.lock().reserve(amount, self.allowance, now)?;
        Ok(Reserved {
            spending: Arc::clone(&self.spending),
            amount,
            input,
            cost: Cost::ZERO,
        })
    }

    /// How it stands.
    pub fn balance(&self) -> Balance {
        self.spending
            .purse
            .lock()
            .balance(self.allowance.per, clock::wall())
    }
}

/// What was put aside for a request. When this is dropped, what it cost is paid and the rest given back.
#[derive(Debug)]
pub struct Reserved {
    spending: Arc<Spending>,
    amount: Cost,
    /// About so many tokens were sent.
    pub input: u64,
    /// What it has cost, as far as that is known.
    pub cost: Cost,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut purse = self.spending.purse.lock();
        purse.settle(self.amount, self.cost, clock::wall());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(spendings: &Spendings, id: u64, key: &str, usd: f64) -> Budget {
        let per = Period::Day;
        spendings.budget(id, key, types::Budget { usd, per })
    }

    #[test]
    fn what_is_wanted_of_each_key_is_taken_and_counts_at_once() {
        let spendings = Spendings::default();
        let (team, other) = (
            budget(&spendings, 1, "team", 1.0),
            budget(&spendings, 2, "other", 1.0),
        );
        let mut wanted = spendings.wanted();
        assert_eq!(wanted.len(), 4, "two periods of two keys");
        wanted.retain(|wanted| &*wanted.key == "team" && wanted.per == Period::Day);
        let stranger = Wanted {
            key: Arc::from("nobody"),
            ..wanted[0].clone()
        };
        spendings.seed(&wanted[0], Cost::from_dollars(1.0));
        spendings.seed(&stranger, Cost::from_dollars(1.0));
        assert!(matches!(team.reserve(Cost::ZERO, 0), Err(Short::Spent(_))));
        assert!(other.reserve(Cost::ZERO, 0).is_ok());
    }

    #[test]
    fn a_key_finds_what_it_has_spent_as_long_as_a_config_holds_it() {
        let spendings = Spendings::default();
        let before = budget(&spendings, 1, "team", 1.0);
        let mut reserved = before.reserve(Cost::from_dollars(0.5), 10).unwrap();
        assert_eq!(before.balance().reserved, Cost::from_dollars(0.5));
        reserved.cost = Cost::from_dollars(0.25);
        drop(reserved);
        let after = budget(&spendings, 1, "team", 2.0);
        drop(before);
        spendings.forget_unused();
        let balance = after.balance();
        assert_eq!(
            (balance.spent, balance.reserved),
            (Cost::from_dollars(0.25), Cost::ZERO)
        );
        drop(after);
        spendings.forget_unused();
        assert!(spendings.wanted().is_empty());
    }

    #[test]
    fn what_is_given_up_costs_nothing() {
        let budget = budget(&Spendings::default(), 1, "team", 1.0);
        drop(budget.reserve(Cost::from_dollars(0.5), 10));
        assert_eq!(budget.balance().spent, Cost::ZERO);
    }
}
