//! The page of reliability cases: which test holds us to which. The part between its marks is made from the names of
//! the tests, the rest is written by hand: cases that tests of other names hold, and those that are open.
//!
//! `cargo run -p xtask -- cases` writes it; a test says when it is stale, leaves a case out or names a test that is
//! gone.

mod held;
mod id;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use held::Held;
use id::{FAMILIES, Id};

use crate::files::{self, File};

const PAGE: &str = "docs/reference/reliability.md";
/// Names tests as well.
const THREATS: &str = "THREAT_MODEL.md";
const BEGIN: &str = "<!-- cases: made from the names of the tests -->\n";
const END: &str = "<!-- end of cases -->";
/// From the page to the repository's root.
const ROOT: &str = "../..";
/// What has so many `_` between backticks is a test's name.
const LIKE_A_TEST: usize = 3;

/// Writes the page anew, and refuses what [`complaints`] finds in it.
///
/// # Errors
/// The files cannot be read or written, the page has lost its marks, or there are complaints.
pub(crate) fn write(root: &Path) -> Result<()> {
    let files = files::read_all(root)?;
    let page = renewed(page(&files)?, &held::held(&files))?;
    fs::write(root.join(PAGE), &page).with_context(|| format!("cannot write {PAGE}"))?;
    let complaints = complaints(&page, &files);
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("{PAGE}:\n{}", complaints.join("\n"))
}

fn page(files: &[File]) -> Result<&str> {
    let page = files.iter().find(|file| file.path == PAGE);
    Ok(&page.with_context(|| format!("no {PAGE}"))?.text)
}

/// The page with its made part made again.
fn renewed(page: &str, held: &[Held]) -> Result<String> {
    let (start, rest) = page.split_once(BEGIN).context("the page's first mark is gone")?;
    let (_, tail) = rest.split_once(END).context("the page's second mark is gone")?;
    Ok(format!("{start}{BEGIN}{}\n{END}{tail}", tables(held)))
}

/// A heading and a table for each family that any test holds.
fn tables(held: &[Held]) -> String {
    let mut text = String::new();
    for family in FAMILIES {
        let rows: Vec<&Held> = held.iter().filter(|held| held.id.is_of(family)).collect();
        if rows.is_empty() {
            continue;
        }
        let _infallible = write!(
            text,
            "\n### {}: {}\n\n| | test | in |\n| --- | --- | --- |\n",
            family.letter, family.about
        );
        text.extend(rows.into_iter().map(row));
    }
    text
}

fn row(held: &Held) -> String {
    let Held { id, path, sentence } = held;
    let short = short(path);
    format!("| {id} | {sentence} | [{short}]({ROOT}/{path}) |\n")
}

/// A path without what all of them have.
fn short(path: &str) -> String {
    let short = path.trim_start_matches("crates/").trim_end_matches(".rs");
    short
        .replace("llm-proxy/tests/it/", "")
        .replace("llm-proxy/src/", "")
        .replace("/src/", "/")
}

/// What is wrong with the page as a whole: cases that it does not account for, tests that it or the threat model names
/// and that are not there.
fn complaints(page: &str, files: &[File]) -> Vec<String> {
    let told: BTreeSet<Id> = page
        .lines()
        .filter_map(first_cell)
        .flat_map(id::several)
        .collect();
    let missing = Id::all().filter(|id| !told.contains(id));
    let mut complaints: Vec<String> = missing.map(|id| format!("{id} is not accounted for")).collect();
    let names: BTreeSet<&str> = held::names(files).collect();
    let threats = files.iter().find(|file| file.path == THREATS);
    let quoted = quoted(page).chain(threats.into_iter().flat_map(|file| quoted(&file.text)));
    let gone = quoted.filter(|word| word.matches('_').count() >= LIKE_A_TEST && !names.contains(word));
    complaints.extend(gone.map(|name| format!("there is no test `{name}`")));
    complaints
}

fn first_cell(line: &str) -> Option<&str> {
    line.strip_prefix('|')?.split('|').next()
}

/// What stands between backticks.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    page.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_up_to_date_accounts_for_every_case_and_names_tests_that_exist() {
        let files = files::read_all(&files::root()).expect("the repository can be read");
        let page = page(&files).expect("the page is there");
        let fresh = renewed(page, &held::held(&files)).expect("the marks are there");
        assert!(fresh == page, "stale: run `cargo run -p xtask -- cases`");
        assert_eq!(complaints(page, &files), [""; 0]);
    }

    #[test]
    fn a_case_left_out_and_a_test_that_is_gone_are_told() {
        let page = "| F01 to O11 | `a_test_that_is_gone`, `two_words` |\n";
        assert_eq!(
            complaints(page, &[]),
            [
                "O12 is not accounted for",
                "there is no test `a_test_that_is_gone`"
            ]
        );
    }

    #[test]
    fn a_test_that_the_threat_model_names_and_nobody_has_is_told() {
        let path = THREATS.to_owned();
        let text = "| a promise | `a_test_that_is_gone` |\n".to_owned();
        let told = complaints("| F01 to O12 | |\n", &[File { path, text }]);
        assert_eq!(told, ["there is no test `a_test_that_is_gone`"]);
    }

    #[test]
    fn what_stands_between_the_marks_is_made_again_and_nothing_else() {
        let id = Id::read("K01").expect("a case");
        let path = "crates/llm-proxy/tests/it/cli.rs".to_owned();
        let sentence = "it is so".to_owned();
        let made = renewed(
            &format!("a\n{BEGIN}old{END}\nb\n"),
            &[Held { id, path, sentence }],
        );
        let expected = format!(
            "a\n{BEGIN}\n### K: config and reload\n\n| | test | in |\n| --- | --- | --- |\n\
             | K01 | it is so | [cli](../../crates/llm-proxy/tests/it/cli.rs) |\n\n{END}\nb\n"
        );
        assert_eq!(made.expect("the marks are there"), expected);
    }
}
