//! Splits a byte stream into whole events, however the network cut it.
//!
//! The decoder looks at every byte once, and only for line ends. It copies nothing as long as an event
//! lies within one chunk. The events that it yields hold every byte of the stream in order, so a
//! pass-through that writes their `raw` bytes gives back exactly what came in.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use memchr::{memchr, memchr2};

/// Some senders put a byte order mark before the very first event; it is no part of a field's name.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// An event grew beyond the decoder's bound; the stream cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// One event as it stood in the stream: its lines and the blank line that ends it.
#[derive(Clone, Debug)]
pub struct RawEvent<'c> {
    /// The exact bytes, with the blank line.
    pub raw: &'c [u8],
    /// What they are a part of: the chunk last fed, or what was joined from several ones.
    within: &'c Bytes,
    /// Where in the chunk last fed these bytes lie; nothing if they had to be joined from several chunks.
    pub(crate) span: Option<Range<usize>>,
    /// How many lines there are before the blank one, where they were counted.
    lines: Option<usize>,
    marked: bool,
}

impl<'c> RawEvent<'c> {
    /// What was left of a stream when it ended, read as if its blank line had come.
    pub(crate) fn unfinished(raw: &'c Bytes) -> Self {
        Self {
            raw,
            within: raw,
            span: None,
            lines: None,
            marked: raw.starts_with(BYTE_ORDER_MARK),
        }
    }

    /// The exact bytes, for those who keep them. They are not copied.
    pub fn bytes(&self) -> Bytes {
        self.within.slice_ref(self.raw)
    }

    /// The value of the `event` field, unless it is absent or empty. The last one counts.
    pub fn name(&self) -> Option<&'c [u8]> {
        self.parts().0
    }

    /// The `data` lines, joined by line feeds; empty if there is none.
    pub fn data(&self) -> Cow<'c, [u8]> {
        self.parts().1
    }

    /// [`name`](Self::name) and [`data`](Self::data), read in one go.
    pub fn parts(&self) -> (Option<&'c [u8]>, Cow<'c, [u8]>) {
        if let (Some(1), Some(line)) = (self.lines, self.raw.strip_prefix(b"data: ")) {
            // By far the commonest.
            return (None, Cow::Borrowed(without_line_ends(line)));
        }
        let (mut name, mut data) = (None, None);
        for (field, value) in self.fields() {
            match field {
                b"event" => name = Some(value).filter(|name| !name.is_empty()),
                b"data" => append(&mut data, value),
                _ => {}
            }
        }
        (name, data.unwrap_or_default())
    }

    /// Whether there is no field at all: comments and blank lines, as senders use to keep a connection alive.
    pub fn is_comment(&self) -> bool {
        self.fields().next().is_none()
    }

    /// The fields in order, comments left out; a line without a colon is a name with an empty value.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'c [u8], &'c [u8])> + use<'c> {
        let text = self.raw.strip_prefix(BYTE_ORDER_MARK).filter(|_| self.marked);
        let lines = Lines {
            text: text.unwrap_or(self.raw),
            left: self.lines,
        };
        lines.filter_map(field)
    }
}

/// Adds a line of data; the first one is borrowed.
fn append<'a>(data: &mut Option<Cow<'a, [u8]>>, line: &'a [u8]) {
    match data {
        None => *data = Some(Cow::Borrowed(line)),
        Some(data) => {
            let data = data.to_mut();
            data.push(b'\n');
            data.extend_from_slice(line);
        }
    }
}

/// A line's name and value; nothing for a blank line or a comment.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // Nearly every line is such a one, and is not searched.
    let colon = if line.starts_with(b"data:") {
        b"data".len()
    } else {
        memchr(b':', line).unwrap_or(line.len())
    };
    let (name, rest) = line.split_at_checked(colon)?;
    let value = rest.strip_prefix(b":").unwrap_or_default();
    (!name.is_empty()).then(|| (name, value.strip_prefix(b" ").unwrap_or(value)))
}

/// The lines of a finished text, without their ends: LF, CR LF or CR.
struct Lines<'a> {
    text: &'a [u8],
    /// How many are left before blank ones, where somebody counted.
    left: Option<usize>,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.left {
            Some(0) => return None,
            // Only line ends follow the last one: they are not searched for.
            Some(left @ 1) => {
                *left = 0;
                return Some(without_line_ends(self.text));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if self.text.is_empty() {
            return None;
        }
        let end = memchr2(b'\n', b'\r', self.text).unwrap_or(self.text.len());
        let (line, rest) = self.text.split_at_checked(end)?;
        self.text = rest
            .strip_prefix(b"\r\n")
            .or_else(|| rest.get(1..))
            .unwrap_or_default();
        Some(line)
    }
}

fn without_line_ends(mut text: &[u8]) -> &[u8] {
    while let [line @ .., b'\n' | b'\r'] = text {
        text = line;
    }
    text
}

