//! A strict JSON scanner: it says whether bytes are one JSON text (RFC 8259) and where values lie.
//!
//! It builds nothing and does not recurse. Prompts make up nearly all of a body, so strings are passed
//! over 32 bytes at a time, in a form that the compiler turns into vector instructions. The same look finds the
//! first byte that is not ASCII; only then is UTF-8 checked, once, over the whole input.
//!
//! It accepts what `serde_json` accepts when that ignores the value, but for two things: text that is not
//! UTF-8 is refused even inside ignored strings, and nesting is bounded. Numbers of any size and escapes
//! of lone surrogates are grammatical, so they pass.

mod error;
mod items;
mod plain;
mod rest;
mod string;
mod walk;

pub use error::ScanError;
pub(crate) use items::{items, tokens};
pub(crate) use rest::Rest;
pub(crate) use string::{escape, inside, is_plain, sound};
use walk::{Scan, Step, Stopped};

/// The deepest nesting that can be asked for: one bit a level is kept in a `u128`.
pub const DEEPEST: usize = 128;

/// The most members that [`object`] lists, so that a hostile body cannot multiply its size in memory.
pub const MOST_MEMBERS: usize = 4096;

/// How many bytes of a JSON string can spell one byte of its text: `\u0041`. A key that is too long even so
/// is not worth decoding.
const LONGEST_ESCAPE: usize = 6;

/// A half-open range of byte offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset just after the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes it covers; empty when it does not lie within `bytes`.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }
}

/// One member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key as written, with its quotes.
    pub key: Span,
    /// The value, without space around it.
    pub value: Span,
    /// Whether the key is spelled with escapes.
    pub escaped: bool,
}

impl Member {
    /// Whether the key, its escapes decoded, is `name`. An escape can spell any letter, so a comparison
    /// of raw bytes would miss `"\u006dodel"`, which a backend reads as `model`.
    #[inline]
    pub fn is_named(&self, bytes: &[u8], name: &str) -> bool {
        if self.escaped {
            return self.spells(bytes, name);
        }
        // Nearly every key that is another one has another length.
        self.key.end.wrapping_sub(self.key.start) == name.len() + 2
            && bytes.get(self.key.start + 1..self.key.end - 1) == Some(name.as_bytes())
    }

    fn spells(&self, bytes: &[u8], name: &str) -> bool {
        let quoted = self.key.of(bytes);
        // What cannot fit is not decoded.
        quoted.len() <= 2 + LONGEST_ESCAPE * name.len()
            && serde_json::from_slice::<String>(quoted).is_ok_and(|key| key == name)
    }
}

/// The layout of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its members, in their order.
    pub members: Vec<Member>,
    /// Offset of its closing brace.
    pub close: usize,
}

impl Object {
    /// The value named `name`; of several the last, which is the one that most parsers take. `bytes` are those that
    /// were read.
    pub fn value(&self, bytes: &[u8], name: &str) -> Option<Span> {
        let mut backwards = self.members.iter().rev();
        backwards
            .find(|member| member.is_named(bytes, name))
            .map(|member| member.value)
    }
}

/// The span of the single JSON value in `bytes`, without the space around it. `max_depth` counts arrays and
/// objects within one another (a scalar has depth 0) and is at most [`DEEPEST`].
pub fn document(bytes: &[u8], max_depth: usize) -> Result<Span, ScanError> {
    read(bytes, max_depth, |scan, rest| {
        let behind = scan.value(rest)?;
        Ok((behind, scan.span(rest, behind)))
    })
}

/// The layout of the single JSON object in `bytes`, found in one pass. `None` is any other JSON value.
pub fn object(bytes: &[u8], max_depth: usize) -> Result<Option<Object>, ScanError> {
    read(bytes, max_depth, |scan, rest| {
        if rest.peek() == Some(b'{') {
            let (behind, object) = scan.object(rest)?;
            return Ok((behind, Some(object)));
        }
        Ok((scan.value(rest)?, None))
    })
}

