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
    /// Another file declares this one under `#[cfg(test)]`.
    pub(super) only_for_tests: bool,
}

impl Source {
    pub(super) fn new(path: String, text: String) -> Self {
        let code = if is_rust(&path) {
            code::only(&text)
        } else {
            String::new()
        };
        Self {
            path,
            text,
            code,
            only_for_tests: false,
        }
    }

    pub(super) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// A file that holds nothing but tests: no part of what ships.
    pub(super) fn is_test(&self) -> bool {
        self.only_for_tests
            || self.path.contains("/tests/")
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

    /// The lines of `code` before the tests at the foot, numbered from 1; none in a file of tests.
    pub(super) fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        let ships = !self.is_test();
        numbered(&self.code).take_while(move |(_, line)| ships && !line.trim_start().starts_with(FOR_TESTS))
    }

    /// The files of the modules that this one declares for tests alone.
    pub(super) fn test_modules(&self) -> impl Iterator<Item = String> {
        let folder = self.path.trim_end_matches(".rs");
        let folder = ["/mod", "/lib", "/main"]
            .iter()
            .find_map(|root| folder.strip_suffix(root))
            .unwrap_or(folder);
        let pairs = self.code.lines().zip(self.code.lines().skip(1));
        pairs
            .filter(|(attribute, _)| attribute.trim() == FOR_TESTS)
            .filter_map(move |(_, declaration)| {
                let (_, name) = declaration.trim().strip_suffix(';')?.rsplit_once("mod ")?;
                Some(format!("{folder}/{name}.rs"))
            })
    }
}

const FOR_TESTS: &str = "#[cfg(test)]";

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
    fn modules_for_tests_are_found_beside_their_parent() {
        let text =
            "mod a;\n#[cfg(test)]\nmod b;\n#[cfg(test)]\npub(crate) mod c;\n#[cfg(test)]\nmod tests {}\n";
        for (parent, expected) in [
            ("x/src/lib.rs", ["x/src/b.rs", "x/src/c.rs"]),
            ("x/src/sse/mod.rs", ["x/src/sse/b.rs", "x/src/sse/c.rs"]),
            ("x/src/sse.rs", ["x/src/sse/b.rs", "x/src/sse/c.rs"]),
        ] {
            assert_eq!(
                source(parent, text).test_modules().collect::<Vec<_>>(),
                expected,
                "{parent}"
            );
        }
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
