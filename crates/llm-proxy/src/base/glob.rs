//! Globs over names: `*` stands for any run of characters, everything else for itself.

use std::fmt;
use std::sync::Arc;

/// A compiled glob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob(Arc<str>);

impl Glob {
    /// A glob of that pattern. Every text is a valid one.
    pub fn new(pattern: &str) -> Self {
        Self(Arc::from(pattern))
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.0
    }

    /// Whether there is a `*` in it.
    pub fn is_wild(&self) -> bool {
        self.0.contains('*')
    }

    /// Whether `name` fits. Linear in `name` for each `*`; no recursion.
    pub fn matches(&self, name: &str) -> bool {
        // The commonest of all.
        if &*self.0 == "*" {
            return true;
        }
        let Some((head, rest)) = self.0.split_once('*') else {
            return &*self.0 == name;
        };
        let Some(mut name) = name.strip_prefix(head) else {
            return false;
        };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let tail = parts.pop().unwrap_or_default();
        for part in parts {
            match name.find(part) {
                Some(at) => name = name.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        name.ends_with(tail)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, name, fits) in [
            ("gpt-*", "gpt-5", true),
            ("gpt-*", "gpt-", true),
            ("gpt-*", "gp", false),
            ("*", "", true),
            ("*-mini", "gpt-5-mini", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ba", "aba", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(name), fits, "{pattern} against {name}");
        }
    }
}
