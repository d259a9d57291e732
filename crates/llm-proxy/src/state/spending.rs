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
