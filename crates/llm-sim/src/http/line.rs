//! One accepted socket: requests are read from it, bytes are written to it, and it can be torn.
//!
//! All calls take `&self` or `&mut self` of one task. Writing and watching the peer leave run side by side,
//! which is how a proxy that hangs up on a silent backend is noticed at once.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

use super::chunked::Dechunk;
use super::head::{Framing, Head};

/// A head larger than this is refused.
const MAX_HEAD: usize = 1 << 20;

/// The socket and what has been read from it but not yet understood.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    buffer: BytesMut,
}

/// Why no request could be read.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The peer closed, between requests or in the middle of one.
    Gone,
    /// The peer breaks the protocol.
    Wrong(&'static str),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Line {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: BytesMut::with_capacity(8 << 10),
        })
    }

    /// Waits for the first byte of a request.
    pub(crate) async fn begun(&mut self) -> Result<(), Broken> {
        if self.buffer.is_empty() {
            self.fill().await
        } else {
            Ok(())
        }
    }

    /// Reads a head.
    pub(crate) async fn head(&mut self) -> Result<Head, Broken> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = self.buffer.split_to(end + 4);
                let (head, _) = head.split_at(end);
                return Head::parse(head).map_err(Broken::Wrong);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(Broken::Wrong("a head without an end"));
            }
            self.fill().await?;
        }
    }

    /// Reads the body that belongs to `head`, asking for it first if the client waits to be asked.
    pub(crate) async fn body(&mut self, head: &Head) -> Result<Bytes, Broken> {
        let framing = head.framing().map_err(Broken::Wrong)?;
        if head.expects_continue() {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        match framing {
            Framing::Length(length) => self.exactly(length).await,
            Framing::Chunked => self.chunked().await,
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Bytes, Broken> {
        while self.buffer.len() < length {
            self.buffer.reserve((length - self.buffer.len()).min(1 << 20));
            self.fill().await?;
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn chunked(&mut self) -> Result<Bytes, Broken> {
        let mut reader = Dechunk::default();
        while !reader.feed(&mut self.buffer).map_err(Broken::Wrong)? {
            self.fill().await?;
        }
        Ok(Bytes::from(reader.body))
    }

    async fn fill(&mut self) -> Result<(), Broken> {
        match read(&self.stream, &mut self.buffer).await? {
            0 => Err(Broken::Gone),
            _ => Ok(()),
        }
    }

    /// Runs `work`, which may write, until it is done or the peer has left; `None` then.
    ///
    /// The work goes first: where it never waits, the peer is never looked at, which saves a system call
    /// on every fast answer. A FIN counts as leaving: our clients are proxies, and they do not half-close.
    pub(crate) async fn unless_left<T>(&mut self, work: impl AsyncFnOnce(&Writer<'_>) -> T) -> Option<T> {
        let writer = Writer { stream: &self.stream };
        let buffer = &mut self.buffer;
        tokio::select! {
            biased;
            done = work(&writer) => Some(done),
            () = left(&self.stream, buffer) => None,
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        Writer { stream: &self.stream }.write(bytes).await
    }

    /// Closes with an RST.
    pub(crate) fn reset(self) {
        // A failure means that the socket is gone already, which is what was wanted.
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// The writing side of a [`Line`].
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    stream: &'a TcpStream,
}

impl Writer<'_> {
    /// Writes all, waiting as long as the peer's window is full.
    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Waits for bytes and takes them; 0 is the peer's FIN.
async fn read(stream: &TcpStream, buffer: &mut BytesMut) -> io::Result<usize> {
    buffer.reserve(1);
    loop {
        match stream.try_read_buf(buffer) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
            done => return done,
        }
    }
}

/// Waits until the peer has closed. Bytes that come meanwhile are the next request's and are kept.
async fn left(stream: &TcpStream, buffer: &mut BytesMut) {
    while matches!(read(stream, buffer).await, Ok(1..)) {
        if buffer.len() > MAX_HEAD {
            // Nobody pipelines that much: stop reading, so that the sender feels it.
            return std::future::pending().await;
        }
    }
}
