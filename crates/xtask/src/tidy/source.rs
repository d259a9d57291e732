//! One file of the repository, with what the rules ask of it.

use super::code;

/// A text file: where it lies, what it says, and the same without comments and strings.
pub(super) struct Source {
    /// Relative to the repository's root, with forward slashes.
    pub(super) path: String,
    /// The file as it is.
    pub(super) text: String,
    /// Rust only: `text` with comments and literals blanked, line for line; empty for other files.
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: String, text: String) -> Self {
        let code = if is_rust(&path) {
            code::only(&text)
        } else {
            String::new()
        };
        Self { path, text, code }
    }

    pub(super) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// A file that holds nothing but tests: no part of what ships.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
    }

    /// The path below a crate's `src`, if this file is a source of that crate.
    pub(super) fn inside(&self, krate: &str) -> Option<&str> {
        self.path
            .strip_prefix("crates/")?
            .strip_prefix(krate)?
            .strip_prefix("/src/")
    }

    /// The lines of `code` before the tests at the foot, numbered from 1.
    pub(super) fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.code).take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"))
    }
}

/// Lines numbered as an editor numbers them.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn is_rust(path: &str) -> bool {
    path.strip_suffix(".rs").is_some()
}

#[cfg(test)]
pub(super) fn source(path: &str, text: &str) -> Source {
    Source::new(path.to_owned(), text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_ends_where_the_tests_begin() {
        let file = source("a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(file.product().collect::<Vec<_>>(), [(1, "fn a() {}")]);
    }

    #[test]
    fn a_path_is_seen_from_its_crate() {
        let file = source("crates/llm-proxy/src/base/mod.rs", "");
        assert_eq!(file.inside("llm-proxy"), Some("base/mod.rs"));
        assert_eq!(file.inside("llm"), None, "a crate's name is matched whole");
    }

    #[test]
    fn test_files_are_told_from_the_product() {
        for (path, expected) in [
            ("crates/a/tests/it/main.rs", true),
            ("tests/sdk/python/x.py", true),
            ("crates/a/src/sse/tests.rs", true),
            ("crates/a/src/sse_tests.rs", true),
            ("crates/a/src/contests.rs", false),
            ("crates/a/src/sse.rs", false),
        ] {
            assert_eq!(source(path, "").is_test(), expected, "{path}");
        }
    }
}
