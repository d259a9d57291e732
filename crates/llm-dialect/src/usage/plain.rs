//! A report of nothing but counts, which nearly every report is, read in a third of the steps that serde takes.
//!
//! At anything else, from a null to a fraction, it gives up, and serde looks: so there is one rule for what is odd.

use super::{CacheCreation, InputDetails, OutputDetails, Reported};
use crate::lenient::Count;
use crate::scan::Rest;

/// Reads a report of plain counts into an empty one; nothing where it is another one, and what is in there then does
/// not count. It is handed in because it is large.
pub(super) fn read(json: &[u8], report: &mut Reported) -> Option<()> {
    let mut rest = object(Rest(json), |key, rest| member(report, key, rest))?;
    rest.space();
    rest.0.is_empty().then_some(())
}

fn member<'a>(report: &mut Reported, key: &[u8], rest: Rest<'a>) -> Option<Rest<'a>> {
    let mut unread = Count::default();
    let place = match key {
        b"prompt_tokens" => &mut report.prompt_tokens,
        b"completion_tokens" => &mut report.completion_tokens,
        b"input_tokens" => &mut report.input_tokens,
        b"output_tokens" => &mut report.output_tokens,
        b"total_tokens" => &mut report.total_tokens,
        b"cache_read_input_tokens" => &mut report.cache_read_input_tokens,
        b"cache_creation_input_tokens" => &mut report.cache_creation_input_tokens,
        b"prompt_cache_hit_tokens" => &mut report.prompt_cache_hit_tokens,
        b"cache_creation" => return details(&mut report.cache_creation, rest),
        b"prompt_tokens_details" => return details(&mut report.prompt_tokens_details, rest),
        b"input_tokens_details" => return details(&mut report.input_tokens_details, rest),
        b"completion_tokens_details" => return details(&mut report.completion_tokens_details, rest),
        b"output_tokens_details" => return details(&mut report.output_tokens_details, rest),
        _ => &mut unread,
    };
    count(place, rest)
}

/// Counts of one kind, by name.
trait Details: Default {
    fn count(&mut self, key: &[u8]) -> Option<&mut Count>;
}

impl Details for CacheCreation {
    fn count(&mut self, key: &[u8]) -> Option<&mut Count> {
        match key {
            b"ephemeral_5m_input_tokens" => Some(&mut self.ephemeral_5m_input_tokens),
            b"ephemeral_1h_input_tokens" => Some(&mut self.ephemeral_1h_input_tokens),
            _ => None,
        }
    }
}

impl Details for InputDetails {
    fn count(&mut self, key: &[u8]) -> Option<&mut Count> {
        match key {
            b"cached_tokens" => Some(&mut self.cached_tokens),
            b"cache_write_tokens" => Some(&mut self.cache_write_tokens),
            _ => None,
        }
    }
}

impl Details for OutputDetails {
    fn count(&mut self, key: &[u8]) -> Option<&mut Count> {
        match key {
            b"reasoning_tokens" => Some(&mut self.reasoning_tokens),
            b"thinking_tokens" => Some(&mut self.thinking_tokens),
            _ => None,
        }
    }
}

/// Reads the object that stands here, each of its values by `member`. This step answers, like those below, with what
/// follows; with nothing where something else stands here.
fn object<'a>(
    mut rest: Rest<'a>,
    mut member: impl FnMut(&'a [u8], Rest<'a>) -> Option<Rest<'a>>,
) -> Option<Rest<'a>> {
    if !rest.token(b'{') {
        return None;
    }
    if rest.token(b'}') {
        return Some(rest);
    }
    loop {
        let key = key(&mut rest)?;
        rest = member(key, rest)?;
        if !rest.token(b',') {
            return rest.token(b'}').then_some(rest);
        }
    }
}

/// Steps over a short key without escapes, and its colon.
#[inline]
fn key<'a>(rest: &mut Rest<'a>) -> Option<&'a [u8]> {
    let key = rest.token(b'"').then(|| rest.short_string())??;
    rest.token(b':').then_some(key)
}

fn details<'a, T: Details>(place: &mut Option<T>, rest: Rest<'a>) -> Option<Rest<'a>> {
    let mut details = T::default();
    let rest = object(rest, |key, rest| {
        let mut unread = Count::default();
        count(details.count(key).unwrap_or(&mut unread), rest)
    })?;
    // Of two equal keys serde takes none.
    place.replace(details).is_none().then_some(rest)
}

#[inline]
fn count<'a>(place: &mut Count, mut rest: Rest<'a>) -> Option<Rest<'a>> {
    rest.space();
    let add = |total: u64, digit: &u8| total.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let number = match rest.digits() {
        [] | [b'0', _, ..] => return None,
        digits => digits.iter().try_fold(0, add)?,
    };
    place.0.replace(number).is_none().then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &[u8]) -> Option<Reported> {
        let mut report = Reported::default();
        super::read(json, &mut report).map(|()| report)
    }

    fn by_serde(json: &str) -> Option<Reported> {
        serde_json::from_str::<Option<Reported>>(json).ok().flatten()
    }

    const WIDE: &str = r#" { "prompt_tokens" : 273, "completion_tokens":131,
        "total_tokens":404,"prompt_tokens_details":{"cached_tokens":7,"audio_tokens":0},
        "completion_tokens_details":{"reasoning_tokens":5}, "cache_creation":{}, "odd":12 }"#;

    #[test]
    fn plain_counts_are_read_as_serde_reads_them() {
        for json in [
            WIDE,
            "{}",
            r#"{"cache_creation":{"ephemeral_1h_input_tokens":18446744073709551615}}"#,
        ] {
            assert_eq!(read(json.as_bytes()), by_serde(json), "{json}");
            assert!(by_serde(json).is_some(), "{json}");
        }
    }

    #[test]
    fn what_is_odd_is_left_to_serde() {
        for odd in [
            r#"{"input_tokens":null}"#,
            r#"{"input_tokens":1.0}"#,
            r#"{"input_tokens":-1}"#,
            r#"{"input_tokens":"1"}"#,
            r#"{"input_tokens":1,"input_tokens":2}"#,
            r#"{"input_tokens_details":{},"input_tokens_details":{}}"#,
            r#"{"input_tokens":18446744073709551616}"#,
            r#"{"cost":0.01}"#,
            r#"{"\u0069nput_tokens":1}"#,
            "null",
            "[]",
        ] {
            assert_eq!(read(odd.as_bytes()), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn it_never_sees_what_serde_does_not(pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", ":", ",", " ", "\"input_tokens\"", "\"prompt_tokens_details\"", "\"cached_tokens\"", "\"odd\"",
            "0", "1", "23", "-", ".5", "null", "\"input_tokens\":1", "\"odd\":{\"a\":1}",
        ]), 0..14)) {
            let json = format!("{{{}}}", pieces.concat());
            if let Some(report) = read(json.as_bytes()) {
                prop_assert_eq!(Some(report), by_serde(&json), "{}", json);
            }
        }
    }
}
