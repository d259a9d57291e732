//! A JSON object that is written by hand, into room that is there: the access line is on the way of every request.

use std::fmt;
use std::mem;
use std::net::IpAddr;
use std::time::Duration;

use super::escape;
use crate::base::{Cost, address};

/// A member's name as it stands behind another member: one literal, one copy.
macro_rules! name {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(super) use name;

/// The room behind what has been written. What does not fit is left out, and all that comes after it: the end tells.
///
/// Names are copied where they stand; values have a function for each kind, since a line calls each several times, and copies
/// of their code would only take room in the processor's caches.
pub(super) struct Json<'a> {
    free: &'a mut [u8],
}

impl<'a> Json<'a> {
    /// Writes from the beginning of `room` on.
    pub(super) fn new(room: &'a mut [u8]) -> Self {
        Self { free: room }
    }

    /// Writes `end`, and tells how much room is left; none if not all has fitted.
    pub(super) fn end(self, end: &[u8]) -> Option<usize> {
        let rest = self.free.len().checked_sub(end.len())?;
        self.put(end);
        Some(rest)
    }

    /// Text that needs no escaping, as it is.
    #[inline]
    pub(super) fn text(self, text: &str) -> Self {
        self.put(text.as_bytes())
    }

    #[inline]
    fn put(self, bytes: &[u8]) -> Self {
        match self.free.split_at_mut_checked(bytes.len()) {
            Some((to, free)) => {
                to.copy_from_slice(bytes);
                Self { free }
            }
            None => Self { free: &mut [] },
        }
    }

    #[inline]
    pub(super) fn string(self, name: &'static str, value: &str) -> Self {
        self.text(name).quoted(value)
    }

    #[inline]
    pub(super) fn string_or_null(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.string(name, value),
            None => self.null(name),
        }
    }

    #[inline(never)]
    fn quoted(self, value: &str) -> Self {
        if is_plain(value) {
            return self.text("\"").text(value).text("\"");
        }
        // A string always serialises.
        self.text(&escape::json(serde_json::to_string(value).unwrap_or_default()))
    }

    pub(super) fn strings(self, opening: &'static str, values: &[String]) -> Self {
        let mut out = self.text(opening);
        for (n, value) in values.iter().enumerate() {
            out = out.string(if n == 0 { "" } else { "," }, value);
        }
        out.text("]")
    }

    #[inline(never)]
    fn null(self, name: &str) -> Self {
        self.text(name).text("null")
    }

    pub(super) fn address(self, name: &'static str, value: Option<IpAddr>) -> Self {
        let Some(ip) = value else { return self.null(name) };
        let mut out = self.text(name).text("\"");
        address::push(&mut out, ip);
        out.text("\"")
    }

    #[inline]
    pub(super) fn number(self, name: &'static str, value: u64) -> Self {
        self.text(name).digits(value)
    }

    #[inline]
    pub(super) fn number_or_null(self, name: &'static str, value: Option<u64>) -> Self {
        match value {
            Some(value) => self.number(name, value),
            None => self.null(name),
        }
    }

    #[inline(never)]
    fn digits(self, number: u64) -> Self {
        self.text(itoa::Buffer::new().format(number))
    }

    pub(super) fn money(self, name: &'static str, value: Option<Cost>) -> Self {
        let Some(cost) = value else { return self.null(name) };
        let mut out = self.text(name);
        // What does not fit is noticed at the end.
        let _ = cost.write(&mut out);
        out
    }

    /// In milliseconds, to the microsecond.
    #[inline]
    pub(super) fn milliseconds(self, name: &'static str, value: Duration) -> Self {
        self.text(name).duration(value)
    }

    #[inline]
    pub(super) fn milliseconds_or_null(self, name: &'static str, value: Option<Duration>) -> Self {
        match value {
            Some(value) => self.milliseconds(name, value),
            None => self.null(name),
        }
    }

    #[inline(never)]
    fn duration(self, value: Duration) -> Self {
        let whole = value.as_secs().saturating_mul(1_000);
        let whole = whole.saturating_add(value.subsec_millis().into());
        self.text(itoa::Buffer::new().format(whole))
            .thousandths(value.subsec_micros() % 1_000)
    }

    /// A point, and so many thousandths.
    fn thousandths(self, count: u32) -> Self {
        let digit = |unit: u32| u8::try_from(count / unit % 10).map_or(b'0', |digit| b'0' + digit);
        self.put(&[b'.', digit(100), digit(10), digit(1)])
    }
}

