//! A JSON value in the spelling that it has on the wire.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

/// A JSON value that is carried, not looked into: schemas, arguments, metadata. Key order and spelling of numbers stay.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json<'a>(Cow<'a, str>);

impl<'a> Json<'a> {
    /// A text that is known to be one JSON value.
    pub fn spelled_so(spelling: impl Into<Cow<'a, str>>) -> Self {
        Self(spelling.into())
    }

    /// A text, if it is one JSON value.
    pub fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str::<&RawValue>(text)
            .ok()
            .map(|raw| Self(Cow::Borrowed(raw.get())))
    }

    /// Adds items, which are not to be none, to the end of an array.
    pub fn push_items(&mut self, items: &str) {
        let all = self.0.to_mut();
        if all.ends_with(']') {
            all.pop();
        }
        if all.len() > 1 {
            all.push(',');
        }
        all.push_str(items);
        all.push(']');
    }

    /// Its spelling.
    pub fn get(&self) -> &str {
        &self.0
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// It as a value of some type that borrows from it; nothing if it is not of that type.
    pub fn read<'s, T: Deserialize<'s>>(&'s self) -> Option<T> {
        serde_json::from_str(&self.0).ok()
    }

    /// The same value, independent of what it was borrowed from.
    pub fn into_owned(self) -> Json<'static> {
        Json(Cow::Owned(self.0.into_owned()))
    }

    /// The same value, borrowed.
    pub fn borrowed(&self) -> Json<'_> {
        Json(Cow::Borrowed(&self.0))
    }
}

impl<'a> From<&'a RawValue> for Json<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(Cow::Borrowed(raw.get()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(from).map_err(D::Error::custom)?;
        Ok(Self(Cow::Borrowed(raw.get())))
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
