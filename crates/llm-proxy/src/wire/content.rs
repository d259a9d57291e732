//! The content of a message: which of the bytes behind the head it is, and where it ends.

use bytes::{Buf, Bytes, BytesMut};

use super::chunks::{Chunks, Run};

/// Why bytes cannot be read: the end of a sentence.
pub(crate) type Garbled = &'static str;

/// How many bytes of trailers are read: they have no meaning for anybody here.
const MAX_TRAILERS: usize = 16 * 1024;

/// What is still to come of a message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// So many bytes.
    Length(u64),
    /// Chunks, up to the last one.
    Chunked(Chunks),
    /// All until the other end closes the connection.
    ToTheEnd,
    /// Nothing any more.
    Over,
}

impl Content {
    /// The content of a message that has none.
    pub(crate) fn none() -> Self {
        Self::Over
    }

    /// Content of this length.
    pub(crate) fn of_length(length: u64) -> Self {
        if length == 0 {
            Self::Over
        } else {
            Self::Length(length)
        }
    }

    /// Content in chunks.
    pub(crate) fn chunked() -> Self {
        Self::Chunked(Chunks::default())
    }

    /// The next piece of what has come; none where more must come first, or where the content is over.
    ///
    /// # Errors
    /// Where chunks are not written as HTTP/1.1 writes them.
    pub(crate) fn take(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, Garbled> {
        match self {
            Self::Over => Ok(None),
            Self::ToTheEnd => Ok(front(input, input.len())),
            Self::Length(left) => {
                let there = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *self = Self::of_length(*left - there as u64);
                Ok(front(input, there))
            }
            Self::Chunked(chunks) => {
                while !input.is_empty() {
                    let (length, run) = chunks.run(input, MAX_TRAILERS);
                    match run {
                        Run::Data => return Ok(front(input, length)),
                        Run::Framing => input.advance(length),
                        Run::Wrong => {
                            return Err("its content is not made of chunks as HTTP/1.1 writes them");
                        }
                        Run::End => {
                            input.advance(length);
                            *self = Self::Over;
                            break;
                        }
                    }
                }
                Ok(None)
            }
        }
    }
}

/// Takes the first bytes, and with the last of them the buffer: it is nobody's while nothing comes.
fn front(input: &mut BytesMut, length: usize) -> Option<Bytes> {
    if length == 0 {
        return None;
    }
    let piece = if length == input.len() {
        std::mem::take(input)
    } else {
        input.split_to(length)
    };
    Some(piece.freeze())
}
