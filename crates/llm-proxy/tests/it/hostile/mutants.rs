//! D19: thousands of requests of all dialects with something broken in each, always the same ones.

use fastrand::Rng;
use futures_util::future::join_all;
use tokio::net::TcpStream;

use super::super::contract::{Pair, calls};
use super::super::support::Proxy;
use super::spellings::{exchange, heads, status};

/// As many as take seconds, not minutes.
const REQUESTS: usize = 10_000;
const AT_ONCE: usize = 50;

/// What may come in where it does not belong.
const CRUMBS: [&[u8]; 24] = [
    b"\0",
    b"\r\n",
    b"\n",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"-1e999",
    b"\xff",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\\u0000",
    b"\"model\":",
    b"\"stream\":true,",
    b"\"messages\":[]",
    b"content-length: 3\r\n",
    b"transfer-encoding: chunked\r\n",
    b"\"role\":\"tool\"",
];

/// One to four small harms at random places.
fn harmed(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.usize(1..5) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.usize(0..bytes.len());
        match rng.u8(0..5) {
            0 => bytes[at] = rng.u8(..),
            1 => drop(bytes.remove(at)),
            2 => drop(bytes.splice(at..at, rng.choice(CRUMBS).unwrap().iter().copied())),
            3 => {
                let end = (at + rng.usize(1..20)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
}

/// A request with harm done to its body, and now and then to its head.
fn mutant(rng: &mut Rng) -> Vec<u8> {
    let calls = calls("m", rng.bool());
    let (path, body) = rng.choice(calls).unwrap();
    let mut body = body.to_string().into_bytes();
    harmed(rng, &mut body);
    let length = body.len();
    let mut head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nanthropic-version: 2023-06-01\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    if rng.u8(..) < 64 {
        harmed(rng, &mut head);
    }
    head.extend(body);
    head
}

/// So many mutants, one after the other; how many of them are on record.
async fn many(address: &str, seed: u64, count: usize) -> u64 {
    let (mut rng, mut on_record) = (Rng::with_seed(seed), 0);
    for _ in 0..count {
        let mutant = mutant(&mut rng);
        let stream = TcpStream::connect(address).await.unwrap();
        let answer = exchange(stream, &mutant).await;
        for head in heads(&answer) {
            // An unknown version is told as such.
            let good = status(head).is_some_and(|status| status < 500 || status == 505);
            assert!(good, "{answer}\nto {:?}", String::from_utf8_lossy(&mutant));
            on_record += u64::from(head.contains("x-request-id: "));
        }
    }
    on_record
}

#[tokio::test]
async fn d19_no_mutant_of_a_request_brings_a_5xx_or_a_panic() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&format!("timeout: {{request: 200ms}}\n{}", pair.yaml())).await;
    let each = REQUESTS / AT_ONCE;
    let asked = (0..AT_ONCE as u64).map(|seed| many(proxy.address(), seed, each));
    let on_record = join_all(asked).await.into_iter().sum();
    proxy.sent(on_record);
    proxy.finish().await;
}