/// Shows each member of the single JSON object in `bytes` in its turn, and says how many there are: what [`object`]
/// does, for who keeps only a few of them. `None` is any other JSON value. Bytes that are refused may have had members.
pub(crate) fn members(
    bytes: &[u8],
    max_depth: usize,
    each: impl FnMut(Member),
) -> Result<Option<usize>, ScanError> {
    read(bytes, max_depth, |scan, rest| {
        if rest.peek() == Some(b'{') {
            let (behind, count) = scan.members(rest, each)?;
            return Ok((behind, Some(count)));
        }
        Ok((scan.value(rest)?, None))
    })
}

/// The layout of an object that has been scanned before, as a part of something that is sound: what a look costs then is
/// its length in quotes, not in bytes. None of any other value.
pub(crate) fn known_object(bytes: &[u8]) -> Option<Object> {
    let mut rest = Rest(bytes);
    rest.space();
    let is_object = rest.peek() == Some(b'{');
    let (_, object) = is_object.then(|| Scan::of_sound(bytes).object(rest).ok())??;
    Some(object)
}

/// Reads the one value of `bytes` by `look`, which is given what begins with it and answers with what follows it.
fn read<'a, T>(
    bytes: &'a [u8],
    max_depth: usize,
    look: impl FnOnce(&mut Scan<'a>, Rest<'a>) -> Step<(Rest<'a>, T)>,
) -> Result<T, ScanError> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(ScanError::Bom);
    }
    let mut scan = Scan::new(bytes, max_depth);
    let mut rest = Rest(bytes);
    rest.space();
    let found = look(&mut scan, rest).and_then(|(behind, found)| scan.finish(behind).map(|()| found));
    found.map_err(|Stopped| scan.why())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde_json::value::RawValue;

    use super::{DEEPEST, MOST_MEMBERS, ScanError, document, known_object, object};

    fn serde_accepts(bytes: &[u8]) -> bool {
        std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
    }

    #[test]
    fn each_rule_of_the_grammar_is_kept() {
        for (text, valid) in [
            ("null", true),
            (" \t\r\n true \n", true),
            ("\u{a0}1", false),
            ("nul", false),
            ("nulll", false),
            ("", false),
            ("  ", false),
            ("{}", true),
            ("{ }", true),
            ("[ ]", true),
            ("[1,]", false),
            ("[,1]", false),
            ("[1 2]", false),
            ("[1}", false),
            ("{\"a\":1]", false),
            ("{\"a\":1,}", false),
            ("{\"a\" 1}", false),
            ("{\"a\":}", false),
            ("{a:1}", false),
            ("{1:1}", false),
            ("{\"a\":[{\"b\":[]},{}],\"c\":\"d\"}", true),
            ("{} {}", false),
            ("]", false),
            ("[", false),
            ("[[]", false),
            ("0", true),
            ("-0", true),
            ("-", false),
            ("01", false),
            ("+1", false),
            ("1.", false),
            (".5", false),
            ("1.5e+3", true),
            ("1e", false),
            ("1e400", true),
            ("123456789012345678901234567890.10", true),
            ("0x1", false),
            ("NaN", false),
            ("\"\\u00e9\\n\\/\"", true),
            ("\"\\ud800\"", true),
            ("\"\\u12g4\"", false),
            ("\"\\u12\"", false),
            ("\"\\x41\"", false),
            ("\"a\nb\"", false),
            ("\"a\tb\"", false),
            ("\"\u{7f}\u{2028}\"", true),
            ("\"open", false),
            ("\"open\\", false),
            ("'a'", false),
            ("/**/1", false),
        ] {
            assert_eq!(document(text.as_bytes(), DEEPEST).is_ok(), valid, "{text:?}");
            assert_eq!(serde_accepts(text.as_bytes()), valid, "serde_json on {text:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_wherever_they_stand() {
        assert_eq!(document(b"\"a\xFFb\"", 1), Err(ScanError::NotUtf8 { at: 2 }));
        assert_eq!(
            document(b"\"\xED\xA0\x80\"", 1),
            Err(ScanError::NotUtf8 { at: 1 })
        );
        for broken_before in [&b"{,\"\xFF\"}"[..], b"[[\xFF", b"\xC3", b"1 \"\xC3\xA9\xC3\""] {
            let found = document(broken_before, 1);
            assert!(
                matches!(found, Err(ScanError::NotUtf8 { .. })),
                "told before all else: {found:?}"
            );
        }
        assert_eq!(document(b"\xEF\xBB\xBF{}", 1), Err(ScanError::Bom));
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(document(&nested(128), 128).is_ok());
        assert_eq!(document(&nested(129), 128), Err(ScanError::TooDeep { max: 128 }));
        assert_eq!(document(&nested(2), 1), Err(ScanError::TooDeep { max: 1 }));
        assert_eq!(
            document(&nested(100_000), usize::MAX),
            Err(ScanError::TooDeep { max: DEEPEST })
        );
        assert_eq!(
            document(&vec![b'['; 1 << 20], 128),
            Err(ScanError::TooDeep { max: 128 })
        );
        assert!(document(b"7", 0).is_ok());
    }

    #[test]
    fn an_error_says_in_one_sentence_what_is_wrong_and_where() {
        let error = document(b"{\"a\":1 \"b\":2}", 9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "The JSON is not valid at byte 7: a comma or a closing brace should stand here."
        );
    }

    #[test]
    fn the_span_leaves_out_the_space_around() {
        let span = document(b"  [1, 2]\n", 9).unwrap();
        assert_eq!((span.start, span.end), (2, 8));
    }

    #[test]
    fn a_known_object_is_laid_out_as_one_that_is_read_for_the_first_time() {
        let long = "x\\n\\\"".repeat(40);
        for text in [
            r#"{"role":"user","content":"a \"quoted\" word"}"#,
            r#" { "r\u006fle" : "user" , "a key of more than thirty-two plain bytes" : [1,{"b":"c\\"}] } "#,
            r#"{"a key of more than thirty-two bytes with an \u0065scape":1}"#,
            &format!(r#"{{"content":"{long}","role":"{long}"}}"#),
            "{}",
        ] {
            let read = object(text.as_bytes(), DEEPEST).expect("sound");
            assert_eq!(known_object(text.as_bytes()), read, "{text}");
        }
        for text in ["[]", "7", "\"{}\"", "", "{", "{\"a\""] {
            assert_eq!(known_object(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn an_object_is_laid_out_with_its_members() {
        let text = br#" { "a" : [1, {"x":2}] ,"b":"}" } "#;
        let found = object(text, 9).unwrap().unwrap();
        let members: Vec<_> = found
            .members
            .iter()
            .map(|m| (m.key.of(text), m.value.of(text)))
            .collect();
        assert_eq!(
            members,
            [(&b"\"a\""[..], &br#"[1, {"x":2}]"#[..]), (b"\"b\"", b"\"}\"")]
        );
        assert_eq!(text[found.close], b'}');
        assert_eq!(found.close, text.len() - 2);
        assert_eq!(object(b"[]", 9), Ok(None));
        assert!(object(b"[] x", 9).is_err());
        assert!(object(b"{} x", 9).is_err());
    }

    #[test]
    fn a_key_is_compared_after_its_escapes() {
        let text = br#"{"\u006dodel":1,"mode":2,"":3,"\ud800":4}"#;
        let members = object(text, 9).unwrap().unwrap().members;
        assert!(members[0].is_named(text, "model"));
        let spelled = br#"{"\u006d\u006f\u0064\u0065\u006c":1,"\ud83d\ude00":2,"\u006d\u006f\u0064\u0065\u006c\u006c":3}"#;
        let all = object(spelled, 9).unwrap().unwrap().members;
        assert!(all[0].is_named(spelled, "model"), "every letter escaped");
        assert!(all[1].is_named(spelled, "\u{1f600}"));
        assert!(!all[2].is_named(spelled, "model"));
        assert!(!members[1].is_named(text, "model"));
        assert!(members[2].is_named(text, ""));
        assert!(!members[3].is_named(text, "\u{fffd}"));
    }

    #[test]
    fn an_object_of_too_many_members_is_refused() {
        let with = |count: usize| format!("{{{}}}", vec!["\"\":0"; count].join(","));
        assert!(object(with(MOST_MEMBERS).as_bytes(), 1).is_ok());
        assert_eq!(
            object(with(MOST_MEMBERS + 1).as_bytes(), 1),
            Err(ScanError::TooManyMembers)
        );
    }

    /// JSON texts, some of them spoilt: pieces of the grammar in any order, and valid texts with bytes changed.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        const PIECES: &[&str] = &[
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\u00e9",
            "\\ud800",
            "\"k\":",
            "\"text\"",
            "0",
            "-1.5e3",
            "1e",
            "true",
            "null",
            "fals",
            " ",
            "\n",
            "é",
            "\u{1}",
            "\u{feff}",
            "01",
            "a plain run of more than 32 bytes",
        ];
        let soup =
            prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|p| p.concat().into_bytes());
        let spoilt = (
            valid(),
            prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        );
        let spoilt = spoilt.prop_map(|(mut text, changes)| {
            for (place, byte) in changes {
                let at = place.index(text.len());
                text[at] = byte;
            }
            text
        });
        prop_oneof![soup, spoilt]
    }

    fn valid() -> impl Strategy<Value = Vec<u8>> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            any::<f64>().prop_map(|n| serde_json::json!(n).to_string()),
            any::<String>().prop_map(|s| serde_json::json!(s).to_string()),
            "[ -~]{0,90}".prop_map(|s| serde_json::json!(s).to_string()),
        ];
        let value = scalar.prop_recursive(6, 40, 5, |inner| {
            let array =
                prop::collection::vec(inner.clone(), 0..5).prop_map(|v| format!("[{}]", v.join(" , ")));
            let member = (".{0,40}", inner).prop_map(|(k, v)| format!("{}:{v}", serde_json::json!(k)));
            let object = prop::collection::vec(member, 0..5).prop_map(|m| format!("{{\n{}}}", m.join(",")));
            prop_oneof![array, object]
        });
        value.prop_map(String::into_bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn it_accepts_what_serde_json_accepts(text in texts()) {
            prop_assert_eq!(document(&text, DEEPEST).is_ok(), serde_accepts(&text));
            prop_assert_eq!(object(&text, DEEPEST).is_ok(), serde_accepts(&text));
        }

        #[test]
        fn it_finds_the_members_that_serde_json_finds(text in valid()) {
            let Ok(expected) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(&text) else {
                return Ok(());
            };
            let found = object(&text, DEEPEST).unwrap().unwrap();
            for (key, value) in expected {
                let span = found.value(&text, &key).unwrap();
                prop_assert_eq!(span.of(&text), value.get().as_bytes());
            }
            prop_assert_eq!(text[found.close], b'}');
            prop_assert_eq!(known_object(&text), Some(found));
        }

        #[test]
        fn no_bytes_at_all_upset_it(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(document(&bytes, DEEPEST).is_ok(), serde_accepts(&bytes));
        }

        #[test]
        fn a_text_cut_short_is_never_whole(text in valid(), cut in any::<prop::sample::Index>()) {
            let cut = &text[..cut.index(text.len())];
            prop_assert_eq!(document(cut, DEEPEST).is_ok(), serde_accepts(cut));
        }
    }
}
