//! Token counts: what a backend reported, and what it means.
//!
//! `OpenAI` counts inclusively: the prompt holds the cached tokens, the completion holds the reasoning.
//! Anthropic counts the input exclusively: cached and cache-written tokens stand beside it. Inside the
//! proxy there is one arithmetic, `OpenAI`'s: [`Usage::input`] is everything that the model read.

mod plain;

use serde::Deserialize;

use crate::dialect::Dialect;
use crate::lenient::Count;

/// What an answer cost, in tokens; nothing where the backend said nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input, the cached and the cache-written part included.
    pub input: Option<u64>,
    /// All output, reasoning included.
    pub output: Option<u64>,
    /// The part of the input that came from the backend's prompt cache.
    pub cache_read: Option<u64>,
    /// The part of the input that was written to the backend's prompt cache.
    pub cache_write: Option<u64>,
    /// The part of what was written that is kept for an hour instead of minutes, which costs more; none where there is
    /// none, or the backend does not tell.
    pub cache_write_1h: Option<u64>,
    /// The part of the output that was reasoning.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Whether the backend reported nothing at all.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// A `usage` object as it stood on the wire, of whichever dialect. Fields of a wrong type count as absent.
///
/// Reports of one stream are [merged](Self::merge) before they are [summed up](Self::usage): Anthropic
/// spreads them over `message_start` and `message_delta`, and its total is known only from all the parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Reported {
    prompt_tokens: Count,
    completion_tokens: Count,
    input_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    prompt_cache_hit_tokens: Count,
    cache_creation: Option<CacheCreation>,
    prompt_tokens_details: Option<InputDetails>,
    input_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Count,
    ephemeral_1h_input_tokens: Count,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Count,
    thinking_tokens: Count,
}

impl Reported {
    /// Reads a `usage` value; nothing if it is no object.
    pub fn read(json: &[u8]) -> Option<Self> {
        let mut report = Self::default();
        if plain::read(json, &mut report).is_some() {
            return Some(report);
        }
        serde_json::from_slice::<Option<Self>>(json).ok().flatten()
    }

