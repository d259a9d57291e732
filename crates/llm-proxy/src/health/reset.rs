//! When a backend says that it will take requests again: `Retry-After` and its many cousins (F15, F16).
//!
//! A function of headers, body and wall clock that has an answer for every input: what is invalid, negative or
//! past says nothing, what is beyond a day is a day. Milliseconds are never read as seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use super::{span, windows};

/// No statement of a backend benches anything for longer.
pub const LONGEST: Duration = Duration::from_hours(24);

/// A header value longer than this is no time.
const LONGEST_VALUE: usize = 64;
/// Only so much of a body is looked at, in bytes.
const BODY: usize = 8 << 10;
/// A plain number from here on is a moment in Unix seconds,
const UNIX_SECONDS: f64 = 1e9;
/// and from here on one in Unix milliseconds (`OpenRouter`).
const UNIX_MILLIS: f64 = 1e12;

/// What comes before a span in error texts (lower case).
const BEFORE_SPAN: [&str; 13] = [
    "try again in",
    "retry in",
    "retry after",
    "reset after",
    "resets in",
    "reset in",
    "please wait",
    "retrydelay",
    "quotaresetdelay",
    "请在",
    "请等待",
    "请于",
    "请",
];
/// What comes before a moment.
const BEFORE_MOMENT: [&str; 11] = [
    "resets at",
    "reset at",
    "resets_at",
    "reset_at",
    "resetsat",
    "quotaresettimestamp",
    "x-ratelimit-reset",
    "regain access on",
    "available again at",
    // Of Claude's subscriptions: a Unix time follows.
    "usage limit reached|",
    // Zhipu: "will be reset at".
    "将在",
];
/// What comes before a number of seconds.
const BEFORE_SECONDS: [&str; 6] = [
    "resets_in_seconds",
    "retry_after_seconds",
    "reset_after_seconds",
    "\"retry_after\"",
    "\"retryafter\"",
    "\"retry-after\"",
];
/// What comes before a number of milliseconds.
const BEFORE_MILLIS: [&str; 2] = ["retry_after_ms", "retry-after-ms"];
/// How far east of Greenwich, in seconds, the clocks of hosts are that state a time without its zone: all that were
/// seen are Chinese. Taken for a place further east than it is, a time only comes too early.
const EAST: i32 = 8 * 3_600;

/// How long the backend asks to be left alone, or `None` where it does not say so in a form that makes sense.
///
/// In order: `retry-after-ms`, `retry-after` (seconds with fractions, or an HTTP date), the window of a subscription
/// that is used up, Anthropic's and the `x-ratelimit-*` reset headers, then the body's words. The result is above zero
/// and at most [`LONGEST`].
pub fn reset_after(headers: &HeaderMap, body: &str, wall: SystemTime) -> Option<Duration> {
    by_retry_after(headers, wall)
        .or_else(|| windows::spent(headers, wall)?.reset)
        .or_else(|| by_rate_limit(headers, wall))
        .or_else(|| by_words(body, wall))
}

fn by_retry_after(headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    let millis = value(headers, "retry-after-ms")
        .and_then(plain)
        .map(|millis| millis / 1_000.0);
    let stated = millis.and_then(span::seconds).and_then(sane);
    stated.or_else(|| {
        let text = value(headers, "retry-after")?;
        match plain(text) {
            Some(seconds) => sane(span::seconds(seconds)?),
            None => until(httpdate::parse_http_date(text).ok()?, wall),
        }
    })
}

/// The reset of whatever is used up. A dimension of which something remains is not what refused the request;
/// of several the last one counts.
fn by_rate_limit(headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    let has_room = windows::all_is_well(headers);
    let times = headers.keys().filter_map(|name| {
        let name = name.as_str();
        let dimension = reset_header(name)?;
        // It comes with every answer of a subscription, whatever became of it.
        if has_room && dimension.0.ends_with("-unified") {
            return None;
        }
        let remaining = format!("{}-remaining{}", dimension.0, dimension.1);
        if value(headers, &remaining)
            .and_then(plain)
            .is_some_and(|left| left > 0.0)
        {
            return None;
        }
        moment_or_span(value(headers, name)?, wall)
    });
    times.max()
}

/// The two parts of a reset header's name around the word `-reset`, if it is one: the header that says what
/// remains has `-remaining` there.
fn reset_header(name: &str) -> Option<(&str, &str)> {
    let (before, after) = name.split_once("-reset")?;
    // A single window of a subscription counts where it is used up, and nowhere else.
    let window = before.starts_with("anthropic-ratelimit-unified-");
    let anthropic = before.starts_with("anthropic-ratelimit-") && after.is_empty() && !window;
    let counted = after.is_empty() || after.starts_with("-requests") || after.starts_with("-tokens");
    let common = matches!(before, "x-ratelimit" | "ratelimit") && counted;
    (anthropic || common).then_some((before, after))
}

