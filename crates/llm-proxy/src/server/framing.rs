//! Whether a request's head states its body's length in more than one way. Another server on the way might have read
//! it in the other: that is how requests are smuggled. hyper settles such heads quietly (backends never see them, all
//! that goes out is written anew), but the contract wants them refused, so the raw head is looked at.

/// Looks at the bytes of one request head as they come, in pieces cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Framing {
    line: Line,
    place: Place,
    /// Headers so far that state the length.
    statements: usize,
    /// Bytes of the head so far.
    length: usize,
}

/// Where in a request the bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the request line: empty lines may come first.
    #[default]
    Before,
    /// Among the headers.
    Headers,
    /// In the body, or what is known of the head is enough.
    Over,
}

/// The headers that state a body's length.
const STATEMENTS: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];
/// Of a line only as much is kept as tells these names, with the colon.
const KEPT: usize = 18;

/// The beginning of the line that is being read.
#[derive(Debug, Default)]
struct Line {
    start: [u8; KEPT],
    length: usize,
}

impl Framing {
    /// How long the head is, as far as it has come.
    pub(super) fn head_length(&self) -> usize {
        self.length
    }

    /// Takes the next bytes. Says `true` once, when the head has turned out to be ambiguous.
    pub(super) fn is_ambiguous_after(&mut self, mut bytes: &[u8]) -> bool {
        while self.place != Place::Over && !bytes.is_empty() {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                self.length += bytes.len();
                self.line.add(bytes);
                return false;
            };
            self.length += end + 1;
            self.line.add(bytes.get(..end).unwrap_or_default());
            bytes = bytes.get(end + 1..).unwrap_or_default();
            self.end_line();
            if self.statements > 1 {
                self.place = Place::Over;
                return true;
            }
        }
        false
    }

    fn end_line(&mut self) {
        let line = &self.line;
        self.place = match (self.place, line.is_empty()) {
            (Place::Before, true) => Place::Before,
            (Place::Before | Place::Headers, false) => Place::Headers,
            (Place::Headers | Place::Over, _) => Place::Over,
        };
        self.statements += usize::from(STATEMENTS.iter().any(|name| line.is_header(name)));
        self.line.length = 0;
    }
}

impl Line {
    fn add(&mut self, bytes: &[u8]) {
        let room = self.start.get_mut(self.length.min(KEPT)..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.length += bytes.len();
    }

    fn is_empty(&self) -> bool {
        self.length == 0 || (self.length == 1 && self.start.first() == Some(&b'\r'))
    }

    /// Whether the line is that header. A space before the colon is no header to hyper either: it refuses the request.
    fn is_header(&self, name: &[u8]) -> bool {
        let start = self.start.get(..self.length.min(KEPT)).unwrap_or_default();
        match start.split_at_checked(name.len()) {
            Some((own, rest)) => own.eq_ignore_ascii_case(name) && rest.first() == Some(&b':'),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the head is refused, fed whole and byte by byte.
    fn ambiguous(head: &str) -> bool {
        let whole = Framing::default().is_ambiguous_after(head.as_bytes());
        let mut framing = Framing::default();
        let bytewise = head
            .bytes()
            .filter(|byte| framing.is_ambiguous_after(&[*byte]))
            .count();
        assert_eq!(bytewise, usize::from(whole), "cuts change nothing: {head:?}");
        whole
    }

    #[test]
    fn d12_a_length_may_be_stated_once() {
        for (head, refused) in [
            ("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", false),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", false),
            (
                "POST / HTTP/1.1\r\ncontent-length: 2\r\nCONTENT-LENGTH: 2\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nhost: a\r\ncontent-length: 2\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\ntransfer-encoding: x\ntransfer-encoding: chunked\n\n",
                true,
            ),
            (
                "\r\nPOST / HTTP/1.1\r\ncontent-length: 60\r\n\r\ncontent-length: 1\r\ncontent-length: 1\r\n",
                false,
            ),
            (
                "GET / HTTP/1.1\r\nx-content-length: 1\r\ncontent-length-x: 2\r\n\r\n",
                false,
            ),
        ] {
            assert_eq!(ambiguous(head), refused, "{head:?}");
        }
    }
}
