//! A backend that is moved by hand: it says the next thing when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::within;

/// Where it listens.
pub struct Hand {
    listener: TcpListener,
}

/// A request that it has taken, and the connection to answer on.
pub struct Held {
    stream: TcpStream,
}

impl Hand {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// Waits for a request, and reads it to its end.
    pub async fn take(&self) -> Held {
        within("a request at the hand-moved backend", async {
            let (mut stream, _) = self.listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            read_request(&mut stream).await;
            Held { stream }
        })
        .await
    }
}

async fn read_request(stream: &mut TcpStream) {
    let (mut raw, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "a request that ends too early");
        raw.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&raw);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let (_, length) = head.split_once("content-length: ").unwrap();
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            if body.len() >= length {
                return;
            }
        }
    }
}

impl Held {
    /// Begins a stream of events.
    pub async fn begin(&mut self) {
        self.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await;
    }

    /// Sends a piece of the body.
    pub async fn say(&mut self, text: &str) {
        self.write(chunk(text).as_bytes()).await;
    }

    /// Sends these bytes as they are.
    pub async fn raw(&mut self, text: &str) {
        self.write(text.as_bytes()).await;
    }

    /// Ends the body as it should end.
    pub async fn end(&mut self) {
        self.write(b"0\r\n\r\n").await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        within("room for a backend's write", self.stream.write_all(bytes))
            .await
            .unwrap();
    }

    /// Waits for the proxy to close the connection.
    pub async fn gone(&mut self) {
        let mut byte = [0];
        // An RST is as good as a FIN.
        let read = self.stream.read(&mut byte).await.unwrap_or(0);
        assert_eq!(read, 0, "the proxy says something instead of leaving");
    }

    /// Says the same piece `times` times and then the end, as fast as it is taken; counts the bytes that were.
    pub fn pour(mut self, piece: String, times: usize, end: String) -> Arc<AtomicUsize> {
        let poured = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&poured);
        tokio::spawn(async move {
            let piece = chunk(&piece);
            for _ in 0..times {
                if self.stream.write_all(piece.as_bytes()).await.is_err() {
                    return;
                }
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
            let end = format!("{}0\r\n\r\n", chunk(&end));
            // If the proxy has left, the test that cares finds out by itself.
            let _ = self.stream.write_all(end.as_bytes()).await;
        });
        poured
    }
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}
