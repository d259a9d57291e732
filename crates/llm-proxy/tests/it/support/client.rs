//! A client that shows everything: status, headers, raw bytes, and how a connection ends.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Proxy, within};

/// A client of one address, with one connection a request.
#[derive(Clone)]
pub struct Client {
    address: String,
    headers: Vec<(String, String)>,
    received: Arc<Mutex<Vec<u8>>>,
    sent: Arc<AtomicU64>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers, in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, unchunked.
    pub body: Vec<u8>,
    /// Whether the body ended as its framing says.
    pub whole: bool,
}

/// An answer that is still coming in.
pub struct Streaming {
    stream: TcpStream,
    raw: Vec<u8>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Client {
    /// A client of a proxy's main listener.
    pub fn of(proxy: &Proxy) -> Self {
        Self {
            address: proxy.address().to_owned(),
            headers: Vec::new(),
            received: Arc::clone(&proxy.received),
            sent: Arc::clone(&proxy.sent),
        }
    }

    /// A client of some address; nothing of it is counted.
    pub fn plain(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            headers: Vec::new(),
            received: Arc::default(),
            sent: Arc::default(),
        }
    }

    /// The same with a header on each request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `POST /v1/chat/completions` to that model.
    pub async fn chat(&self, model: &str, stream: bool) -> Reply {
        self.post("/v1/chat/completions", &chat(model, stream)).await
    }

    /// `POST /v1/messages` to that model.
    pub async fn messages(&self, model: &str, stream: bool) -> Reply {
        self.post("/v1/messages", &messages(model, stream)).await
    }

    /// `POST /v1/responses` to that model.
    pub async fn responses(&self, model: &str, stream: bool) -> Reply {
        self.post("/v1/responses", &responses(model, stream)).await
    }

    /// A JSON body to that path.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, body.to_string().as_bytes()).await
    }

    /// A GET of that path.
    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, b"").await
    }

    /// Any request; waits for the whole answer.
    pub async fn send(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        let mut streaming = self.open(method, path, body).await;
        let reply = within("a whole answer", streaming.rest()).await;
        check_error(path, &reply);
        reply
    }

    /// Sends these bytes as they are. They are not counted as a request: the test does that, if they are one.
    pub async fn raw(&self, bytes: &[u8]) -> Streaming {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        Streaming {
            stream,
            raw: Vec::new(),
            received: Arc::clone(&self.received),
        }
    }

    /// Sends a request and returns before any answer.
    pub async fn open(&self, method: &str, path: &str, body: &[u8]) -> Streaming {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        self.open_on(stream, method, path, body).await
    }

    /// The same on a connection that is open already.
    pub async fn open_on(&self, mut stream: TcpStream, method: &str, path: &str, body: &[u8]) -> Streaming {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if !body.is_empty() {
            let _ = write!(head, "content-length: {}\r\n", body.len());
            if !self
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            {
                head.push_str("content-type: application/json\r\n");
            }
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let health = path.starts_with("/health") || path.starts_with("/readyz");
        let hello = method == "HEAD" && (path == "/" || path == "/api/hello");
        if !(health || hello) {
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
        Streaming {
            stream,
            raw: Vec::new(),
            received: Arc::clone(&self.received),
        }
    }
}

/// G5: an error is in the dialect of its path.
fn check_error(path: &str, reply: &Reply) {
    let api = ["/chat/completions", "/messages", "/responses", "/embeddings"]
        .iter()
        .any(|api| path.contains(api));
    if reply.status < 400 || !api {
        return;
    }
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_else(|_| {
        panic!(
            "G5: an error that is no JSON: {:?}",
            String::from_utf8_lossy(&reply.body)
        )
    });
    assert!(
        body["error"]["message"].is_string(),
        "G5: an error without a message: {body}"
    );
    assert!(
        body["error"]["type"].is_string(),
        "G5: an error without a type: {body}"
    );
    if path.contains("/messages") {
        assert_eq!(body["type"], "error", "G5: not Anthropic's envelope: {body}");
    }
}

impl Reply {
    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// Asserts the status, with the body as the reason.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

impl Streaming {
    /// Waits until the answer so far (head included) contains `text`.
    pub async fn until(&mut self, text: &str) {
        self.until_times(text, 1).await;
    }

    /// Waits until the answer so far contains `text` so many times.
    pub async fn until_times(&mut self, text: &str, times: usize) {
        within(&format!("{text:?} in the answer"), async {
            while String::from_utf8_lossy(&self.raw).matches(text).count() < times {
                let more = self.read().await;
                assert!(
                    more,
                    "the answer ended before {text:?}: {}",
                    String::from_utf8_lossy(&self.raw)
                );
            }
        })
        .await;
    }

    /// Whether not a byte has come that is not read yet.
    pub fn is_silent(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Sends more. That the other side has closed meanwhile is no failure: its answer tells.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The raw bytes so far.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Reads to the end of the answer (or of the connection).
    pub async fn rest(&mut self) -> Reply {
        loop {
            if let Some(reply) = parsed(&self.raw, false) {
                return reply;
            }
            if !self.read().await {
                return parsed(&self.raw, true).expect("a response head");
            }
        }
    }

    /// Reads until the other side closes: for answers that are too large to be looked at after each read.
    pub async fn until_closed(&mut self) -> Reply {
        while self.read().await {}
        parsed(&self.raw, true).expect("a response head")
    }

    /// Says that nothing more will be sent, and stays to read.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Waits for the other side to close the connection.
    pub async fn closed(&mut self) {
        within("the connection to be closed", async {
            while self.read().await {}
        })
        .await;
    }

    /// Leaves without a word: the socket is closed.
    pub fn leave(self) {
        drop(self.stream);
    }

    /// The connection, for another request.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    async fn read(&mut self) -> bool {
        let mut buffer = vec![0; 16 * 1024];
        let Ok(read @ 1..) = self.stream.read(&mut buffer).await else {
            return false;
        };
        self.raw.extend_from_slice(&buffer[..read]);
        self.received.lock().unwrap().extend_from_slice(&buffer[..read]);
        true
    }
}

/// The answer in `raw`, if it is there to its end; `closed`: nothing more comes.
fn parsed(raw: &[u8], closed: bool) -> Option<Reply> {
    let at = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(raw[..at].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pair = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<(String, String)> = lines.map(pair).collect();
    let rest = &raw[at + 4..];
    let find = |name: &str| {
        headers
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.clone())
    };
    let (body, whole) = if find("transfer-encoding").is_some() {
        unchunked(rest)
    } else {
        let length =
            find("content-length").map_or(if closed { rest.len() } else { 0 }, |n| n.parse().unwrap());
        (rest[..length.min(rest.len())].to_vec(), rest.len() >= length)
    };
    (whole || closed).then_some(Reply {
        status,
        headers,
        body,
        whole,
    })
}

fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(at) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (body, false);
        };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap().trim(), 16).unwrap();
        let data = &rest[at + 2..];
        if size == 0 {
            return (body, data.len() >= 2);
        }
        body.extend_from_slice(&data[..size.min(data.len())]);
        if data.len() < size + 2 {
            return (body, false);
        }
        rest = &data[size + 2..];
    }
}

/// A small chat request.
pub fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
}

/// A small messages request.
pub fn messages(model: &str, stream: bool) -> Value {
    json!({"model": model, "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
}

/// A small responses request.
pub fn responses(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "input": "Hello"})
}
