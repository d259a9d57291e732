//! Every key of the config file, once: its kind, its default, what it means.
//!
//! The check of the file, the decoding, the JSON Schema and the reference are all driven by these tables,
//! so none of them can know a key that another does not. A new key is a line here, a field in
//! `config::types` and a line in `config::decode`.

pub(crate) mod backends;
pub(crate) mod bounds;
pub(crate) mod clients;
pub(crate) mod failure;
pub(crate) mod logging;
pub(crate) mod models;
pub(crate) mod prices;
pub(crate) mod prompts;
pub(crate) mod telemetry;
pub(crate) mod top;

use super::formats::{self, Format};

/// A map of the file whose keys are known.
pub(crate) struct Section {
    /// Its name in the reference, such as `fallback.trip`.
    pub(crate) name: &'static str,
    /// What it is for: one or two sentences.
    pub(crate) about: &'static str,
    pub(crate) fields: &'static [Field],
}

impl Section {
    /// The key of that name.
    pub(crate) fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// A key.
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Default,
    /// What it means: a sentence or two.
    pub(crate) about: &'static str,
}

/// A line of a table.
pub(crate) const fn field(key: &'static str, kind: Kind, default: Default, about: &'static str) -> Field {
    Field {
        key,
        kind,
        default,
        about,
    }
}

/// What holds where a key is absent.
#[derive(Clone, Copy)]
pub(crate) enum Default {
    /// The key must be there.
    Required,
    /// Nothing: the feature is off, or the general value counts.
    Nothing,
    /// This value, as the file would write it.
    Value(&'static str),
    /// This list, as the file would write its items.
    List(&'static [&'static str]),
    /// It depends: a sentence for the reference.
    Depends(&'static str),
}

/// What may stand under a key.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number in these bounds.
    Int(i64, i64),
    /// A number from 0 to 1.
    Share,
    /// A number above 0.
    Positive,
    /// A number from 0.
    Amount,
    /// A text of a form.
    Text(&'static Format),
    /// A key or password: never shown, and better not in the file itself.
    Secret(&'static Format),
    /// A text that may hold a key: never shown.
    Hidden(&'static Format),
    /// A duration.
    Duration,
    /// A duration above 0.
    Timeout,
    /// A duration above 0, or `off`.
    TimeoutOrOff,
    /// A size in bytes, above 0.
    Size,
    /// One of these names.
    Choice(fn() -> Vec<&'static str>),
    /// A list, or a lone item.
    List(&'static Self),
    /// A map whose keys are the user's.
    Map(Keys, &'static Self),
    /// A map whose keys are known.
    Section(&'static Section),
    /// Any value: it goes into requests as JSON.
    Json,
}

/// The keys of a map that are the user's own.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    /// Texts of a form.
    Of(&'static Format),
    /// Some of these names.
    Among(fn() -> Vec<&'static str>),
}

/// A text.
pub(crate) const TEXT: Kind = Kind::Text(&formats::TEXT);
/// A text that is not empty.
pub(crate) const FILLED: Kind = Kind::Text(&formats::FILLED);
/// A number of things, at least one.
pub(crate) const COUNT: Kind = Kind::Int(1, u32::MAX as i64);
/// A list of globs.
pub(crate) const GLOBS: Kind = Kind::List(&FILLED);
/// An order: any whole number.
pub(crate) const ORDER: Kind = Kind::Int(i32::MIN as i64, i32::MAX as i64);
