//! Where each request of a client's HTTP/1.1 bytes begins and ends, pipelined ones too, and which one another server
//! might have read otherwise: that is how requests are smuggled. hyper settles much of that quietly (backends never see
//! it, all that goes out is written anew), but the contract wants it refused, so the raw bytes are looked at.
//!
//! Only what hyper lets pass is looked for: it refuses control bytes, folded lines and spaces before a colon itself.

use crate::base::chunks::{Came, Chunks};
use crate::state::{Doubt, Refusal};

/// Of a line as much is looked at: more than any sound statement of a length needs.
const KEPT: usize = 64;
/// How HTTP/2 begins. From there on the bytes are frames, and not ours to read.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r";

/// Reads along with the bytes of one connection, in pieces cut anywhere. Bodies of a known length are passed over.
#[derive(Debug)]
pub(super) struct Framing {
    place: Place,
    /// A line whose end has not come.
    pieces: Pieces,
    head: Head,
    /// How many heads have come to their end.
    heads: usize,
    /// How long a head may be, and the lines behind a chunked body.
    max_head: usize,
    refused: Option<Doubt>,
}

/// Where in the bytes we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a head, or before it: empty lines may come first.
    Head,
    /// In a body, of which so much is left.
    Body(u64),
    /// In a chunked body.
    Chunked(Chunks),
    /// Behind a head that is refused, or at a byte that is: nothing more may be read.
    Over,
    /// In HTTP/2.
    Frames,
}

/// What is known of the head that is being read.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// Its bytes so far.
    length: usize,
    /// Whether its request line has come.
    begun: bool,
    /// How long it says the body is.
    body: Option<Length>,
}

/// A statement of a body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(u64),
    Chunked,
}

impl Framing {
    /// Before the first byte of a connection whose heads may have `max_head` bytes.
    pub(super) fn new(max_head: usize) -> Self {
        Self {
            place: Place::Head,
            pieces: Pieces::default(),
            head: Head::default(),
            heads: 0,
            max_head,
            refused: None,
        }
    }

    /// The first request that is refused.
    pub(super) fn refused(&self) -> Option<Doubt> {
        self.refused
    }

    /// Whether nothing more may be read.
    pub(super) fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// Takes the next bytes. Says how many of them may go on: all, unless it is over. A head that is refused goes on to
    /// its end, so that it can be answered; of a body that is, no wrong byte does.
    pub(super) fn read(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            used += match self.place {
                Place::Head => self.read_line(rest),
                Place::Body(left) => self.pass_over(left, rest.len()),
                Place::Chunked(chunks) => self.read_chunks(chunks, rest),
                Place::Frames => rest.len(),
                Place::Over => break,
            };
        }
        used
    }

    fn pass_over(&mut self, left: u64, there: usize) -> usize {
        let used = usize::try_from(left).unwrap_or(usize::MAX).min(there);
        self.place = match left.saturating_sub(used as u64) {
            0 => Place::Head,
            left => Place::Body(left),
        };
        used
    }

    fn read_chunks(&mut self, mut chunks: Chunks, bytes: &[u8]) -> usize {
        let (used, came) = chunks.read(bytes, self.max_head);
        self.place = match came {
            Came::Part => Place::Chunked(chunks),
            Came::All => Place::Head,
            Came::Wrong => {
                self.refuse(self.heads.saturating_sub(1), Refusal::Chunks);
                Place::Over
            }
        };
        used
    }

    /// Reads to the end of the line, or what is there of it.
    fn read_line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        let used = end.map_or(bytes.len(), |end| end + 1);
        self.head.length = self.head.length.saturating_add(used);
        if self.head.length > self.max_head {
            self.refuse(self.heads, Refusal::TooLong);
        }
        let piece = bytes.get(..end.unwrap_or(used)).unwrap_or_default();
        match end {
            Some(_) if self.pieces.length == 0 => self.end_line(Line::whole(piece)),
            Some(_) => {
                let mut pieces = std::mem::take(&mut self.pieces);
                pieces.add(piece);
                self.end_line(pieces.line());
            }
            None => self.pieces.add(piece),
        }
        used
    }

    fn end_line(&mut self, line: Line<'_>) {
        if line.last != Some(b'\r') {
            self.refuse(self.heads, Refusal::BareLineFeed);
        }
        match (self.head.begun, line.is_empty()) {
            (false, true) => {}
            (false, false) if self.is_first_line() && line.start == HTTP2 => self.place = Place::Frames,
            (false, false) => self.head.begun = true,
            (true, false) => self.header(line),
            (true, true) => self.end_head(),
        }
    }

    /// Whether nothing at all has come before the line that has just ended, if it is as long as that of HTTP/2.
    fn is_first_line(&self) -> bool {
        self.heads == 0 && self.head.length == HTTP2.len() + 1
    }

    /// A length may be stated once, in one way.
    fn header(&mut self, line: Line<'_>) {
        let stated = match line.length_stated() {
            None => return,
            Some(_) if self.head.body.is_some() => Err(Refusal::TwoLengths),
            Some(stated) => stated,
        };
        match stated {
            Ok(length) => self.head.body = Some(length),
            Err(why) => self.refuse(self.heads, why),
        }
    }

    fn end_head(&mut self) {
        self.heads += 1;
        self.place = match self.head.body {
            _ if self.refused.is_some() => Place::Over,
            None | Some(Length::Bytes(0)) => Place::Head,
            Some(Length::Bytes(length)) => Place::Body(length),
            Some(Length::Chunked) => Place::Chunked(Chunks::default()),
        };
        self.head = Head::default();
    }

    fn refuse(&mut self, nth: usize, why: Refusal) {
        self.refused.get_or_insert(Doubt { nth, why });
    }
}

