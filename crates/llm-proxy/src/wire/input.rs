//! What has come from the other end, and was not taken yet.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// What is read at first: no buffer waits for bytes that have not come.
const FIRST_READ: usize = 8 * 1024;
/// What is read at once where the first read was full.
const LARGE_READ: usize = 32 * 1024;

/// The bytes of a connection, in order.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// What was read and not yet taken. Who takes all of it takes the buffer, too.
    pub(crate) bytes: BytesMut,
    /// How much of an unfinished head has been looked at.
    looked_at: usize,
    /// The last read filled its buffer: there is more.
    flowing: bool,
}

impl Input {
    /// Whether it is time to look for the end of a head: one that comes byte by byte is not read anew at each, but only
    /// at its end, and each time that it has doubled.
    pub(crate) fn is_worth_a_look(&mut self) -> bool {
        let come = self.bytes.len();
        let fresh = self.bytes.get(self.looked_at.saturating_sub(3)..);
        let worth_it = come > 0 && (come >= 2 * self.looked_at || fresh.is_some_and(ends_a_head));
        if worth_it {
            self.looked_at = come;
        }
        worth_it
    }

    /// Throws the first bytes away.
    pub(crate) fn skip(&mut self, count: usize) {
        self.bytes.advance(count.min(self.bytes.len()));
        self.looked_at = self.looked_at.saturating_sub(count);
    }

    /// A head was found, and taken.
    pub(crate) fn took_head(&mut self) {
        self.looked_at = 0;
    }

    /// Makes room for `length` bytes in all, so that they come in one piece.
    pub(crate) fn expect(&mut self, length: usize) {
        let missing = length.saturating_sub(self.bytes.len());
        if missing > FIRST_READ {
            self.bytes.reserve(missing);
        }
    }

    /// Reads more; none has come at the end of the stream. What comes is copied out of a buffer on the stack, so that
    /// nobody holds one while nothing comes; but where much comes, or is expected, it is read into its place.
    pub(crate) fn poll_fill(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let room = self.bytes.capacity() - self.bytes.len();
        if self.flowing || room > FIRST_READ {
            return self.poll_in_place(io, cx);
        }
        let mut room = [const { MaybeUninit::<u8>::uninit() }; FIRST_READ];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(io).poll_read(cx, &mut read))?;
        let come = read.filled();
        if self.bytes.is_empty() {
            self.bytes = BytesMut::from(come);
        } else {
            self.bytes.extend_from_slice(come);
        }
        self.flowing = come.len() == FIRST_READ;
        Poll::Ready(Ok(come.len()))
    }

    fn poll_in_place(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.bytes.capacity() - self.bytes.len() <= FIRST_READ {
            self.bytes.reserve(LARGE_READ);
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let read = pin!(io.read_buf(&mut self.bytes)).poll(cx);
        self.flowing = matches!(read, Poll::Ready(Ok(come)) if come == room);
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
        read
    }
}

/// Whether there is an empty line, which ends a head, ended itself in either way.
fn ends_a_head(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    })
}
