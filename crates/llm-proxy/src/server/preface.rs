//! The first bytes of a connection: they say which HTTP the client speaks, and are then read like all others.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// What every client of HTTP/2 says first; nobody else does.
const HTTP2: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which HTTP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// The first bytes, until they have been handed on.
#[derive(Debug, Default)]
pub(super) struct Preface {
    seen: [u8; HTTP2.len()],
    /// How many have been read, and how many of those handed on.
    read: usize,
    given: usize,
}

impl Preface {
    /// Reads from `io` until the version is known. A client that closes before is left to HTTP/1.1, which says what it
    /// thinks of half a head.
    pub(super) fn poll_version<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Version>> {
        loop {
            let mut buffer = ReadBuf::new(self.seen.get_mut(self.read..).unwrap_or_default());
            ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer))?;
            let fresh = buffer.filled().len();
            self.read += fresh;
            let seen = self.seen.get(..self.read).unwrap_or_default();
            if fresh == 0 || !HTTP2.starts_with(seen) {
                return Poll::Ready(Ok(Version::Http1));
            }
            if seen.len() == HTTP2.len() {
                return Poll::Ready(Ok(Version::Http2));
            }
        }
    }

    /// Puts what has been looked at into `buffer`, as far as it fits. Whether there was anything.
    pub(super) fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if self.given == self.read {
            return false;
        }
        let until = self.read.min(self.given + buffer.remaining());
        buffer.put_slice(self.seen.get(self.given..until).unwrap_or_default());
        self.given = until;
        true
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_fn;

    use super::*;

    /// What `bytes` in pieces of `piece` are taken for, and all that can be read of them afterwards.
    async fn looked_at(bytes: &[u8], piece: usize) -> (Version, Vec<u8>) {
        let mut script = script(bytes, piece);
        let mut preface = Preface::default();
        let version = poll_fn(|cx| preface.poll_version(&mut script, cx)).await;
        let mut all = Vec::new();
        loop {
            let mut room = [0; 10];
            let mut buffer = ReadBuf::new(&mut room);
            if !preface.give(&mut buffer) {
                break;
            }
            all.extend_from_slice(buffer.filled());
        }
        for rest in script.0 {
            all.extend_from_slice(&rest);
        }
        (version.expect("nothing breaks"), all)
    }

    /// A stream that gives a piece a read.
    struct Script(std::collections::VecDeque<Vec<u8>>);

    fn script(bytes: &[u8], piece: usize) -> Script {
        Script(bytes.chunks(piece).map(<[u8]>::to_vec).collect())
    }

    impl AsyncRead for Script {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(mut piece) = self.0.pop_front() {
                let rest = piece.split_off(piece.len().min(buffer.remaining()));
                buffer.put_slice(&piece);
                if !rest.is_empty() {
                    self.0.push_front(rest);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn the_first_bytes_tell_the_version_and_none_is_lost_however_they_are_cut() {
        let cases: [(&[u8], Version); 6] = [
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04", Version::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Version::Http1),
            (b"POST /v1/messages HTTP/1.1\r\nhost: a\r\n\r\n", Version::Http1),
            (b"PR", Version::Http1),
            (b"", Version::Http1),
        ];
        for (bytes, version) in cases {
            for piece in [1, 7, 24, 1000] {
                let text = String::from_utf8_lossy(bytes);
                assert_eq!(
                    looked_at(bytes, piece).await,
                    (version, bytes.to_vec()),
                    "{text:?} in pieces of {piece}"
                );
            }
        }
    }
}
