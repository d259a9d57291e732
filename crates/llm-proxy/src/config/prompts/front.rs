//! The front matter of a prompt file: YAML between two `---` lines at its very beginning.

use std::ops::Range;

/// A file taken apart; both are ranges of its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The front matter with the line that opens it, which is a mark of YAML too; none: there is none.
    pub(super) front: Option<Range<usize>>,
    /// The prompt itself, without the empty lines after the front matter and those at the end.
    pub(super) body: Range<usize>,
}

/// Takes a file apart. None: the front matter has no end.
pub(super) fn parts(text: &str) -> Option<Parts> {
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| is_mark(line)) else {
        return Some(Parts {
            front: None,
            body: 0..text.trim_end_matches(['\r', '\n']).len(),
        });
    };
    let mut at = first.len();
    for line in lines {
        if is_mark(line) {
            return Some(Parts {
                front: Some(0..at),
                body: trimmed(text, at + line.len()),
            });
        }
        at += line.len();
    }
    None
}

fn is_mark(line: &str) -> bool {
    line.trim_end() == "---"
}

fn trimmed(text: &str, from: usize) -> Range<usize> {
    let rest = text.get(from..).unwrap_or_default();
    let body = rest.trim_start_matches(['\r', '\n']);
    let start = from + rest.len() - body.len();
    start..start + body.trim_end_matches(['\r', '\n']).len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn front_matter_is_what_stands_between_two_marks_at_the_very_beginning() {
        for (text, front, body) in [
            ("", None, ""),
            ("Be kind.\n\n", None, "Be kind."),
            (
                "---\npriority: 1\n---\nBe kind.\n",
                Some("---\npriority: 1\n"),
                "Be kind.",
            ),
            (
                "---\r\nx: 1\r\n---\r\n\r\nA\r\nB\r\n",
                Some("---\r\nx: 1\r\n"),
                "A\r\nB",
            ),
            ("---\n---\n", Some("---\n"), ""),
            ("---\nx: 1\n---", Some("---\nx: 1\n"), ""),
            (
                "--- \nx: 1\n---\t\n  A\n\n---\nB",
                Some("--- \nx: 1\n"),
                "  A\n\n---\nB",
            ),
            ("\n---\nx: 1\n---\n", None, "\n---\nx: 1\n---"),
            ("----\nA", None, "----\nA"),
            ("A\n---\nB", None, "A\n---\nB"),
        ] {
            let parts = parts(text).unwrap_or_else(|| panic!("{text:?}"));
            assert_eq!(parts.front.map(|place| &text[place]), front, "{text:?}");
            assert_eq!(&text[parts.body], body, "{text:?}");
        }
    }

    #[test]
    fn front_matter_without_an_end_is_none() {
        for text in ["---", "---\n", "---\npriority: 1\n --- \nBe kind.", "---\n----\n"] {
            assert_eq!(parts(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn both_parts_are_within_the_text(text in "(---|\\n|\\r\\n|a: b|é| ){0,12}") {
            if let Some(parts) = parts(&text) {
                prop_assert!(text.get(parts.body.clone()).is_some());
                let end = parts.front.map_or(0, |front| front.end);
                prop_assert!(text.get(end..parts.body.start).is_some());
            }
        }
    }
}
