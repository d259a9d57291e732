//! HTTP/2 frame by frame, as no library would send it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::support::within;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A literal of HPACK that leaves no trace in its table; names are indexes of the static one.
fn literal(index: u8, value: &str) -> Vec<u8> {
    let mut bytes = vec![index, u8::try_from(value.len()).unwrap()];
    bytes.extend_from_slice(value.as_bytes());
    bytes
}

/// The fields of a GET of that path.
pub fn get(path: &str) -> Vec<u8> {
    [vec![0x82, 0x86], literal(4, path), literal(1, "x")].concat()
}

/// The fields of a POST to that path.
pub fn post(path: &str) -> Vec<u8> {
    [vec![0x83, 0x86], literal(4, path), literal(1, "x")].concat()
}

/// A whole GET on that stream.
pub fn ask(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &get(path))
}

/// A connection with prior knowledge, past its preface.
pub async fn connect(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

/// The frames of a connection: kind, stream, payload.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        all.push((head[3], stream, payload.to_vec()));
        bytes = rest;
    }
    all
}

/// Sends all that is taken, reading beside it, until the other side ends the connection; what it said.
pub async fn flood(stream: TcpStream, bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut said = Vec::new();
    let both = async { tokio::join!(writer.write_all(bytes), reader.read_to_end(&mut said)) };
    let _ = within("the end of a flood", both).await;
    frames(&said)
}
