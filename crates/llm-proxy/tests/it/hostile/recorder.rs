//! A backend that writes down what it is asked, to the byte, and takes nothing that two servers could read differently.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// Where it listens, and what it has heard.
pub struct Recorder {
    address: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// What one request was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A sound one: method and target, and the body.
    Request(String, Vec<u8>),
    /// Bytes that are none.
    Garbage(Vec<u8>),
}

impl Recorder {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let book = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(listen(stream, Arc::clone(&book)));
            }
        });
        Self { address, heard }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Everything so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

async fn listen(mut stream: TcpStream, book: Arc<Mutex<Vec<Heard>>>) {
    let mut raw = Vec::new();
    loop {
        match request(&raw) {
            Some((Heard::Garbage(bytes), _)) => {
                book.lock().unwrap().push(Heard::Garbage(bytes));
                return;
            }
            Some((sound, length)) => {
                book.lock().unwrap().push(sound);
                raw.drain(..length);
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
                    ANSWER.len()
                );
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            None => {
                let mut buffer = [0; 16 * 1024];
                match stream.read(&mut buffer).await {
                    Ok(read @ 1..) => raw.extend_from_slice(&buffer[..read]),
                    _ => return,
                }
            }
        }
    }
}

/// The first request of these bytes and its length, if it is there to its end.
fn request(raw: &[u8]) -> Option<(Heard, usize)> {
    let head = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&raw[..head]).into_owned();
    let garbage = || Some((Heard::Garbage(raw.to_vec()), raw.len()));
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let all = |wanted: &str| -> Vec<&str> {
        let mine = headers.iter().filter(|(name, _)| name == wanted);
        mine.map(|(_, value)| value.as_str()).collect()
    };
    let Some(what) = line
        .strip_suffix(" HTTP/1.1")
        .filter(|_| !text.replace("\r\n", "").contains(['\r', '\n']))
    else {
        return garbage();
    };
    let length: usize = match (all("content-length")[..].as_ref(), all("transfer-encoding").len()) {
        ([], 0) => 0,
        ([length], 0) => length.parse().ok()?,
        _ => return garbage(),
    };
    let body = raw.get(head + 4..head + 4 + length)?;
    Some((Heard::Request(what.to_owned(), body.to_vec()), head + 4 + length))
}
