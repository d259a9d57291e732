//! Request bodies: compressed, too large, too slow, not what they should be (contract, sections 2 and 3).

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::super::support::{Client, Proxy, now, within};
use super::{Pair, calls};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn gzip_and_zstd_bodies_are_unfolded_before_they_go_on() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    for (path, body) in calls("m", false) {
        let plain = body.to_string().into_bytes();
        let zstd = zstd::encode_all(&*plain, 0).unwrap();
        for (encoding, bytes) in [
            ("gzip", gzip(&plain)),
            ("zstd", zstd),
            ("identity", plain.clone()),
        ] {
            let client = proxy.client().header("content-encoding", encoding);
            client.send("POST", path, &bytes).await.expect(200);
        }
    }
    let seen = pair.seen();
    assert_eq!(seen.len(), 9);
    for one in seen {
        assert_eq!(one.header("content-encoding"), None);
        assert_eq!(one.json()["model"], "real");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn d09_other_encodings_are_415_broken_ones_400_and_bombs_413() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&format!("limits: {{max_body: 64KiB}}\n{}", pair.yaml())).await;
    let bomb = vec![b' '; 8 << 20];
    let zstd_bomb = zstd::encode_all(&*bomb, 0).unwrap();
    for (path, body) in calls("m", false) {
        let plain = body.to_string().into_bytes();
        for (encoding, bytes, status, code) in [
            ("br", plain.clone(), 415, "unsupported_media_type"),
            ("deflate", plain.clone(), 415, "unsupported_media_type"),
            ("gzip, gzip", gzip(&gzip(&plain)), 415, "unsupported_media_type"),
            ("gzip", plain.clone(), 400, "invalid_body"),
            ("zstd", plain.clone(), 400, "invalid_body"),
            ("gzip", gzip(&bomb), 413, "request_too_large"),
            ("zstd", zstd_bomb.clone(), 413, "request_too_large"),
        ] {
            assert!(bytes.len() < 64 << 10, "small on the wire");
            let client = proxy.client().header("content-encoding", encoding);
            let error = client.send("POST", path, &bytes).await.expect(status).json();
            if path != "/v1/messages" {
                assert_eq!(error["error"]["code"], code, "{path} {encoding}");
            }
        }
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn d02_a_body_above_the_limit_is_413_announced_or_not_and_no_backend_sees_it() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&format!("limits: {{max_body: 10KiB}}\n{}", pair.yaml())).await;
    for (path, _) in calls("m", false) {
        let announced = proxy.client().header("content-length", "1000000");
        let mut early = announced.open("POST", path, b"").await;
        let reply = within("an answer before any byte of the body", early.rest())
            .await
            .expect(413);
        assert_eq!(reply.header("connection"), "close");
        let kind = reply.json()["error"]["type"].clone();
        let wanted = if path == "/v1/messages" {
            "request_too_large"
        } else {
            "invalid_request_error"
        };
        assert_eq!(kind, wanted, "{path}");
        early.closed().await;

        let chunked = proxy.client().header("transfer-encoding", "chunked");
        let mut growing = chunked.open("POST", path, b"").await;
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        growing.write(chunk.repeat(3).as_bytes()).await;
        within("an answer before the end of the body", growing.rest())
            .await
            .expect(413);
        growing.closed().await;
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn d01_a_slow_body_is_408_at_the_total_timeout_however_it_trickles() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&format!("timeout: {{request: 400ms}}\n{}", pair.yaml())).await;
    for (path, body) in calls("m", false) {
        let began = now();
        let announced = proxy.client().header("content-length", "100000");
        let mut slow = announced.open("POST", path, b"").await;
        slow.write(&body.to_string().as_bytes()[..10]).await;
        // A byte now and then must not win it time: the timeout is for all of the body.
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        let reply = within("the timeout", async {
            loop {
                tokio::select! {
                    biased;
                    reply = slow.rest() => return reply,
                    _ = pause.tick() => {}
                }
                slow.write(b" ").await;
            }
        })
        .await
        .expect(408);
        assert!(
            began.elapsed() >= Duration::from_millis(400),
            "{:?}",
            began.elapsed()
        );
        let kind = reply.json()["error"]["type"].clone();
        assert_eq!(
            kind,
            if path == "/v1/messages" {
                "timeout_error"
            } else {
                "timeout"
            }
        );
        slow.closed().await;
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn d01_a_connection_whose_head_does_not_come_is_closed_at_the_same_timeout() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&format!("timeout: {{request: 300ms}}\n{}", pair.yaml())).await;
    let client = Client::plain(proxy.address());
    for beginning in [
        "",
        "P",
        "PRI * HT",
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-slow: ",
    ] {
        let began = now();
        let mut slow = client.raw(beginning.as_bytes()).await;
        slow.closed().await;
        assert!(
            began.elapsed() >= Duration::from_millis(250),
            "{beginning:?} {:?}",
            began.elapsed()
        );
    }
    // A connection that has served is treated alike while it idles.
    let mut idle = proxy.client().open("GET", "/health", b"").await;
    within("an answer", idle.rest()).await.expect(200);
    idle.closed().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_body_that_is_not_json_or_has_a_wrong_field_is_400_and_names_the_field() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    for (path, good) in calls("m", false) {
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            body.to_string()
        };
        let without = |name: &str| {
            let mut body = good.clone();
            body.as_object_mut().unwrap().remove(name);
            body.to_string()
        };
        let mut bad = vec![
            (String::new(), None),
            ("not json".to_owned(), None),
            ("[1, 2]".to_owned(), None),
            (good.to_string() + "x", None),
            (good.to_string().replace('}', ""), None),
            (without("model"), Some("model")),
            (with("model", json!(7)), Some("model")),
            (with("model", json!("")), Some("model")),
            (with("stream", json!("yes")), Some("stream")),
        ];
        // Responses may have a stored prompt in place of `input`, so only a backend can say that it is missing.
        if good["messages"].is_array() {
            bad.push((without("messages"), Some("messages")));
        }
        for (body, param) in bad {
            let reply = proxy
                .client()
                .send("POST", path, body.as_bytes())
                .await
                .expect(400)
                .json();
            assert_eq!(reply["error"]["type"], "invalid_request_error", "{path} {body}");
            if path != "/v1/messages" {
                assert_eq!(reply["error"]["code"], "invalid_body", "{path} {body}");
                assert_eq!(reply["error"]["param"], json!(param), "{path} {body}: {reply}");
            } else if let Some(param) = param {
                let message = reply["error"]["message"].as_str().unwrap();
                assert!(message.contains(param), "{path} {body}: {message}");
            }
        }
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}
