//! Chunks of Chat Completions, and of the legacy text completions, which end and fail alike.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::reading::{Notes, Word};
use crate::alike::Alike;
use crate::fault;
use crate::lenient::{Filled, Substance};
use crate::scan;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    x_groq: Option<Groq<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    delta: Substance,
    message: Substance,
    text: Filled,
    finish_reason: Filled,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

pub(crate) fn read(data: &[u8], notes: &mut Notes) -> Word {
    if data.trim_ascii() == b"[DONE]" {
        return Word::Terminal;
    }
    let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
        return fault::in_answer(data).map_or(Word::Opaque, Word::Fault);
    };
    if (chunk.error.is_some() || chunk.choices.is_none())
        && let Some(error) = fault::in_answer(data)
    {
        return Word::Fault(error);
    }
    let counted = chunk.count(notes);
    match chunk.choices.as_deref() {
        // A known frame without choices: Azure's first chunk, with its filter results.
        Some([]) if counted => Word::UsageOnly,
        Some([]) => Word::Lifecycle,
        None => Word::Content,
        Some(choices) => judge(choices, notes),
    }
}

impl Chunk<'_> {
    /// Takes note of the usage: at the top, or where Groq or Moonshot put it.
    fn count(&self, notes: &mut Notes) -> bool {
        let choices = self.choices.as_deref().unwrap_or_default();
        for choice in choices {
            notes.usage(choice.usage);
        }
        notes.usage(self.x_groq.as_ref().and_then(|groq| groq.usage));
        notes.usage(self.usage)
    }
}

