//! What a request orders: a text that no other request can get. It can be checked word by word, whoever wrote it.

use std::fmt::Write as _;

/// Digits of a nonce.
const NONCE: usize = 16;
/// Digits of a word's number.
const NUMBER: usize = 4;
/// What stands before an order in a prompt.
const SAY: &[u8] = b"say ";

/// So many words, each with this nonce and its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) nonce: u64,
    /// Below 10,000.
    pub(super) words: u32,
}

/// What the nonces of plain orders have, and no others.
const PLAIN: u64 = 1 << 63;

impl Order {
    /// An order that every backend meets at once and in full.
    pub(super) fn plain(nonce: u64) -> Self {
        Self {
            nonce: nonce | PLAIN,
            words: 1,
        }
    }

    /// An order that is met in any way.
    pub(super) fn of(nonce: u64, words: u32) -> Self {
        Self {
            nonce: nonce & !PLAIN,
            words,
        }
    }

    /// Whether it is met at once and in full.
    pub(super) fn is_plain(self) -> bool {
        self.nonce & PLAIN != 0
    }

    /// The text of the prompt.
    pub(super) fn prompt(self) -> String {
        format!("say {:016x} {:04}", self.nonce, self.words)
    }

    /// The order in a request's body, whatever its dialect.
    pub(super) fn find(body: &[u8]) -> Option<Self> {
        let mut windows = body.windows(SAY.len() + NONCE + 1 + NUMBER);
        windows.find_map(|window| Self::read(window.strip_prefix(SAY)?))
    }

    fn read(text: &[u8]) -> Option<Self> {
        let (nonce, words) = str::from_utf8(text).ok()?.split_once(' ')?;
        Some(Self {
            nonce: u64::from_str_radix(nonce, 16).ok()?,
            words: words.parse().ok()?,
        })
    }

    /// The id of the request that orders it.
    pub(super) fn id(self) -> String {
        format!("{:016x}", self.nonce)
    }

    /// The answer, to the letter.
    pub(super) fn text(self) -> String {
        let mut text = String::new();
        for number in 0..self.words {
            let space = if number == 0 { "" } else { " " };
            // Writing into a string cannot fail.
            let _ = write!(text, "{space}{:016x}.{number:04}", self.nonce);
        }
        text
    }

    /// What is wrong with the words in these bytes: each must be of this order and follow the one before. After the last
    /// they may begin again, for there are dialects that say all once more at the end.
    pub(super) fn objection(self, bytes: &[u8]) -> Option<String> {
        let mut next = 0;
        for (nonce, number) in words(bytes) {
            if nonce != self.nonce {
                return Some(format!("a word of another request, {nonce:016x}.{number:04}"));
            }
            if number != next && !(number == 0 && next == self.words) {
                return Some(format!("word {number:04} where {next:04} should stand"));
            }
            next = number + 1;
        }
        None
    }
}

/// All words in these bytes.
fn words(bytes: &[u8]) -> impl Iterator<Item = (u64, u32)> {
    let windows = bytes.windows(NONCE + 1 + NUMBER);
    windows.filter_map(|window| {
        let (nonce, rest) = window.split_at(NONCE);
        let number = rest.strip_prefix(b".")?;
        let is_word = nonce.iter().all(u8::is_ascii_hexdigit) && number.iter().all(u8::is_ascii_digit);
        let nonce = is_word.then(|| str::from_utf8(nonce).ok()).flatten()?;
        let nonce = u64::from_str_radix(nonce, 16).ok()?;
        Some((nonce, str::from_utf8(number).ok()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Order = Order {
        nonce: 0xab,
        words: 3,
    };

    #[test]
    fn an_order_is_found_in_any_body() {
        let body = format!(r#"{{"content":"They say that. {}"}}"#, ORDER.prompt());
        assert_eq!(Order::find(body.as_bytes()), Some(ORDER));
        assert_eq!(Order::find(b"say nothing of the kind, whatever it is"), None);
    }

    #[test]
    fn a_plain_order_is_known_as_such_in_any_body() {
        let found = |order: Order| Order::find(order.prompt().as_bytes());
        assert!(found(Order::plain(7)).is_some_and(Order::is_plain));
        assert!(found(Order::of(u64::MAX, 9)).is_some_and(|order| !order.is_plain() && order.words == 9));
    }

    #[test]
    fn words_must_be_of_the_order_and_in_their_order() {
        let other = Order { nonce: 0xcd, ..ORDER };
        let text = ORDER.text();
        assert_eq!(
            text,
            "00000000000000ab.0000 00000000000000ab.0001 00000000000000ab.0002"
        );
        for (bytes, objects) in [
            (text.clone(), false),
            (text.repeat(2), false),
            (text.chars().take(43).collect(), false),
            (text.replace(".0001", ".0002"), true),
            (format!("{text} {text}").replacen(".0002", "", 1), true),
            (text.clone() + &other.text(), true),
            (other.text(), true),
            (String::new(), false),
        ] {
            assert_eq!(ORDER.objection(bytes.as_bytes()).is_some(), objects, "{bytes}");
        }
    }
}
