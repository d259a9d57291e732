//! A small blocking HTTP/1.1 client: one connection, one request at a time, the least work per answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// No answer of a bench takes longer; a silent target fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// A kept-alive connection.
pub(super) struct Client {
    addr: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What an answer was, as far as a bench cares.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Head and body.
    pub(super) bytes: usize,
}

/// How the end of a body shows.
#[derive(Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// The parts of a head that matter here.
struct Head {
    status: u16,
    /// Bytes up to and with the blank line.
    len: usize,
    framing: Framing,
}

impl Client {
    pub(super) fn connect(addr: SocketAddr) -> Result<Self> {
        Ok(Self {
            addr,
            stream: open(addr)?,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Sends `request` and reads the whole answer; opens a new connection where the target closed this one.
    pub(super) fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).context("cannot send")?;
        let mut got = Vec::with_capacity(8 * 1024);
        loop {
            let count = self.stream.read(&mut self.buffer).context("no answer")?;
            got.extend_from_slice(self.buffer.get(..count).unwrap_or_default());
            let Some(head) = head(&got)? else {
                if count == 0 {
                    bail!("closed before the end of the head");
                }
                continue;
            };
            if is_whole(&got, &head, count == 0)? {
                if head.framing == Framing::UntilClose {
                    self.stream = open(self.addr)?;
                }
                return Ok(Answer {
                    status: head.status,
                    bytes: got.len(),
                });
            }
        }
    }
}

/// A connection with a request on its way and nothing read yet.
pub(super) fn send_only(addr: SocketAddr, request: &[u8]) -> Result<TcpStream> {
    let mut stream = open(addr)?;
    stream.write_all(request).context("cannot send")?;
    Ok(stream)
}

fn open(addr: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(addr).with_context(|| format!("cannot connect to {addr}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn head(got: &[u8]) -> Result<Option<Head>> {
    let Some(end) = got.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(got.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.with_context(|| format!("no status in {:?}", text.lines().next()))?;
    Ok(Some(Head {
        status,
        len: end + 4,
        framing: framing(&text),
    }))
}

fn framing(head: &str) -> Framing {
    let field = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    if field("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        return Framing::Chunked;
    }
    match field("content-length").and_then(|value| value.trim().parse().ok()) {
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    }
}

/// A chunked body ends with its empty chunk. JSON has no bare line breaks, so these bytes stand nowhere else.
fn is_whole(got: &[u8], head: &Head, closed: bool) -> Result<bool> {
    let body = got.get(head.len..).unwrap_or_default();
    let whole = match head.framing {
        Framing::Length(length) => body.len() >= length,
        Framing::Chunked => body.ends_with(b"\r\n0\r\n\r\n") || body == b"0\r\n\r\n",
        Framing::UntilClose => closed,
    };
    if closed && !whole {
        bail!("closed inside the body");
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers each request on each connection with the next of `answers`, in pieces of `piece` bytes.
    fn server(answers: &'static [&'static str], piece: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        thread::spawn(move || {
            let mut left = answers.iter();
            for stream in listener.incoming() {
                serve(stream.expect("accepted"), &mut left, piece);
            }
        });
        addr
    }

    fn serve(mut stream: TcpStream, left: &mut std::slice::Iter<'_, &str>, piece: usize) {
        let mut request = [0; 1024];
        while stream.read(&mut request).is_ok_and(|count| count > 0) {
            let Some(answer) = left.next() else { return };
            for part in answer.as_bytes().chunks(piece) {
                stream.write_all(part).expect("the client reads");
            }
            if !answer.contains("content-length") && !answer.contains("chunked") {
                return;
            }
        }
    }

    #[test]
    fn answers_are_read_to_their_end_however_they_are_framed_and_cut() {
        const ANSWERS: &[&str] = &[
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\nhello",
            "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n",
        ];
        for piece in [1, 7, 1000] {
            let mut client = Client::connect(server(ANSWERS, piece)).expect("connected");
            for answer in ANSWERS {
                let got = client.ask(b"GET / HTTP/1.1\r\n\r\n").expect("a whole answer");
                assert_eq!(got.bytes, answer.len(), "{answer:?} in pieces of {piece}");
                assert!(answer.contains(&got.status.to_string()));
            }
        }
    }

    #[test]
    fn a_cut_answer_is_an_error() {
        for (answer, length) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", 9),
            ("HTTP/1.1 200", 0),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let addr = listener.local_addr().expect("bound");
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("accepted");
                let mut request = [0; 64];
                let _count = stream.read(&mut request).expect("a request");
                stream.write_all(answer.as_bytes()).expect("the client reads");
            });
            let error = Client::connect(addr)
                .expect("connected")
                .ask(b"x")
                .expect_err("the answer was cut");
            assert!(
                error.to_string().contains("closed"),
                "of {length} announced bytes: {error:#}"
            );
            server.join().expect("the server ended");
        }
    }
}
