//! A section of the file as `decode` reads it: what is there, else the default of the tables.
//!
//! Reading never fails. `shape` has told what is wrong before, and a config with errors is thrown away, so
//! an unreadable value may turn into the default here.

use std::time::Duration;

use super::fields::top::TOP;
use super::fields::{Default as Fallback, Field, Section};
use super::names::Named;
use super::scalars;
use super::tree::{Entry, Node, Span, Value};
use super::types::NEVER;

/// A section, perhaps absent.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    section: &'static Section,
    node: Option<&'a Node>,
}

impl<'a> View<'a> {
    /// The whole file.
    pub(crate) fn top(root: &'a Node) -> Self {
        Self {
            section: &TOP,
            node: Some(root),
        }
    }

    pub(crate) fn new(section: &'static Section, node: Option<&'a Node>) -> Self {
        Self { section, node }
    }

    fn field(&self, key: &str) -> Option<&'static Field> {
        let field = self.section.field(key);
        #[cfg(test)]
        reads::mark(self.section.name, key);
        debug_assert!(
            field.is_some(),
            "`{key}` is not in the table of `{}`",
            self.section.name
        );
        field
    }

    /// What stands in the file under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.field(key)?;
        self.node?.get(key)
    }

    /// The place of `key`'s value, else of the section.
    pub(crate) fn span(&self, key: &str) -> Span {
        self.get(key)
            .or(self.node)
            .map_or_else(Span::default, |node| node.span)
    }

    /// What `key` comes to as read by `read`; absent or unreadable: its default, else nothing.
    pub(crate) fn read<T>(&self, key: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let set = self.get(key).and_then(Node::text).and_then(&read);
        set.or_else(|| match self.field(key)?.default {
            Fallback::Value(text) => read(text),
            _ => None,
        })
    }

    /// The text under `key`, else its default.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.read(key, |text| Some(text.to_owned()))
    }

    pub(crate) fn truth(&self, key: &str) -> bool {
        self.read(key, scalars::truth).unwrap_or_default()
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.read(key, scalars::number)
    }

    /// A whole number of the type that is wanted.
    pub(crate) fn int<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        self.read(key, |text| T::try_from(scalars::int(text)?).ok())
    }

    /// A duration; `off` and absence are none.
    pub(crate) fn maybe_duration(&self, key: &str) -> Option<Duration> {
        match self.get(key).and_then(Node::text) {
            Some("off") => None,
            _ => self.read(key, scalars::duration),
        }
    }

    /// A duration; `off` is [`NEVER`], and absence none.
    pub(crate) fn duration_or_never(&self, key: &str) -> Option<Duration> {
        match self.get(key).and_then(Node::text) {
            Some("off") => Some(NEVER),
            _ => self.read(key, scalars::duration),
        }
    }

    pub(crate) fn duration(&self, key: &str) -> Duration {
        self.read(key, scalars::duration).unwrap_or_default()
    }

    pub(crate) fn size(&self, key: &str) -> u64 {
        self.read(key, scalars::size).unwrap_or_default()
    }

    /// A choice by its name.
    pub(crate) fn named<T: Named>(&self, key: &str) -> Option<T> {
        self.read(key, T::from_name)
    }

    /// A list as read by `read`, item by item; absent: its default.
    pub(crate) fn list<T>(&self, key: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        if let Some(node) = self.get(key) {
            return node
                .items()
                .iter()
                .filter_map(Node::text)
                .filter_map(read)
                .collect();
        }
        match self.field(key).map(|field| field.default) {
            Some(Fallback::List(items)) => items.iter().copied().filter_map(read).collect(),
            _ => Vec::new(),
        }
    }

    /// The items of a list in the file.
    pub(crate) fn items(&self, key: &str) -> &'a [Node] {
        self.get(key).map(Node::items).unwrap_or_default()
    }

    /// The entries of a map in the file.
    pub(crate) fn entries(&self, key: &str) -> &'a [Entry] {
        self.get(key).map(Node::entries).unwrap_or_default()
    }

    /// The section under `key`, all defaults if it is absent.
    pub(crate) fn section(&self, key: &str, section: &'static Section) -> Self {
        Self::new(section, self.get(key))
    }

    /// The section under `key`, if it is in the file.
    pub(crate) fn maybe_section(&self, key: &str, section: &'static Section) -> Option<Self> {
        self.get(key).map(|node| Self::new(section, Some(node)))
    }

    /// The items of a list of sections; what is no map is left out.
    pub(crate) fn sections(&self, key: &str, section: &'static Section) -> Vec<Self> {
        let maps = self
            .items(key)
            .iter()
            .filter(|node| matches!(node.value, Value::Map(_)));
        maps.map(|node| Self::new(section, Some(node))).collect()
    }
}

#[cfg(test)]
pub(crate) mod reads {
    //! Which keys have been read: a test asks whether any was forgotten.

    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static READ: RefCell<BTreeSet<(String, String)>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn mark(section: &str, key: &str) {
        READ.with_borrow_mut(|read| read.insert((section.to_owned(), key.to_owned())));
    }

    /// All that this thread has read, as section and key.
    pub(crate) fn taken() -> BTreeSet<(String, String)> {
        READ.take()
    }
}
