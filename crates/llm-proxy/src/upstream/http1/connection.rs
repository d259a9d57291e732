//! A connection to a backend that nobody polls but the request that uses it.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::content::Content;
use super::head::{self, Garbled, Head};
use super::sending::Sending;
use crate::upstream::io::Io;
use crate::upstream::request::UpstreamRequest;

/// How many interim responses (1xx) may come before the one that counts.
const MAX_INTERIM: u8 = 16;
/// What is read at first: no buffer waits for bytes that have not come.
const FIRST_READ: usize = 8 * 1024;
/// What is read at once where the first read was full.
const LARGE_READ: usize = 32 * 1024;

/// Why no answer comes, or no more of it.
#[derive(Debug)]
pub(in crate::upstream) enum Broken {
    /// The connection ended or failed.
    Lost(String),
    /// What came is no HTTP, or more of it than is read.
    Garbled(Garbled),
}

/// An open HTTP/1.1 connection.
pub(in crate::upstream) struct Connection {
    io: Io,
    sending: Sending,
    /// What was read and not yet taken.
    input: BytesMut,
    content: Content,
    opened: Instant,
    /// Whether another request may follow, once this answer has been read.
    keeps: bool,
    /// Whether any byte of the answer has come.
    heard: bool,
    /// How much of an unfinished head has been looked at.
    looked_at: usize,
    interim: u8,
    /// The last read filled its buffer: there is more.
    flowing: bool,
}

impl Connection {
    /// A connection over a fresh socket.
    pub(in crate::upstream) fn over(io: Io, opened: Instant) -> Self {
        Self {
            io,
            sending: Sending::default(),
            input: BytesMut::new(),
            content: Content::Over,
            opened,
            keeps: true,
            heard: false,
            looked_at: 0,
            interim: 0,
            flowing: false,
        }
    }

    /// When it was opened.
    pub(in crate::upstream) fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether an idle connection is still open and silent. Who speaks without being asked is not asked any more.
    pub(in crate::upstream) fn is_open(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll_fill(cx).is_pending()
    }

    /// Whether any byte of the answer to the last request has come.
    pub(in crate::upstream) fn has_heard(&self) -> bool {
        self.heard
    }

    /// Begins a request; it goes out while the head of its answer is waited for.
    pub(in crate::upstream) fn begin(&mut self, request: UpstreamRequest) {
        self.sending = Sending::of(request);
        (self.heard, self.looked_at, self.interim) = (false, 0, 0);
    }

    /// Sends what is left to send, and reads until the head of the answer is there.
    ///
    /// # Errors
    /// See [`Broken`].
    pub(in crate::upstream) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Broken>> {
        // A backend may answer without reading all and hang up: its answer is worth more than the error of sending.
        let unsent = self.poll_send(cx);
        loop {
            if let Some(head) = self.head()? {
                (self.content, self.keeps) = (head.content, head.keeps);
                return Poll::Ready(Ok(head));
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Err(unsent.unwrap_or_else(ended))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(unsent.unwrap_or_else(|| lost(&error)))),
            }
        }
    }

    /// The next piece of the content; none at its end.
    ///
    /// # Errors
    /// See [`Broken`].
    pub(in crate::upstream) fn poll_content(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            match self.content.take(&mut self.input) {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                Ok(None) if self.content == Content::Over => return Poll::Ready(None),
                Ok(None) => {}
                Err(garbled) => return Poll::Ready(Some(Err(Broken::Garbled(garbled)))),
            }
            // Who answers before it has read all may go on reading.
            self.poll_send(cx);
            match ready!(self.poll_fill(cx)) {
                Ok(0) if self.content == Content::ToTheEnd => self.content = Content::Over,
                Ok(0) => return Poll::Ready(Some(Err(ended()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(lost(&error)))),
            }
        }
    }

    /// Whether the next request may go out: all of the last is sent, all of its answer read, and not a byte more came.
    pub(in crate::upstream) fn is_reusable(&self) -> bool {
        self.keeps && self.sending.is_done() && self.content == Content::Over && self.input.is_empty()
    }

    /// Sends what the socket takes. An error stays to be told where no answer comes.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Option<Broken> {
        if self.sending.is_done() {
            return None;
        }
        match self.sending.poll(&mut self.io, cx) {
            Poll::Ready(Err(error)) => Some(lost(&error)),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    /// The head that counts, if it has come.
    fn head(&mut self) -> Result<Option<Head>, Broken> {
        while self.is_worth_a_look() {
            self.looked_at = self.input.len();
            let Some(head) = head::take(&mut self.input).map_err(Broken::Garbled)? else {
                break;
            };
            self.looked_at = 0;
            if !head.status.is_informational() {
                return Ok(Some(head));
            }
            self.interim += 1;
            if head.status == http::StatusCode::SWITCHING_PROTOCOLS || self.interim > MAX_INTERIM {
                return Err(Broken::Garbled("it does not come to an answer"));
            }
        }
        if self.input.len() > head::MAX_LENGTH {
            return Err(Broken::Garbled(head::TOO_LONG));
        }
        Ok(None)
    }

    /// A head that comes byte by byte is not read anew at each: only at its end, and each time that it has doubled.
    fn is_worth_a_look(&self) -> bool {
        let come = self.input.len();
        let fresh = self
            .input
            .get(self.looked_at.saturating_sub(3)..)
            .unwrap_or_default();
        come > 0 && (come >= 2 * self.looked_at || ends_a_head(fresh))
    }

    /// Reads more. What comes is copied out of a buffer on the stack, so that nobody holds one while nothing comes;
    /// but where much comes, it is read into its place.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.flowing {
            self.input.reserve(LARGE_READ);
            let room = self.input.capacity() - self.input.len();
            let read = pin!(self.io.read_buf(&mut self.input));
            let come = ready!(read.poll(cx))?;
            self.flowing = come == room;
            self.heard |= come > 0;
            return Poll::Ready(Ok(come));
        }
        let mut room = [const { MaybeUninit::<u8>::uninit() }; FIRST_READ];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
        let come = read.filled();
        if self.input.is_empty() {
            self.input = BytesMut::from(come);
        } else {
            self.input.extend_from_slice(come);
        }
        self.flowing = come.len() == FIRST_READ;
        self.heard |= !come.is_empty();
        Poll::Ready(Ok(come.len()))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Whether there is an empty line, which ends a head, ended itself in either way.
fn ends_a_head(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    })
}

fn ended() -> Broken {
    Broken::Lost("it was closed before the answer was complete".to_owned())
}

fn lost(error: &io::Error) -> Broken {
    Broken::Lost(error.to_string())
}
