//! Writes events. What goes in as one event comes out as one event, whatever its data holds.

use memchr::memchr2;

/// Appends an event; `name` must not hold a line end. Line ends in `data` become further `data` lines.
pub fn event(out: &mut Vec<u8>, name: Option<&str>, data: &[u8]) {
    if let Some(name) = name {
        line(out, b"event: ", name.as_bytes());
    }
    each_line(data, |text| line(out, b"data: ", text));
    out.push(b'\n');
}

/// Appends a comment, which every client ignores: a sign of life.
pub fn comment(out: &mut Vec<u8>, text: &str) {
    each_line(text.as_bytes(), |text| line(out, b": ", text));
    out.push(b'\n');
}

/// Puts JSON on one line, as the data of an event must be. Strings hold no line end as it is: such ends lie between
/// the values of what a client or a model has laid out, its tools and its arguments.
pub(crate) fn on_one_line(json: &mut [u8]) {
    let mut from = 0;
    while let Some(at) = json.get(from..).and_then(|rest| memchr2(b'\n', b'\r', rest)) {
        if let Some(end) = json.get_mut(from + at) {
            *end = b' ';
        }
        from += at + 1;
    }
}

fn line(out: &mut Vec<u8>, head: &[u8], text: &[u8]) {
    out.extend_from_slice(head);
    out.extend_from_slice(text);
    out.push(b'\n');
}

fn each_line(mut text: &[u8], mut each: impl FnMut(&[u8])) {
    while let Some((head, tail)) = memchr2(b'\n', b'\r', text).and_then(|end| text.split_at_checked(end)) {
        each(head);
        text = tail
            .strip_prefix(b"\r\n")
            .or_else(|| tail.get(1..))
            .unwrap_or_default();
    }
    each(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::{Decoder, RawEvent};
    use bytes::Bytes;
    use proptest::prelude::*;

    #[test]
    fn events_look_as_the_dialects_write_them() {
        let table: [(&str, Option<&str>, &str, &str); 4] = [
            ("chat", None, "{}", "data: {}\n\n"),
            ("messages", Some("ping"), "{}", "event: ping\ndata: {}\n\n"),
            (
                "line ends",
                None,
                "a\nb\r\nc\rd",
                "data: a\ndata: b\ndata: c\ndata: d\n\n",
            ),
            ("empty data", None, "", "data: \n\n"),
        ];
        for (case, name, data, expected) in table {
            let mut out = Vec::new();
            event(&mut out, name, data.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{case}");
        }
    }

    #[test]
    fn a_comment_cannot_smuggle_a_field() {
        let mut out = Vec::new();
        comment(&mut out, "wait\ndata: x");
        assert_eq!(out, b": wait\n: data: x\n\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(data in "[a-z \n:é]{0,40}", name in prop::option::of("[a-z.]{1,10}")) {
            let mut out = Vec::new();
            event(&mut out, name.as_deref(), data.as_bytes());
            let mut read = Vec::new();
            let mut emit = |event: &RawEvent<'_>| read.push((event.name().map(<[u8]>::to_vec), event.data().into_owned()));
            Decoder::new(1 << 16).feed(&Bytes::from(out), &mut emit).unwrap();
            prop_assert_eq!(read, [(name.map(String::into_bytes), data.into_bytes())]);
        }
    }
}