    /// Takes over what a later report of the same answer says.
    ///
    /// A later count replaces an earlier one, but a zero does not: some relays repeat the input counts of
    /// `message_start` as zeros in `message_delta`, and real counts of one answer never fall to nothing.
    pub fn merge(&mut self, later: Self) {
        follow(&mut self.prompt_tokens, later.prompt_tokens);
        follow(&mut self.completion_tokens, later.completion_tokens);
        follow(&mut self.input_tokens, later.input_tokens);
        follow(&mut self.output_tokens, later.output_tokens);
        follow(&mut self.total_tokens, later.total_tokens);
        follow(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        follow(
            &mut self.cache_creation_input_tokens,
            later.cache_creation_input_tokens,
        );
        follow(&mut self.prompt_cache_hit_tokens, later.prompt_cache_hit_tokens);
        match (&mut self.cache_creation, later.cache_creation) {
            (Some(earlier), Some(later)) => earlier.merge(later),
            (earlier, later) => replace(earlier, later),
        }
        replace(&mut self.prompt_tokens_details, later.prompt_tokens_details);
        replace(&mut self.input_tokens_details, later.input_tokens_details);
        replace(
            &mut self.completion_tokens_details,
            later.completion_tokens_details,
        );
        replace(&mut self.output_tokens_details, later.output_tokens_details);
    }

    /// The counts in the proxy's one arithmetic, from a report in the backend's `dialect`.
    pub fn usage(&self, dialect: Dialect) -> Usage {
        let (cache_read, cache_write) = (self.cache_read(), self.cache_write());
        let input = self.input(dialect, cache_read, cache_write);
        Usage {
            input,
            output: self.output(input),
            cache_read,
            cache_write,
            cache_write_1h: self.cache_write_1h(),
            reasoning: self.reasoning(),
        }
    }

    fn cache_read(&self) -> Option<u64> {
        let details = self
            .prompt_tokens_details
            .as_ref()
            .or(self.input_tokens_details.as_ref());
        details
            .and_then(|details| details.cached_tokens.0)
            .or(self.prompt_cache_hit_tokens.0)
            .or(self.cache_read_input_tokens.0)
    }

    fn cache_write(&self) -> Option<u64> {
        let details = self
            .prompt_tokens_details
            .as_ref()
            .or(self.input_tokens_details.as_ref());
        details
            .and_then(|details| details.cache_write_tokens.0)
            .or(self.cache_creation_input_tokens.0)
            .or_else(|| self.cache_creation.as_ref()?.sum())
    }

    fn cache_write_1h(&self) -> Option<u64> {
        let split = self.cache_creation.as_ref()?;
        split.ephemeral_1h_input_tokens.0.filter(|tokens| *tokens > 0)
    }

    /// Anthropic's input excludes the cache. So does that of some `OpenAI`-like hosts, which shows when
    /// more tokens were cached than the prompt is said to have.
    fn input(&self, dialect: Dialect, read: Option<u64>, write: Option<u64>) -> Option<u64> {
        let stated = self.prompt_tokens.0.or(self.input_tokens.0);
        let exclusive = dialect == Dialect::Messages || read > stated;
        if !exclusive {
            return stated;
        }
        let parts = [stated, read, write];
        parts.into_iter().flatten().reduce(u64::saturating_add)
    }

    /// Most hosts count reasoning as output. The few that put it beside (xAI) show it in their total,
    /// which is then the sum of all three.
    fn output(&self, input: Option<u64>) -> Option<u64> {
        let stated = self.completion_tokens.0.or(self.output_tokens.0)?;
        let apart = self.reasoning().filter(|reasoning| {
            let sum = input.and_then(|input| input.checked_add(stated)?.checked_add(*reasoning));
            *reasoning > 0 && sum.is_some() && sum == self.total_tokens.0
        });
        Some(stated.saturating_add(apart.unwrap_or(0)))
    }

    fn reasoning(&self) -> Option<u64> {
        let details = self
            .completion_tokens_details
            .as_ref()
            .or(self.output_tokens_details.as_ref())?;
        details.reasoning_tokens.0.or(details.thinking_tokens.0)
    }
}

impl CacheCreation {
    fn merge(&mut self, later: Self) {
        follow(
            &mut self.ephemeral_5m_input_tokens,
            later.ephemeral_5m_input_tokens,
        );
        follow(
            &mut self.ephemeral_1h_input_tokens,
            later.ephemeral_1h_input_tokens,
        );
    }

