//! A module's name says what it is for; some names say nothing.

use super::Finding;
use super::source::Source;

/// Names under which anything could stand.
const EMPTY_NAMES: &[&str] = &["common", "util", "utils", "helper", "helpers", "misc", "core"];

/// No module bears one of [`EMPTY_NAMES`], and none at the top of a crate is called `types`.
pub(super) fn names(source: &Source) -> Vec<Finding> {
    if !source.is_rust() {
        return Vec::new();
    }
    let modules = source
        .path
        .trim_end_matches(".rs")
        .split('/')
        .filter(|part| *part != "mod");
    let empty = modules.filter(|part| EMPTY_NAMES.contains(part));
    let mut findings: Vec<Finding> = empty
        .map(|part| {
            Finding::new(
                source,
                1,
                format!("`{part}` names nothing: say what the module is for"),
            )
        })
        .collect();
    if is_types_at_the_top(&source.path) {
        findings.push(Finding::new(
            source,
            1,
            "`types` at the top of a crate names nothing",
        ));
    }
    findings
}

fn is_types_at_the_top(path: &str) -> bool {
    path.split_once("/src/")
        .is_some_and(|(_, inside)| inside == "types.rs" || inside.starts_with("types/"))
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    #[test]
    fn empty_names_are_refused() {
        for (path, findings) in [
            ("crates/a/src/utils.rs", 1),
            ("crates/a/src/config/common/mod.rs", 1),
            ("crates/a/tests/helpers.rs", 1),
            ("crates/a/src/types.rs", 1),
            ("crates/a/src/types/a.rs", 1),
            ("crates/a/src/config/types.rs", 0),
            ("crates/a/src/score.rs", 0),
            ("docs/core.md", 0),
        ] {
            assert_eq!(names(&source(path, "")).len(), findings, "{path}");
        }
    }
}
