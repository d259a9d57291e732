//! A chunked body as its bytes pass: what of it is data, where it ends, or that another program might see it end
//! elsewhere.

/// How many bytes of extensions the chunks of a body may have in all. Nobody sends any, so nobody has to read many.
const MAX_EXTENSIONS: usize = 4 * 1024;
/// How many digits the size of a chunk may have: more do not fit into a number.
const MAX_DIGITS: u8 = 15;

/// Reads along with a chunked body, in pieces cut anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunks {
    place: Place,
    /// Bytes of extensions so far.
    extensions: usize,
    /// Bytes of trailers so far.
    trailers: usize,
}

/// Where in the body the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Among the digits of a chunk's size.
    Size { size: u64, digits: u8 },
    /// Behind them, up to the end of the line.
    Extension { size: u64 },
    /// At the line feed of that line.
    SizeEnd { size: u64 },
    /// In a chunk, of which so much is left.
    Data { left: u64 },
    /// At the carriage return behind a chunk.
    DataEnd,
    /// At the line feed behind it.
    DataLineFeed,
    /// In the lines behind the last chunk; an empty one is the end.
    Trailer { length: usize, returned: bool },
}

impl Default for Place {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

/// What a run of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Sizes, ends of lines, trailers: nothing of the content.
    Framing,
    /// Content.
    Data,
    /// The last of the framing: the body ends with it.
    End,
    /// What comes next must not stand where it stands.
    Wrong,
}

impl Chunks {
    /// Takes the next bytes as far as they are of one kind. Says how many, and of which.
    pub(crate) fn run(&mut self, bytes: &[u8], max_trailers: usize) -> (usize, Run) {
        if let Place::Data { left } = self.place {
            return (self.skip(left, bytes.len()), Run::Data);
        }
        for (at, byte) in bytes.iter().enumerate() {
            let Some(next) = self.after(*byte, max_trailers) else {
                return (at, Run::Wrong);
            };
            let empty_line = next == Place::default() && matches!(self.place, Place::Trailer { .. });
            self.place = next;
            if empty_line {
                return (at + 1, Run::End);
            }
            if matches!(next, Place::Data { .. }) {
                return (at + 1, Run::Framing);
            }
        }
        (bytes.len(), Run::Framing)
    }

    /// Passes over what is there of a chunk.
    fn skip(&mut self, left: u64, there: usize) -> usize {
        let whole = usize::try_from(left).unwrap_or(usize::MAX).min(there);
        let left = left.saturating_sub(whole as u64);
        self.place = if left == 0 {
            Place::DataEnd
        } else {
            Place::Data { left }
        };
        whole
    }

