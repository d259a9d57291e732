//! What lasts is said once, and again only after a while.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long nothing is said of it again.
const A_WHILE: Duration = Duration::from_mins(1);

/// A trouble that would fill the log if each of its moments were told.
#[derive(Debug, Default)]
pub struct Rarely(Mutex<Option<Instant>>);

impl Rarely {
    /// Whether it is to be told at this moment; if so, it has been.
    pub fn is_due(&self, now: Instant) -> bool {
        let mut told = self.0.lock();
        let due = told.is_none_or(|before| now.duration_since(before) >= A_WHILE);
        if due {
            *told = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    #[test]
    fn a_lasting_trouble_is_told_once_and_again_after_a_while() {
        let (rarely, start) = (Rarely::default(), clock::now());
        let told = [0, 1, 59, 60, 61, 119, 120, 600]
            .map(|second| rarely.is_due(start + Duration::from_secs(second)));
        assert_eq!(told, [true, false, false, true, false, false, true, true]);
    }
}
