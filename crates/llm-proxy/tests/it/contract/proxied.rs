//! The PROXY protocol, over sockets: who is believed, who is not, and what is wrong with the rest.

use std::io::Write as _;

use llm_sim::{Answer, Sim, Speaks};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::support::client::chat;
use super::super::support::{Client, Proxy, Streaming, promptly};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn config(sim: &Sim, more: &str) -> String {
    format!(
        "backends: {{name: a, protocol: openai, url: '{}', api_key: sk-canary-backend}}\nmodels: {{m: {{backend: a}}}}\n{more}",
        sim.url()
    )
}

async fn proxy(more: &str) -> (Sim, Proxy) {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    let proxy = Proxy::start(&config(&sim, more)).await;
    (sim, proxy)
}

const TRUSTED: &str = "trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]\nproxy_protocol: true\n";

/// A header of version 2.
fn binary(what: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[what, family], &length, content].concat()
}

/// A whole request; `forwarded` is its `X-Forwarded-For`.
fn request(forwarded: &str) -> Vec<u8> {
    let body = chat("m", false).to_string();
    let mut text = Vec::new();
    write!(
        text,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n",
        body.len()
    )
    .unwrap();
    if !forwarded.is_empty() {
        write!(text, "x-forwarded-for: {forwarded}\r\n").unwrap();
    }
    write!(text, "\r\n{body}").unwrap();
    text
}

/// Sends these parts one after the other, each in a packet of its own as far as that is ours to say.
async fn sent(proxy: &Proxy, parts: &[&[u8]]) -> Streaming {
    let mut streaming = proxy.client().raw(parts[0]).await;
    for part in &parts[1..] {
        tokio::task::yield_now().await;
        streaming.write(part).await;
    }
    streaming
}

/// The address that the record of the last request names.
async fn recorded_ip(proxy: &Proxy, nth: usize) -> Value {
    proxy.sent(1);
    proxy.recorded(nth).await[nth - 1]["ip"].clone()
}

#[tokio::test]
async fn the_client_is_who_a_trusted_proxy_says_in_either_version() {
    let (_sim, proxy) = proxy(TRUSTED).await;
    let v4 = [203, 0, 113, 7, 127, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb];
    let [from, to] = ["2001:db8::7", "fd00::1"].map(|ip| ip.parse::<std::net::Ipv6Addr>().unwrap().octets());
    let v6 = [&from[..], &to, &[0, 1, 0, 2]].concat();
    let with_more = [&v4[..], &[4; 200]].concat();
    let ours = [10, 1, 1, 1, 127, 0, 0, 1, 0, 1, 0, 2];
    let cases: [(Vec<u8>, &str, &str); 9] = [
        (
            b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 443\r\n".to_vec(),
            "",
            "203.0.113.7",
        ),
        (
            b"PROXY TCP6 2001:db8::7 fd00::1 4711 443\r\n".to_vec(),
            "",
            "2001:db8::7",
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), "", "127.0.0.1"),
        (binary(0x21, 0x11, &v4), "", "203.0.113.7"),
        (binary(0x21, 0x21, &v6), "", "2001:db8::7"),
        (binary(0x21, 0x11, &with_more), "", "203.0.113.7"),
        (binary(0x20, 0x00, &[]), "", "127.0.0.1"),
        // Who is not trusted is not asked further; who is, is.
        (binary(0x21, 0x11, &v4), "198.51.100.9", "203.0.113.7"),
        (binary(0x21, 0x11, &ours), "198.51.100.9", "198.51.100.9"),
    ];
    for (n, (header, forwarded, ip)) in cases.iter().enumerate() {
        let all = [&header[..], &request(forwarded)].concat();
        let mut streaming = sent(&proxy, &[&all]).await;
        streaming.rest().await.expect(200);
        assert_eq!(recorded_ip(&proxy, n + 1).await, json!(ip), "{header:?}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_header_may_be_cut_anywhere() {
    let (_sim, proxy) = proxy(TRUSTED).await;
    let v4 = [203, 0, 113, 7, 127, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb];
    let mut nth = 0;
    for header in [
        b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 443\r\n".to_vec(),
        binary(0x21, 0x11, &v4),
    ] {
        let all = [header.clone(), request("")].concat();
        for cut in 1..header.len() + 5 {
            let (one, other) = all.split_at(cut);
            let mut streaming = sent(&proxy, &[one, other]).await;
            streaming.rest().await.expect(200);
            nth += 1;
            assert_eq!(
                recorded_ip(&proxy, nth).await,
                json!("203.0.113.7"),
                "cut at {cut}"
            );
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_trusted_proxy_that_says_nothing_of_the_kind_is_hung_up_on() {
    let (_sim, proxy) = proxy(TRUSTED).await;
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200));
    let huge = binary(0x21, 0x11, &vec![0; 60_000]);
    for bytes in [
        request(""),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
        long.into_bytes(),
        binary(0x22, 0x11, &[0; 12]),
        huge,
    ] {
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let mut said = Vec::new();
        let _ = promptly("the end of the connection", stream.read_to_end(&mut said)).await;
        assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_proxy_that_never_says_it_is_waited_for_as_long_as_for_a_request() {
    let (_sim, proxy) = proxy(&format!("{TRUSTED}timeout: {{request: 200ms}}\n")).await;
    for bytes in [&b""[..], b"PROXY TCP4", &SIGNATURE[..8]] {
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let end = promptly("the end of the connection", stream.read(&mut [0; 8])).await;
        assert!(!matches!(end, Ok(1..)));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn nobody_else_is_believed() {
    for more in [
        "trusted_proxies: 10.0.0.0/8\nproxy_protocol: true\n",
        "trusted_proxies: 127.0.0.0/8\n",
    ] {
        let (_sim, proxy) = proxy(more).await;
        for header in [
            b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 443\r\n".to_vec(),
            binary(0x20, 0x00, &[]),
        ] {
            let all = [header, request("")].concat();
            let mut streaming = sent(&proxy, &[&all]).await;
            streaming.closed().await;
            let said = String::from_utf8_lossy(streaming.raw()).into_owned();
            assert!(!said.contains("200 OK"), "{said}");
        }
        assert!(!proxy.log().concat().contains("203.0.113.7"));
        let records = proxy.records().len();
        proxy.sent(records as u64);
        // Without the header they are clients like all others, on both listeners.
        proxy.client().chat("m", false).await.expect(200);
        Client::plain(proxy.admin()).get("/healthz").await.expect(200);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn the_admin_listener_is_nobodys_to_introduce() {
    let (_sim, proxy) = proxy(TRUSTED).await;
    Client::plain(proxy.admin()).get("/healthz").await.expect(200);
    proxy.finish().await;
}
