//! Who guesses keys: refused authentications, counted by address.
//!
//! Twenty at once are a client with a wrong config; from then on an address has one a second. What is held back is
//! invalid keys alone: whoever has a valid one comes in, so nobody can lock a colleague behind the same address out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::base::Address;

/// So many may come at once.
const BURST: u32 = 20;
/// And one more after each of these.
const EACH: Duration = Duration::from_secs(1);
/// So many addresses are remembered.
const MOST: usize = 16_384;

/// The refusals of late, by address.
#[derive(Debug, Default)]
pub struct Guesses {
    /// When the last trace of each is gone: [`EACH`] later with each refusal.
    gone: HashMap<Option<Address>, Instant>,
}

impl Guesses {
    /// Counts a refusal; peers without an address are counted as one.
    ///
    /// # Errors
    /// It was one too many, and is not counted: the time until the next is heard.
    pub fn refused(&mut self, from: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let from = from.map(Address::of);
        let gone = self.gone.get(&from).map_or(now, |gone| now.max(*gone)) + EACH;
        let early = gone.duration_since(now).saturating_sub(BURST * EACH);
        if !early.is_zero() {
            return Err(early);
        }
        if self.gone.len() >= MOST && !self.gone.contains_key(&from) {
            self.forget(now);
        }
        self.gone.insert(from, gone);
        Ok(())
    }

    /// Makes room: for the addresses that have no trace left any more, else for the half with the least, so that nobody
    /// who has used all up gets it back by coming from everywhere.
    fn forget(&mut self, now: Instant) {
        self.gone.retain(|_, gone| *gone > now);
        if self.gone.len() < MOST {
            return;
        }
        let mut all: Vec<(Instant, Option<Address>)> =
            self.gone.iter().map(|(from, gone)| (*gone, *from)).collect();
        let (least, ..) = all.select_nth_unstable_by_key(MOST / 2, |(gone, _)| *gone);
        for (_, from) in least {
            self.gone.remove(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::clock;

    fn v4(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of `times` refusals are heard.
    fn heard(guesses: &mut Guesses, from: impl Into<Option<IpAddr>>, now: Instant, times: u32) -> u32 {
        let from = from.into();
        (0..times)
            .map(|_| u32::from(guesses.refused(from, now).is_ok()))
            .sum()
    }

    #[test]
    fn a24_twenty_are_heard_at_once_then_one_a_second_and_who_waits_has_all_again() {
        let (mut guesses, start) = (Guesses::default(), clock::now());
        assert_eq!(heard(&mut guesses, v4(1), start, 1_000), 20);
        assert_eq!(guesses.refused(Some(v4(1)), start), Err(EACH));
        let half = start + Duration::from_millis(400);
        assert_eq!(
            guesses.refused(Some(v4(1)), half),
            Err(Duration::from_millis(600))
        );
        assert_eq!(heard(&mut guesses, v4(1), start + EACH, 1_000), 1);
        assert_eq!(heard(&mut guesses, v4(1), start + 5 * EACH, 1_000), 4);
        assert_eq!(heard(&mut guesses, v4(1), start + 60 * EACH, 1_000), 20);
        assert_eq!(
            heard(&mut guesses, v4(2), start, 1_000),
            20,
            "others are not held back"
        );
    }

    #[test]
    fn a11_a_slash_64_is_one_address_and_so_are_both_spellings_of_ipv4() {
        let now = clock::now();
        for (why, fill, same, other) in [
            ("a /64", "2001:db8::1", "2001:db8::ffff:0:0:2", "2001:db8:0:1::1"),
            ("mapped", "192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ] {
            let mut guesses = Guesses::default();
            assert_eq!(heard(&mut guesses, ip(fill), now, 20), 20);
            assert!(guesses.refused(Some(ip(same)), now).is_err(), "{why}");
            assert!(guesses.refused(Some(ip(other)), now).is_ok(), "{why}");
        }
        let mut guesses = Guesses::default();
        assert_eq!(
            heard(&mut guesses, None, now, 100),
            20,
            "all without an address are one"
        );
        assert!(guesses.refused(Some(v4(1)), now).is_ok());
    }

    #[test]
    fn a24_any_number_of_addresses_takes_bounded_room_and_gives_no_spent_one_back() {
        let (mut guesses, now) = (Guesses::default(), clock::now());
        assert_eq!(heard(&mut guesses, v4(0), now, 21), 20);
        for number in 1..200_000 {
            assert!(
                guesses.refused(Some(v4(number)), now).is_ok(),
                "a newcomer is heard"
            );
            assert!(guesses.gone.len() <= MOST);
        }
        assert!(
            guesses.refused(Some(v4(0)), now).is_err(),
            "the first one has no more than it had"
        );
    }

    #[test]
    fn those_without_a_trace_are_forgotten_before_any_other() {
        let (mut guesses, start) = (Guesses::default(), clock::now());
        let full = u32::try_from(MOST).unwrap();
        for number in 0..full {
            heard(&mut guesses, v4(number), start, if number < 100 { 3 } else { 1 });
        }
        // All but the first hundred have run out.
        assert!(guesses.refused(Some(v4(full)), start + 2 * EACH).is_ok());
        assert_eq!(guesses.gone.len(), 101);
    }

    proptest! {
        #[test]
        fn whatever_the_times_no_more_are_heard_than_a_burst_and_one_a_second(
            pauses in prop::collection::vec(0..3_000_u64, 1..200)
        ) {
            let (mut guesses, start) = (Guesses::default(), clock::now());
            let (mut now, mut count) = (start, 0);
            for pause in pauses {
                now += Duration::from_millis(pause);
                count += heard(&mut guesses, v4(1), now, 1);
            }
            let allowed = f64::from(BURST) + now.duration_since(start).as_secs_f64();
            prop_assert!(f64::from(count) <= allowed + 1e-6, "{count} of {allowed}");
        }

        #[test]
        fn who_is_told_to_wait_is_heard_after_that_time_and_not_before(spent in 20..100_u32, early in 1..1_000_u64) {
            let (mut guesses, now) = (Guesses::default(), clock::now());
            heard(&mut guesses, v4(1), now, spent);
            let wait = guesses.refused(Some(v4(1)), now).unwrap_err();
            let before = now + wait.saturating_sub(Duration::from_millis(early));
            prop_assert!(guesses.refused(Some(v4(1)), before).is_err());
            prop_assert!(guesses.refused(Some(v4(1)), now + wait).is_ok());
        }
    }
}