fn judge(choices: &[Choice<'_>], notes: &mut Notes) -> Word {
    let finished = choices.iter().any(|choice| choice.finish_reason.0);
    notes.finished |= finished;
    let speaks = |choice: &Choice<'_>| choice.delta.0 || choice.message.0 || choice.text.0;
    // A reason to finish commits even without a word: an empty answer is a lawful one.
    if finished || choices.iter().any(speaks) {
        Word::Content
    } else {
        Word::Lifecycle
    }
}

/// Searches for the keys that matter, prepared once: to prepare one takes longer than to use it.
struct Keys {
    finish_reason: Finder<'static>,
    usage: Finder<'static>,
    error: Finder<'static>,
    /// What is said, and what is put beside it to hide its length.
    words: [Finder<'static>; 4],
    obfuscation: Finder<'static>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    finish_reason: Finder::new(b"\"finish_reason\""),
    usage: Finder::new(b"\"usage\""),
    error: Finder::new(b"\"error\""),
    words: [
        Finder::new(b"\"content\""),
        Finder::new(b"\"reasoning_content\""),
        Finder::new(b"\"reasoning\""),
        Finder::new(b"\"arguments\""),
    ],
    obfuscation: Finder::new(b"\"obfuscation\""),
});

/// Whether a chunk neither ends, nor fails, nor counts. One that differs from a dull one in its words alone is dull.
pub(crate) fn is_dull(data: &[u8], alike: &mut Alike<()>) -> bool {
    if alike.words(data).is_some() {
        return true;
    }
    let keys = &*KEYS;
    let dull = data.first() == Some(&b'{')
        && !may_hold(data, &keys.finish_reason)
        && !may_hold(data, &keys.usage)
        && keys.error.find(data).is_none();
    if dull {
        keep(data, alike, keys);
    }
    dull
}

/// What makes a chunk dull are its keys and what is no text: other words leave it so.
fn keep(data: &[u8], alike: &mut Alike<()>, keys: &Keys) {
    let words = keys.words.iter().find_map(|key| text(data, key));
    if let Some([b'"', words @ .., b'"']) = words {
        alike.keep((), data, words, &[text(data, &keys.obfuscation)]);
    }
}

/// The text that some object in `data` has as its member `key`, with its quotes; nothing if it is empty.
fn text<'d>(data: &'d [u8], key: &Finder<'_>) -> Option<&'d [u8]> {
    let rest = data.get(key.find(data)? + key.needle().len()..)?;
    let value = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let length = scan::inside(value.strip_prefix(b"\"")?)?;
    value.get(..length + 2).filter(|_| length > 0)
}

/// Whether some object in `data` may have the member `key` with a value other than null.
///
/// Inside a JSON string every quote is escaped, so a text that speaks of `"usage"` is written `\"usage\"`
/// and does not hold the bytes of the key. What a search for bytes can still get wrong is on the safe side:
/// the event is then parsed.
fn may_hold(data: &[u8], key: &Finder<'_>) -> bool {
    let mut rest = data;
    while let Some(at) = key.find(rest) {
        rest = rest.get(at + key.needle().len()..).unwrap_or_default();
        let value = rest.trim_ascii_start().strip_prefix(b":");
        if value.is_some_and(|value| !value.trim_ascii_start().starts_with(b"null")) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(data: &str) -> Word {
        read(data.as_bytes(), &mut Notes::default())
    }

    #[test]
    fn the_commit_point_is_the_first_thing_said() {
        #[rustfmt::skip]
        let table = [
            ("role only", r#"{"choices":[{"delta":{"role":"assistant","content":"","refusal":null}}]}"#, Word::Lifecycle),
            ("role and null", r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#, Word::Lifecycle),
            ("Mistral's numbered empty delta", r#"{"choices":[{"delta":{"index":0,"content":""}}]}"#, Word::Lifecycle),
            ("no delta", r#"{"choices":[{"index":0,"delta":null,"finish_reason":null}]}"#, Word::Lifecycle),
            ("Azure's first", r#"{"choices":[],"prompt_filter_results":[{"a":"b"}]}"#, Word::Lifecycle),
            ("text", r#"{"choices":[{"delta":{"content":"a"}}]}"#, Word::Content),
            ("text parts", r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"}]}}]}"#, Word::Content),
            ("reasoning", r#"{"choices":[{"delta":{"content":"","reasoning":"a"}}]}"#, Word::Content),
            ("reasoning_content", r#"{"choices":[{"delta":{"reasoning_content":"a"}}]}"#, Word::Content),
            ("a tool call", r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c"}]}}]}"#, Word::Content),
            ("no tool call", r#"{"choices":[{"delta":{"tool_calls":[]}}]}"#, Word::Lifecycle),
            ("a refusal", r#"{"choices":[{"delta":{"refusal":"no"}}]}"#, Word::Content),
            ("an empty answer", r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"completion_tokens":0}}"#, Word::Content),
            ("an empty reason", r#"{"choices":[{"delta":{},"finish_reason":""}]}"#, Word::Lifecycle),
            ("the second choice", r#"{"choices":[{"delta":{}},{"delta":{"content":"a"}}]}"#, Word::Content),
            ("completions", r#"{"choices":[{"text":"a"}]}"#, Word::Content),
            ("completions, empty", r#"{"choices":[{"text":"","finish_reason":null}]}"#, Word::Lifecycle),
            ("usage only", r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, Word::UsageOnly),
            ("an unknown object", r#"{"object":"something.new"}"#, Word::Content),
            ("no JSON", "hello", Word::Opaque),
            ("done", "[DONE]", Word::Terminal),
            ("done, with spaces", " [DONE] ", Word::Terminal),
            ("a null error", r#"{"error":null,"choices":[{"delta":{"content":"a"}}]}"#, Word::Content),
        ];
        for (case, data, expected) in table {
            assert_eq!(word(data), expected, "{case}");
        }
    }

    #[test]
    fn an_error_in_a_chunk_is_an_error() {
        for data in [
            r#"{"error":{"code":400,"message":"m"}}"#,
            r#"{"error":{"code":400,"message":"m"},"choices":[{"delta":{"content":"a"},"finish_reason":"error"}]}"#,
            r#"{"object":"error","message":"m","code":400}"#,
            r#"{"error":{"code":400,"message":"m"},"choices":5}"#,
        ] {
            let Word::Fault(error) = word(data) else {
                panic!("{data}")
            };
            assert_eq!((error.status, error.message.as_str()), (Some(400), "m"), "{data}");
        }
    }

    #[test]
    fn only_bytes_that_can_matter_are_parsed() {
        // Whether it is judged first or after one that is like it.
        let mut alike = Alike::default();
        is_dull(
            br#"{"choices":[{"delta":{"content":"b"},"finish_reason":null}],"usage":null}"#,
            &mut alike,
        );
        for (data, dull) in [
            (
                r#"{"choices":[{"delta":{"content":"usage"},"finish_reason":null}],"usage":null}"#,
                true,
            ),
            (
                r#"{"choices":[{"delta":{"content":"b"},"finish_reason":null}],"usage":7}"#,
                false,
            ),
            (
                r#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#,
                true,
            ),
            (
                r#"{"choices":[{"delta":{"content":"a \"usage\": 3, \"error\": {}"}}]}"#,
                true,
            ),
            (
                r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#,
                false,
            ),
            (r#"{"usage" : {"prompt_tokens":1}}"#, false),
            (r#"{"x_groq":{"usage":{}},"usage":null}"#, false),
            (r#"{"error":{"message":"m"}}"#, false),
            ("[DONE]", false),
        ] {
            assert_eq!(is_dull(data.as_bytes(), &mut Alike::default()), dull, "{data}");
            assert_eq!(is_dull(data.as_bytes(), &mut alike), dull, "{data}");
        }
    }
}
