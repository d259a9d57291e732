//! The repository's rules that no other tool knows, as code: `cargo run -p xtask -- tidy`, and a test.
//!
//! | rule | file |
//! | --- | --- |
//! | a file has at most 500 lines before its tests, and opens with `//!` | `shape` |
//! | no module is named after nothing (`common`, `utils`, ...) | `names` |
//! | layers of `llm-proxy` are used downwards only | `layers` |
//! | `llm-dialect` has no I/O, clock or environment | `purity` |
//! | no `allow` attributes, no sleeping tests, no paths of one machine | `words` |
//! | each dependency has its reason in `docs/dependencies.md` | `reasons` |
//! | the functions that the release is laid out by are still there | `layout` |
//!
//! Rules are pure functions from a file to findings; `files` alone reads the disk.

use std::fmt;
use std::path::Path;

use anyhow::Result;

mod code;
mod layers;
mod layout;
mod names;
mod paths;
mod purity;
mod reasons;
mod shape;
mod source;
mod words;

use source::Source;

use crate::files;

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    file: String,
    /// Counts from 1.
    line: usize,
    what: String,
}

impl Finding {
    fn new(source: &Source, line: usize, what: impl Into<String>) -> Self {
        Self {
            file: source.path.clone(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// What a look at the whole repository gave.
pub(crate) struct Report {
    /// How many files were read: none would mean that the root was wrong.
    pub(crate) files: usize,
    /// In order of file and line.
    pub(crate) findings: Vec<Finding>,
}

type Rule = fn(&Source) -> Vec<Finding>;

const RULES: &[Rule] = &[
    shape::length,
    shape::opening,
    names::names,
    layers::layers,
    purity::code,
    purity::manifest,
    words::allow_attributes,
    words::sleeping_tests,
    words::machine_paths,
    reasons::from_workspace,
];

/// Reads every text file below `root` and applies every rule.
pub(crate) fn check(root: &Path) -> Result<Report> {
    let mut sources: Vec<Source> = files::read_all(root)?
        .into_iter()
        .map(|file| Source::new(file.path, file.text))
        .collect();
    mark_tests(&mut sources);
    let mut findings: Vec<Finding> = sources.iter().flat_map(broken_rules).collect();
    let text = |path: &str| sources.iter().find(|s| s.path == path);
    if let (Some(manifest), Some(page)) = (text("Cargo.toml"), text("docs/dependencies.md")) {
        findings.extend(reasons::reasons(manifest, page));
    }
    findings.extend(text(layout::LIST).and_then(|list| layout::fresh(list, &sources)));
    findings.sort();
    findings.dedup();
    Ok(Report {
        files: sources.len(),
        findings,
    })
}

/// A module that is declared for tests alone is a file of tests, whatever its name.
fn mark_tests(sources: &mut [Source]) {
    let declared: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        source.only_for_tests = declared.contains(&source.path);
    }
}

fn broken_rules(source: &Source) -> impl Iterator<Item = Finding> {
    RULES.iter().flat_map(move |rule| rule(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_own_rules() {
        let report = check(&files::root()).expect("the repository can be read");
        assert!(
            report.files > 20,
            "the walk must reach the sources, it saw {} files",
            report.files
        );
        let lines: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "tidy found:\n{}", lines.join("\n"));
    }

    #[test]
    fn a_finding_reads_as_file_line_and_sentence() {
        let source = Source::new("a/b.rs".to_owned(), String::new());
        assert_eq!(
            Finding::new(&source, 7, "is wrong").to_string(),
            "a/b.rs:7: is wrong"
        );
    }
}
