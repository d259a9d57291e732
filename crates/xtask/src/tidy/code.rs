//! Rust source with comments and literals blanked out, so that rules look at code and not at talk of code.

use std::iter::Peekable;
use std::str::Chars;

/// `text` with every comment and every string or character literal replaced by spaces. Line breaks stay,
/// so that line numbers hold.
pub(super) fn only(text: &str) -> String {
    let mut scan = Scan {
        rest: text.chars().peekable(),
        out: String::with_capacity(text.len()),
        last: ' ',
    };
    while let Some(next) = scan.rest.next() {
        scan.step(next);
    }
    scan.out
}

struct Scan<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// The last character of code: tells a raw string's `r` from the end of a name.
    last: char,
}

impl Scan<'_> {
    fn step(&mut self, next: char) {
        match (next, self.rest.peek()) {
            ('/', Some('/')) => self.line_comment(),
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.quote(),
            ('r', Some('"' | '#')) if !is_name(self.last) || self.last == 'b' => self.raw_string(),
            _ => self.keep(next),
        }
    }

    fn keep(&mut self, c: char) {
        self.out.push(c);
        self.last = c;
    }

    fn blank(&mut self, c: char) {
        self.out.push(if c == '\n' { '\n' } else { ' ' });
        self.last = ' ';
    }

    fn blank_next(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        self.blank(next);
        Some(next)
    }

    fn line_comment(&mut self) {
        while self.rest.peek().is_some_and(|c| *c != '\n') {
            self.blank_next();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_u32;
        let mut before = '/';
        while let Some(c) = self.blank_next() {
            depth += u32::from((before, c) == ('/', '*'));
            depth -= u32::from((before, c) == ('*', '/') && depth > 0);
            if depth == 0 {
                return;
            }
            before = c;
        }
    }

    fn string(&mut self) {
        self.blank('"');
        while let Some(c) = self.blank_next() {
            match c {
                '\\' => drop(self.blank_next()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// `'a'` is a literal, `'a` is a lifetime: the first closes right after one character.
    fn quote(&mut self) {
        let mut ahead = self.rest.clone();
        let first = ahead.next();
        if first == Some('\\') {
            self.escaped_char();
        } else if ahead.next() == Some('\'') {
            self.blank('\'');
            self.blank_next();
            self.blank_next();
        } else {
            self.keep('\'');
        }
    }

    fn escaped_char(&mut self) {
        self.blank('\'');
        self.blank_next();
        self.blank_next();
        while self.blank_next().is_some_and(|c| c != '\'') {}
    }

    fn raw_string(&mut self) {
        let hashes = self.rest.clone().take_while(|c| *c == '#').count();
        if self.rest.clone().nth(hashes) != Some('"') {
            return self.keep('r'); // a raw name such as `r#type`
        }
        for _ in 0..=hashes {
            self.blank_next();
        }
        let mut closing = None;
        while let Some(c) = self.blank_next() {
            closing = match (c, closing) {
                ('"', _) => Some(0),
                ('#', Some(seen)) => Some(seen + 1),
                _ => None,
            };
            if closing == Some(hashes) {
                return;
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left() {
        for (why, text, expected) in [
            ("a line comment goes", "a // crate::b\nc", "a \nc"),
            ("a doc comment goes", "//! x\n/// y\nz", "\n\nz"),
            ("nested block comments go as one", "a/* x /* y */ z */b", "ab"),
            ("a string goes", r#"f("crate::x")"#, "f()"),
            ("an escaped quote does not end a string", r#"f("a\"b")c"#, "f()c"),
            ("a raw string goes, hashes and all", r##"f(r#"a"b"#)c"##, "f()c"),
            ("a byte string goes", r#"f(b"x")"#, "f(b)"),
            ("a character goes", r"f('a', '\'', '\u{7f}')", "f(, , )"),
            ("a quote inside a character opens no string", "f('\"')g", "f()g"),
            ("a lifetime stays", "fn a<'a>(x: &'a str)", "fn a<'a>(x: &'a str)"),
            ("a raw name stays", "let r#type = 1", "let r#type = 1"),
            (
                "two slashes inside a string are no comment",
                "f(\"http://x\");g",
                "f();g",
            ),
        ] {
            let squeezed = squeeze(&only(text));
            assert_eq!(squeezed, squeeze(expected), "{why}");
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let text = "a\n/* 1\n2 */\n\"x\ny\"\nb";
        assert_eq!(
            only(text).lines().count(),
            text.lines().count(),
            "a rule must point at the true line"
        );
    }

    fn squeeze(text: &str) -> String {
        text.chars().filter(|c| *c != ' ').collect()
    }
}
