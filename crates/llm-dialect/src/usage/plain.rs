//! A report of nothing but counts, which nearly every report is, read in a third of the steps that serde takes.
//!
//! At anything else, from a null to a fraction, it gives up, and serde looks: so there is one rule for what is odd.

use super::{CacheCreation, InputDetails, OutputDetails, Reported};
use crate::lenient::Count;
use crate::scan;

/// Reads a report of plain counts; nothing where it is another one.
pub(super) fn read(json: &[u8]) -> Option<Reported> {
    let mut report = Reported::default();
    let mut rest = Rest(json);
    rest.object(|rest, key| member(&mut report, rest, key))?;
    rest.space();
    rest.0.is_empty().then_some(report)
}

fn member(report: &mut Reported, rest: &mut Rest<'_>, key: &[u8]) -> Option<()> {
    let count = match key {
        b"prompt_tokens" => &mut report.prompt_tokens,
        b"completion_tokens" => &mut report.completion_tokens,
        b"input_tokens" => &mut report.input_tokens,
        b"output_tokens" => &mut report.output_tokens,
        b"total_tokens" => &mut report.total_tokens,
        b"cache_read_input_tokens" => &mut report.cache_read_input_tokens,
        b"cache_creation_input_tokens" => &mut report.cache_creation_input_tokens,
        b"prompt_cache_hit_tokens" => &mut report.prompt_cache_hit_tokens,
        b"cache_creation" => return rest.details(&mut report.cache_creation),
        b"prompt_tokens_details" => return rest.details(&mut report.prompt_tokens_details),
        b"input_tokens_details" => return rest.details(&mut report.input_tokens_details),
        b"completion_tokens_details" => return rest.details(&mut report.completion_tokens_details),
        b"output_tokens_details" => return rest.details(&mut report.output_tokens_details),
        _ => return rest.skip(),
    };
    rest.count_into(count)
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

/// What of the report has not been read. Each step is `None` where something else stands there.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// An object, each of its values read by `member`.
    fn object(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            let key = self.key()?;
            member(self, key)?;
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    fn details<T: Details>(&mut self, into: &mut Option<T>) -> Option<()> {
        let mut details = T::default();
        self.object(|rest, key| match details.count(key) {
            Some(count) => rest.count_into(count),
            None => rest.skip(),
        })?;
        // Of two equal keys serde takes none.
        into.replace(details).is_none().then_some(())
    }

    fn count_into(&mut self, count: &mut Count) -> Option<()> {
        let number = self.count()?;
        count.0.replace(number).is_none().then_some(())
    }

    /// A count that nobody asks for.
    fn skip(&mut self) -> Option<()> {
        self.count().map(|_| ())
    }

    fn count(&mut self) -> Option<u64> {
        self.space();
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        let value = |total: u64, digit: &u8| total.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        match digits {
            [] | [b'0', _, ..] => None,
            digits => digits.iter().try_fold(0, value),
        }
    }

    /// A short key without escapes, and its colon.
    fn key(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let (key, rest) = self.0.split_at_checked(scan::short(self.0)?)?;
        self.0 = rest.get(1..)?;
        self.take(b':')?;
        Some(key)
    }

    /// Steps over `byte`, and the space before it.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.space();
        let (first, rest) = self.0.split_first()?;
        (*first == byte).then(|| self.0 = rest)
    }

    fn space(&mut self) {
        while let Some((b' ' | b'\n' | b'\r' | b'\t', rest)) = self.0.split_first() {
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
