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
//!
//! Rules are pure functions from a file to findings; this file alone reads the disk.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

mod code;
mod layers;
mod names;
mod paths;
mod purity;
mod reasons;
mod shape;
mod source;
mod words;

use source::Source;

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

/// Names that hold no source of ours; `.git` is a file in a worktree.
const SKIPPED: &[&str] = &[
    "target",
    ".git",
    "node_modules",
    ".venv",
    "__pycache__",
    "corpus",
    "artifacts",
];

/// The repository's root, as seen from this crate.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads every text file below `root` and applies every rule.
pub(crate) fn check(root: &Path) -> Result<Report> {
    let mut sources = read_all(root)?;
    mark_tests(&mut sources);
    let mut findings: Vec<Finding> = sources.iter().flat_map(broken_rules).collect();
    let text = |path: &str| sources.iter().find(|s| s.path == path);
    if let (Some(manifest), Some(page)) = (text("Cargo.toml"), text("docs/dependencies.md")) {
        findings.extend(reasons::reasons(manifest, page));
    }
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

fn read_all(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if is_skipped(&path) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                sources.extend(read(root, &path)?);
            }
        }
    }
    Ok(sources)
}

fn is_skipped(folder: &Path) -> bool {
    folder
        .file_name()
        .is_some_and(|name| SKIPPED.iter().any(|skipped| name == *skipped))
}

/// `None` for what is not UTF-8 text: rules are about words.
fn read(root: &Path, path: &Path) -> Result<Option<Source>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
    Ok(String::from_utf8(bytes).ok().map(|text| Source::new(name, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_own_rules() {
        let report = check(&root()).expect("the repository can be read");
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
