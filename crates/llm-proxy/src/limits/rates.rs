//! The buckets of one rate: requests a second, requests a minute, tokens a minute.

use std::time::Duration;

use super::Nanos;
use super::gcra::{Bucket, Quota, Standing};
use crate::config::types::Rate;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens, read and written.
    Tokens,
}

/// A rate as quotas: each part that is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quotas {
    /// Of requests: a second, a minute.
    pub requests: [Option<Quota>; 2],
    /// Of tokens.
    pub tokens: Option<Quota>,
}

impl Quotas {
    /// The quotas of a rate. A `burst` belongs to the shorter of its two spans of requests.
    pub fn of(rate: &Rate) -> Self {
        let (second, minute) = match (rate.rps, rate.rpm) {
            (Some(_), _) => (rate.burst, None),
            (None, _) => (None, rate.burst),
        };
        let quota = |amount: Option<f64>, period, burst: Option<f64>| {
            amount.map(|amount| Quota::new(amount, period, burst.unwrap_or(amount)))
        };
        Self {
            requests: [quota(rate.rps, SECOND, second), quota(rate.rpm, MINUTE, minute)],
            tokens: quota(rate.tpm, MINUTE, None),
        }
    }

    /// Whether they count that unit.
    pub fn counts(&self, unit: Unit) -> bool {
        match unit {
            Unit::Requests => self.requests.iter().any(Option::is_some),
            Unit::Tokens => self.tokens.is_some(),
        }
    }
}

/// The buckets of a rate that all requests share.
#[derive(Debug)]
pub struct Buckets {
    requests: [Option<Bucket>; 2],
    tokens: Option<Bucket>,
}

impl Buckets {
    /// Full ones.
    pub fn new(quotas: &Quotas) -> Self {
        Self {
            requests: quotas.requests.map(|quota| quota.map(Bucket::new)),
            tokens: quotas.tokens.map(Bucket::new),
        }
    }

    /// Takes `amount` of that unit.
    ///
    /// # Errors
    /// How long it takes until there is enough; nothing is taken.
    pub fn take(&self, unit: Unit, amount: f64, now: Nanos) -> Result<(), Duration> {
        let all = self.of(unit);
        for (at, bucket) in all.iter().enumerate() {
            let Some(bucket) = bucket else { continue };
            if let Err(wait) = bucket.take(amount, now) {
                give_back(all.get(..at).unwrap_or_default(), amount);
                return Err(wait);
            }
        }
        Ok(())
    }

    /// What was taken was `taken`, what was used is `used`.
    pub fn settle(&self, unit: Unit, taken: f64, used: f64) {
        for bucket in self.of(unit).iter().flatten() {
            bucket.settle(taken, used);
        }
    }

    /// How its scarcest bucket of that unit stands; none where it has none.
    pub fn standing(&self, unit: Unit, now: Nanos) -> Option<Standing> {
        let standing = |bucket: &Option<Bucket>| Some(bucket.as_ref()?.standing(now));
        match unit {
            Unit::Requests => {
                let [second, minute] = &self.requests;
                Standing::scarcer(standing(second), standing(minute))
            }
            Unit::Tokens => standing(&self.tokens),
        }
    }

    /// Whether it counts that unit.
    pub fn counts(&self, unit: Unit) -> bool {
        self.of(unit).iter().any(Option::is_some)
    }

    fn of(&self, unit: Unit) -> &[Option<Bucket>] {
        match unit {
            Unit::Requests => &self.requests,
            Unit::Tokens => std::slice::from_ref(&self.tokens),
        }
    }
}

/// Gives back what buckets gave to a request that another one refused.
#[cold]
fn give_back(buckets: &[Option<Bucket>], amount: f64) {
    for bucket in buckets.iter().flatten() {
        bucket.settle(amount, 0.0);
    }
}
