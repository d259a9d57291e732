//! What a key may spend in a day or a month, and what it has spent.
//!
//! What a request may cost is put aside before it is sent, and what it did cost is paid when it is over. As long as
//! anything is left that nothing in flight may need, the next request goes on, whatever it may cost itself. So a key
//! that has money is never refused, and a budget is overrun by the last request alone, however many came at once.

use std::time::{Duration, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::base::Cost;
use crate::config::types::Period;

/// How long whoever is refused for what is in flight waits before it asks again: nobody knows when that is over.
const SOON: Duration = Duration::from_secs(1);

/// A calendar day or month of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    first: Date,
    next: Date,
}

impl Span {
    /// The one that `now` is in.
    pub fn of(period: Period, now: SystemTime) -> Self {
        let at = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let day = at.to_zoned(TimeZone::UTC).date();
        match period {
            Period::Day => Self::from(day, day.checked_add(1.day())),
            Period::Month => {
                let first = day.first_of_month();
                Self::from(first, first.checked_add(1.month()))
            }
        }
    }

    fn from(first: Date, next: Result<Date, jiff::Error>) -> Self {
        Self {
            first,
            // Of the last day that there is, the next is that day itself.
            next: next.unwrap_or(first),
        }
    }

    /// When it began.
    pub fn begin(self) -> SystemTime {
        moment(self.first)
    }

    /// When it ends, and the next begins.
    pub fn end(self) -> SystemTime {
        moment(self.next)
    }
}

fn moment(day: Date) -> SystemTime {
    day.to_zoned(TimeZone::UTC)
        .map_or(SystemTime::UNIX_EPOCH, |begin| begin.timestamp().into())
}

/// What a budget allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// So much.
    pub amount: Cost,
    /// In each of these.
    pub per: Period,
}

/// Why nothing more may be spent for now, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// All of it is spent, until the period ends.
    Spent(Duration),
    /// What is left may be needed by requests in flight.
    InFlight(Duration),
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Spent in the period.
    pub spent: Cost,
    /// Put aside for requests in flight.
    pub reserved: Cost,
    /// The period.
    pub span: Span,
}

/// What was spent in one period.
#[derive(Clone, Copy, Debug)]
struct Till {
    span: Span,
    spent: Cost,
}

impl Till {
    fn new(period: Period, now: SystemTime) -> Self {
        Self {
            span: Span::of(period, now),
            spent: Cost::ZERO,
        }
    }

    /// Begins anew where a new period has begun. A clock that was set back begins none: what was spent stays spent.
    fn turn(&mut self, period: Period, now: SystemTime) {
        let span = Span::of(period, now);
        if span > self.span {
            self.spent = Cost::ZERO;
        }
        self.span = span;
    }
}

/// What a key has spent. Both periods are counted, so that a budget may change from one to the other.
#[derive(Clone, Copy, Debug)]
pub struct Purse {
    day: Till,
    month: Till,
    reserved: Cost,
}

impl Purse {
    /// Nothing is spent.
    pub fn new(now: SystemTime) -> Self {
        Self {
            day: Till::new(Period::Day, now),
            month: Till::new(Period::Month, now),
            reserved: Cost::ZERO,
        }
    }

    /// Puts `amount` aside for a request.
    ///
    /// # Errors
    /// All is spent, or all that is left is put aside already.
    pub fn reserve(&mut self, amount: Cost, allowance: Allowance, now: SystemTime) -> Result<(), Short> {
        let till = self.till(allowance.per, now);
        if till.spent >= allowance.amount {
            let rest = till.span.end().duration_since(now);
            return Err(Short::Spent(rest.unwrap_or(SOON)));
        }
        if till.spent.plus(self.reserved) >= allowance.amount {
            return Err(Short::InFlight(SOON));
        }
        self.reserved = self.reserved.plus(amount);
        Ok(())
    }

