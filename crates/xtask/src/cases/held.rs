//! Tests whose names begin with the cases that they hold us to.

use super::id::Id;
use crate::files::File;

/// One test of one case.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    pub(super) id: Id,
    /// The file's path from the repository's root.
    pub(super) path: String,
    /// The rest of the test's name, as words.
    pub(super) sentence: String,
}

/// All such tests of these files, by case; within one by file, in the files' order.
pub(super) fn held(files: &[File]) -> Vec<Held> {
    let mut all: Vec<Held> = rust(files)
        .flat_map(|file| functions(&file.text).flat_map(move |name| of_test(&file.path, name)))
        .collect();
    all.sort_by(|one, other| (one.id, &one.path).cmp(&(other.id, &other.path)));
    all
}

/// A test of two cases, `f17_f19_it_does`, stands under both.
fn of_test(path: &str, name: &str) -> Vec<Held> {
    let (mut ids, mut rest) = (Vec::new(), name);
    while let Some((word, behind)) = rest.split_once('_')
        && let Some(id) = Id::read(word)
    {
        ids.push(id);
        rest = behind;
    }
    let held = |id| Held {
        id,
        path: path.to_owned(),
        sentence: rest.replace('_', " "),
    };
    ids.into_iter().map(held).collect()
}

/// The names of all functions in these files.
pub(super) fn names(files: &[File]) -> impl Iterator<Item = &str> {
    rust(files).flat_map(|file| functions(&file.text))
}

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    let ours = |file: &&File| file.path.starts_with("crates/") && file.is_rust();
    files.iter().filter(ours)
}

/// The names of functions that begin a line, as tests do.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let named = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
        named.split(['(', '<']).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_stands_under_each_case_that_its_name_begins_with() {
        let file = |path: &str, text: &str| File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let files = [
            file(
                "crates/a/tests/b.rs",
                "async fn f19_last() {}\n    fn f17_f19_keys_rest() {}\nfn p12_other() {}\n// fn f01_no() {}",
            ),
            file("docs/a.md", "fn f02_no() {}"),
        ];
        let found: Vec<String> = held(&files)
            .iter()
            .map(|held| format!("{} {}", held.id, held.sentence))
            .collect();
        assert_eq!(found, ["F17 keys rest", "F19 last", "F19 keys rest"]);
    }
}
