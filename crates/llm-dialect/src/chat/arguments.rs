//! The arguments of a call, as far as one must know when they are whole.

/// Follows arguments, a JSON object that is spelled within a JSON string, through their pieces.
#[derive(Debug, Default)]
pub(super) struct Shape {
    depth: usize,
    in_string: bool,
    escaped: bool,
    begun: bool,
    whole: bool,
}

impl Shape {
    /// Whether an object has come to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether there was anything.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Takes a further piece, in its spelling. Pieces are strings of their own, so no escape reaches over an end; one
    /// within the arguments may.
    pub(super) fn feed(&mut self, spelling: &str) {
        self.begun |= !spelling.is_empty();
        let mut rest = spelling.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            let (byte, length) = match first {
                b'\\' => unescaped(tail),
                byte => (*byte, 0),
            };
            self.byte(byte);
            rest = tail.get(length..).unwrap_or_default();
        }
    }

    fn byte(&mut self, byte: u8) {
        match byte {
            _ if std::mem::take(&mut self.escaped) => {}
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.whole |= self.depth == 1;
                self.depth = self.depth.saturating_sub(1);
            }
            _ => {}
        }
    }
}

/// The character that an escape stands for, behind its backslash, and how long it is there. What is not ASCII counts as a
/// letter.
fn unescaped(tail: &[u8]) -> (u8, usize) {
    match tail.first() {
        Some(b'u') => {
            let digits = tail.get(1..5).and_then(|it| std::str::from_utf8(it).ok());
            let code = digits.and_then(|it| u32::from_str_radix(it, 16).ok());
            let byte = code.and_then(|code| u8::try_from(code).ok());
            (byte.filter(u8::is_ascii).unwrap_or(b'x'), 5)
        }
        Some(mark @ (b'"' | b'\\')) => (*mark, 1),
        _ => (b' ', 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::JsonStr;
    use proptest::prelude::*;

    fn is_whole(pieces: &[&str]) -> bool {
        let mut shape = Shape::default();
        for piece in pieces {
            shape.feed(piece);
        }
        shape.is_whole()
    }

    #[test]
    fn an_object_is_whole_with_its_last_brace() {
        for (case, pieces, whole) in [
            ("nothing", &[""] as &[&str], false),
            ("an empty object", &["{}"], true),
            ("a brace within a string", &[r#"{\"a\":\"}"#], false),
            ("in pieces", &["{", r#"\"a\""#, ":1}"], true),
            ("a quote within a string", &[r#"{\"a\":\"\\\"}"#, r#"\"}"#], true),
            (
                "an escape over two pieces",
                &[r#"{\"a\":\"\\"#, r#"\"}\"}"#],
                true,
            ),
            ("the same, not yet whole", &[r#"{\"a\":\"\\"#, r#"\"}"#], false),
            ("escapes by number", &[r"\u007b\u0022a\u0022:\u007b}\u007d"], true),
            ("nested", &[r#"{\"a\":[{}]"#], false),
            ("a plain word", &["hello"], false),
            ("a broken escape", &["{\\u00"], false),
        ] {
            assert_eq!(is_whole(pieces), whole, "{case}");
        }
    }

    proptest! {
        #[test]
        fn only_the_last_byte_makes_it_whole(text in ".{0,20}", number in any::<i32>()) {
            let json = serde_json::json!({"a": text, "b": [number, {"c": text}]}).to_string();
            let mut shape = Shape::default();
            let last = json.char_indices().last().map_or(0, |(at, _)| at);
            for (at, character) in json.char_indices() {
                prop_assert!(!shape.is_whole(), "whole before byte {} of {}", at, json);
                let mut buffer = [0; 4];
                shape.feed(JsonStr::of(character.encode_utf8(&mut buffer)).spelling());
                prop_assert_eq!(shape.is_whole(), at == last);
            }
        }
    }
}
