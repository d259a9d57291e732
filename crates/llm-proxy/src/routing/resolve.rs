//! Which alias a model name means: the exact one, else the longest glob (C21).

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use crate::base::glob::Glob;
use crate::base::hasher::Mixing;
use crate::config::types::Model;

/// The aliases of a config, ready to be looked up.
#[derive(Clone, Debug, Default)]
pub struct Aliases {
    exact: HashSet<String, Mixing>,
    /// The longest first.
    globs: Vec<Glob>,
}

impl Aliases {
    /// Reads the names; those with a `*` are globs.
    pub fn new(models: &BTreeMap<String, Model>) -> Self {
        let (globs, exact): (Vec<_>, Vec<_>) =
            models.keys().map(|name| Glob::new(name)).partition(Glob::is_wild);
        let mut globs = globs;
        globs.sort_by_cached_key(|glob| (Reverse(literal_length(glob)), glob.pattern().to_owned()));
        Self {
            exact: exact.iter().map(|glob| glob.pattern().to_owned()).collect(),
            globs,
        }
    }

    /// The alias that `model` means: its key in the config.
    ///
    /// The exact name wins, then the glob with the most characters beside its stars, of equals the first by name. A
    /// disabled alias keeps its name: it is found, and no wider glob takes its place.
    pub fn find(&self, model: &str) -> Option<&str> {
        let exact = self.exact.get(model).map(String::as_str);
        exact.or_else(|| {
            self.globs
                .iter()
                .find(|glob| glob.matches(model))
                .map(Glob::pattern)
        })
    }
}

fn literal_length(glob: &Glob) -> usize {
    glob.pattern().chars().filter(|c| *c != '*').count()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::types::{Route, Strategy, TimeoutOverrides};

    /// A route to that backend.
    pub(in crate::routing) fn route(backend: &str, priority: i32) -> Route {
        Route {
            backend: backend.into(),
            model: None,
            priority,
            weight: 1,
            context: None,
            max_tokens: None,
            lacks: Vec::new(),
            enabled: true,
        }
    }

    /// An alias with those fallbacks and one route.
    pub(in crate::routing) fn model(fallback: &[&str]) -> Model {
        Model {
            routes: vec![route("a", 1)],
            strategy: Strategy::Weighted,
            affinity: true,
            fallback: fallback.iter().map(|&name| name.to_owned()).collect(),
            defaults: Vec::new(),
            overrides: Vec::new(),
            enabled: true,
            timeout: TimeoutOverrides::default(),
        }
    }

    #[test]
    fn c21_the_most_specific_alias_wins() {
        let names = [
            "gpt-5", "gpt-*", "gpt-5-*", "*-mini", "*", "x*bb", "x*aa", "a-*-b", "a-*",
        ];
        let aliases = Aliases::new(&names.map(|name| (name.to_owned(), model(&[]))).into());
        for (asked, found) in [
            ("gpt-5", "gpt-5"),
            ("gpt-5-pro", "gpt-5-*"),
            ("gpt-4", "gpt-*"),
            ("gpt-5-mini", "gpt-5-*"),
            ("gpt-4-mini", "*-mini"),
            ("o3", "*"),
            ("xaabb", "x*bb"),
            ("a-1-b", "a-*-b"),
            ("", "*"),
        ] {
            assert_eq!(aliases.find(asked), Some(found), "{asked}");
        }
    }

    #[test]
    fn an_unknown_name_has_no_alias() {
        let aliases = Aliases::new(&[("gpt-*".to_owned(), model(&[]))].into());
        assert_eq!(aliases.find("claude"), None);
        assert_eq!(aliases.find("gpt"), None);
    }
}
