//! What a request holds until its last byte.

use std::fmt;

use super::places::Place;
use super::rates::{self, Counted};
use super::spending::Reserved;
use crate::base::clock;
use crate::limits::{Nanos, Unit};

/// Everything that is given back when a request is over, however it ends.
#[derive(Debug, Default)]
pub struct Held {
    /// Its place among those that are served; none before it has one, and for requests that need none.
    pub place: Option<Place>,
    /// What it has taken from the rate limits; none where no limit counts for it.
    pub rated: Option<Rated>,
    /// What was put aside of its key's budget; none where it has none.
    pub reserved: Option<Box<Reserved>>,
}

/// What a request has taken from the limits that count for it.
///
/// Tokens are taken ahead by an estimate, and settled once: to what was used, or to nothing when this is dropped.
pub struct Rated {
    /// The limits that count.
    pub limits: Counted,
    /// When the request arrived.
    pub arrived: Nanos,
    /// Tokens that were taken ahead.
    pub taken: f64,
    /// The part of them that the request's own text stands for.
    pub input: f64,
}

impl Rated {
    /// Corrects the tokens to what was used. Where that is not known, an answer that was had is at least its question.
    pub fn settle(mut self, used: Option<u64>) {
        #[expect(clippy::cast_precision_loss, reason = "nobody uses 2^53 tokens")]
        let used = used.map_or(self.input, |tokens| tokens as f64);
        self.correct(used);
    }

    fn correct(&mut self, used: f64) {
        // Nothing is left to be given back.
        let taken = std::mem::take(&mut self.taken);
        let now = || clock::nanos(clock::now());
        rates::settle(&self.limits.all(), Unit::Tokens, (taken, used), now);
    }
}

impl Drop for Rated {
    fn drop(&mut self) {
        if self.taken > 0.0 {
            self.correct(0.0);
        }
    }
}

impl fmt::Debug for Rated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rated")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}
