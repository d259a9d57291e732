//! A request on its way into a socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use crate::upstream::request::{SHORT, UpstreamRequest};

/// How many slices go out with one call.
const SLICES: usize = 16;

/// What is still to be sent of a request.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// The head, with a short body behind it.
    front: Vec<u8>,
    /// How much of that is out.
    sent: usize,
    rest: vec::IntoIter<Bytes>,
    /// Whether all that was written has also left: TLS keeps records back.
    flushed: bool,
}

impl Sending {
    /// A request, none of it sent.
    pub(super) fn of(request: UpstreamRequest) -> Self {
        let length = request.body.length();
        let mut rest = request.body.into_slices();
        // A short body is sooner copied than sent as a second slice.
        let short = if length <= SHORT { rest.next() } else { None }.unwrap_or_default();
        let target = request.target.as_str();
        let mut front = Vec::with_capacity(room(target, &request.headers) + short.len());
        write_head(&mut front, target, &request.headers, length);
        front.extend_from_slice(&short);
        Self {
            front,
            sent: 0,
            rest,
            flushed: false,
        }
    }

    /// Whether nothing is left to send.
    pub(super) fn is_done(&self) -> bool {
        self.flushed
    }

    /// Sends what the socket takes. Ready when all of it is out.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn poll(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.front.is_empty() || self.rest.len() > 0 {
            let written = ready!(self.poll_write(io, cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        if !self.flushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let front = self.front.get(self.sent..).unwrap_or_default();
        if self.rest.len() == 0 {
            return Pin::new(io).poll_write(cx, front);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let all = std::iter::once(front).chain(self.rest.as_slice().iter().map(Bytes::as_ref));
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
        while let Some(part) = self.rest.as_mut_slice().first_mut().filter(|_| left > 0) {
            let taken = left.min(part.len());
            left -= taken;
            part.advance(taken);
            if part.is_empty() {
                self.rest.next();
            }
        }
    }
}

/// How many bytes a head takes, at most.
fn room(target: &str, headers: &HeaderMap) -> usize {
    const LINES: usize = "POST  HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\n".len();
    const LINE: usize = ": \r\n".len();
    let headers = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + LINE);
    LINES + target.len() + headers.sum::<usize>()
}

/// What a head is made of cannot hold an end of line: its types see to that.
fn write_head(head: &mut Vec<u8>, target: &str, headers: &HeaderMap, length: u64) {
    let mut add = |part: &[u8]| head.extend_from_slice(part);
    add(b"POST ");
    add(target.as_bytes());
    add(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        add(name.as_str().as_bytes());
        add(b": ");
        add(value.as_bytes());
        add(b"\r\n");
    }
    add(b"content-length: ");
    add(itoa::Buffer::new().format(length).as_bytes());
    add(b"\r\n\r\n");
}