    /// The place behind this byte; none where it must not stand.
    fn after(&mut self, byte: u8, max_trailers: usize) -> Option<Place> {
        Some(match (self.place, byte) {
            (Place::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F')
                if digits < MAX_DIGITS =>
            {
                Place::Size {
                    size: size * 16 + u64::from(char::from(byte).to_digit(16)?),
                    digits: digits + 1,
                }
            }
            (Place::Size { size, digits: 1.. } | Place::Extension { size }, b'\r') => Place::SizeEnd { size },
            (Place::Size { size, digits: 1.. }, b';' | b' ' | b'\t')
            | (Place::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => self.extended(size)?,
            (Place::SizeEnd { size: 0 }, b'\n') => Place::Trailer {
                length: 0,
                returned: false,
            },
            (Place::SizeEnd { size }, b'\n') => Place::Data { left: size },
            (Place::DataEnd, b'\r') => Place::DataLineFeed,
            (Place::DataLineFeed, b'\n') => Place::default(),
            (Place::Trailer { length, returned }, byte) => {
                self.trailers += 1;
                let fits = self.trailers <= max_trailers;
                fits.then(|| trailer(length, returned, byte)).flatten()?
            }
            _ => return None,
        })
    }

    fn extended(&mut self, size: u64) -> Option<Place> {
        self.extensions += 1;
        (self.extensions <= MAX_EXTENSIONS).then_some(Place::Extension { size })
    }
}

/// Lines end with both of their bytes, and a carriage return stands nowhere else.
fn trailer(length: usize, returned: bool, byte: u8) -> Option<Place> {
    match (byte, returned) {
        (b'\n', true) if length == 1 => Some(Place::default()),
        (b'\n', true) => Some(Place::Trailer {
            length: 0,
            returned: false,
        }),
        (b'\n', false) | (_, true) => None,
        (byte, false) => Some(Place::Trailer {
            length: length + 1,
            returned: byte == b'\r',
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has come of a body.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Came {
        Part,
        All,
        Wrong,
    }

    /// What comes of a body that comes in pieces of that length, and how many of its bytes that took.
    fn cut(body: &[u8], length: usize) -> (usize, Came) {
        let (mut chunks, mut used) = (Chunks::default(), 0);
        for piece in body.chunks(length) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (taken, run) = chunks.run(rest, 64);
                (used, rest) = (used + taken, &rest[taken..]);
                match run {
                    Run::Framing | Run::Data => {}
                    Run::End => return (used, Came::All),
                    Run::Wrong => return (used, Came::Wrong),
                }
            }
        }
        (used, Came::Part)
    }

    /// What comes of a body, fed whole and byte by byte, and how many of its bytes that took.
    fn read(body: &[u8]) -> (usize, Came) {
        let whole = cut(body, usize::MAX);
        assert_eq!(cut(body, 1), whole, "cuts change nothing: {body:?}");
        whole
    }

    #[test]
    fn d12_a_chunked_body_ends_at_one_place_or_is_wrong() {
        for (body, left, came) in [
            ("0\r\n\r\nnext", 4, Came::All),
            ("2\r\n{}\r\n0\r\n\r\n", 0, Came::All),
            ("2\r\n\r\n\r\n000\r\n\r\n", 0, Came::All),
            ("A;name=\"value\"\r\n0123456789\r\n0 ; x\r\n\r\n", 0, Came::All),
            (
                "a\t\r\n0123456789\r\n0\r\nx-more: 1\r\ny: 2\r\n\r\nnext",
                4,
                Came::All,
            ),
            ("2\r\n{}\r\n", 0, Came::Part),
            ("5\r\n{}\r\n0\r\n\r\n", 2, Came::Wrong),
            ("1\r\n{}\r\n0\r\n\r\n", 8, Came::Wrong),
            ("\r\n", 2, Came::Wrong),
            (" 2\r\n{}\r\n", 8, Came::Wrong),
            ("+2\r\n{}\r\n", 8, Came::Wrong),
            ("0x2\r\n{}\r\n", 8, Came::Wrong),
            ("2\n{}\r\n0\r\n\r\n", 10, Came::Wrong),
            ("2\r{}\r\n0\r\n\r\n", 9, Came::Wrong),
            ("2\r\n{}\n0\r\n\r\n", 6, Came::Wrong),
            ("2;a\nb\r\n{}\r\n", 8, Came::Wrong),
            ("2;\0\r\n{}\r\n", 7, Came::Wrong),
            ("0\r\n\n", 1, Came::Wrong),
            ("0\r\nx: 1\n\r\n", 3, Came::Wrong),
            ("0\r\nx: 1\r2\r\n\r\n", 5, Came::Wrong),
            ("0000000000000000\r\n\r\n", 5, Came::Wrong),
        ] {
            assert_eq!(read(body.as_bytes()), (body.len() - left, came), "{body:?}");
        }
    }

    #[test]
    fn d12_extensions_and_trailers_are_bounded() {
        let extended = |length| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(length));
        assert_eq!(read(extended(MAX_EXTENSIONS - 1).as_bytes()).1, Came::All);
        assert_eq!(read(extended(MAX_EXTENSIONS).as_bytes()).1, Came::Wrong);
        let many = format!("{}0\r\n\r\n", "1;ext\r\nx\r\n".repeat(MAX_EXTENSIONS / 4 + 1));
        assert_eq!(read(many.as_bytes()).1, Came::Wrong, "in all, not each");
        let trailing = |length| format!("0\r\nx: {}\r\n\r\n", "y".repeat(length));
        assert_eq!(read(trailing(57).as_bytes()).1, Came::All);
        assert_eq!(read(trailing(58).as_bytes()).1, Came::Wrong);
    }
}
