//! The words of an error, without those that it only quotes.
//!
//! Errors repeat what the caller sent: a model's name, a field. Quoted words may show that the caller is at fault,
//! but they must not bench a backend or a key, or else any client could do so by sending the right words.

use super::policy::blames_the_caller;
use crate::base::Class;

/// Only the beginning of a message is looked at, in bytes: the rest may be an echo.
const MESSAGE: usize = 600;
/// Opening quotation marks and their closing ones.
const QUOTES: [(char, char); 5] = [('\'', '\''), ('"', '"'), ('`', '`'), ('“', '”'), ('「', '」')];

/// What an error says, in lower case.
pub(super) struct Words {
    all: String,
    unquoted: String,
}

impl Words {
    /// The words of an error's message, or of its body where nothing read a message out of it. The strings in a body
    /// are all quoted, so there nothing can be left out.
    pub(super) fn of(message: &str, body: &str) -> Self {
        if message.is_empty() {
            let all = body.to_lowercase();
            return Self {
                unquoted: all.clone(),
                all,
            };
        }
        let all = beginning(message, MESSAGE).to_lowercase();
        Self {
            unquoted: unquoted(&all),
            all,
        }
    }

    /// The text in which to look for sayings that lead to `class`.
    pub(super) fn against(&self, class: Class) -> &str {
        if blames_the_caller(class) {
            &self.all
        } else {
            &self.unquoted
        }
    }
}

/// `text` without what stands between quotation marks, from the first to the last of a kind; what is never closed
/// was cut off or made up, and goes to the end.
fn unquoted(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(mark) = rest.chars().next() {
        let after = rest.get(mark.len_utf8()..).unwrap_or_default();
        kept.push(mark);
        rest = match closing(mark, &kept) {
            Some(close) => after.rsplit_once(close).map_or("", |(_, beyond)| beyond),
            None => after,
        };
    }
    kept
}

/// The mark that closes what `mark` opens at the end of `before`; an apostrophe within a word opens nothing.
fn closing(mark: char, before: &str) -> Option<char> {
    let (_, close) = QUOTES.into_iter().find(|(open, _)| *open == mark)?;
    let previous = before.chars().rev().nth(1);
    (!previous.is_some_and(|c| c.is_ascii_alphanumeric())).then_some(close)
}

/// At most the first `limit` bytes of `text`, cut between characters.
fn beginning(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    #[test]
    fn what_is_quoted_is_left_out() {
        for (text, expected) in [
            (
                "the model `余额不足` does not exist",
                "the model ` does not exist",
            ),
            (
                "the model `a` 余额不足` does not exist",
                "the model ` does not exist",
            ),
            (
                "you've reached your limit, it's over",
                "you've reached your limit, it's over",
            ),
            ("invalid value: 'x'.", "invalid value: '."),
            ("模型“x”不存在", "模型“不存在"),
            ("an open ` mark", "an open `"),
            ("'x' is unknown", "' is unknown"),
        ] {
            assert_eq!(unquoted(text), expected, "{text}");
        }
    }

    #[test]
    fn what_comes_late_in_a_message_is_not_looked_at() {
        let words = Words::of(&format!("{}余额不足", "x".repeat(500)), "");
        assert!(words.against(Class::Client).contains("余额"));
        let words = Words::of(&format!("{}余额不足", "x".repeat(MESSAGE)), "");
        assert!(!words.against(Class::Client).contains("余额"));
        let words = Words::of(&format!("余额不足 {}", "é".repeat(MESSAGE)), "");
        let cut = words.against(Class::Client);
        assert!(
            cut.contains("余额"),
            "cut within a character, it is still looked at"
        );
    }

    proptest! {
        #[test]
        fn quoted_words_never_tell_against_a_backend(words in "[^`]*", before in "[a-z ]* ", after in "[a-z ]*") {
            let words = words.to_lowercase();
            let message = format!("{before}`{words}secret saying{words}`{after}");
            let told = Words::of(&message, "");
            prop_assert!(!told.against(Class::Quota).contains("secret saying"));
        }
    }
}
