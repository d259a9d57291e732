//! How a limit stands, in the headers that each dialect's clients read.
//!
//! `OpenAI`'s names and spans: <https://platform.openai.com/docs/guides/rate-limits>. Anthropic's names and times:
//! <https://docs.anthropic.com/en/api/rate-limits>.

use std::io::{self, Cursor, Write};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use llm_dialect::Dialect;

use crate::base::clock;
use crate::limits::{Standing, Unit};

/// What the longest span is shorter than, in bytes: hours have at most 16 digits.
const LONGEST_SPAN: usize = 32;

/// The names of the limit, of what remains, and of the time until all is there again.
type Names = [HeaderName; 3];

static OPENAI_REQUESTS: Names = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
static OPENAI_TOKENS: Names = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
static ANTHROPIC_REQUESTS: Names = [
    HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    HeaderName::from_static("anthropic-ratelimit-requests-reset"),
];
static ANTHROPIC_TOKENS: Names = [
    HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
];

/// Writes how a limit stands, in place of what a backend said of limits of its own. `x-ratelimit-*` is for everybody,
/// and Anthropic's clients get the names that they know beside it.
pub(super) fn write(headers: &mut HeaderMap, dialect: Dialect, unit: Unit, standing: Standing) {
    let (openai, anthropic) = match unit {
        Unit::Requests => (&OPENAI_REQUESTS, &ANTHROPIC_REQUESTS),
        Unit::Tokens => (&OPENAI_TOKENS, &ANTHROPIC_TOKENS),
    };
    put(headers, openai, standing, span(standing.reset));
    if dialect == Dialect::Messages {
        put(
            headers,
            anthropic,
            standing,
            value(&clock::in_utc(standing.reset)),
        );
    }
}

fn put(
    headers: &mut HeaderMap,
    [limit, remaining, reset]: &Names,
    standing: Standing,
    when: Option<HeaderValue>,
) {
    let mut digits = itoa::Buffer::new();
    let limits = value(digits.format(standing.limit));
    let remains = value(digits.format(standing.remaining));
    for (name, value) in [(limit, limits), (remaining, remains), (reset, when)] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

/// A text in just the room that it needs: made of a number or a `String`, a value is allocated twice.
fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

/// A span of time as `OpenAI` writes it.
fn span(time: Duration) -> Option<HeaderValue> {
    if time.is_zero() {
        return Some(HeaderValue::from_static("0ms"));
    }
    let mut room = [0; LONGEST_SPAN];
    let mut text = Cursor::new(room.as_mut_slice());
    written(time, &mut text).ok()?;
    let length = usize::try_from(text.position()).ok()?;
    HeaderValue::from_bytes(room.get(..length)?).ok()
}

/// `1h2m3s`, `6m0s`, `1.5s`, `20ms`. Into room that is there: most answers have two of them.
fn written(time: Duration, text: &mut impl Write) -> io::Result<()> {
    let begun = u64::from(time.subsec_nanos().div_ceil(1_000_000));
    let milliseconds = time.as_secs().saturating_mul(1_000).saturating_add(begun);
    let (seconds, rest) = (milliseconds / 1_000, milliseconds % 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    match (hours, minutes, seconds % 60, rest) {
        // By far the commonest, and `write!` takes several times as long.
        (0, 0, 0, rest) => {
            text.write_all(itoa::Buffer::new().format(rest).as_bytes())?;
            text.write_all(b"ms")
        }
        (0, 0, seconds, 0) => write!(text, "{seconds}s"),
        (0, 0, seconds, rest) => {
            let fraction = format!("{rest:03}");
            write!(text, "{seconds}.{}s", fraction.trim_end_matches('0'))
        }
        (0, minutes, seconds, _) => write!(text, "{minutes}m{seconds}s"),
        (hours, minutes, seconds, _) => write!(text, "{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_openai_writes_them() {
        for (milliseconds, text) in [
            (0, "0ms"),
            (20, "20ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (1_020, "1.02s"),
            (360_000, "6m0s"),
            (3_723_400, "1h2m3s"),
            (u64::MAX, "5124095576030h25m51s"),
        ] {
            assert_eq!(span(Duration::from_millis(milliseconds)).unwrap(), text);
        }
    }

    #[test]
    fn l14_each_dialect_reads_the_names_that_it_knows() {
        let standing = Standing {
            limit: 60,
            remaining: 59,
            reset: Duration::from_secs(1),
        };
        let mut headers = HeaderMap::new();
        write(&mut headers, Dialect::Chat, Unit::Requests, standing);
        assert_eq!(headers.len(), 3);
        assert_eq!(headers["x-ratelimit-limit-requests"], "60");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "59");
        assert_eq!(headers["x-ratelimit-reset-requests"], "1s");
        write(&mut headers, Dialect::Messages, Unit::Tokens, standing);
        assert_eq!(headers["anthropic-ratelimit-tokens-remaining"], "59");
        let reset = headers["anthropic-ratelimit-tokens-reset"].to_str().unwrap();
        let at: jiff::Timestamp = reset.parse().unwrap();
        assert!(
            reset.ends_with('Z') && !reset.contains('.'),
            "whole seconds of UTC: {reset}"
        );
        assert!(at > jiff::Timestamp::UNIX_EPOCH);
    }
}