    /// A request is over for which `reserved` was put aside; it cost so much.
    pub fn settle(&mut self, reserved: Cost, cost: Cost, now: SystemTime) {
        self.reserved = self.reserved.minus(reserved);
        for period in [Period::Day, Period::Month] {
            let till = self.till(period, now);
            till.spent = till.spent.plus(cost);
        }
    }

    /// At least so much was spent in the period that began at `begin`, as somebody knows who remembers longer. It is no
    /// news where that period is over.
    pub fn seed(&mut self, (period, begin): (Period, SystemTime), spent: Cost, now: SystemTime) {
        let till = self.till(period, now);
        if till.span == Span::of(period, begin) {
            till.spent = till.spent.max(spent);
        }
    }

    /// How it stands.
    pub fn balance(&mut self, period: Period, now: SystemTime) -> Balance {
        let reserved = self.reserved;
        let till = self.till(period, now);
        Balance {
            spent: till.spent,
            reserved,
            span: till.span,
        }
    }

    fn till(&mut self, period: Period, now: SystemTime) -> &mut Till {
        let till = match period {
            Period::Day => &mut self.day,
            Period::Month => &mut self.month,
        };
        till.turn(period, now);
        till
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    fn usd(dollars: f64) -> Cost {
        Cost::from_dollars(dollars)
    }

    fn daily(dollars: f64) -> Allowance {
        Allowance {
            amount: usd(dollars),
            per: Period::Day,
        }
    }

    #[test]
    fn a_period_is_a_calendar_day_or_month_of_utc() {
        for (period, now, begin, end) in [
            (
                Period::Day,
                "2026-11-26T10:00:00Z",
                "2026-11-26T00:00:00Z",
                "2026-11-27T00:00:00Z",
            ),
            (
                Period::Day,
                "2026-12-31T23:59:59.999Z",
                "2026-12-31T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                Period::Day,
                "2026-11-26T00:00:00Z",
                "2026-11-26T00:00:00Z",
                "2026-11-27T00:00:00Z",
            ),
            (
                Period::Month,
                "2026-12-31T23:59:59Z",
                "2026-12-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                Period::Month,
                "2028-02-29T12:00:00Z",
                "2028-02-01T00:00:00Z",
                "2028-03-01T00:00:00Z",
            ),
        ] {
            let span = Span::of(period, at(now));
            assert_eq!((span.begin(), span.end()), (at(begin), at(end)), "{now}");
        }
    }

    #[test]
    fn a_budget_is_refused_when_it_is_spent_until_its_period_ends() {
        let noon = at("2026-11-26T12:00:00Z");
        let mut purse = Purse::new(noon);
        assert_eq!(
            purse.reserve(usd(5.0), daily(1.0), noon),
            Ok(()),
            "something is left"
        );
        purse.settle(usd(5.0), usd(0.4), noon);
        assert_eq!(purse.reserve(usd(0.6), daily(1.0), noon), Ok(()));
        purse.settle(usd(0.6), usd(0.6), noon);
        let half_a_day = Duration::from_hours(12);
        assert_eq!(
            purse.reserve(Cost::ZERO, daily(1.0), noon),
            Err(Short::Spent(half_a_day))
        );
        assert_eq!(
            purse.reserve(Cost::ZERO, daily(1.5), noon),
            Ok(()),
            "a larger one counts at once"
        );
        let monthly = Allowance {
            per: Period::Month,
            ..daily(1.0)
        };
        let rest_of_the_month = Duration::from_hours(4 * 24 + 12);
        assert_eq!(
            purse.reserve(Cost::ZERO, monthly, noon),
            Err(Short::Spent(rest_of_the_month))
        );
        let tomorrow = at("2026-11-27T00:00:00Z");
        assert_eq!(purse.reserve(Cost::ZERO, daily(1.0), tomorrow), Ok(()));
        assert_eq!(
            purse.balance(Period::Month, tomorrow).spent,
            usd(1.0),
            "the month goes on"
        );
    }

    #[test]
    fn what_is_in_flight_may_need_what_is_left() {
        let now = at("2026-11-26T12:00:00Z");
        let mut purse = Purse::new(now);
        assert_eq!(purse.reserve(usd(0.6), daily(1.0), now), Ok(()));
        assert_eq!(
            purse.reserve(usd(0.6), daily(1.0), now),
            Ok(()),
            "there is something left for it"
        );
        assert_eq!(
            purse.reserve(usd(0.1), daily(1.0), now),
            Err(Short::InFlight(SOON))
        );
        purse.settle(usd(0.6), usd(0.01), now);
        assert_eq!(purse.reserve(usd(0.1), daily(1.0), now), Ok(()));
    }

    #[test]
    fn a_request_over_midnight_is_paid_on_the_day_that_it_ends() {
        let (before, after) = (at("2026-11-26T23:59:59Z"), at("2026-11-27T00:00:01Z"));
        let mut purse = Purse::new(before);
        purse.reserve(usd(0.5), daily(1.0), before).unwrap();
        assert_eq!(purse.balance(Period::Day, after).reserved, usd(0.5));
        purse.settle(usd(0.5), usd(0.3), after);
        let balance = purse.balance(Period::Day, after);
        assert_eq!((balance.spent, balance.reserved), (usd(0.3), Cost::ZERO));
    }

    #[test]
    fn a_clock_that_is_set_back_gives_nothing_back() {
        let (late, early) = (at("2026-11-27T12:00:00Z"), at("2026-11-26T12:00:00Z"));
        let mut purse = Purse::new(late);
        purse.settle(Cost::ZERO, usd(1.0), late);
        assert!(purse.reserve(Cost::ZERO, daily(1.0), early).is_err());
        assert_eq!(
            purse.reserve(Cost::ZERO, daily(1.0), late),
            Ok(()),
            "but a day that begins again is a new one"
        );
    }

    #[test]
    fn what_others_remember_is_the_least_that_was_spent() {
        let now = at("2026-11-26T12:00:00Z");
        let today = (Period::Day, at("2026-11-26T00:00:00Z"));
        let mut purse = Purse::new(now);
        purse.settle(Cost::ZERO, usd(0.2), now);
        for (of, spent, expected) in [
            (today, 0.1, 0.2),
            (today, 0.7, 0.7),
            (today, 0.7, 0.7),
            ((Period::Day, at("2026-11-25T00:00:00Z")), 9.0, 0.7),
        ] {
            purse.seed(of, usd(spent), now);
            assert_eq!(purse.balance(Period::Day, now).spent, usd(expected), "{of:?}");
        }
        assert_eq!(
            purse.balance(Period::Month, now).spent,
            usd(0.2),
            "the month has a memory of its own"
        );
    }

    proptest! {
        /// Whatever comes at once and ends in whatever order: what is spent is below the budget and one request.
        #[test]
        fn a_budget_is_overrun_by_one_request_at_most(
            budget in 1..1_000_u64,
            requests in prop::collection::vec((1..100_u64, any::<bool>()), 1..200),
        ) {
            let now = at("2026-11-26T12:00:00Z");
            let cents = |cents: u64| Cost::from_nanos(cents * 10_000_000);
            let allowance = Allowance { amount: cents(budget), per: Period::Day };
            let mut purse = Purse::new(now);
            let mut in_flight = Vec::new();
            for (cost, ends_one) in requests {
                if purse.reserve(cents(cost), allowance, now).is_ok() {
                    in_flight.push(cost);
                }
                if ends_one && !in_flight.is_empty() {
                    let ends = in_flight.remove(0);
                    purse.settle(cents(ends), cents(ends), now);
                }
            }
            for ends in in_flight {
                purse.settle(cents(ends), cents(ends), now);
            }
            let balance = purse.balance(Period::Day, now);
            prop_assert!(balance.spent < cents(budget + 100), "{:?}", balance);
            prop_assert!(balance.reserved.is_zero());
        }
    }
}
