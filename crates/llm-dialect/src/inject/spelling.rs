//! Where a plain text stands in a JSON string, however its sender spelled it: another proxy may have written our words
//! with other escapes.

use crate::scan;

/// What follows `plain` in a spelling that begins with it.
pub(super) fn strip_prefix<'a>(spelled: &'a str, plain: &str) -> Option<&'a str> {
    let mut rest = spelled;
    for wanted in plain.chars() {
        let (char, length) = first(rest)?;
        rest = rest.get(length..).filter(|_| char == wanted)?;
    }
    Some(rest)
}

/// What comes before `plain` in a spelling that ends with it.
pub(super) fn strip_suffix<'a>(spelled: &'a str, plain: &str) -> Option<&'a str> {
    let mut rest = spelled;
    for wanted in plain.chars().rev() {
        let start = last(rest)?;
        let (char, _) = first(rest.get(start..)?)?;
        rest = rest.get(..start).filter(|_| char == wanted)?;
    }
    Some(rest)
}

/// The first character, and how many bytes spell it; nothing for half of a pair of surrogates, which is no character.
fn first(spelled: &str) -> Option<(char, usize)> {
    let Some(escape) = spelled.strip_prefix('\\') else {
        let char = spelled.chars().next()?;
        return Some((char, char.len_utf8()));
    };
    let length = scan::escape(escape.as_bytes())?;
    let char = match escape.chars().next()? {
        'u' => return unicode(spelled),
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        itself => itself,
    };
    Some((char, length))
}

/// The character of an escape by number, or of two that make a pair.
fn unicode(spelled: &str) -> Option<(char, usize)> {
    let unit = unit(spelled)?;
    if let Some(char) = char::from_u32(unit.into()) {
        return Some((char, UNICODE));
    }
    let pair = [unit, self::unit(spelled.get(UNICODE..)?)?];
    let char = char::decode_utf16(pair).next()?.ok()?;
    Some((char, 2 * UNICODE))
}

/// How many bytes an escape by number takes.
const UNICODE: usize = 6;

fn unit(spelled: &str) -> Option<u16> {
    let digits = spelled.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

/// Where the spelling of the last character begins.
fn last(spelled: &str) -> Option<usize> {
    let back = |bytes: usize| {
        let start = spelled.len().checked_sub(bytes)?;
        opens_escape(spelled, start).then_some(start)
    };
    let by_number = |bytes| back(bytes).filter(|start| is_number(spelled, *start));
    if let Some(start) = by_number(UNICODE) {
        let pair = by_number(2 * UNICODE).filter(|pair| {
            let whole = spelled.get(*pair..).and_then(unicode);
            whole.is_some_and(|(_, length)| length == 2 * UNICODE)
        });
        return pair.or(Some(start));
    }
    back(2).or_else(|| spelled.char_indices().next_back().map(|(at, _)| at))
}

fn is_number(spelled: &str, start: usize) -> bool {
    spelled.get(start..).is_some_and(|tail| tail.starts_with("\\u"))
}

/// Whether an escape begins there. Of a run of backslashes every second one is spelled by the one before it.
fn opens_escape(spelled: &str, at: usize) -> bool {
    let up_to = spelled.as_bytes().get(..=at).unwrap_or_default();
    let run = up_to.iter().rev().take_while(|&&byte| byte == b'\\');
    run.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn any_spelling_of_a_text_is_found_at_either_end() {
        for (spelled, plain, behind, before) in [
            ("abc", "", Some("abc"), Some("abc")),
            ("abc", "abc", Some(""), Some("")),
            ("ab", "abc", None, None),
            ("aba", "a", Some("ba"), Some("ab")),
            (r"\na\n", "\n", Some(r"a\n"), Some(r"\na")),
            (r"\u000Aa\u000a", "\n", Some(r"a\u000a"), Some(r"\u000Aa")),
            (r"\\n", "n", None, Some(r"\\")),
            (r"\n", "n", None, None),
            (r"\\\n", "n", None, None),
            (r"\\\\n", "\\\\n", Some(""), Some("")),
            (r"\\", "\\", Some(""), Some("")),
            (r"\\u0041", "A", None, None),
            (r"\\u0041", "\\u0041", Some(""), Some("")),
            (r"\/\/", "/", Some(r"\/"), Some(r"\/")),
            (r"\u00e9é", "é", Some("é"), Some(r"\u00e9")),
            (r"\ud83d\ude00", "\u{1f600}", Some(""), Some("")),
            (r"\ud83d\ude00", "\u{fffd}", None, None),
            (r"\ude00", "\u{fffd}", None, None),
            (r"\ud83dA", "A", None, Some(r"\ud83d")),
            (r"\ud83d\u0041", "A", None, Some(r"\ud83d")),
        ] {
            assert_eq!(
                strip_prefix(spelled, plain),
                behind,
                "{spelled} begins with {plain:?}"
            );
            assert_eq!(
                strip_suffix(spelled, plain),
                before,
                "{spelled} ends with {plain:?}"
            );
        }
    }

    fn spelled(text: &str, how: &[u8]) -> String {
        let mut out = String::new();
        for (char, how) in text.chars().zip(how.iter().cycle()) {
            if how % 2 == 0 {
                let quoted = serde_json::to_string(&char).unwrap();
                out.push_str(&quoted[1..quoted.len() - 1]);
            } else {
                let mut units = [0; 2];
                for unit in char.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_texts_themselves(
            one in r#"[\\n"u0a\n😀é]{0,6}"#, two in r#"[\\n"u0a\n😀é]{0,3}"#, how in prop::collection::vec(any::<u8>(), 1..5),
        ) {
            let text = spelled(&one, &how);
            let read = |rest: &str| serde_json::from_str::<String>(&format!("\"{rest}\"")).unwrap();
            prop_assert_eq!(strip_prefix(&text, &two).map(read), one.strip_prefix(&*two).map(String::from));
            prop_assert_eq!(strip_suffix(&text, &two).map(read), one.strip_suffix(&*two).map(String::from));
            let both = spelled(&format!("{one}{two}"), &how);
            prop_assert_eq!(strip_suffix(&both, &two).map(read), Some(one.clone()));
        }
    }
}
