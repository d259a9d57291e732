//! An alias and those that stand in for it, without repeats: cycles are harmless (C22).

use std::collections::{BTreeMap, HashSet};

use super::resolve::Aliases;
use crate::config::types::Model;

/// The names to try in turn for `asked`, itself first: then its own `fallback` list, then the lists of those.
///
/// The names are as the config lists them; a name that a glob stands for goes on under its own name.
pub fn chain<'a>(aliases: &Aliases, models: &'a BTreeMap<String, Model>, asked: &'a str) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    let mut names = vec![asked];
    let mut at = 0;
    while let Some(name) = names.get(at) {
        let model = aliases.find(name).and_then(|alias| models.get(alias));
        let further = model.map(|model| model.fallback.as_slice()).unwrap_or_default();
        if !further.is_empty() {
            // Not before: most names have no fallback, and a set that stays empty costs nothing.
            seen.insert(asked);
        }
        names.extend(
            further
                .iter()
                .map(String::as_str)
                .filter(|name| seen.insert(name)),
        );
        at += 1;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::resolve::tests::model;

    #[test]
    fn c22_own_fallbacks_come_before_those_of_others_and_none_twice() {
        let models = BTreeMap::from([
            ("a".to_owned(), model(&["b", "c"])),
            ("b".to_owned(), model(&["d", "a"])),
            ("c".to_owned(), model(&["c", "gpt-5"])),
            ("d".to_owned(), model(&[])),
            ("gpt-*".to_owned(), model(&["a"])),
        ]);
        let aliases = Aliases::new(&models);
        for (asked, names) in [
            ("a", vec!["a", "b", "c", "d", "gpt-5"]),
            ("b", vec!["b", "d", "a", "c", "gpt-5"]),
            ("d", vec!["d"]),
            ("gpt-4", vec!["gpt-4", "a", "b", "c", "d", "gpt-5"]),
            ("unknown", vec!["unknown"]),
        ] {
            assert_eq!(chain(&aliases, &models, asked), names, "{asked}");
        }
    }
}
