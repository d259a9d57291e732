//! A tiny HTTP client that keeps chunks apart and tells a FIN from an RST.

use std::io;

use llm_sim::Sim;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

/// How an answer ended.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Ended {
    /// As its framing says.
    Whole,
    Fin,
    Rst,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// HTTP chunks, or the one body.
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) ended: Ended,
}

/// Where a dialect is asked, and the smallest thing to ask it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dialect {
    Chat,
    Responses,
    Messages,
}

pub(crate) const DIALECTS: [Dialect; 3] = [Dialect::Chat, Dialect::Responses, Dialect::Messages];

impl Dialect {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }

    pub(crate) fn body(self, stream: bool) -> Value {
        match self {
            Self::Chat => {
                json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream})
            }
            Self::Responses => json!({"model": "m", "input": "hi", "stream": stream}),
            Self::Messages => json!({
                "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": stream,
            }),
        }
    }

    pub(crate) fn headers(self) -> &'static str {
        match self {
            Self::Messages => {
                "x-api-key: k1\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n"
            }
            _ => "authorization: Bearer k1\r\ncontent-type: application/json\r\n",
        }
    }
}

/// Asks on a connection of its own.
pub(crate) async fn ask(sim: &Sim, dialect: Dialect, stream: bool) -> Reply {
    Client::connect(sim).await.ask(dialect, stream).await
}

impl Client {
    pub(crate) async fn connect(sim: &Sim) -> Self {
        let stream = TcpStream::connect(sim.addr()).await.unwrap();
        Self {
            stream,
            host: sim.addr().to_string(),
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn ask(&mut self, dialect: Dialect, stream: bool) -> Reply {
        self.post(
            dialect.path(),
            dialect.headers(),
            dialect.body(stream).to_string().as_bytes(),
        )
        .await
    }

    pub(crate) async fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Reply {
        self.send(path, headers, body).await;
        self.reply().await
    }

    pub(crate) async fn send(&mut self, path: &str, headers: &str, body: &[u8]) {
        let (host, length) = (&self.host, body.len());
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {length}\r\n\r\n");
        self.raw(&[head.as_bytes(), body].concat()).await;
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads the next response, informational ones included.
    pub(crate) async fn reply(&mut self) -> Reply {
        let mut reply = Reply {
            status: 0,
            head: String::new(),
            chunks: Vec::new(),
            ended: Ended::Whole,
        };
        match self.line_break(b"\r\n\r\n").await {
            Ok(head) => reply.head = String::from_utf8(head).unwrap(),
            Err(ended) => {
                reply.ended = ended;
                return reply;
            }
        }
        reply.status = reply.head[9..12].parse().unwrap();
        if reply.status >= 200
            && let Err(ended) = self.body(&mut reply).await
        {
            reply.ended = ended;
        }
        reply
    }

    async fn body(&mut self, reply: &mut Reply) -> Result<(), Ended> {
        if reply.header("transfer-encoding").is_some() {
            loop {
                let size = self.line_break(b"\r\n").await?;
                let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap(), 16).unwrap();
                let chunk = self.exactly(size).await?;
                assert_eq!(
                    self.exactly(2).await?,
                    b"\r\n",
                    "a chunk ends where its size says"
                );
                if size == 0 {
                    return Ok(());
                }
                reply.chunks.push(chunk);
            }
        }
        let length = reply
            .header("content-length")
            .map_or(usize::MAX, |v| v.parse().unwrap());
        while self.buffer.len() < length {
            if let Err(ended) = self.fill().await {
                reply.chunks.push(std::mem::take(&mut self.buffer));
                return Err(ended);
            }
        }
        reply.chunks.push(self.exactly(length).await?);
        Ok(())
    }

    async fn line_break(&mut self, mark: &[u8]) -> Result<Vec<u8>, Ended> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|w| w == mark) {
                let line = self.buffer.drain(..at + mark.len()).collect::<Vec<_>>();
                return Ok(line[..at].to_vec());
            }
            self.fill().await?;
        }
    }

    async fn exactly(&mut self, size: usize) -> Result<Vec<u8>, Ended> {
        while self.buffer.len() < size {
            self.fill().await?;
        }
        Ok(self.buffer.drain(..size).collect())
    }

    async fn fill(&mut self) -> Result<(), Ended> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(Ended::Fin),
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Err(Ended::Rst),
            Err(e) => panic!("{e}"),
        }
    }

    /// All that comes until the backend closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await.is_ok() {}
        std::mem::take(&mut self.buffer)
    }

    /// Waits for the backend to close.
    pub(crate) async fn ended(&mut self) -> Ended {
        self.fill().await.expect_err("nothing more should come")
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes()).unwrap()
    }

    /// The stream as pairs of event name (may be empty) and data.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        self.text().split_terminator("\n\n").map(event).collect()
    }
}

fn event(text: &str) -> (String, Value) {
    let mut name = String::new();
    let mut data = Value::Null;
    for line in text.lines() {
        match line.split_once(": ").unwrap() {
            ("event", value) => name = value.to_owned(),
            ("data", "[DONE]") => data = json!("[DONE]"),
            ("data", value) => data = serde_json::from_str(value).unwrap(),
            (field, _) => panic!("a field {field} in {text:?}"),
        }
    }
    (name, data)
}