/// For what knows how to write itself. It never fails: what does not fit is noticed at the end.
impl fmt::Write for Json<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = mem::take(&mut self.free);
        *self = Json::new(free).text(text);
        Ok(())
    }
}

/// Whether a text needs no escaping. Whatever is beyond plain ASCII is left to the JSON writer.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let word = |word: &[u8; 8]| is_plain_word(u64::from_le_bytes(*word));
    // The last bytes are looked at together, though some of them may have been already.
    if let Some(last) = bytes.last_chunk() {
        let (words, _) = bytes.as_chunks();
        return words.iter().all(word) && word(last);
    }
    if let (Some([a, b, c, d]), Some([e, f, g, h])) = (bytes.first_chunk(), bytes.last_chunk()) {
        return word(&[*a, *b, *c, *d, *e, *f, *g, *h]);
    }
    let plain = |byte: u8| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
    text.bytes().all(plain)
}

/// The same for eight bytes together. Each subtraction leaves the high bit in the lowest byte that it is meant for: in
/// quotes (which one flipped bit makes a neighbour of the control characters) and those, in backslashes, and in DEL. It
/// may be there in a byte above such a one, but nowhere else.
fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let quote_or_control = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5C)).wrapping_sub(ONES);
    let del = (word ^ (ONES * 0x7F)).wrapping_sub(ONES);
    (word | quote_or_control | backslash | del) & (ONES * 0x80) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_plain_unless_a_byte_of_it_anywhere_is_not() {
        for special in 0..=u8::MAX {
            let plain = matches!(special, b' '..=b'~') && special != b'"' && special != b'\\';
            for (length, offset) in [3, 4, 6, 8, 16, 19]
                .into_iter()
                .flat_map(|length| (0..length).map(move |at| (length, at)))
            {
                let mut bytes = vec![b'~'; length];
                bytes[offset] = special;
                // Latin-1, so that every byte has a character.
                let text: String = bytes.iter().copied().map(char::from).collect();
                assert_eq!(is_plain(&text), plain, "byte {special} at {offset} of {length}");
            }
        }
    }

    fn written(room: &mut [u8]) -> Option<&str> {
        let size = room.len();
        let left = Json::new(room)
            .text("{\"a\":1")
            .string(name!("s"), "say \"x\"")
            .string_or_null(name!("none"), None)
            .number(name!("most"), u64::MAX)
            .number_or_null(name!("no"), None)
            .address(name!("ip"), Some([127, 0, 10, 1].into()))
            .money(name!("cost"), Some(Cost::from_nanos(12_500_000)))
            .milliseconds(name!("ms"), Duration::from_micros(12_000_034))
            .milliseconds(name!("short"), Duration::from_nanos(1_999))
            .milliseconds(name!("long"), Duration::MAX)
            .strings(",\"list\":[", &["x".to_owned(), String::new()])
            .end(b"}\n")?;
        Some(std::str::from_utf8(&room[..size - left]).unwrap())
    }

    #[test]
    fn what_is_written_is_json_and_too_little_room_is_told_wherever_it_ends() {
        let expected = concat!(
            r#"{"a":1,"s":"say \"x\"","none":null,"most":18446744073709551615,"no":null,"ip":"127.0.10.1","#,
            r#""cost":0.0125,"ms":12000.034,"short":0.001,"long":18446744073709551615.999,"list":["x",""]}"#,
            "\n"
        );
        for size in 0..expected.len() {
            assert_eq!(
                written(&mut vec![b'x'; size]),
                None,
                "{size} of {}",
                expected.len()
            );
        }
        for more in [0, 1, 100] {
            assert_eq!(written(&mut vec![b'x'; expected.len() + more]), Some(expected));
        }
    }
}