fn by_words(body: &str, wall: SystemTime) -> Option<Duration> {
    let text = body.get(..body.floor_char_boundary(BODY))?.to_lowercase();
    let moment = after_any(&text, &BEFORE_MOMENT, |rest| {
        moment_or_span(first_word(rest), wall).or_else(|| written_out(rest, wall))
    });
    let number = |rest: &str, unit: f64| sane(span::seconds(span::number(rest)?.0 * unit)?);
    moment
        .or_else(|| after_any(&text, &BEFORE_MILLIS, |rest| number(rest, 0.001)))
        .or_else(|| after_any(&text, &BEFORE_SECONDS, |rest| number(rest, 1.0)))
        .or_else(|| after_any(&text, &BEFORE_SPAN, |rest| sane(span::leading(rest)?.0)))
}

/// What `read` makes of the text after the first occurrence of a phrase of which it makes anything.
fn after_any(text: &str, phrases: &[&str], read: impl Fn(&str) -> Option<Duration>) -> Option<Duration> {
    phrases.iter().find_map(|phrase| {
        text.match_indices(phrase).find_map(|(at, _)| {
            let rest = text.get(at + phrase.len()..)?;
            read(rest.trim_start_matches([' ', ':', '"', '\'', '=', '\\']))
        })
    })
}

fn first_word(text: &str) -> &str {
    let end = text
        .find([' ', '"', '\'', ',', '}', '\\', ')', '\n'])
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default().trim_end_matches('.')
}

/// `2026-09-12 00:35:41`, by the clocks of [`EAST`]; `2026-10-01 at 00:00 utc`, or that day alone, by those of UTC.
fn written_out(text: &str, wall: SystemTime) -> Option<Duration> {
    let day = text.get(..10)?.parse::<jiff::civil::Date>().ok()?;
    let rest = text.get(10..)?;
    let time = rest.strip_prefix(" at ").or_else(|| rest.strip_prefix(' '));
    let time = time.and_then(|time| time.get(..8).or(time.get(..5)));
    let read = |text: &str| text.trim_end().parse::<jiff::civil::Time>().ok();
    let (time, offset) = match time.and_then(read).or_else(|| read(time?.get(..5)?)) {
        Some(time) if rest.starts_with(" at ") => (time, 0),
        Some(time) => (time, EAST),
        None => (jiff::civil::Time::midnight(), 0),
    };
    let zone = jiff::tz::Offset::from_seconds(offset).ok()?;
    let moment = zone.to_timestamp(day.to_datetime(time)).ok()?;
    until(SystemTime::from(moment), wall)
}

/// An RFC 3339 time, a Unix time, a number of seconds, or a span such as `1m42.653s`.
pub(super) fn moment_or_span(text: &str, wall: SystemTime) -> Option<Duration> {
    if let Some(number) = plain(text) {
        return match number {
            n if n >= UNIX_MILLIS => until(UNIX_EPOCH.checked_add(span::seconds(n / 1_000.0)?)?, wall),
            n if n >= UNIX_SECONDS => until(UNIX_EPOCH.checked_add(span::seconds(n)?)?, wall),
            n => sane(span::seconds(n)?),
        };
    }
    let text = text.to_ascii_lowercase();
    match span::whole(&text) {
        Some(span) => sane(span),
        None => until(SystemTime::from(text.parse::<jiff::Timestamp>().ok()?), wall),
    }
}

/// A number that is the whole of `text`.
fn plain(text: &str) -> Option<f64> {
    span::number(text)
        .filter(|(_, rest)| rest.is_empty())
        .map(|(number, _)| number)
}

fn until(moment: SystemTime, wall: SystemTime) -> Option<Duration> {
    sane(moment.duration_since(wall).ok()?)
}

fn sane(span: Duration) -> Option<Duration> {
    (!span.is_zero()).then_some(span.min(LONGEST))
}

