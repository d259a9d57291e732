//! Words that must not stand in certain files.

use super::Finding;
use super::source::{Source, numbered};

/// `expect` with a reason is checked by the compiler and goes away with its cause; `allow` stays for ever.
pub(super) fn allow_attributes(source: &Source) -> Vec<Finding> {
    let what = "`allow` attribute: use `#[expect(.., reason = \"..\")]`";
    found(source, &source.code, &["#[allow(", "#![allow("], what)
}

/// A test waits for the thing itself or for a paused clock: a sleep is slow on a good day and wrong on a bad one.
pub(super) fn sleeping_tests(source: &Source) -> Vec<Finding> {
    if !source.is_test() {
        return Vec::new();
    }
    let what = "a test that sleeps: wait for what it waits for";
    let text = if source.is_rust() {
        &source.code
    } else {
        &source.text
    };
    found(
        source,
        text,
        &["thread::sleep(", "time::sleep(", "time.sleep("],
        what,
    )
}

/// A path of one machine means nothing on another.
pub(super) fn machine_paths(source: &Source) -> Vec<Finding> {
    // In two halves, or this line would be a finding.
    let homes = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    found(source, &source.text, &homes, "names a path of one machine")
}

fn found(source: &Source, text: &str, words: &[&str], what: &str) -> Vec<Finding> {
    let lines = numbered(text).filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    lines.map(|(line, _)| Finding::new(source, line, what)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    #[test]
    fn allow_is_refused_and_expect_is_not() {
        for (text, findings) in [
            ("#[allow(dead_code)]", 1),
            ("#![allow(dead_code)]", 1),
            ("#[expect(dead_code, reason = \"soon\")]", 0),
            ("// #[allow(dead_code)]", 0),
            ("let text = \"#[allow(x)]\";", 0),
        ] {
            assert_eq!(allow_attributes(&source("a.rs", text)).len(), findings, "{text}");
        }
    }

    #[test]
    fn tests_do_not_sleep() {
        for (path, text, findings) in [
            ("crates/a/tests/it.rs", "std::thread::sleep(x);", 1),
            ("crates/a/tests/it.rs", "tokio::time::sleep(x).await;", 1),
            ("crates/a/tests/it.rs", "// no thread::sleep() here", 0),
            ("crates/a/src/b.rs", "tokio::time::sleep(x).await;", 0),
            ("tests/sdk/python/a.py", "time.sleep(1)", 1),
        ] {
            assert_eq!(
                sleeping_tests(&source(path, text)).len(),
                findings,
                "{path}: {text}"
            );
        }
    }

    #[test]
    fn paths_of_one_machine_are_refused_everywhere() {
        for path in ["a.rs", "docs/a.md", "scripts/test"] {
            let text = concat!("first\ncd /ro", "ot/x\n");
            let lines: Vec<usize> = machine_paths(&source(path, text))
                .iter()
                .map(|f| f.line)
                .collect();
            assert_eq!(lines, [2], "{path}");
        }
        assert!(machine_paths(&source("a.md", "a framework/tool")).is_empty());
    }
}