    fn sum(&self) -> Option<u64> {
        let parts = [self.ephemeral_5m_input_tokens.0, self.ephemeral_1h_input_tokens.0];
        parts.into_iter().flatten().reduce(u64::saturating_add)
    }
}

fn follow(earlier: &mut Count, later: Count) {
    match (earlier.0, later.0) {
        (Some(_), None | Some(0)) => {}
        _ => *earlier = later,
    }
}

fn replace<T>(earlier: &mut Option<T>, later: Option<T>) {
    if later.is_some() {
        *earlier = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(dialect: Dialect, reports: &[&str]) -> [Option<u64>; 5] {
        let mut merged = Reported::default();
        for report in reports {
            merged.merge(Reported::read(report.as_bytes()).unwrap());
        }
        let usage = merged.usage(dialect);
        [
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            usage.reasoning,
        ]
    }

    #[test]
    fn every_dialect_comes_to_the_same_arithmetic() {
        use Dialect::{Chat, Messages, Responses};
        type Row<'a> = (&'a str, Dialect, &'a [&'a str], [Option<u64>; 5]);
        #[rustfmt::skip]
        let table: [Row<'_>; 12] = [
            ("chat is inclusive", Chat, &[r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":5},"completion_tokens_details":{"reasoning_tokens":8}}"#], [Some(100), Some(20), Some(60), Some(5), Some(8)]),
            ("responses is inclusive", Responses, &[r#"{"input_tokens":100,"output_tokens":20,"input_tokens_details":{"cached_tokens":60},"output_tokens_details":{"reasoning_tokens":8}}"#], [Some(100), Some(20), Some(60), None, Some(8)]),
            ("messages is exclusive", Messages, &[r#"{"input_tokens":10,"output_tokens":20,"cache_read_input_tokens":60,"cache_creation_input_tokens":30,"output_tokens_details":{"thinking_tokens":8}}"#], [Some(100), Some(20), Some(60), Some(30), Some(8)]),
            ("message_delta completes message_start", Messages, &[r#"{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":60,"cache_creation_input_tokens":0}"#, r#"{"output_tokens":20}"#], [Some(70), Some(20), Some(60), Some(0), None]),
            ("zeros of message_delta wipe out nothing", Messages, &[r#"{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":60}"#, r#"{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":20}"#], [Some(70), Some(20), Some(60), None, None]),
            ("message_delta corrects the input", Messages, &[r#"{"input_tokens":0,"output_tokens":0,"cache_creation":null}"#, r#"{"input_tokens":32,"output_tokens":16}"#], [Some(32), Some(16), None, None, None]),
            ("the split of the cache write", Messages, &[r#"{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":3}}"#], [Some(6), None, None, Some(5), None]),
            ("DeepSeek's own name for cached", Chat, &[r#"{"prompt_tokens":496,"completion_tokens":31,"prompt_cache_hit_tokens":384,"prompt_cache_miss_tokens":112}"#], [Some(496), Some(31), Some(384), None, None]),
            ("more cached than prompted is exclusive", Chat, &[r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":60}}"#], [Some(70), Some(1), Some(60), None, None]),
            ("xAI puts reasoning beside the completion", Chat, &[r#"{"prompt_tokens":432,"completion_tokens":68,"total_tokens":636,"completion_tokens_details":{"reasoning_tokens":136}}"#], [Some(432), Some(204), None, None, Some(136)]),
            ("embeddings have no output", Chat, &[r#"{"prompt_tokens":8,"total_tokens":8}"#], [Some(8), None, None, None, None]),
            ("wrong types are absent", Chat, &[r#"{"prompt_tokens":"8","completion_tokens":-1,"total_tokens":null}"#], [None; 5]),
        ];
        for (case, dialect, reports, expected) in table {
            assert_eq!(usage(dialect, reports), expected, "{case}");
        }
    }

    #[test]
    fn what_is_kept_for_an_hour_is_a_part_of_what_was_written() {
        for (report, written, for_an_hour) in [
            (
                r#"{"input_tokens":1,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":3}}"#,
                Some(5),
                Some(3),
            ),
            (
                r#"{"input_tokens":1,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":0}}"#,
                Some(5),
                None,
            ),
            (
                r#"{"input_tokens":1,"cache_creation_input_tokens":5}"#,
                Some(5),
                None,
            ),
        ] {
            let usage = Reported::read(report.as_bytes())
                .unwrap()
                .usage(Dialect::Messages);
            assert_eq!(
                (usage.cache_write, usage.cache_write_1h),
                (written, for_an_hour),
                "{report}"
            );
        }
    }

    #[test]
    fn what_is_no_object_is_no_report() {
        for json in ["null", "3", "[1", "\"x\""] {
            assert!(Reported::read(json.as_bytes()).is_none(), "{json}");
        }
    }

    #[test]
    fn huge_counts_do_not_overflow() {
        let report = r#"{"input_tokens":18446744073709551615,"cache_read_input_tokens":5,"output_tokens":18446744073709551615,"total_tokens":1,"output_tokens_details":{"thinking_tokens":9}}"#;
        let expected = [Some(u64::MAX), Some(u64::MAX), Some(5), None, Some(9)];
        assert_eq!(usage(Dialect::Messages, &[report]), expected);
    }
}
