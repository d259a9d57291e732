//! Halves of surrogate pairs: JSON can spell them, but they are no characters, and no other place may receive them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::canon::Refusal;
use crate::canon::reading::HALF_A_PAIR;

/// Refuses a request that spells one, wherever it stands. The body is known to be JSON.
///
/// # Errors
/// It does.
pub(super) fn refuse(body: &str) -> Result<(), Refusal> {
    if !has_half(body) {
        return Ok(());
    }
    Err(Refusal::Invalid {
        param: place(body),
        message: HALF_A_PAIR.to_owned(),
    })
}

/// Whether there is an escape for one half without the other.
fn has_half(body: &str) -> bool {
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        let escape = rest.get(at..).unwrap_or_default();
        let length = match unit(escape) {
            Some(0xD800..=0xDBFF) if !is_low(escape.get(6..)) => return true,
            Some(0xD800..=0xDBFF) => 12,
            Some(0xDC00..=0xDFFF) => return true,
            _ => 2,
        };
        rest = escape.get(length..).unwrap_or_default();
    }
    false
}

fn is_low(text: Option<&str>) -> bool {
    matches!(text.and_then(unit), Some(0xDC00..=0xDFFF))
}

/// The unit that an escape by number stands for.
fn unit(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()
}

/// Where the first one stands: where reading all strings fails.
fn place(body: &str) -> Option<String> {
    let mut from = serde_json::Deserializer::from_str(body);
    let read: Result<Walk, _> = serde_path_to_error::deserialize(&mut from);
    let path = read.err()?.path().to_string();
    Some(path).filter(|path| path != "." && !path.contains('?'))
}

/// Any value, all of whose strings are read.
struct Walk;

impl<'de> Deserialize<'de> for Walk {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Walk)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<String, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pairs_are_characters_and_the_place_of_others_is_named() {
        for (body, expected) in [
            (r#"{"a":"plain \n \u00e9"}"#, None),
            (r#"{"a":"\ud83d\ude00"}"#, None),
            (r#"{"a":"\uD83D\uDE00\\ud83d"}"#, None),
            (r#"{"a":"\ud83d"}"#, Some("a")),
            (r#"{"a":"\ude00"}"#, Some("a")),
            (r#"{"a":"\ud83d\n"}"#, Some("a")),
            (r#"{"a":[1.5,-1,null,true,{"b":"\\\ud83dx"}]}"#, Some("a[4].b")),
            (
                r#"{"messages":[{},{"tool_calls":[{"function":{"arguments":"\ud83d\ud83d"}}]}]}"#,
                Some("messages[1].tool_calls[0].function.arguments"),
            ),
        ] {
            let found = refuse(body).err().map(|refusal| match refusal {
                Refusal::Invalid { param, .. } => param.unwrap_or_default(),
                Refusal::Unsupported { .. } => panic!("invalid, not unsupported"),
            });
            assert_eq!(found.as_deref(), expected, "{body}");
        }
        assert!(refuse(r#"{"\ud83d":1}"#).is_err(), "nor are they in keys");
    }
}
