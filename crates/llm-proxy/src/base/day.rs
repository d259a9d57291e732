//! Days of UTC, as numbers that can be counted and kept.

use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Seconds of a day; UTC has no other days as computers count it.
const SECONDS: i64 = 86_400;

/// A day of UTC, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// The day of that moment.
    pub fn of(at: SystemTime) -> Self {
        let seconds = match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(_) => 0,
        };
        Self(i32::try_from(seconds / SECONDS).unwrap_or(i32::MAX))
    }

    /// The day that is so many days before.
    #[must_use]
    pub fn before(self, days: u32) -> Self {
        Self(self.0.saturating_sub(i32::try_from(days).unwrap_or(i32::MAX)))
    }

    /// The moment at which it begins.
    pub fn begins(self) -> SystemTime {
        let seconds = u64::try_from(i64::from(self.0) * SECONDS).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Reads `2026-11-26`.
    pub fn read(text: &str) -> Option<Self> {
        let shaped = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let date = text.parse::<Date>().ok().filter(|_| shaped)?;
        let begins = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let day = begins.as_second().div_euclid(SECONDS);
        i32::try_from(day).ok().filter(|day| *day >= 0).map(Self)
    }

    fn date(self) -> Date {
        let begins = i64::from(self.0).saturating_mul(SECONDS);
        let at = Timestamp::from_second(begins).unwrap_or(Timestamp::MAX - 1.hour());
        at.to_zoned(TimeZone::UTC).date()
    }
}

/// As `2026-11-26`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.date(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_it_is_written() {
        for (text, day) in [("1970-01-01", 0), ("2026-11-26", 20_783), ("2028-02-29", 21_243)] {
            assert_eq!(Day::read(text), Some(Day(day)), "{text}");
            assert_eq!(Day(day).to_string(), text);
            assert_eq!(Day::of(Day(day).begins()), Day(day), "{text}");
            let last = Day(day).begins() + Duration::from_secs(86_399);
            assert_eq!(Day::of(last), Day(day), "{text}, its last second");
        }
        for bad in [
            "",
            "2026-02-29",
            "1969-12-31",
            "20261126",
            "2026-11-26T",
            "tomorrow",
            "26-11-2026",
        ] {
            assert_eq!(Day::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_number_of_days_makes_it_stumble() {
        let day = |text| Day::read(text).unwrap();
        assert_eq!(day("2026-03-01").before(1).to_string(), "2026-02-28");
        assert!(!Day(i32::MAX).to_string().is_empty());
        assert_eq!(Day(3).before(u32::MAX).begins(), SystemTime::UNIX_EPOCH);
    }
}
