//! A client that takes nothing for too long is given up: it holds a backend, and would hold it for ever.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A byte stream whose writes fail once the peer has taken nothing for a while.
///
/// Over HTTP/2 this sees the connection and not its streams: one that is stalled by flow control is not noticed.
pub(super) struct Patient<T> {
    io: T,
    patience: Duration,
    /// Runs while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Patient<T> {
    pub(super) fn new(io: T, patience: Duration) -> Self {
        Self {
            io,
            patience,
            timer: None,
        }
    }

    /// What a write came to, or that it has waited for too long.
    fn judge<D>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<D>>) -> Poll<io::Result<D>> {
        if done.is_ready() {
            self.timer = None;
            return done;
        }
        let patience = self.patience;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write(cx, buf);
        self.judge(cx, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.io).poll_flush(cx);
        self.judge(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.io).poll_shutdown(cx);
        self.judge(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.judge(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (io, _peer) = tokio::io::duplex(8);
        let mut io = Patient::new(io, Duration::from_millis(20));
        let error = io.write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn patience_begins_anew_with_every_byte_that_is_taken() {
        let (io, mut peer) = tokio::io::duplex(8);
        let mut io = Patient::new(io, Duration::from_secs(90));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        io.write_all(&[0; 8]).await.unwrap();
        assert!(Pin::new(&mut io).poll_write(&mut cx, &[0]).is_pending());
        assert!(io.timer.is_some(), "a write waits");
        peer.read_exact(&mut [0; 4]).await.unwrap();
        assert!(Pin::new(&mut io).poll_write(&mut cx, &[0]).is_ready());
        assert!(io.timer.is_none(), "it waits no longer");
    }
}
