//! The paths that code names below a root such as `crate` or `std`, with `{...}` groups taken apart.

use super::source::{Source, numbered};

/// Every path in the product part of `source` that starts with `root::`: its line, and its segments
/// after the root joined with `::`.
pub(super) fn below(source: &Source, root: &str) -> Vec<(usize, String)> {
    let code: Vec<&str> = source.product().map(|(_, line)| line).collect();
    let code = code.join("\n");
    let mark = format!("{root}::");
    let starts = code.match_indices(&mark).map(|(at, _)| at);
    starts
        .filter(|at| begins_a_path(code.get(..*at)))
        .flat_map(|at| {
            let line = numbered(code.get(..at).unwrap_or_default()).count().max(1);
            let tail = code.get(at + mark.len()..).unwrap_or_default();
            tree(tail).into_iter().map(move |path| (line, path))
        })
        .collect()
}

fn begins_a_path(before: Option<&str>) -> bool {
    !before
        .unwrap_or_default()
        .ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
}

/// All paths of the use-tree that opens `text`: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn tree(text: &str) -> Vec<String> {
    let name: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
        .collect();
    let rest = text.get(name.len()..).unwrap_or_default();
    let stem = name.trim_end_matches(':').to_owned();
    match rest.strip_prefix('{') {
        None => vec![stem],
        Some(group) => {
            let branches = branches(group)
                .into_iter()
                .flat_map(|branch| tree(branch.trim_start()));
            branches.map(|path| join(&stem, &path)).collect()
        }
    }
}

fn join(stem: &str, path: &str) -> String {
    if stem.is_empty() {
        path.to_owned()
    } else {
        format!("{stem}::{path}")
    }
}

/// Splits what follows a `{` at its own commas, up to its own `}`.
fn branches(group: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut from) = (0_u32, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.extend(group.get(from..at));
                from = at + 1;
            }
            _ => {}
        }
        if c == '}' && from == at + 1 {
            break;
        }
    }
    found.retain(|branch| !branch.trim().is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    #[test]
    fn paths_are_found_alone_and_in_groups() {
        for (text, expected) in [
            ("use crate::base::Secret;", vec!["base::Secret"]),
            ("fn f() { crate::config::load() }", vec!["config::load"]),
            (
                "use crate::{base::{Secret, Class}, config};",
                vec!["base::Secret", "base::Class", "config"],
            ),
            ("pub(in crate::config) fn f() {}", vec!["config"]),
            ("use my_crate::base;", vec![]),
            ("// crate::base", vec![]),
            ("#[cfg(test)]\nuse crate::base;", vec![]),
        ] {
            let found: Vec<_> = below(&source("a.rs", text), "crate")
                .into_iter()
                .map(|(_, p)| p)
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_path_knows_its_line() {
        assert_eq!(
            below(&source("a.rs", "\n\nuse std::fs;\n"), "std"),
            [(3, "fs".to_owned())]
        );
    }
}
