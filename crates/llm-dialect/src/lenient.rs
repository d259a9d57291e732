//! Reads single facts out of JSON that may be anything: a field of the wrong type is no fact, not an error.
//!
//! Backends add, drop and retype fields. A pass-through must not stumble over one that it only looks at.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A count of tokens: a whole number that is not negative, else nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) Option<u64>);

/// Whether a value holds anything to show: text, or an array or object with text somewhere inside.
///
/// Numbers and booleans do not count; they are indexes and flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filled(pub(crate) bool);

/// The string that a value is, or the empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) String);

/// The length of an array; nothing if the value is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Items(pub(crate) Option<usize>);

/// What to make of each kind of JSON value; the default is to make nothing of it.
trait Reading: Default {
    fn number(_: u64) -> Self {
        Self::default()
    }
    fn text(_: &str) -> Self {
        Self::default()
    }
    fn array<'de, A: SeqAccess<'de>>(mut array: A) -> Result<Self, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

impl Reading for Count {
    fn number(number: u64) -> Self {
        Self(Some(number))
    }
}

impl Reading for Text {
    fn text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Reading for Items {
    fn array<'de, A: SeqAccess<'de>>(mut array: A) -> Result<Self, A::Error> {
        let mut length = 0;
        while array.next_element::<IgnoredAny>()?.is_some() {
            length += 1;
        }
        Ok(Self(Some(length)))
    }
}

impl Reading for Filled {
    fn text(text: &str) -> Self {
        Self(!text.is_empty())
    }
    fn array<'de, A: SeqAccess<'de>>(mut array: A) -> Result<Self, A::Error> {
        let mut filled = false;
        while let Some(Self(item)) = array.next_element()? {
            filled |= item;
        }
        Ok(Self(filled))
    }
    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut filled = false;
        while let Some((_, Self(item))) = object.next_entry::<IgnoredAny, _>()? {
            filled |= item;
        }
        Ok(Self(filled))
    }
}

/// Whether an object has anything filled, other than the members that only say what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Substance(pub(crate) bool);

impl Reading for Substance {
    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut filled = false;
        while let Some(Text(key)) = object.next_key()? {
            let Filled(member) = object.next_value()?;
            filled |= member && !matches!(key.as_str(), "role" | "type");
        }
        Ok(Self(filled))
    }
}

struct Reader<T>(std::marker::PhantomData<T>);

impl<'de, T: Reading> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::number(number))
    }
    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "only whole numbers that an f64 holds exactly come this far"
    )]
    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        let exact = (0.0..9e15).contains(&number) && number.fract() == 0.0;
        Ok(if exact {
            T::number(number as u64)
        } else {
            T::default()
        })
    }
    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<T, A::Error> {
        T::array(array)
    }
    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        T::object(object)
    }
}

macro_rules! deserialize_leniently {
    ($($reading:ty),*) => {$(
        impl<'de> Deserialize<'de> for $reading {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Reader(std::marker::PhantomData))
            }
        }
    )*};
}

deserialize_leniently!(Count, Filled, Text, Items, Substance);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_whole_number_or_nothing() {
        for (json, count) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("7.0", Some(7)),
            ("7.5", None),
            ("-1", None),
            ("1e300", None),
            ("\"7\"", None),
            ("null", None),
            ("[7]", None),
            ("{\"a\":7}", None),
            ("true", None),
        ] {
            assert_eq!(
                serde_json::from_str::<Count>(json).unwrap(),
                Count(count),
                "{json}"
            );
        }
    }

    #[test]
    fn only_text_somewhere_inside_makes_a_value_filled() {
        for (json, filled) in [
            ("\"x\"", true),
            ("\"\"", false),
            ("null", false),
            ("3", false),
            ("[]", false),
            ("[{\"id\":\"a\"}]", true),
            ("[{\"index\":0,\"text\":\"\"}]", false),
            ("{\"a\":null}", false),
        ] {
            assert_eq!(
                serde_json::from_str::<Filled>(json).unwrap(),
                Filled(filled),
                "{json}"
            );
        }
    }

    #[test]
    fn a_role_or_a_type_is_no_substance() {
        for (json, substance) in [
            ("{\"role\":\"assistant\",\"content\":\"\"}", false),
            ("{\"type\":\"text_delta\",\"text\":\"a\"}", true),
            ("\"text\"", false),
        ] {
            assert_eq!(
                serde_json::from_str::<Substance>(json).unwrap(),
                Substance(substance),
                "{json}"
            );
        }
    }
}