/// A header's value, if it may be a time or a word.
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (text.len() <= LONGEST_VALUE).then_some(text)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn wall() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn by_header(name: &str, text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::try_from(name).unwrap(),
            HeaderValue::from_str(text).unwrap(),
        );
        reset_after(&headers, "", wall())
    }

    fn by_body(text: &str) -> Option<Duration> {
        reset_after(&HeaderMap::new(), text, wall())
    }

    fn in_rfc3339(seconds: u64) -> String {
        jiff::Timestamp::from_second(i64::try_from(NOW + seconds).unwrap())
            .unwrap()
            .to_string()
    }

    #[test]
    fn f15_each_header_alone_gives_its_time() {
        for (name, text, millis) in [
            ("retry-after", "7", 7_000),
            ("retry-after", "1.5", 1_500),
            ("retry-after-ms", "1500", 1_500),
            ("anthropic-ratelimit-requests-reset", &in_rfc3339(30), 30_000),
            ("anthropic-ratelimit-input-tokens-reset", &in_rfc3339(30), 30_000),
            ("anthropic-ratelimit-output-tokens-reset", &in_rfc3339(30), 30_000),
            ("anthropic-ratelimit-unified-reset", "1800000090", 90_000),
            ("x-ratelimit-reset-tokens-minute", "12.5", 12_500),
            ("x-ratelimit-reset-requests-day", "33011.4", 33_011_400),
            ("ratelimit-reset", "12", 12_000),
            ("x-ratelimit-reset-requests", "1m42.653s", 102_653),
            ("x-ratelimit-reset-tokens", "6m0s", 360_000),
            ("x-ratelimit-reset-tokens", "20ms", 20),
            ("x-ratelimit-reset", "12", 12_000),
            ("x-ratelimit-reset", "1800000060", 60_000),
            ("x-ratelimit-reset", "1800000060500", 60_500),
        ] {
            assert_eq!(
                by_header(name, text),
                Some(Duration::from_millis(millis)),
                "{name}: {text}"
            );
        }
    }

    #[test]
    fn f15_the_body_says_it_in_words() {
        let resets = format!(
            "You have hit your weekly limit, it resets at {}.",
            in_rfc3339(3_600)
        );
        for (text, millis) in [
            (
                "Rate limit reached. Please try again in 1.5s. Visit our site.",
                1_500,
            ),
            ("Please try again in 20ms.", 20),
            ("try again in 2 minutes", 120_000),
            (
                r#"{"error":{"details":[{"@type":"x/RetryInfo","retryDelay":"34s"}]}}"#,
                34_000,
            ),
            (r#"{"error":{"details":[{"retryDelay": "34.5s"}]}}"#, 34_500),
            ("Your quota will reset after 2h8m48s.", 7_728_000),
            (
                r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":1234}}"#,
                1_234_000,
            ),
            (r#"{"error":{"resets_at":1800000040}}"#, 40_000),
            (r#"{"error":{"resets_at":null,"resets_in_seconds":7}}"#, 7_000),
            (r#"{"error":{"retry_after":12}}"#, 12_000),
            (r#"{"error":{"retry_after": "2.5"}}"#, 2_500),
            (r#"{"retry_after_ms": 1500, "retry_after": 9}"#, 1_500),
            (
                r#"{"metadata":{"headers":{"X-RateLimit-Reset":"1800000060000"}}}"#,
                60_000,
            ),
            (r#"{"metadata":{"quotaResetDelay":"1h16m2.5s"}}"#, 4_562_500),
            ("Claude AI usage limit reached|1800003600", 3_600_000),
            (
                "Usage limit reached for 5 hour. Your limit will reset at 2027-01-15 16:05:00",
                300_000,
            ),
            (
                "已达到 5 小时的使用上限。您的限额将在 2027-01-15 16:05:00 重置。",
                300_000,
            ),
            ("Your limit will reset at 2027-01-15 16:05:30.", 330_000),
            ("Your limit will reset at 2027-01-15 16:05", 300_000),
            ("Your limit will reset at 2027-01-15 16:05, be patient", 300_000),
            ("You will regain access on 2027-01-15 at 09:00 UTC.", 3_600_000),
            ("You will regain access on 2027-01-16.", 57_600_000),
            ("请求过于频繁，请在 12 秒后重试", 12_000),
            ("请3分钟后再试", 180_000),
            ("Please wait 45 seconds before trying again", 45_000),
            (&resets, 3_600_000),
        ] {
            assert_eq!(by_body(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_nothing() {
        for text in [
            "",
            "try again in a while",
            "try again in 5 parsecs",
            "resets at noon",
            "reset at 2027-13-45 99:99:99",
            "reset at 2020-01-01 00:00:00",
            "retry after",
            "请稍后再试",
        ] {
            assert_eq!(by_body(text), None, "{text}");
        }
    }

    #[test]
    fn f16_odd_values_say_nothing_and_huge_ones_are_a_day() {
        let date = |moment| httpdate::fmt_http_date(moment);
        let soon = date(wall() + Duration::from_secs(2));
        let past = date(wall() - Duration::from_secs(2));
        for (text, expected) in [
            (soon.as_str(), Some(Duration::from_secs(2))),
            (past.as_str(), None),
            ("-5", None),
            ("abc", None),
            ("0", None),
            ("", None),
            ("inf", None),
            ("nan", None),
            ("1e9", None),
            ("999999999999", Some(LONGEST)),
            (&"9".repeat(10 << 10), None),
            (&"x".repeat(10 << 10), None),
        ] {
            assert_eq!(
                by_header("retry-after", text),
                expected,
                "{}",
                text.get(..text.len().min(40)).unwrap()
            );
        }
    }

    #[test]
    fn f16_a_number_is_a_span_a_moment_in_seconds_or_one_in_milliseconds() {
        for (name, text, expected) in [
            ("x-ratelimit-reset", "600000000", Some(LONGEST)),
            ("x-ratelimit-reset", "1000000000", None),
            ("x-ratelimit-reset", "600000000000", Some(LONGEST)),
            ("x-ratelimit-reset", "1000000000000", None),
            ("x-cache-reset", "12", None),
            (
                "x-ratelimit-reset",
                &"1s".repeat(32),
                Some(Duration::from_secs(32)),
            ),
            ("x-ratelimit-reset", &format!("10s{}", "1s".repeat(31)), None),
        ] {
            assert_eq!(by_header(name, text), expected, "{name}: {text}");
        }
    }

    #[test]
    fn what_comes_late_in_a_body_is_no_time() {
        for (before, expected) in [(8_000, Some(Duration::from_secs(3))), (8_192, None)] {
            let text = format!("{}try again in 3s", "x".repeat(before));
            assert_eq!(by_body(&text), expected, "after {before} bytes");
        }
        let cut_within_a_character = format!("try again in 3s, {}", "é".repeat(BODY));
        assert_eq!(by_body(&cut_within_a_character), Some(Duration::from_secs(3)));
    }

    #[test]
    fn of_several_dimensions_the_last_to_be_free_counts() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-reset-requests", HeaderValue::from_static("2s"));
        headers.insert("x-ratelimit-reset-tokens", HeaderValue::from_static("6m0s"));
        assert_eq!(reset_after(&headers, "", wall()), Some(Duration::from_mins(6)));
    }

    #[test]
    fn an_invalid_retry_after_leaves_the_word_to_the_others() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("soon"));
        assert_eq!(
            reset_after(&headers, "try again in 3s", wall()),
            Some(Duration::from_secs(3))
        );
    }

    /// Claude's subscriptions state when their window ends with every answer.
    #[test]
    fn f15_the_reset_of_a_window_that_has_room_delays_nobody() {
        let in_hours = (NOW + 18_000).to_string();
        let in_minutes = (NOW + 600).to_string();
        for (status, five_hours, expected) in [
            ("allowed", "allowed", None),
            ("allowed_warning", "allowed_warning", None),
            ("rejected", "rejected", Some(Duration::from_mins(10))),
        ] {
            let mut headers = HeaderMap::new();
            for (name, text) in [
                ("anthropic-ratelimit-unified-status", status),
                ("anthropic-ratelimit-unified-reset", &in_minutes),
                ("anthropic-ratelimit-unified-5h-status", five_hours),
                ("anthropic-ratelimit-unified-5h-reset", &in_minutes),
                ("anthropic-ratelimit-unified-7d-status", "allowed"),
                ("anthropic-ratelimit-unified-7d-reset", &in_hours),
            ] {
                headers.insert(name, HeaderValue::from_str(text).unwrap());
            }
            assert_eq!(reset_after(&headers, "Overloaded", wall()), expected, "{status}");
        }
    }

    #[test]
    fn only_the_dimension_that_is_used_up_counts() {
        let mut headers = HeaderMap::new();
        for (name, text) in [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "2s"),
            ("x-ratelimit-remaining-tokens", "90000"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ] {
            headers.insert(name, HeaderValue::from_static(text));
        }
        assert_eq!(reset_after(&headers, "", wall()), Some(Duration::from_secs(2)));
    }

    proptest! {
        #[test]
        fn every_header_has_an_answer_within_a_day(
            name in prop::sample::select(vec!["retry-after", "retry-after-ms", "x-ratelimit-reset", "anthropic-ratelimit-unified-reset"]),
            text in "[0-9a-z:.+ -]{0,80}",
        ) {
            let stated = by_header(name, &text);
            prop_assert!(stated.is_none_or(|span| span > Duration::ZERO && span <= LONGEST));
        }

        #[test]
        fn every_body_has_an_answer_within_a_day(text in ".*", phrase in prop::sample::select(BEFORE_SPAN.to_vec()), tail in ".*") {
            let stated = by_body(&format!("{text}{phrase} {tail}"));
            prop_assert!(stated.is_none_or(|span| span > Duration::ZERO && span <= LONGEST));
        }

        #[test]
        fn seconds_are_taken_as_they_are(seconds in 1_u64..86_400) {
            prop_assert_eq!(by_header("retry-after", &seconds.to_string()), Some(Duration::from_secs(seconds)));
        }

        #[test]
        fn milliseconds_are_never_read_as_seconds(millis in 1_u64..86_400_000) {
            prop_assert_eq!(by_header("retry-after-ms", &millis.to_string()), Some(Duration::from_millis(millis)));
        }
    }
}
