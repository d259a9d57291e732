//! What stands between the quotes of a JSON string.

use super::plain::plain_run;

/// How many bytes the string takes whose opening quote came before `text`, up to its closing quote; nothing if it is
/// none. Whether it is UTF-8 is not asked.
pub(crate) fn inside(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += plain_run::<false>(text.get(at..)?);
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += escape(text.get(at + 1..)?)?,
            _ => return None,
        }
    }
}

/// The same for a string of a text that is known to be sound: only quotes are looked for, and what stands before one says
/// whether it is the last. Prompts are full of line breaks, each of them an escape that [`inside`] stops at.
pub(crate) fn sound(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'"', text).find(|at| {
        let before = text.get(..*at).unwrap_or_default().iter().rev();
        // Two backslashes are one that is meant.
        before.take_while(|byte| **byte == b'\\').count() % 2 == 0
    })
}

/// Whether a text stands in a JSON string as it is.
pub(crate) fn is_plain(text: &str) -> bool {
    plain_run::<false>(text.as_bytes()) == text.len()
}

/// How many bytes an escape takes whose backslash came before `rest`, that one included.
pub(crate) fn escape(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => Some(6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_inside_of_a_string_where_serde_json_says_so(pieces in prop::collection::vec(prop::sample::select(vec![
            "a", "é", "\\", "\"", "\\\\", "\\\"", "\\n", "\\u00e9", "\\ud800", "\\u00g0", "\u{1}", "a plain run of more than 32 bytes", "\u{7f}",
        ]), 0..12)) {
            let text = pieces.concat();
            let quoted = format!("\"{text}");
            let mut values = serde_json::Deserializer::from_str(&quoted).into_iter::<&serde_json::value::RawValue>();
            let length = values.next().and_then(Result::ok).map(|raw| raw.get().len() - 2);
            prop_assert_eq!(inside(text.as_bytes()), length);
            if length.is_some() {
                prop_assert_eq!(sound(text.as_bytes()), length, "it ends where a sound string ends");
            }
            prop_assert_eq!(is_plain(&text), serde_json::to_string(&text).unwrap() == format!("\"{text}\""));
        }
    }
}
