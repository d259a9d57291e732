//! Money: US dollars, counted in whole billionths of one, so that sums are exact and never drift.

use std::fmt;
use std::iter::Sum;

use serde::{Serialize, Serializer};

/// Billionths in a dollar.
const NANOS: u64 = 1_000_000_000;
/// Digits behind the point.
const DIGITS: usize = 9;

/// An amount of US dollars, exact to a billionth. It stops at some 18 billion dollars instead of overflowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u64);

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The most that can be counted.
    pub const MAX: Self = Self(u64::MAX);

    /// So many billionths of a dollar.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// That many dollars, to the nearest billionth. What is no amount of money is nothing.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the cast saturates, and takes what is below 0 or no number as 0"
    )]
    pub fn from_dollars(dollars: f64) -> Self {
        Self((dollars * NANOS as f64).round() as u64)
    }

    /// In billionths of a dollar.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// In dollars, as near as a float comes.
    #[expect(clippy::cast_precision_loss, reason = "exact up to nine million dollars")]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / NANOS as f64
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left of it without the other; nothing where that is more.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// In dollars, exactly, without a sign of the currency and without zeros at the end: `0.0125`.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl Cost {
    /// Writes what [`Display`](fmt::Display) writes, without the ways of formatting: it is on the way of every request.
    ///
    /// # Errors
    /// Those of the writer; a string has none.
    pub fn write(self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut whole = itoa::Buffer::new();
        out.write_str(whole.format(self.0 / NANOS))?;
        let rest = self.0 % NANOS;
        if rest == 0 {
            return Ok(());
        }
        // A dollar more gives the leading zeros, and a digit in the place of the point.
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(NANOS + rest);
        out.write_str(".")?;
        out.write_str(digits.get(1..=DIGITS).unwrap_or_default().trim_end_matches('0'))
    }
}

/// A number of dollars.
impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, Self::plus)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_written_in_dollars_without_zeros_at_the_end() {
        for (nanos, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (12_500_000, "0.0125"),
            (1_000_000_000, "1"),
            (20_000_000_050, "20.00000005"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            assert_eq!(Cost::from_nanos(nanos).to_string(), text);
        }
    }

    #[test]
    fn dollars_are_taken_to_the_nearest_billionth_and_nonsense_as_nothing() {
        for (dollars, nanos) in [
            (0.1, 100_000_000),
            (0.000_000_001_4, 1),
            (0.000_000_001_6, 2),
            (-3.0, 0),
            (f64::NAN, 0),
            (f64::INFINITY, u64::MAX),
            (1e300, u64::MAX),
        ] {
            assert_eq!(Cost::from_dollars(dollars).nanos(), nanos, "{dollars}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_number_that_is_serialised(nanos in any::<u64>()) {
            let cost = Cost::from_nanos(nanos);
            let written: f64 = cost.to_string().parse().unwrap();
            prop_assert!((written - cost.dollars()).abs() <= written * 1e-15);
            let serialised = serde_json::to_value(cost).unwrap();
            prop_assert_eq!(serialised.as_f64(), Some(cost.dollars()));
        }

        #[test]
        fn sums_stop_at_both_ends(a in any::<u64>(), b in any::<u64>()) {
            let (a, b) = (Cost::from_nanos(a), Cost::from_nanos(b));
            prop_assert!(a.plus(b) >= a.max(b));
            prop_assert_eq!(a.plus(b), b.plus(a));
            prop_assert!(a.minus(b) <= a);
            prop_assert_eq!([a, b].into_iter().sum::<Cost>(), a.plus(b));
        }
    }
}
