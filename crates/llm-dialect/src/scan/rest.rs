//! What of a JSON text has not been read yet, and the small steps over it.

use super::plain;

/// What has not been read yet. It goes from step to step by value, so that it stays in registers; an offset kept in
/// memory would be written and read again at each token.
#[derive(Clone, Copy)]
pub(crate) struct Rest<'a>(pub(crate) &'a [u8]);

impl<'a> Rest<'a> {
    /// The byte that stands here.
    #[inline]
    pub(crate) fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Steps over `byte` if it stands here.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, behind @ ..] if *first == byte => {
                self.0 = behind;
                true
            }
            _ => false,
        }
    }

    /// Steps over `byte` if that comes next, with or without space before it. What stands here otherwise is no space.
    /// Most texts have none where they may, so it is looked for where something else is missing.
    #[inline]
    pub(crate) fn token(&mut self, byte: u8) -> bool {
        self.take(byte) || {
            self.space();
            self.take(byte)
        }
    }

    /// Steps over the space that stands here.
    #[inline]
    pub(crate) fn space(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            *self = self.behind_space();
        }
    }

    /// Out of the way, so that the steps stay small.
    #[inline(never)]
    fn behind_space(mut self) -> Self {
        while let [b' ' | b'\n' | b'\r' | b'\t', behind @ ..] = self.0 {
            self.0 = behind;
        }
        self
    }

    /// Steps over the digits that stand here, and says which they are.
    #[inline]
    pub(crate) fn digits(&mut self) -> &'a [u8] {
        let all = self.0;
        while let [b'0'..=b'9', behind @ ..] = self.0 {
            self.0 = behind;
        }
        all.get(..all.len() - self.0.len()).unwrap_or_default()
    }

    /// Steps behind the closing quote of a string, from behind its opening one, and says what is between. Only
    /// where that is short and plain; nothing is stepped over otherwise.
    #[inline]
    pub(crate) fn short_string(&mut self) -> Option<&'a [u8]> {
        let (inside, from_quote) = self.0.split_at_checked(plain::short_run(self.0)?)?;
        self.0 = from_quote.strip_prefix(b"\"")?;
        Some(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_goes_as_far_as_what_it_is_for() {
        type Step = fn(&mut Rest<'_>);
        let take: Step = |rest| assert_eq!(rest.peek() == Some(b','), rest.take(b','));
        let space: Step = |rest| rest.space();
        let digits: Step = |rest| assert!(rest.digits().iter().all(u8::is_ascii_digit));
        let string: Step = |rest| {
            let _ = rest.short_string();
        };
        #[rustfmt::skip]
        let table: [(&str, Step, &str); 14] = [
            (",,", take, ","),
            ("a,", take, "a,"),
            ("", take, ""),
            (" \n\r\t ,", space, ","),
            ("\u{b} ", space, "\u{b} "),
            (", ", space, ", "),
            ("", space, ""),
            ("0129a", digits, "a"),
            ("/0", digits, "/0"),
            (":0", digits, ":0"),
            ("7", digits, ""),
            ("role\":\"user\"", string, ":\"user\""),
            ("\"12345678", string, "12345678"),
            ("ro\\\"le\":\"user\"", string, "ro\\\"le\":\"user\""),
        ];
        for (text, step, left) in table {
            let mut rest = Rest(text.as_bytes());
            step(&mut rest);
            assert_eq!(rest.0, left.as_bytes(), "{text}");
        }
        assert_eq!(Rest(b"0129a").digits(), b"0129");
        assert_eq!(Rest(b"role\":\"user\"").short_string(), Some(&b"role"[..]));
    }
}
