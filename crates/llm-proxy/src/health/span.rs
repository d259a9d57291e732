//! Spans of time as people and Go programs write them: `1m42.653s`, `20ms`, `2 minutes`, `1 hour 5 min`.

use std::time::Duration;

/// Units by name, in seconds. Longer names come first, so that `ms` is never taken for `m`.
const UNITS: [(&str, f64); 29] = [
    ("milliseconds", 0.001),
    ("millisecond", 0.001),
    ("seconds", 1.0),
    ("minutes", 60.0),
    ("second", 1.0),
    ("minute", 60.0),
    ("hours", 3_600.0),
    ("hour", 3_600.0),
    ("days", 86_400.0),
    ("mins", 60.0),
    ("secs", 1.0),
    ("min", 60.0),
    ("sec", 1.0),
    ("day", 86_400.0),
    ("hrs", 3_600.0),
    ("hr", 3_600.0),
    ("ms", 0.001),
    ("us", 0.000_001),
    ("µs", 0.000_001),
    ("ns", 0.000_000_001),
    ("d", 86_400.0),
    ("h", 3_600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("秒", 1.0),
    ("分钟", 60.0),
    ("分", 60.0),
    ("小时", 3_600.0),
    ("天", 86_400.0),
];

/// Numbers longer than this are no numbers that anybody means.
const LONGEST_NUMBER: usize = 20;

/// The span at the start of `text` (lower case) and what follows it; `None` where there is no number with a unit.
pub(super) fn leading(text: &str) -> Option<(Duration, &str)> {
    let (mut total, mut rest) = part(text)?;
    while let Some((more, after)) = part(rest) {
        total += more;
        rest = after;
    }
    Some((seconds(total)?, rest))
}

/// The span that `text` (lower case) is, with nothing after it.
pub(super) fn whole(text: &str) -> Option<Duration> {
    let (span, rest) = leading(text)?;
    rest.trim().is_empty().then_some(span)
}

/// A plain decimal number at the start of `text`, and what follows it. No sign, no exponent.
pub(super) fn number(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    // The dot that ends a sentence is no decimal point.
    let digits = text.get(..end)?.trim_end_matches('.');
    if digits.len() > LONGEST_NUMBER {
        return None;
    }
    Some((digits.parse().ok()?, text.get(digits.len()..)?))
}

/// Seconds as a duration; huge ones become the longest that there is, negative ones nothing.
pub(super) fn seconds(seconds: f64) -> Option<Duration> {
    if seconds.is_sign_negative() || seconds.is_nan() {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// One number with its unit, in seconds.
fn part(text: &str) -> Option<(f64, &str)> {
    let (number, rest) = number(text.trim_start())?;
    let rest = rest.trim_start();
    let (name, factor) = UNITS.iter().find(|(name, _)| is_unit(rest, name))?;
    Some((number * factor, rest.get(name.len()..)?))
}

/// Whether `text` starts with that unit and not with a longer word; Chinese has no spaces between words.
fn is_unit(text: &str, name: &str) -> bool {
    let after = text.strip_prefix(name).map(|after| after.chars().next());
    after.is_some_and(|next| !name.is_ascii() || next.is_none_or(|c| !c.is_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_people_and_of_go() {
        for (text, millis) in [
            ("1m42.653s", 102_653),
            ("6m0s", 360_000),
            ("20ms", 20),
            ("1.5s", 1_500),
            ("2 minutes", 120_000),
            ("1h", 3_600_000),
            ("1 hour 5 min", 3_900_000),
            ("2h8m48s", 7_728_000),
            ("1500 milliseconds", 1_500),
            ("0s", 0),
        ] {
            assert_eq!(whole(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "s",
            "5",
            "5 parsecs",
            "-5s",
            "soon",
            "1e3s",
            "5s later",
            &"9".repeat(500),
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn a_span_ends_where_the_sentence_goes_on() {
        assert_eq!(
            leading(" 1.5s. visit us"),
            Some((Duration::from_millis(1500), ". visit us"))
        );
        assert_eq!(
            leading("2 minutes and more"),
            Some((Duration::from_mins(2), " and more"))
        );
    }

    #[test]
    fn what_nobody_means_is_no_number() {
        assert!(number(&"1".repeat(20)).is_some());
        assert!(number(&"1".repeat(21)).is_none());
        assert_eq!((seconds(f64::NAN), seconds(-1.0)), (None, None));
    }
}
