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
type Names = [&'static str; 3];

static OPENAI_REQUESTS: Names = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
];
static OPENAI_TOKENS: Names = [
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];
static ANTHROPIC_REQUESTS: Names = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
];
static ANTHROPIC_TOKENS: Names = [
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
];

/// How a request's limits stand, as an answer says it: in place of what a backend said of limits of its own.
/// `x-ratelimit-*` is for everybody, and Anthropic's clients get the names that they know beside it.
///
/// Kept as numbers until an answer is written: each header that goes through a map is hashed, and its text allocated.
#[derive(Clone, Copy, Debug)]
pub struct Standings {
    dialect: Dialect,
    requests: Option<Standing>,
    tokens: Option<Standing>,
}

impl Standings {
    /// What bytes these headers are written in, at most, each with its line's ends.
    pub const ROOM: usize = 12 * ("anthropic-ratelimit-requests-remaining: \r\n".len() + LONGEST_SPAN);

    /// Those of a request in that dialect; none of what nobody counts.
    pub(super) fn new(dialect: Dialect, requests: Option<Standing>, tokens: Option<Standing>) -> Self {
        Self {
            dialect,
            requests,
            tokens,
        }
    }

    /// Those of one limit alone.
    pub(super) fn of_one(dialect: Dialect, unit: Unit, standing: Standing) -> Self {
        match unit {
            Unit::Requests => Self::new(dialect, Some(standing), None),
            Unit::Tokens => Self::new(dialect, None, Some(standing)),
        }
    }

    /// Shows each header to `write`: its name and its text.
    pub fn each(&self, mut write: impl FnMut(&'static str, &[u8])) {
        for (standing, openai, anthropic) in self.by_unit() {
            span(standing.reset, |reset| put(openai, standing, reset, &mut write));
            if self.is_for_anthropic() {
                let reset = clock::in_utc(standing.reset);
                put(anthropic, standing, reset.as_bytes(), &mut write);
            }
        }
    }

    /// Whether one of its headers has that name: then no other may.
    pub fn has(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        let may_be = name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-");
        may_be
            && self.by_unit().any(|(_, openai, anthropic)| {
                openai.contains(&name) || (self.is_for_anthropic() && anthropic.contains(&name))
            })
    }

    /// Puts the headers into a map.
    pub(super) fn insert_into(&self, headers: &mut HeaderMap) {
        self.each(insert(headers));
    }

    fn is_for_anthropic(&self) -> bool {
        self.dialect == Dialect::Messages
    }

    /// What it says, with the names for it of both.
    fn by_unit(&self) -> impl Iterator<Item = (Standing, &'static Names, &'static Names)> {
        let units = [
            (self.requests, &OPENAI_REQUESTS, &ANTHROPIC_REQUESTS),
            (self.tokens, &OPENAI_TOKENS, &ANTHROPIC_TOKENS),
        ];
        let known = |(standing, openai, anthropic): (Option<_>, _, _)| Some((standing?, openai, anthropic));
        units.into_iter().filter_map(known)
    }
}

/// Puts each header that it is shown into a map.
pub(super) fn insert(headers: &mut HeaderMap) -> impl FnMut(&'static str, &[u8]) {
    |name, text| {
        if let Ok(value) = HeaderValue::from_bytes(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

fn put(
    [limit, remaining, reset]: &Names,
    standing: Standing,
    when: &[u8],
    write: &mut impl FnMut(&'static str, &[u8]),
) {
    let mut digits = itoa::Buffer::new();
    write(limit, digits.format(standing.limit).as_bytes());
    write(remaining, digits.format(standing.remaining).as_bytes());
    write(reset, when);
}

/// Shows a span of time to `write`, as `OpenAI` writes it.
fn span(time: Duration, write: impl FnOnce(&[u8])) {
    let mut room = [0; LONGEST_SPAN];
    let mut text = Cursor::new(room.as_mut_slice());
    // The room is enough for any.
    if written(time, &mut text).is_ok() {
        let length = usize::try_from(text.position()).unwrap_or_default();
        write(room.get(..length).unwrap_or_default());
    }
}

/// `1h2m3s`, `6m0s`, `1.5s`, `20ms`. Into room that is there: most answers have two of them.
fn written(time: Duration, text: &mut impl Write) -> io::Result<()> {
    let begun = u64::from(time.subsec_nanos().div_ceil(1_000_000));
    let milliseconds = time.as_secs().saturating_mul(1_000).saturating_add(begun);
    if milliseconds < 1_000 {
        // By far the commonest, and `write!` takes several times as long.
        text.write_all(itoa::Buffer::new().format(milliseconds).as_bytes())?;
        return text.write_all(b"ms");
    }
    let (seconds, rest) = (milliseconds / 1_000, milliseconds % 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    match (hours, minutes, seconds % 60, rest) {
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
            let mut written = Vec::new();
            span(Duration::from_millis(milliseconds), |text| {
                written.extend_from_slice(text);
            });
            assert_eq!(written, text.as_bytes(), "{milliseconds} ms");
        }
    }

    const STANDING: Standing = Standing {
        limit: 60,
        remaining: 59,
        reset: Duration::from_secs(1),
    };

    #[test]
    fn l14_each_dialect_reads_the_names_that_it_knows() {
        let mut headers = HeaderMap::new();
        Standings::of_one(Dialect::Chat, Unit::Requests, STANDING).insert_into(&mut headers);
        assert_eq!(headers.len(), 3);
        assert_eq!(headers["x-ratelimit-limit-requests"], "60");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "59");
        assert_eq!(headers["x-ratelimit-reset-requests"], "1s");
        Standings::of_one(Dialect::Messages, Unit::Tokens, STANDING).insert_into(&mut headers);
        assert_eq!(headers["x-ratelimit-remaining-tokens"], "59");
        assert_eq!(headers["anthropic-ratelimit-tokens-remaining"], "59");
        let reset = headers["anthropic-ratelimit-tokens-reset"].to_str().unwrap();
        let at: jiff::Timestamp = reset.parse().unwrap();
        assert!(
            reset.ends_with('Z') && !reset.contains('.'),
            "whole seconds of UTC: {reset}"
        );
        assert!(at > jiff::Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn it_has_the_names_that_it_writes_and_fits_into_its_room() {
        let longest = Standing {
            limit: u64::MAX,
            remaining: u64::MAX,
            reset: Duration::from_millis(u64::MAX),
        };
        for (dialect, count) in [(Dialect::Chat, 6), (Dialect::Messages, 12)] {
            let standings = Standings::new(dialect, Some(longest), Some(longest));
            let (mut names, mut length) = (Vec::new(), 0);
            standings.each(|name, text| {
                names.push(HeaderName::from_static(name));
                length += name.len() + text.len() + ": \r\n".len();
            });
            assert_eq!(names.len(), count);
            assert!(names.iter().all(|name| standings.has(name)));
            assert!(length <= Standings::ROOM, "{length}");
        }
        let requests = Standings::of_one(Dialect::Chat, Unit::Requests, STANDING);
        for other in [
            "x-ratelimit-limit-tokens",
            "anthropic-ratelimit-requests-limit",
            "x-ratelimit-limit-images",
            "content-type",
        ] {
            assert!(!requests.has(&HeaderName::from_static(other)), "{other}");
        }
    }
}
