//! What is on its way into a socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// Up to this length a piece is copied behind what goes out before it: to send one more costs more than that.
pub(crate) const SHORT: usize = 4 * 1024;
/// How many slices go out with one call.
const SLICES: usize = 16;

/// Bytes that are still to be sent, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Heads, framing and short pieces.
    front: Vec<u8>,
    /// How much of that is out.
    sent: usize,
    /// Longer pieces behind it, and what follows them.
    rest: VecDeque<Bytes>,
    /// Whether something was written that may not have left: TLS keeps records back.
    unflushed: bool,
}

impl Outbox {
    /// The room for a head of up to `length` bytes: nothing may be waiting.
    pub(crate) fn head(&mut self, length: usize) -> &mut Vec<u8> {
        debug_assert!(self.rest.is_empty(), "a head goes before what it is the head of");
        // A power of two: the allocator knows without a look that such a block is aligned.
        self.front.reserve(length.next_power_of_two());
        &mut self.front
    }

    /// Puts a piece behind all others.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.rest.is_empty() && piece.len() <= SHORT {
            self.front.extend_from_slice(&piece);
        } else if !piece.is_empty() {
            self.rest.push_back(piece);
        }
    }

    /// Puts a few bytes behind all others.
    pub(crate) fn push_short(&mut self, bytes: &[u8]) {
        if self.rest.is_empty() {
            self.front.extend_from_slice(bytes);
        } else {
            self.rest.push_back(Bytes::copy_from_slice(bytes));
        }
    }

    /// The same for bytes that need no copy.
    pub(crate) fn push_static(&mut self, piece: &'static [u8]) {
        if self.rest.is_empty() {
            self.front.extend_from_slice(piece);
        } else {
            self.rest.push_back(Bytes::from_static(piece));
        }
    }

    /// How many bytes are waiting.
    pub(crate) fn len(&self) -> usize {
        self.front.len() - self.sent + self.rest.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether all is out.
    pub(crate) fn is_done(&self) -> bool {
        self.is_empty() && !self.unflushed
    }

    fn is_empty(&self) -> bool {
        self.front.is_empty() && self.rest.is_empty()
    }

    /// Sends what the socket takes. Ready when all of it is out.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn poll(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = ready!(self.poll_write(io, cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(written);
        }
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let front = self.front.get(self.sent..).unwrap_or_default();
        if self.rest.is_empty() {
            return Pin::new(io).poll_write(cx, front);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let all = std::iter::once(front).chain(self.rest.iter().map(Bytes::as_ref));
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(all.filter(|part| !part.is_empty())) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        Pin::new(io).poll_write_vectored(cx, slices.get(..count).unwrap_or_default())
    }

    /// So many bytes are out: they are let go of at once.
    fn advance(&mut self, written: usize) {
        let front = written.min(self.front.len() - self.sent);
        self.sent += front;
        if self.sent == self.front.len() {
            (self.front, self.sent) = (Vec::new(), 0);
        }
        let mut left = written - front;
        while let Some(part) = self.rest.front_mut().filter(|_| left > 0) {
            let taken = left.min(part.len());
            left -= taken;
            part.advance(taken);
            if part.is_empty() {
                self.rest.pop_front();
            }
        }
    }
}