/// A line without its line feed, as far as it is looked at.
#[derive(Clone, Copy, Debug)]
struct Line<'l> {
    start: &'l [u8],
    length: usize,
    last: Option<u8>,
}

/// The beginning of a line that comes in pieces.
#[derive(Debug)]
struct Pieces {
    start: [u8; KEPT],
    length: usize,
    last: Option<u8>,
}

impl Default for Pieces {
    fn default() -> Self {
        Self {
            start: [0; KEPT],
            length: 0,
            last: None,
        }
    }
}

impl Pieces {
    fn add(&mut self, bytes: &[u8]) {
        let room = self.start.get_mut(self.length.min(KEPT)..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.length = self.length.saturating_add(bytes.len());
        self.last = bytes.last().copied().or(self.last);
    }

    fn line(&self) -> Line<'_> {
        Line {
            start: self.start.get(..self.length.min(KEPT)).unwrap_or_default(),
            length: self.length,
            last: self.last,
        }
    }
}

impl<'l> Line<'l> {
    fn whole(bytes: &'l [u8]) -> Self {
        Self {
            start: bytes.get(..KEPT).unwrap_or(bytes),
            length: bytes.len(),
            last: bytes.last().copied(),
        }
    }

    fn is_empty(self) -> bool {
        matches!(self.start, [] | [b'\r'])
    }

    /// What the line says of the body's length; nothing where it is another header.
    fn length_stated(self) -> Option<Result<Length, Refusal>> {
        let whole = self.length <= KEPT;
        if let Some(value) = self.value_of(b"content-length") {
            let length = digits(value).filter(|_| whole).map(Length::Bytes);
            return Some(length.ok_or(Refusal::OddLength));
        }
        let value = self.value_of(b"transfer-encoding")?;
        let chunked = whole && value.eq_ignore_ascii_case(b"chunked");
        Some(chunked.then_some(Length::Chunked).ok_or(Refusal::OddLength))
    }

    /// The value of that header. A space before the colon is no header to hyper either: it refuses the request.
    fn value_of(self, name: &[u8]) -> Option<&'l [u8]> {
        let (own, rest) = self.start.split_at_checked(name.len())?;
        let value = rest.strip_prefix(b":")?;
        own.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    }
}

/// A number of digits alone.
fn digits(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