/// The incremental splitter. It holds at most one unfinished event.
#[derive(Debug)]
pub struct Decoder {
    max_event: usize,
    /// The unfinished event's bytes from earlier chunks.
    pending: Vec<u8>,
    /// Whether the current line has no byte yet, so that a line end now ends the event.
    at_line_start: bool,
    /// Whether the last byte fed was a CR: a LF that follows belongs to the same line end.
    after_cr: bool,
    begun: bool,
    burst: bool,
    /// How many lines of the unfinished event are whole.
    lines: usize,
}

impl Decoder {
    /// A decoder that refuses events of more than `max_event` bytes.
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            pending: Vec::new(),
            at_line_start: true,
            after_cr: false,
            begun: false,
            burst: false,
            lines: 0,
        }
    }

    /// Takes the next bytes, cut anywhere, and yields the events that they complete.
    ///
    /// A lone CR ends a line at once, so that no event has to wait for the byte after it. If that byte
    /// then is a LF, it comes out as an event of its own without any field.
    ///
    /// # Errors
    /// [`TooLarge`] once an event, finished or not, is over the bound, and at every call thereafter.
    pub fn feed(&mut self, chunk: &Bytes, emit: &mut dyn FnMut(&RawEvent<'_>)) -> Result<(), TooLarge> {
        let (mut start, mut at) = (0, self.rest_of_line_end(chunk));
        if at > 0 && self.pending.is_empty() {
            self.cut(chunk, 0..at, emit)?;
            start = at;
        }
        while let Some((line_end, next)) = self.line_end(chunk, at) {
            let blank = self.at_line_start && line_end == at;
            self.at_line_start = true;
            at = next;
            if blank {
                self.cut(chunk, start..at, emit)?;
                start = at;
            } else {
                self.lines += 1;
            }
        }
        self.at_line_start &= at == chunk.len();
        self.keep(chunk.get(start..).unwrap_or_default())
    }

    /// The bytes after the last whole event, if any.
    pub fn finish(self) -> Option<Bytes> {
        (!self.pending.is_empty()).then(|| Bytes::from(self.pending))
    }

    /// How many bytes at the head of the chunk belong to a line end that the chunk before began.
    fn rest_of_line_end(&mut self, chunk: &Bytes) -> usize {
        let continued = self.after_cr && chunk.first() == Some(&b'\n');
        self.after_cr &= chunk.is_empty();
        usize::from(continued)
    }

    /// Where the line at `from` ends and where the next one begins, if the chunk holds a line end.
    fn line_end(&mut self, chunk: &Bytes, from: usize) -> Option<(usize, usize)> {
        let rest = chunk.get(from..)?;
        let length = match rest.first()? {
            b'\n' | b'\r' => 0,
            _ => memchr2(b'\n', b'\r', rest)?,
        };
        let ending = rest.get(length..)?;
        self.after_cr = ending == b"\r";
        let next = length + if ending.starts_with(b"\r\n") { 2 } else { 1 };
        Some((from + length, from + next))
    }

    fn cut(
        &mut self,
        chunk: &Bytes,
        span: Range<usize>,
        emit: &mut dyn FnMut(&RawEvent<'_>),
    ) -> Result<(), TooLarge> {
        self.admit(span.len())?;
        let part = chunk.get(span.clone()).unwrap_or_default();
        let joined;
        let (raw, within, span) = if self.pending.is_empty() {
            (part, chunk, Some(span))
        } else {
            self.pending.extend_from_slice(part);
            joined = Bytes::from(std::mem::take(&mut self.pending));
            (&*joined, &joined, None)
        };
        emit(&RawEvent {
            raw,
            within,
            span,
            lines: Some(std::mem::take(&mut self.lines)),
            marked: !std::mem::replace(&mut self.begun, true) && raw.starts_with(BYTE_ORDER_MARK),
        });
        Ok(())
    }

    fn keep(&mut self, rest: &[u8]) -> Result<(), TooLarge> {
        self.admit(rest.len())?;
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// Whether the unfinished event may grow by so many bytes.
    fn admit(&mut self, more: usize) -> Result<(), TooLarge> {
        self.burst |= self.pending.len() + more > self.max_event;
        if self.burst { Err(TooLarge) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A decoder's view of an input: name, data.
    type Seen = Vec<(Option<Vec<u8>>, Vec<u8>)>;

    fn decode(chunks: &[&[u8]]) -> (Seen, Vec<u8>) {
        let mut decoder = Decoder::new(1 << 20);
        let (mut seen, mut raw) = (Vec::new(), Vec::new());
        for chunk in chunks {
            let mut emit = |event: &RawEvent<'_>| {
                raw.extend_from_slice(event.raw);
                if !event.is_comment() {
                    seen.push((event.name().map(<[u8]>::to_vec), event.data().into_owned()));
                }
            };
            decoder.feed(&Bytes::copy_from_slice(chunk), &mut emit).unwrap();
        }
        raw.extend_from_slice(&decoder.finish().unwrap_or_default());
        (seen, raw)
    }

    fn events(input: &str) -> Vec<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (seen, raw) = decode(&[input.as_bytes()]);
        assert_eq!(raw, input.as_bytes(), "no byte may be lost");
        seen.into_iter()
            .map(|(name, data)| (text(name.unwrap_or_default()), text(data)))
            .collect()
    }

    fn pair(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        #[rustfmt::skip]
        let table = [
            ("a plain line", "data: x\n\n", vec![pair("", "x")]),
            ("no space after the colon", "data:x\n\n", vec![pair("", "x")]),
            ("only one space is dropped", "data:  x\n\n", vec![pair("", " x")]),
            ("several lines are joined", "data: a\ndata: b\n\n", vec![pair("", "a\nb")]),
            ("a line without colon is an empty value", "data\n\n", vec![pair("", "")]),
            ("a name", "event: ping\ndata: {}\n\n", vec![pair("ping", "{}")]),
            ("the last name counts", "event: a\nevent: b\ndata: 1\n\n", vec![pair("b", "1")]),
            ("comments are no events", ": hello\n\n\n\ndata: 1\n\n", vec![pair("", "1")]),
            ("a comment inside", "data: 1\n: c\ndata: 2\n\n", vec![pair("", "1\n2")]),
            ("CR LF", "event: e\r\ndata: 1\r\n\r\n", vec![pair("e", "1")]),
            ("CR alone", "event: e\rdata: 1\r\rdata: 2\r\r", vec![pair("e", "1"), pair("", "2")]),
            ("mixed ends", "data: 1\r\n\ndata: 2\n\r\n", vec![pair("", "1"), pair("", "2")]),
            ("a byte order mark", "\u{feff}data: 1\n\n", vec![pair("", "1")]),
            ("a mark later on is part of the name", "data: 1\n\n\u{feff}data: 2\n\n", vec![pair("", "1"), pair("", "")]),
            ("colons in the value", "data: {\"a\":1}\n\n", vec![pair("", "{\"a\":1}")]),
            ("no blank line, no event", "data: 1\n", vec![]),
        ];
        for (case, input, expected) in table {
            assert_eq!(events(input), expected, "{case}");
        }
    }

    #[test]
    fn an_event_within_a_chunk_is_a_slice_of_it() {
        let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\nda");
        let mut decoder = Decoder::new(64);
        let mut spans = Vec::new();
        let mut emit =
            |event: &RawEvent<'_>| spans.push((event.span.clone(), event.bytes().as_ptr() as usize));
        decoder.feed(&chunk, &mut emit).unwrap();
        let base = chunk.as_ptr() as usize;
        assert_eq!(spans, [(Some(0..9), base), (Some(9..18), base + 9)]);
        let mut joined = Vec::new();
        let mut emit = |event: &RawEvent<'_>| joined.push((event.span.clone(), event.bytes()));
        decoder
            .feed(&Bytes::from_static(b"ta: 3\n\n"), &mut emit)
            .unwrap();
        assert_eq!(joined, [(None, Bytes::from_static(b"data: 3\n\n"))]);
    }

    #[test]
    fn a_line_feed_after_a_carriage_return_is_passed_on_at_once() {
        let mut decoder = Decoder::new(64);
        let mut raws = Vec::new();
        for chunk in ["data: 1\r\n\r", "\n", "data: 2\r", "\n\r", "\n"] {
            let chunk = Bytes::from(chunk);
            decoder
                .feed(&chunk, &mut |event| raws.push(event.bytes()))
                .unwrap();
        }
        assert_eq!(raws, ["data: 1\r\n\r", "\n", "data: 2\r\n\r", "\n"]);
    }

    #[test]
    fn an_event_over_the_bound_ends_the_decoding() {
        let mut decoder = Decoder::new(9);
        let mut count = 0;
        let mut emit = |_: &RawEvent<'_>| count += 1;
        assert_eq!(
            decoder.feed(&Bytes::from_static(b"data: 1\n\n"), &mut emit),
            Ok(())
        );
        assert_eq!(decoder.feed(&Bytes::from_static(b"data: 12"), &mut emit), Ok(()));
        assert_eq!(
            decoder.feed(&Bytes::from_static(b"\n\n"), &mut emit),
            Err(TooLarge)
        );
        assert_eq!(
            decoder.feed(&Bytes::from_static(b"data: 1\n\n"), &mut emit),
            Err(TooLarge)
        );
        assert_eq!(count, 1);
    }

    #[test]
    fn a_line_that_never_ends_is_refused_at_the_bound() {
        let mut decoder = Decoder::new(100);
        let fed = (0..).take_while(|_| {
            decoder
                .feed(&Bytes::from_static(b"0123456789"), &mut |_| ())
                .is_ok()
        });
        assert_eq!(fed.count(), 10);
    }

    fn piece() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "data", ":", " ", "x", "\n", "\r", "\r\n", "\n\n", "event: e", "data: é", "\u{feff}", ": c",
        ])
    }

    proptest! {
        #[test]
        fn no_cut_changes_the_events(pieces in prop::collection::vec(piece(), 0..40), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
            let input = pieces.concat().into_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            at.extend([0, input.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
            let (whole, raw) = decode(&[&input]);
            prop_assert_eq!(&raw, &input);
            prop_assert_eq!(decode(&chunks), (whole.clone(), raw.clone()));
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            prop_assert_eq!(decode(&bytes), (whole, raw));
        }
    }
}
