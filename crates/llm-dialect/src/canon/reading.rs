//! Reads a client's JSON into wire types: what is wrong names its place, what is unknown is noted as lost.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::loss::{Losses, Refusal};
use super::text::JsonStr;

/// Reads the JSON that stands at `path` of a request (`messages[3].content`; empty: all of it). Fields that the type
/// does not know are noted in `losses`, under their path without positions.
///
/// # Errors
/// [`Refusal::Invalid`] that names the offending field.
pub fn read<'a, T: Deserialize<'a>>(json: &'a str, path: &str, losses: &mut Losses) -> Result<T, Refusal> {
    let mut from = serde_json::Deserializer::from_str(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut from, &mut track);
    let read = serde_ignored::deserialize(tracked, |ignored| {
        losses.note(without_positions(&within(path, &ignored.to_string())));
    });
    read.map_err(|error: serde_json::Error| {
        let inner = track.path().to_string();
        let place = within(path, inner.trim_start_matches('.'));
        invalid(place, &error)
    })
}

/// A field that is known and of no use: it is passed over, and not noted as lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silent;

impl<'de> Deserialize<'de> for Silent {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // As a raw value: whatever is ignored in the usual way would be noted.
        <&RawValue>::deserialize(from).map(|_| Self)
    }
}

/// What a string-or-list field holds.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Nothing, or null.
    Nothing,
    /// A string, still with its quotes.
    Text(&'a str),
    /// A list, still unread.
    List(&'a str),
    /// Anything else.
    Other,
}

impl<'a> Content<'a> {
    /// What kind of value a field holds.
    pub fn of(raw: Option<&'a RawValue>) -> Self {
        let Some(raw) = raw else {
            return Self::Nothing;
        };
        match raw.get().as_bytes().first() {
            Some(b'"') => Self::Text(raw.get()),
            Some(b'[') => Self::List(raw.get()),
            Some(b'n') => Self::Nothing,
            _ => Self::Other,
        }
    }
}

/// Why a text with half a surrogate pair is refused.
pub(crate) const HALF_A_PAIR: &str = "The text holds a lone surrogate, which is no character.";

/// The text that stands at `path`, if it can be decoded: half a surrogate pair is no text.
///
/// # Errors
/// It holds one.
pub(crate) fn sound<'a>(text: JsonStr<'a>, path: &str) -> Result<JsonStr<'a>, Refusal> {
    if text.is_sound() {
        return Ok(text);
    }
    Err(Refusal::invalid(path, HALF_A_PAIR))
}

fn within(path: &str, inner: &str) -> String {
    match (path, inner) {
        ("", inner) | (inner, "" | "." | "?") => inner.to_owned(),
        (path, inner) if inner.starts_with('[') => format!("{path}{inner}"),
        (path, inner) => format!("{path}.{inner}"),
    }
}

fn invalid(place: String, error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    // Line and column are those of a part of the body; the path says more.
    let reason = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(reason, _)| reason);
    let place = Some(place).filter(|place| !place.is_empty() && place != "?");
    let message = match &place {
        Some(place) => format!("`{place}`: {reason}."),
        None => format!("The request is not valid: {reason}."),
    };
    Refusal::Invalid {
        param: place,
        message,
    }
}

/// `messages[3].content.0.x` as `messages.content.x`.
pub(crate) fn without_positions(path: &str) -> String {
    let steps = path.split(['.', '[', ']']);
    let names = steps.filter(|step| !step.is_empty() && *step != "?" && step.parse::<u64>().is_err());
    names.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::JsonStr;

    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        items: Vec<Item<'a>>,
        #[serde(borrow)]
        any: Option<&'a RawValue>,
    }

    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        name: JsonStr<'a>,
    }

    #[test]
    fn unknown_fields_are_named_without_their_positions() {
        let mut losses = Losses::default();
        let body = r#"{"items":[{"name":"a\n","x":1},{"name":"b","x":2}],"any":{"y":1e2},"z":{"deep":1}}"#;
        let outer: Outer<'_> = read(body, "", &mut losses).unwrap();
        assert_eq!(losses.names().collect::<Vec<_>>(), ["items.x", "z"]);
        assert_eq!(outer.items[0].name.spelling(), r"a\n");
        assert_eq!(outer.any.unwrap().get(), r#"{"y":1e2}"#);
    }

    #[test]
    fn what_is_wrong_names_its_place() {
        let mut losses = Losses::default();
        for (body, path, param) in [
            (
                r#"{"items":[{"name":"a"},{"name":5}]}"#,
                "",
                Some("items[1].name"),
            ),
            (r#"{"items":[{}]}"#, "", Some("items[0]")),
            (r#"{"items":{}}"#, "tools[2]", Some("tools[2].items")),
            ("5", "", None),
        ] {
            let refusal = read::<Outer<'_>>(body, path, &mut losses)
                .map(|_| ())
                .unwrap_err();
            let Refusal::Invalid {
                param: found,
                message,
            } = refusal
            else {
                panic!("invalid, not unsupported");
            };
            assert_eq!(found.as_deref(), param, "{body}: {message}");
            assert!(!message.contains("line"), "{message}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let body = r#"{"items":[],"items":[]}"#;
        assert!(read::<Outer<'_>>(body, "", &mut Losses::default()).is_err());
    }
}
