//! The config file as a tree that remembers where each of its parts stands.

use std::ops::Range;

/// A stretch of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// The line of its first character, from 1.
    pub line: usize,
    /// The column of its first character, from 1, in characters.
    pub column: usize,
}

impl Span {
    /// A stretch of `text`, given in bytes.
    pub(crate) fn of(text: &str, place: Range<usize>) -> Self {
        let head = text.get(..place.start).unwrap_or(text);
        let line = head.rsplit('\n').next().unwrap_or_default();
        Self {
            start: place.start,
            end: place.end,
            line: head.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// What a node holds. Scalars stay text: what they mean is decided where it is known what is wanted.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`: as if the key were not there.
    Null,
    /// Unknown, because a variable in it has no value. That was said; nothing more is.
    Lost,
    /// One value.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in the file's order.
    Map(Vec<Entry>),
}

/// One value as text.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Without quotes: it may be a number or a truth value where anything is allowed.
    pub(crate) plain: bool,
}

/// One line of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

impl Node {
    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The entries of a map; none for anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list. A lone value is a list of itself, nothing is an empty one.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// What stands under `key`, unless that is nothing.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let entry = self.entries().iter().find(|entry| entry.key == key)?;
        (!matches!(entry.node.value, Value::Null)).then_some(&entry.node)
    }

    /// Every scalar below, itself included.
    pub(crate) fn scalars(&self) -> Vec<&Self> {
        match &self.value {
            Value::Null | Value::Lost => Vec::new(),
            Value::Scalar(_) => vec![self],
            Value::List(items) => items.iter().flat_map(Self::scalars).collect(),
            Value::Map(entries) => entries.iter().flat_map(|e| e.node.scalars()).collect(),
        }
    }
}
