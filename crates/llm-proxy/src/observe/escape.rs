//! What a client or backend sends must not steer whoever reads the log: no terminal, and no eye.

use std::fmt::Write as _;

/// Whether a character acts instead of being shown: controls, and those that turn the direction of writing or break
/// the line (Unicode's bidirectional controls, line and paragraph separator). All are below U+FFFF.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of others for a terminal: what acts is replaced, line ends too, so that it stays a part of its line.
pub fn one_line(text: &str) -> String {
    let shown = |c| if acts(c) { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// A report of our own for a terminal: the same, but it keeps its lines.
pub(super) fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(one_line).collect();
    lines.join("\n")
}

/// A JSON text that means the same and holds nothing that acts: JSON itself demands escapes below U+0020 alone.
pub(super) fn json(text: String) -> String {
    if !text.contains(acts) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_text_keeps_its_meaning_and_loses_what_acts() {
        for text in [
            "plain",
            "余额不足 é 🦀",
            "a\u{202e}b",
            "\u{1b}[31m",
            "\u{9b}2J\u{7f}",
            "\u{2028}\n",
        ] {
            let line = json(serde_json::to_string(text).unwrap());
            assert!(!line.contains(acts), "{line:?}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }

    #[test]
    fn a_text_of_others_stays_on_its_line_and_a_report_of_our_own_keeps_its_lines() {
        let hostile = "余额\nERROR\u{1b}[31m\u{202e}\r";
        assert_eq!(one_line(hostile), "余额\u{fffd}ERROR\u{fffd}[31m\u{fffd}\u{fffd}");
        assert_eq!(lines(hostile), "余额\nERROR\u{fffd}[31m\u{fffd}\u{fffd}");
    }
}
