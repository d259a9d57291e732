//! D16: an answer that is out before the request is. What is left of the request is never read as another one.

use tokio::net::TcpStream;

use super::super::contract::Pair;
use super::super::support::Proxy;
use super::spellings::{exchange, heads, status};

/// What is sent while nobody wants it: requests, if it were read as such.
fn unwanted(length: usize) -> String {
    let request = "GET /v1/models HTTP/1.1\r\nhost: x\r\nx-request-id: smuggled\r\n\r\n";
    request.repeat(length / request.len() + 1)[..length].to_owned()
}

/// A request whose body of that length nobody reads, and another behind it.
fn two(line: &str, more: &str, length: usize) -> String {
    let body = unwanted(length);
    let first = format!("{line} HTTP/1.1\r\nhost: x\r\n{more}");
    let first = if more.contains("transfer-encoding") {
        format!("{first}\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
    } else {
        format!("{first}content-length: {length}\r\n\r\n{body}")
    };
    format!("{first}GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn d16_what_follows_an_early_answer_is_read_as_the_next_request_or_not_at_all() {
    let pair = Pair::start().await;
    let keys = "api_keys: [{name: k, key: sk-canary-client-key}]\nlimits: {max_body: 1MiB}\ntimeout: {request: 2s}\n";
    let proxy = Proxy::start(&format!("{keys}{}", pair.yaml())).await;
    let chat = "POST /v1/chat/completions";
    let key = "x-api-key: sk-canary-client-key\r\n";
    let chunked = "transfer-encoding: chunked\r\n";
    let chunked_key = format!("{key}{chunked}");
    for (line, more, first) in [
        (chat, "", 401),
        (chat, chunked, 401),
        (chat, key, 413),
        (chat, &*chunked_key, 413),
        ("POST /v1/nothing", "", 404),
        ("POST /v1/nothing", chunked, 404),
        ("PUT /v1/chat/completions", "", 405),
        ("PUT /v1/chat/completions", chunked, 405),
        ("GET /readyz", "", 200),
        ("GET /v1/models", key, 200),
    ] {
        // Within what is read at once; more than is read, less than is drained at the end; more than that.
        for length in [10, 5_000, 10 << 20] {
            if first == 413 && length < 1 << 20 {
                continue;
            }
            let raw = two(line, more, length);
            let stream = TcpStream::connect(proxy.address()).await.unwrap();
            let answer = exchange(stream, raw.as_bytes()).await;
            let heads = heads(&answer);
            let statuses: Vec<u16> = heads.iter().copied().filter_map(status).collect();
            assert_eq!(statuses.first(), Some(&first), "{line} {more} {length}: {answer}");
            assert!(
                statuses[1..].iter().all(|status| *status == 200),
                "{line} {length}: {answer}"
            );
            assert!(statuses.len() <= 2, "{line} {more} {length}: {answer}");
            assert!(!answer.contains("smuggled"), "{line} {more} {length}: {answer}");
            proxy.sent(u64::from(line != "GET /readyz"));
        }
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}
