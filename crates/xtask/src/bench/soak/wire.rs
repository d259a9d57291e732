//! A client's connection: requests out, answers in, byte for byte, and left whenever its caller likes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::super::clock;

/// Longer than the proxy is silent in any of its configs.
const PATIENCE: Duration = Duration::from_secs(45);
/// Hanging up takes no longer.
const HANGING_UP: Duration = Duration::from_secs(5);
/// No answer here is longer.
const LONGEST: usize = 16 << 20;

/// When a client leaves, whatever has come by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    Never,
    /// If no head has come in this time.
    BeforeHead(Duration),
    /// Once so many bytes of the body have come.
    Inside(usize),
}

/// What a client does beside asking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) leaves: Leaves,
    /// A slow reader's pause after each read.
    pub(super) nap: Duration,
}

/// What came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum Heard {
    /// An answer whose framing is complete.
    Whole(Answer),
    /// The connection ended, or something came that is no HTTP; with what had come by then.
    Cut(Answer, String),
    /// The client left; whether the head had come.
    Left(bool),
}

/// A connection to the proxy.
pub(super) struct Wire {
    stream: TcpStream,
    /// What has come and is not understood yet.
    input: Vec<u8>,
}

enum Stop {
    Broken(String),
    Left,
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

impl Wire {
    pub(super) fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            input: Vec::new(),
        })
    }

    /// Sends a request and reads its answer. The connection comes back if it may be used again.
    pub(super) fn ask(mut self, request: &[u8], manner: Manner) -> (Heard, Option<Self>) {
        let mut answer = Answer::default();
        let read = self
            .stream
            .write_all(request)
            .map_err(|error| Stop::Broken(format!("cannot send: {error}")))
            .and_then(|()| self.read(&mut answer, manner));
        match read {
            Ok(true) if !self.input.is_empty() => {
                let why = format!("{} bytes after the end of the answer", self.input.len());
                (Heard::Cut(answer, why), None)
            }
            Ok(framed) => {
                let keeps = framed && !answer.closes();
                (Heard::Whole(answer), keeps.then_some(self))
            }
            Err(Stop::Left) => (Heard::Left(answer.status != 0), None),
            Err(Stop::Broken(why)) => (Heard::Cut(answer, why), None),
        }
    }

    /// Whether the other side hangs up, without another word.
    pub(super) fn hangs_up(mut self) -> bool {
        let timeout = self.stream.set_read_timeout(Some(HANGING_UP));
        let read = timeout.and_then(|()| self.stream.read(&mut [0]));
        match read {
            Ok(count) => count == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// Whether the end was told by the framing; otherwise it is the connection's.
    fn read(&mut self, answer: &mut Answer, manner: Manner) -> Result<bool, Stop> {
        self.head(answer, manner)?;
        if answer.header("transfer-encoding").is_some() {
            return self.chunks(answer, manner).map(|()| true);
        }
        let length = answer.header("content-length").map(str::parse::<usize>);
        match length {
            Some(Ok(length)) => self.content(answer, length, manner).map(|()| true),
            Some(Err(_)) => Err(Stop::Broken("a content-length that is none".to_owned())),
            None => self
                .content(answer, LONGEST, manner)
                .map(|()| false)
                .or_else(|stop| match stop {
                    Stop::Broken(why) if why == CLOSED => Ok(false),
                    stop => Err(stop),
                }),
        }
    }

    fn head(&mut self, answer: &mut Answer, manner: Manner) -> Result<(), Stop> {
        let until = match manner.leaves {
            Leaves::BeforeHead(after) => Some(clock::now() + after),
            _ => None,
        };
        loop {
            if let Some(end) = find(&self.input, b"\r\n\r\n") {
                let head: Vec<u8> = self.input.drain(..end + 4).collect();
                (answer.status, answer.headers) = parse(&head).ok_or_else(|| "no HTTP head".to_owned())?;
                return Ok(());
            }
            let patience = until.map(|until| until.saturating_duration_since(clock::now()));
            self.more(patience, Duration::ZERO)?;
        }
    }

    /// So many bytes of content.
    fn content(&mut self, answer: &mut Answer, length: usize, manner: Manner) -> Result<(), Stop> {
        let wanted = answer.body.len() + length;
        loop {
            let take = (wanted - answer.body.len()).min(self.input.len());
            answer.body.extend(self.input.drain(..take));
            if matches!(manner.leaves, Leaves::Inside(bytes) if answer.body.len() >= bytes) {
                return Err(Stop::Left);
            }
            if answer.body.len() == wanted {
                return Ok(());
            }
            self.more(None, manner.nap)?;
        }
    }

    fn chunks(&mut self, answer: &mut Answer, manner: Manner) -> Result<(), Stop> {
        loop {
            let line = self.line(manner)?;
            let size = usize::from_str_radix(line.trim_end(), 16);
            let size = size.map_err(|_error| format!("a chunk of the size {line:?}"))?;
            if answer.body.len() + size > LONGEST {
                return Err(Stop::Broken("it does not come to an end".to_owned()));
            }
            self.content(answer, size, manner)?;
            let end = self.line(manner)?;
            if end != "\r\n" {
                return Err(Stop::Broken(format!("a chunk that ends with {end:?}")));
            }
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self, manner: Manner) -> Result<String, Stop> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n") {
                let line: Vec<u8> = self.input.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.more(None, manner.nap)?;
        }
    }

    /// Waits for more bytes. Who has limited patience leaves.
    fn more(&mut self, patience: Option<Duration>, nap: Duration) -> Result<(), Stop> {
        if patience.is_some_and(|patience| patience.is_zero()) {
            return Err(Stop::Left);
        }
        if !nap.is_zero() {
            thread::sleep(nap);
        }
        let mut room = [0; 16 * 1024];
        let timeout = self.stream.set_read_timeout(Some(patience.unwrap_or(PATIENCE)));
        match timeout.and_then(|()| self.stream.read(&mut room)) {
            Ok(0) => Err(Stop::Broken(CLOSED.to_owned())),
            Ok(count) => {
                self.input
                    .extend_from_slice(room.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(patience.map_or_else(
                    || Stop::Broken(format!("silence for {PATIENCE:?}")),
                    |_| Stop::Left,
                ))
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(Stop::Broken(error.to_string())),
        }
    }
}

const CLOSED: &str = "the connection was closed";

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

fn parse(head: &[u8]) -> Option<(u16, Vec<(String, String)>)> {
    let head = str::from_utf8(head).ok()?.trim_end();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some((status, lines.map(header).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};

    use super::*;

    const POLITE: Manner = Manner {
        leaves: Leaves::Never,
        nap: Duration::ZERO,
    };

    /// What a client hears of these bytes, which come in two pieces and are followed by the end of the connection.
    fn heard(bytes: &str, cut: usize, leaves: Leaves) -> (Heard, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().expect("accepted");
                stream.read_exact(&mut [0]).expect("a request");
                for piece in [&bytes[..cut], &bytes[cut..]] {
                    stream.write_all(piece.as_bytes()).expect("the client reads");
                }
                stream.shutdown(Shutdown::Write).expect("still open");
                let _ = stream.read(&mut [0]);
            });
            let wire = Wire::open(addr).expect("it listens");
            let (heard, wire) = wire.ask(b"x", Manner { leaves, ..POLITE });
            (heard, wire.is_some())
        })
    }

    #[test]
    fn an_answer_is_read_to_its_end_however_it_is_framed_and_cut() {
        for (bytes, keeps) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
                false,
            ),
            ("HTTP/1.1 200 OK\r\n\r\nhello", false),
        ] {
            for cut in 0..bytes.len() {
                let (heard, kept) = heard(bytes, cut, Leaves::Never);
                assert!(
                    matches!(&heard, Heard::Whole(answer) if answer.body == b"hello"),
                    "{heard:?}"
                );
                assert_eq!(kept, keeps, "{bytes:?}");
            }
        }
    }

    #[test]
    fn what_is_incomplete_or_too_much_is_told() {
        for bytes in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nz\r\nhello\r\n0\r\n\r\n",
        ] {
            let (heard, _) = heard(bytes, 0, Leaves::Never);
            assert!(matches!(heard, Heard::Cut(..)), "{bytes:?} gave {heard:?}");
        }
    }

    #[test]
    fn a_client_leaves_inside_an_answer_but_not_after_it() {
        let bytes = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        for (inside, left) in [(1, true), (5, true), (6, false)] {
            let (heard, _) = heard(bytes, 40, Leaves::Inside(inside));
            assert_eq!(matches!(heard, Heard::Left(true)), left, "{inside}");
        }
    }

    #[test]
    fn hanging_up_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let wire = Wire::open(listener.local_addr().expect("bound")).expect("it listens");
        drop(listener.accept().expect("accepted"));
        assert!(wire.hangs_up());
    }

    #[test]
    fn a_client_without_patience_leaves_before_the_head() {
        let (heard, _) = heard("", 0, Leaves::BeforeHead(Duration::ZERO));
        assert!(matches!(heard, Heard::Left(false)), "{heard:?}");
    }
}
