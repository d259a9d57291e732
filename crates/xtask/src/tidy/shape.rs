//! The shape of a file: it is short, and it opens by saying what it is for.

use super::Finding;
use super::source::Source;

/// Longer files hold more than one idea.
const MOST_LINES: usize = 500;

/// A Rust file has at most [`MOST_LINES`] lines before its tests.
pub(super) fn length(source: &Source) -> Vec<Finding> {
    if !source.is_rust() || source.is_test() {
        return Vec::new();
    }
    let lines = source.product().count();
    let too_long = (lines > MOST_LINES)
        .then(|| format!("{lines} lines before the tests, {MOST_LINES} are allowed: split it by idea"));
    too_long
        .map(|what| Finding::new(source, MOST_LINES + 1, what))
        .into_iter()
        .collect()
}

/// A Rust file opens with `//!`.
pub(super) fn opening(source: &Source) -> Vec<Finding> {
    if !source.is_rust() || source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![Finding::new(
        source,
        1,
        "does not open with `//!`: say in a sentence what the file is for",
    )]
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    #[test]
    fn lines_are_counted_up_to_the_tests() {
        let at_the_limit = "x\n".repeat(MOST_LINES);
        let over = format!("{at_the_limit}x\n");
        let tested = format!("{at_the_limit}#[cfg(test)]\nmod tests {{}}\n");
        for (why, path, text, findings) in [
            ("500 lines are fine", "a.rs", &at_the_limit, 0),
            ("501 are not", "a.rs", &over, 1),
            ("tests at the foot do not count", "a.rs", &tested, 0),
            ("a file of tests may be long", "crates/a/tests/b.rs", &over, 0),
            ("prose may be long", "a.md", &over, 0),
        ] {
            assert_eq!(length(&source(path, text)).len(), findings, "{why}");
        }
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert!(opening(&source("a.rs", "//! Clocks.\n")).is_empty());
        assert!(
            opening(&source("a.md", "# Clocks\n")).is_empty(),
            "only Rust files"
        );
        assert_eq!(opening(&source("a.rs", "fn a() {}\n")).len(), 1);
    }
}
