//! D17: floods over HTTP/2. The connection that brings one ends; others are served meanwhile, and no memory is lost.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::contract::Pair;
use super::super::support::client::chat;
use super::super::support::{Client, Proxy, within};
use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, ask, connect,
    flood, frame, frames, get, post,
};

/// What a flood may leave behind, in KiB.
const SPARE: usize = 32 << 10;

/// A proxy whose clients must take what they are sent within a second. Floods ask for what leaves no access line.
async fn proxy(pair: &Pair) -> Proxy {
    Proxy::start(&format!(
        "timeout: {{idle: 1s, request: 2s}}\nlogging: {{access: false}}\n{}",
        pair.yaml()
    ))
    .await
}

/// Another connection is served while `flooding` goes on, and afterwards; what it took is given back.
async fn harmless<T>(proxy: &Proxy, flooding: impl Future<Output = T>) -> T {
    let before = proxy.memory("VmRSS");
    let bystander = async {
        for _ in 0..20 {
            Client::plain(proxy.address()).get("/healthz").await.expect(200);
        }
    };
    let (said, ()) = tokio::join!(flooding, bystander);
    Client::plain(proxy.address()).get("/healthz").await.expect(200);
    let grown = proxy.memory("VmRSS").saturating_sub(before);
    assert!(grown < SPARE, "{grown} KiB more than before");
    said
}

#[tokio::test]
async fn d17_a_rapid_reset_ends_its_connection() {
    let pair = Pair::start().await;
    let proxy = proxy(&pair).await;
    let resets: Vec<Vec<u8>> = (0..10_000)
        .map(|n| 2 * n + 1)
        .map(|stream| {
            [
                ask(stream, "/healthz"),
                frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
            ]
            .concat()
        })
        .collect();
    let said = harmless(&proxy, flood(connect(proxy.address()).await, &resets.concat())).await;
    let goaway = said.iter().find(|(kind, ..)| *kind == GOAWAY).expect("GOAWAY");
    assert_eq!(goaway.2[4..8], [0, 0, 0, 11], "ENHANCE_YOUR_CALM");
    proxy.finish().await;
}

#[tokio::test]
async fn d17_headers_that_go_on_and_on_end_their_connection() {
    let pair = Pair::start().await;
    let proxy = proxy(&pair).await;
    // Each with a little, none with anything, and of a request that would be sound.
    for (piece, times) in [
        (&b"\0\x01x\x01y"[..], 100_000),
        (b"", 100_000),
        (&[0x82], 100_000),
    ] {
        let mut bytes = frame(HEADERS, END_STREAM, 1, &get("/healthz"));
        bytes.extend(frame(CONTINUATION, 0, 1, piece).repeat(times));
        harmless(&proxy, flood(connect(proxy.address()).await, &bytes)).await;
    }
    proxy.finish().await;
}

#[tokio::test]
async fn d17_a_client_that_asks_for_answers_and_takes_none_is_left() {
    let pair = Pair::start().await;
    let proxy = proxy(&pair).await;
    for bytes in [
        frame(SETTINGS, 0, 0, &[]),
        frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
        frame(PING, 0, 0, b"12345678"),
    ] {
        let mut stream = connect(proxy.address()).await;
        let many = bytes.repeat(4096);
        // Nothing is read, so at some time nothing is taken, and a second later the connection is gone.
        let pouring = async { while stream.write_all(&many).await.is_ok() {} };
        harmless(&proxy, within("the end of a flood", pouring)).await;
    }
    proxy.finish().await;
}

#[tokio::test]
async fn d17_who_takes_the_answers_to_a_flood_of_settings_and_pings_costs_no_memory() {
    let pair = Pair::start().await;
    let proxy = proxy(&pair).await;
    for bytes in [
        frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
        frame(PING, 0, 0, b"12345678"),
    ] {
        let many = [bytes.repeat(20_000), frame(GOAWAY, 0, 0, &[0; 8])].concat();
        harmless(&proxy, flood(connect(proxy.address()).await, &many)).await;
    }
    proxy.finish().await;
}

/// A header of 4,000 bytes that is put into HPACK's table, and one byte for each time that it is meant again.
fn bomb() -> Vec<u8> {
    let value = "v".repeat(4_000);
    // 0x40: a literal for the table, by its own name; 0x7f: a length that goes on with 4000 - 127.
    let mut block = [
        &get("/healthz")[..],
        &[0x40, 1, b'x', 0x7f, 0xa1, 0x1e],
        value.as_bytes(),
    ]
    .concat();
    block.extend_from_slice(&[0xbe; 12_000]);
    block
}

#[tokio::test]
async fn d17_a_header_bomb_does_not_unfold() {
    let pair = Pair::start().await;
    let proxy = proxy(&pair).await;
    let bombs: Vec<Vec<u8>> = (0..100)
        .map(|n| frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, &bomb()))
        .collect();
    let bytes = [bombs.concat(), frame(GOAWAY, 0, 0, &[0; 8])].concat();
    let said = harmless(&proxy, flood(connect(proxy.address()).await, &bytes)).await;
    assert!(
        !said.iter().any(|(kind, ..)| *kind == DATA),
        "nobody is told that all is well"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn d17_of_a_thousand_streams_at_once_some_are_taken_and_the_rest_refused() {
    let pair = Pair::start().await;
    let proxy = proxy(&pair).await;
    let heads: Vec<Vec<u8>> = (0..1_000)
        .map(|n| frame(HEADERS, END_HEADERS, 2 * n + 1, &post("/v1/chat/completions")))
        .collect();
    let body = chat("m", false).to_string();
    let mut stream = connect(proxy.address()).await;
    let flooding = async {
        stream.write_all(&heads.concat()).await.unwrap();
        // As many as a connection may have wait for their bodies.
        within("the refusals", refusals(&mut stream, 744)).await;
        for taken in [1, 511] {
            let data = frame(DATA, END_STREAM, taken, body.as_bytes());
            stream.write_all(&data).await.unwrap();
        }
        within("those that were taken to go on", pair.openai.wait_seen(2)).await;
    };
    harmless(&proxy, flooding).await;
    drop(stream);
    proxy.finish().await;
}

/// Reads until so many streams have been refused.
async fn refusals(stream: &mut TcpStream, count: usize) {
    let mut said = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while frames(&said)
        .iter()
        .filter(|(kind, ..)| *kind == RST_STREAM)
        .count()
        < count
    {
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "the connection goes on: {:?}", frames(&said).last());
        said.extend_from_slice(&buffer[..read]);
    }
}
