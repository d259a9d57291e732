//! A connection to a backend that nobody polls but the request that uses it.

use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;

use super::head::{self, Head};
use super::sending;
use crate::upstream::io::Io;
use crate::upstream::request::UpstreamRequest;
use crate::wire::{Content, Garbled, Input, Outbox};

/// How many interim responses (1xx) may come before the one that counts.
const MAX_INTERIM: u8 = 16;

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
    /// What is still to be sent of the request.
    out: Outbox,
    input: Input,
    content: Content,
    opened: Instant,
    /// Whether another request may follow, once this answer has been read.
    keeps: bool,
    /// Whether any byte of the answer has come.
    heard: bool,
    interim: u8,
}

impl Connection {
    /// A connection over a fresh socket.
    pub(in crate::upstream) fn over(io: Io, opened: Instant) -> Self {
        Self {
            io,
            out: Outbox::default(),
            input: Input::default(),
            content: Content::Over,
            opened,
            keeps: true,
            heard: false,
            interim: 0,
        }
    }

    /// When it was opened.
    pub(in crate::upstream) fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether an idle connection is still open and silent. Who speaks without being asked is not asked any more.
    pub(in crate::upstream) fn is_open(&mut self) -> bool {
        self.io.is_silent()
    }

    /// Whether any byte of the answer to the last request has come.
    pub(in crate::upstream) fn has_heard(&self) -> bool {
        self.heard
    }

    /// Begins a request; it goes out while the head of its answer is waited for.
    pub(in crate::upstream) fn begin(&mut self, request: UpstreamRequest) {
        sending::put(request, &mut self.out);
        (self.heard, self.interim) = (false, 0);
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
            match self.content.take(&mut self.input.bytes) {
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
        self.keeps && self.out.is_done() && self.content == Content::Over && self.input.bytes.is_empty()
    }

    /// Sends what the socket takes. An error stays to be told where no answer comes.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Option<Broken> {
        if self.out.is_done() {
            return None;
        }
        match self.out.poll(&mut self.io, cx) {
            Poll::Ready(Err(error)) => Some(lost(&error)),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    /// The head that counts, if it has come.
    fn head(&mut self) -> Result<Option<Head>, Broken> {
        while self.input.is_worth_a_look() {
            let Some(head) = head::take(&mut self.input.bytes).map_err(Broken::Garbled)? else {
                break;
            };
            self.input.took_head();
            if !head.status.is_informational() {
                return Ok(Some(head));
            }
            self.interim += 1;
            if head.status == http::StatusCode::SWITCHING_PROTOCOLS || self.interim > MAX_INTERIM {
                return Err(Broken::Garbled("it does not come to an answer"));
            }
        }
        if self.input.bytes.len() > head::MAX_LENGTH {
            return Err(Broken::Garbled(head::TOO_LONG));
        }
        Ok(None)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let come = ready!(self.input.poll_fill(&mut self.io, cx))?;
        self.heard |= come > 0;
        Poll::Ready(Ok(come))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

#[cold]
fn ended() -> Broken {
    Broken::Lost("it was closed before the answer was complete".to_owned())
}

#[cold]
fn lost(error: &io::Error) -> Broken {
    Broken::Lost(error.to_string())
}
