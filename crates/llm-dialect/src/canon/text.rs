//! A string in the spelling that it has on the wire.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

use crate::scan;

/// A JSON string without its quotes, still escaped as its sender spelled it.
///
/// Text makes up nearly all of a conversation, and every dialect carries it as a JSON string. Kept in its spelling it is
/// copied, never decoded and encoded again; two spellings can be joined, since an escape never reaches over an end.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct JsonStr<'a>(Cow<'a, str>);

impl<'a> JsonStr<'a> {
    /// The empty text.
    pub const EMPTY: JsonStr<'static> = JsonStr(Cow::Borrowed(""));

    /// A plain text, escaped where it must be.
    pub fn of(plain: &'a str) -> Self {
        if scan::is_plain(plain) {
            return Self(Cow::Borrowed(plain));
        }
        let quoted = serde_json::to_string(plain).unwrap_or_default();
        let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        Self(Cow::Owned(inside.to_owned()))
    }

    /// The string that a raw JSON value is; nothing if it is another kind of value.
    pub fn from_raw(raw: &'a str) -> Option<Self> {
        let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
        Some(Self(Cow::Borrowed(inside)))
    }

    /// A text whose spelling is known to be that of a JSON string without its quotes.
    pub fn spelled_so(spelling: impl Into<Cow<'a, str>>) -> Self {
        Self(spelling.into())
    }

    /// Its spelling, without quotes.
    pub fn spelling(&self) -> &str {
        &self.0
    }

    /// The text itself. Lone surrogates, which JSON can spell and text cannot hold, become U+FFFD.
    pub fn read(&self) -> Cow<'_, str> {
        if !self.0.contains('\\') {
            return Cow::Borrowed(&self.0);
        }
        let quoted = format!("\"{}\"", self.0);
        serde_json::from_str(&quoted)
            .map_or_else(|_| Cow::Owned(without_lone_surrogates(&quoted)), Cow::Owned)
    }

    /// Whether it has no character.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has no character but white space.
    pub fn is_blank(&self) -> bool {
        match self.0.trim_start().as_bytes().first() {
            None => true,
            Some(b'\\') => self.read().trim().is_empty(),
            Some(_) => false,
        }
    }

    /// Whether it can be decoded: it spells no lone surrogate.
    pub fn is_sound(&self) -> bool {
        let mut rest = &*self.0;
        // Nearly no text has such an escape; only then is it decoded.
        while let Some(at) = memmem::find(rest.as_bytes(), b"\\u") {
            let tail = rest.get(at + 2..).unwrap_or_default();
            if tail.starts_with(['d', 'D']) {
                return serde_json::from_str::<String>(&format!("\"{}\"", self.0)).is_ok();
            }
            rest = tail;
        }
        true
    }

    /// Adds another text at the end.
    pub fn push(&mut self, more: &JsonStr<'_>) {
        if !more.is_empty() {
            self.0.to_mut().push_str(&more.0);
        }
    }

    /// Texts in order, with a plain `separator` between them.
    pub fn joined<'b>(texts: impl IntoIterator<Item = &'b JsonStr<'b>>, separator: &str) -> JsonStr<'static> {
        let separator = JsonStr::of(separator);
        let mut all = String::new();
        for (at, text) in texts.into_iter().enumerate() {
            if at > 0 {
                all.push_str(&separator.0);
            }
            all.push_str(&text.0);
        }
        JsonStr(Cow::Owned(all))
    }

    /// The same text, independent of what it was borrowed from.
    pub fn into_owned(self) -> JsonStr<'static> {
        JsonStr(Cow::Owned(self.0.into_owned()))
    }

    /// The same text, borrowed.
    pub fn borrowed(&self) -> JsonStr<'_> {
        JsonStr(Cow::Borrowed(&self.0))
    }
}

/// Decodes a quoted string that spells lone surrogates.
fn without_lone_surrogates(quoted: &str) -> String {
    let bytes = serde_json::from_str::<SurrogateBytes>(quoted).unwrap_or_default();
    String::from_utf8_lossy(&bytes.0).into_owned()
}

/// A string as bytes: `serde_json` then encodes lone surrogates as it can instead of refusing them.
#[derive(Default)]
struct SurrogateBytes(Vec<u8>);

impl<'de> Deserialize<'de> for SurrogateBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = SurrogateBytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<SurrogateBytes, E> {
                Ok(SurrogateBytes(bytes.to_vec()))
            }
        }
        from.deserialize_bytes(Visitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonStr<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(from)?;
        JsonStr::from_raw(raw.get()).ok_or_else(|| D::Error::custom("must be a string"))
    }
}

impl fmt::Debug for JsonStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_spelling_is_kept_as_it_is() {
        let text: JsonStr<'_> = serde_json::from_str(r#""a\u003c\n\/""#).unwrap();
        assert_eq!(text.spelling(), r"a\u003c\n\/");
        assert_eq!(text.read(), "a<\n/");
        assert!(
            serde_json::from_str::<JsonStr<'_>>("5").is_err(),
            "only a string is one"
        );
    }

    #[test]
    fn blank_is_what_has_nothing_to_show() {
        for (text, blank) in [
            ("", true),
            (" ", true),
            (r"\n\t ", true),
            (r"\na", false),
            ("a", false),
        ] {
            assert_eq!(JsonStr::spelled_so(text).is_blank(), blank, "{text}");
        }
    }

    #[test]
    fn a_lone_surrogate_is_found_and_read_all_the_same() {
        for (text, sound) in [
            (r"\ud83d\ude00", true),
            (r"\ud83d", false),
            (r"\\ud83d", true),
            (r"\u00e9", true),
        ] {
            assert_eq!(JsonStr::spelled_so(text).is_sound(), sound, "{text}");
        }
        let broken = JsonStr::spelled_so(r"a\ud83d\n");
        let read = broken.read();
        assert!(read.starts_with('a') && read.ends_with('\n'), "{read}");
    }

    proptest! {
        #[test]
        fn what_is_spelled_is_read_back(one in ".{0,20}", two in ".{0,20}") {
            let (first, second) = (JsonStr::of(&one), JsonStr::of(&two));
            prop_assert_eq!(&first.read(), &one);
            let joined = JsonStr::joined([&first, &second], "\n");
            prop_assert_eq!(joined.read(), format!("{one}\n{two}"));
            prop_assert!(joined.is_sound());
            prop_assert_eq!(first.is_blank(), one.trim().is_empty());
        }
    }
}
