//! Chunked bodies, in and out.

use bytes::{Buf, BytesMut};

/// A chunk's size line longer than this is an attack or a bug: sizes have at most 16 digits and we know
/// of no sender that uses chunk extensions.
const MAX_LINE: usize = 64;

/// Reads a chunked body piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Dechunk {
    state: State,
    /// The body so far.
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Size,
    Data(usize),
    DataEnd,
    Trailer,
}

impl Dechunk {
    /// Takes what it can from `input`; true at the body's end, false when it wants more.
    pub(crate) fn feed(&mut self, input: &mut BytesMut) -> Result<bool, &'static str> {
        loop {
            match self.state {
                State::Data(0) => self.state = State::DataEnd,
                State::Data(_) if input.is_empty() => return Ok(false),
                State::Data(left) => {
                    let part = input.split_to(left.min(input.len()));
                    self.body.extend_from_slice(&part);
                    self.state = State::Data(left - part.len());
                }
                State::Size | State::DataEnd | State::Trailer => {
                    let Some(line) = line(input)? else {
                        return Ok(false);
                    };
                    if self.line(&line)? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Steps over one line; true if it was the body's last.
    fn line(&mut self, line: &[u8]) -> Result<bool, &'static str> {
        self.state = match self.state {
            State::Trailer if line.is_empty() => return Ok(true),
            State::Trailer | State::Data(_) => return Err("trailers after a chunked body"),
            State::DataEnd if line.is_empty() => State::Size,
            State::DataEnd => return Err("a chunk longer than its size says"),
            State::Size => match size(line)? {
                0 => State::Trailer,
                n => State::Data(n),
            },
        };
        Ok(false)
    }
}

fn size(line: &[u8]) -> Result<usize, &'static str> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let hex = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let size = hex.then(|| usize::from_str_radix(text, 16).ok()).flatten();
    size.ok_or("a chunk size that is no hexadecimal number")
}

/// The next line without its CR LF, if it is all here.
fn line(input: &mut BytesMut) -> Result<Option<BytesMut>, &'static str> {
    match input.iter().position(|b| *b == b'\n') {
        Some(end) => {
            let mut line = input.split_to(end);
            input.advance(1);
            if line.last() != Some(&b'\r') {
                return Err("a chunk line that ends in a bare LF");
            }
            line.truncate(line.len() - 1);
            Ok(Some(line))
        }
        None if input.len() > MAX_LINE => Err("a chunk line without an end"),
        None => Ok(None),
    }
}

/// One chunk with its framing. An empty payload gives nothing, since an empty chunk is the end.
pub(crate) fn chunk(payload: &[u8]) -> Vec<u8> {
    if payload.is_empty() {
        return Vec::new();
    }
    let mut out = format!("{:x}\r\n", payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
    out
}

/// The end of a chunked body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_chunked_and_cut_anywhere_reads_the_same(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            step in 1_usize..50,
        ) {
            let mut wire: Vec<u8> = parts.iter().flat_map(|part| chunk(part)).collect();
            wire.extend_from_slice(LAST_CHUNK);
            let (mut reader, mut buffer, mut done) = (Dechunk::default(), BytesMut::new(), false);
            for piece in wire.chunks(step) {
                prop_assert!(!done, "the end came before the last byte");
                buffer.extend_from_slice(piece);
                done = reader.feed(&mut buffer).unwrap();
            }
            prop_assert!(done && buffer.is_empty());
            prop_assert_eq!(reader.body, parts.concat());
        }
    }

    #[test]
    fn broken_chunks_are_refused() {
        for (wire, wrong) in [
            ("x\r\n", "a chunk size that is no hexadecimal number"),
            ("\r\n", "a chunk size that is no hexadecimal number"),
            ("3\nabc", "a chunk line that ends in a bare LF"),
            ("3\r\nabcd\r\n", "a chunk longer than its size says"),
            ("0\r\nx: y\r\n\r\n", "trailers after a chunked body"),
        ] {
            assert_eq!(
                Dechunk::default().feed(&mut BytesMut::from(wire)),
                Err(wrong),
                "{wire:?}"
            );
        }
    }
}
