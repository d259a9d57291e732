//! Every dependency has its reason: a row of the table in `docs/dependencies.md`.

use super::Finding;
use super::source::{Source, numbered};

/// Each crate of `[workspace.dependencies]` has a row in `page`, and each row has its crate.
pub(super) fn reasons(manifest: &Source, page: &Source) -> Vec<Finding> {
    let crates: Vec<(usize, &str)> = outside_crates(&manifest.text).collect();
    let rows: Vec<(usize, &str)> = rows(&page.text).collect();
    let has = |list: &[(usize, &str)], name: &str| list.iter().any(|(_, other)| *other == name);
    let no_reason = crates
        .iter()
        .filter(|(_, name)| !has(&rows, name))
        .map(|(line, name)| {
            Finding::new(
                manifest,
                *line,
                format!("`{name}` has no reason in docs/dependencies.md"),
            )
        });
    let no_crate = rows
        .iter()
        .filter(|(_, name)| !has(&crates, name))
        .map(|(line, name)| {
            Finding::new(
                page,
                *line,
                format!("`{name}` is no longer a dependency: take its row out"),
            )
        });
    no_reason.chain(no_crate).collect()
}

/// A crate takes its dependencies from the workspace, so that each has one version and one reason.
pub(super) fn from_workspace(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("crates/") || !source.path.ends_with("/Cargo.toml") {
        return Vec::new();
    }
    section(&source.text, |name| name.ends_with("dependencies]"))
        .filter(|(_, line)| !line.contains("workspace = true"))
        .map(|(line, _)| Finding::new(source, line, "a dependency that is not taken from the workspace"))
        .collect()
}

fn outside_crates(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    section(manifest, |name| name == "[workspace.dependencies]")
        .filter(|(_, line)| !line.contains("path ="))
        .filter_map(|(line, text)| Some((line, text.split(['=', ' ', '.']).next()?)))
}

/// The entries of the sections whose header passes: no blank lines, no comments.
fn section(manifest: &str, wanted: fn(&str) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    numbered(manifest).filter(move |(_, line)| {
        if line.starts_with('[') {
            inside = wanted(line.trim_end());
            return false;
        }
        inside && !line.trim().is_empty() && !line.starts_with('#')
    })
}

/// Table rows of the form ``| `name` | reason |``.
fn rows(page: &str) -> impl Iterator<Item = (usize, &str)> {
    numbered(page).filter_map(|(line, text)| {
        let (name, _) = text.strip_prefix("| `")?.split_once("` |")?;
        Some((line, name))
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    const MANIFEST: &str = "[workspace]\nmembers = []\n\n[workspace.dependencies]\nours = { path = \"x\" }\n\
                            # why\nbytes = \"1\"\nclap = { version = \"4\" }\n\n[workspace.lints.rust]\nx = 1\n";

    #[test]
    fn a_dependency_without_a_reason_is_told_and_so_is_a_reason_without_a_dependency() {
        let page = source(
            "docs/dependencies.md",
            "| crate | why |\n| --- | --- |\n| `bytes` | x |\n| `gone` | y |\n",
        );
        let findings = reasons(&source("Cargo.toml", MANIFEST), &page);
        let places: Vec<(&str, usize)> = findings.iter().map(|f| (f.file.as_str(), f.line)).collect();
        assert_eq!(places, [("Cargo.toml", 8), ("docs/dependencies.md", 4)]);
    }

    #[test]
    fn crates_take_from_the_workspace() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nbytes.workspace = true\nclap = \"4\"\n\
                    [dev-dependencies]\nx = { version = \"1\" }\n[lints]\nworkspace = true\n";
        let lines: Vec<usize> = from_workspace(&source("crates/a/Cargo.toml", text))
            .iter()
            .map(|f| f.line)
            .collect();
        assert_eq!(lines, [5, 7]);
        assert!(from_workspace(&source("fuzz/Cargo.toml", text)).is_empty());
    }
}
