//! The items of an array, one after the other: nothing is collected, and what nobody asks for is not looked at.

use super::walk::Scan;
use super::{Rest, Span};

/// The items of an array whose bytes have been scanned before.
pub(crate) struct Items<'a> {
    scan: Scan<'a>,
    rest: Rest<'a>,
    begun: bool,
}

/// The items of the array at that place, which is known to be sound: none of anything else.
pub(crate) fn items(bytes: &[u8], array: Span) -> Items<'_> {
    let bytes = bytes.get(..array.end).unwrap_or_default();
    Items {
        scan: Scan::of_sound(bytes),
        rest: Rest(bytes.get(array.start..).unwrap_or_default()),
        begun: false,
    }
}

impl Iterator for Items<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let lead = if std::mem::replace(&mut self.begun, true) {
            b','
        } else {
            b'['
        };
        self.rest.space();
        if !self.rest.take(lead) {
            return None;
        }
        self.rest.space();
        let start = self.rest;
        self.rest = self.scan.value(start).ok()?;
        Some(self.scan.span(start, self.rest))
    }
}

/// What follows these tokens, if a text begins with them; space before each is passed over.
pub(crate) fn tokens<'b>(bytes: &'b [u8], tokens: &[&str]) -> Option<&'b [u8]> {
    let mut tokens = tokens.iter();
    tokens.try_fold(bytes, |rest, token| {
        rest.trim_ascii_start().strip_prefix(token.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_passed_over_with_the_space_before_each() {
        let wanted = ["[", "{", "\"role\"", ":"];
        for (text, behind) in [
            ("[{\"role\":1", Some("1")),
            (" [\n{ \"role\" : 1", Some(" 1")),
            ("[{\"rol\":1", None),
            ("[", None),
        ] {
            assert_eq!(
                tokens(text.as_bytes(), &wanted),
                behind.map(str::as_bytes),
                "{text}"
            );
        }
    }

    #[test]
    fn each_item_is_found_in_its_turn() {
        for (text, want) in [
            ("[]", vec![]),
            ("[ ]", vec![]),
            ("[1]", vec!["1"]),
            (
                " [ {\"a\":[1,2]} ,\"b,]\",[ [] ] ] ",
                vec!["{\"a\":[1,2]}", "\"b,]\"", "[ [] ]"],
            ),
            ("[\"é\", null]", vec!["\"é\"", "null"]),
            ("{\"a\":1}", vec![]),
            ("7", vec![]),
            ("", vec![]),
        ] {
            let whole = Span {
                start: 0,
                end: text.len(),
            };
            let mut all = items(text.as_bytes(), whole);
            let found: Vec<_> = all.by_ref().map(|span| &text[span.start..span.end]).collect();
            assert_eq!(found, want, "{text}");
            assert_eq!(all.next(), None, "the end is the end");
        }
    }

    #[test]
    fn an_array_ends_where_it_ends() {
        let text = b"{\"a\":[1,2],\"b\":[3]}";
        let found: Vec<_> = items(text, Span { start: 5, end: 10 }).collect();
        assert_eq!(found, [Span { start: 6, end: 7 }, Span { start: 8, end: 9 }]);
    }
}
