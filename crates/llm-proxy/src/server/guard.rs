//! A client's byte stream with what HTTP itself does not see to: a client that stops reading, and one that is still
//! sending when it has been answered.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::preface::{Preface, Version};

/// How long a closed connection is still read from. Closing while the client sends would make the system throw our
/// answer away together with the unread bytes.
const LINGER: Duration = Duration::from_secs(1);
/// How much is read then.
const LINGER_BYTES: usize = 1024 * 1024;

/// A client's stream under guard.
pub(super) struct Guard<I> {
    io: I,
    preface: Preface,
    /// How long a write may make no progress.
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    linger: Linger,
}

/// The end of a connection, step by step.
enum Linger {
    /// It has not come.
    No,
    /// We have said our last word; what still comes is thrown away.
    Until(Pin<Box<Sleep>>, usize),
    /// Both sides are done.
    Done,
}

impl<I> Guard<I> {
    /// Guards `io`. A client that takes nothing for `patience` is gone.
    pub(super) fn new(io: I, patience: Duration) -> Self {
        Self {
            io,
            preface: Preface::default(),
            patience,
            stalled: None,
            linger: Linger::No,
        }
    }

    /// Passes a write's outcome on, unless the client has taken nothing for too long.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<I: AsyncRead + Unpin> Guard<I> {
    /// Which HTTP the client speaks, as soon as its first bytes say so. They are still to be read.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) async fn version(&mut self) -> io::Result<Version> {
        let (preface, io) = (&mut self.preface, &mut self.io);
        poll_fn(|cx| preface.poll_version(io, cx)).await
    }

    /// Reads and throws away until the client closes, or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Linger::Until(timer, left) = &mut self.linger else {
            return Poll::Ready(());
        };
        let mut scrap = [0; 4096];
        while *left > 0 {
            let mut buffer = ReadBuf::new(&mut scrap);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    *left = left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return timer.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Guard<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.preface.give(buffer) {
            // What has come behind the first bytes shows at the next read.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.io).poll_read(cx, buffer)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.in_time(cx, done)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.io).poll_write_vectored(cx, bytes);
        this.in_time(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.io).poll_flush(cx);
        this.in_time(cx, done)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.linger, Linger::No) {
            let done = Pin::new(&mut this.io).poll_shutdown(cx);
            match this.in_time(cx, done) {
                Poll::Ready(Ok(())) => this.linger = Linger::Until(Box::pin(sleep(LINGER)), LINGER_BYTES),
                other => return other,
            }
        }
        if this.poll_linger(cx).is_pending() {
            return Poll::Pending;
        }
        this.linger = Linger::Done;
        Poll::Ready(Ok(()))
    }
}
