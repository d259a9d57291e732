//! Bodies that are no sound requests, or too much of one (D03 to D10, D18).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::super::contract::{Pair, calls};
use super::super::support::{Client, Proxy};

const MEBIBYTE: usize = 1 << 20;

/// Asks with these bytes, and expects a 400 of our own in the dialect of the path. (The client checks the envelope.)
async fn refused(client: &Client, path: &str, body: &[u8]) -> Value {
    let reply = client.send("POST", path, body).await;
    let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
    assert_eq!(reply.status, 400, "{path} {shown}: {}", reply.text());
    let error = reply.json();
    assert_eq!(error["error"]["type"], "invalid_request_error", "{path} {shown}");
    error
}

#[tokio::test]
async fn d03_what_is_no_json_or_nests_too_deep_is_400_and_no_stack_overflows() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let client = proxy.client();
    for (path, good) in calls("m", false) {
        let good = good.to_string();
        let nested = |open: &str, depth: usize, close: &str| {
            let deep = open.repeat(depth) + "1" + &close.repeat(depth);
            good.replacen('{', &format!("{{\"metadata\":{deep},"), 1)
                .into_bytes()
        };
        let with_bytes = |bytes: &[u8]| {
            let mut body = b"{\"x\":\"".to_vec();
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\",");
            body.extend_from_slice(&good.as_bytes()[1..]);
            body
        };
        for body in [
            b"\xef\xbb\xbf".iter().copied().chain(good.bytes()).collect(),
            b"\xff\xfe{\0}\0".to_vec(),
            with_bytes(b"\xff"),
            with_bytes(b"\xc3"),
            with_bytes(b"\xed\xa0\x80"),
            with_bytes(b"a\nb"),
            with_bytes(b"\0"),
            good.replace(':', "=").into_bytes(),
            nested("[", 128, "]"),
            nested("[", 100_000, "]"),
            nested("{\"a\":", 100_000, "}"),
            "[".repeat(MEBIBYTE).into_bytes(),
            "{\"a\":".repeat(MEBIBYTE / 5).into_bytes(),
            "\"".repeat(MEBIBYTE).into_bytes(),
        ] {
            refused(&client, path, &body).await;
        }
        let fits = nested("[", 120, "]");
        client.send("POST", path, &fits).await.expect(200);
    }
    assert_eq!(pair.openai.seen().len() + pair.anthropic.seen().len(), 3);
    proxy.finish().await;
}

#[tokio::test]
async fn d05_two_models_in_one_body_are_400_however_they_are_spelled() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    for (path, good) in calls("m", false) {
        let good = good.to_string();
        for other in [r#""model":"m""#, r#""model":"other""#, r#""mod\u0065l":"other""#] {
            let first = good.replacen('{', &format!("{{{other},"), 1);
            let last = format!("{},{other}}}", good.strip_suffix('}').unwrap());
            for body in [first, last] {
                refused(&proxy.client(), path, body.as_bytes()).await;
            }
        }
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn d06_a_model_of_any_name_is_an_error_of_the_client_and_one_clean_line() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let names = [
        String::new(),
        " ".to_owned(),
        "m".repeat(10 << 10),
        "../../etc/passwd".to_owned(),
        "m\0".to_owned(),
        "m\n{\"level\":\"fatal\",\"msg\":\"request\"}".to_owned(),
        "m\r\nx-injected: yes".to_owned(),
        "\u{1b}[31mred\u{202e}".to_owned(),
        "${file:/etc/passwd}".to_owned(),
        "m' OR '1'='1".to_owned(),
    ];
    let mut asked = 0;
    for (path, mut body) in calls("m", false) {
        for name in &names {
            body["model"] = json!(name);
            let reply = proxy.client().post(path, &body).await;
            assert!(
                [400, 404].contains(&reply.status),
                "{path} {name:.40?}: {}",
                reply.text()
            );
            assert!(!reply.text().contains("root:"), "{}", reply.text());
            asked += 1;
        }
        body.as_object_mut().unwrap().remove("model");
        refused(&proxy.client(), path, body.to_string().as_bytes()).await;
        asked += 1;
    }
    proxy.recorded(asked).await;
    for line in proxy.log() {
        assert!(line.len() < 4096, "a name of 10 KiB is not written out: {line}");
        assert!(!line.contains(['\u{1b}', '\u{202e}', '\0', '\r']), "{line:?}");
        let record: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("a torn line: {line}"));
        assert_ne!(record["level"], "fatal", "{line}");
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn d07_fields_of_wrong_types_are_the_clients_fault_and_never_a_500() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let odd = [
        json!([]),
        json!({}),
        json!(null),
        json!(7),
        json!("x"),
        json!([1]),
        json!([null]),
        json!([[]]),
        json!([{}]),
        json!([{"role": 5, "content": "x"}]),
        json!([{"role": "king", "content": "x"}]),
        json!([{"role": "user", "content": {"a": 1}}]),
        json!([{"role": "user", "content": [{"type": "nothing"}]}]),
        json!([{"role": "user", "content": [7]}]),
        json!([{"type": "nothing"}]),
        json!([{"role": "assistant", "tool_calls": 3}]),
    ];
    // Backends of the other dialect alone: everything has to be converted.
    let crossed = |backend: &str| {
        let routes = "[{backend: o, model: real}, {backend: a, model: real}]";
        pair.yaml()
            .replace(routes, &format!("[{{backend: {backend}, model: real}}]"))
    };
    let (to_openai, to_anthropic) = (
        Proxy::start(&crossed("o")).await,
        Proxy::start(&crossed("a")).await,
    );
    for asked in [&proxy, &to_openai, &to_anthropic] {
        for (path, good) in calls("m", false) {
            for field in [
                "messages",
                "input",
                "tools",
                "tool_choice",
                "stop",
                "max_tokens",
                "system",
                "thinking",
            ] {
                for value in &odd {
                    let mut body = good.clone();
                    body[field] = value.clone();
                    let reply = asked.client().post(path, &body).await;
                    assert!(reply.status < 500, "{path} {field}={value}: {}", reply.text());
                }
            }
        }
    }
    for asked in [proxy, to_openai, to_anthropic] {
        asked.finish().await;
    }
}

#[tokio::test]
async fn d09_a_bomb_is_413_and_takes_no_room() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&format!("limits: {{max_body: 1MiB}}\n{}", pair.yaml())).await;
    let spaces = vec![b' '; MEBIBYTE];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..128 {
        gzip.write_all(&spaces).unwrap();
        zstd.write_all(&spaces).unwrap();
    }
    let bombs = [("gzip", gzip.finish().unwrap()), ("zstd", zstd.finish().unwrap())];
    let (path, good) = &calls("m", false)[0];
    proxy.client().post(path, good).await.expect(200);
    let before = proxy.memory("VmHWM");
    for (encoding, bomb) in bombs {
        assert!(
            bomb.len() < MEBIBYTE,
            "small on the wire: {encoding} {}",
            bomb.len()
        );
        let client = proxy.client().header("content-encoding", encoding);
        for (path, _) in calls("m", false) {
            client.send("POST", path, &bomb).await.expect(413);
        }
    }
    let grown = proxy.memory("VmHWM") - before;
    assert!(grown < 24 << 10, "{grown} KiB for what unfolds to 128 MiB");
    assert_eq!(pair.seen().len(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn d10_only_the_body_counts_and_a_backend_may_think_otherwise() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let types = [
        "text/plain",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "no type at all",
        "multipart/mixed; boundary=x",
    ];
    let mut asked = 0;
    for (path, body) in calls("m", false) {
        for kind in types {
            let reply = proxy
                .client()
                .header("content-type", kind)
                .post(path, &body)
                .await;
            assert!(
                [200, 400].contains(&reply.status),
                "{path} {kind}: {}",
                reply.text()
            );
            asked += 1;
            let seen = [pair.openai.seen(), pair.anthropic.seen()].concat();
            assert_eq!(seen.len(), asked, "{path} {kind}: it is the backend that says so");
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn d18_fifty_mebibytes_of_images_go_through_in_little_more_than_twice_their_room() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&format!("limits: {{max_body: 64MiB}}\n{}", pair.yaml())).await;
    let (path, good) = &calls("m", false)[0];
    proxy.client().post(path, good).await.expect(200);
    let before = proxy.memory("VmRSS");
    let url = format!("data:image/png;base64,{}", "iVBORw0K".repeat(50 * MEBIBYTE / 8));
    let mut body = good.clone();
    body["messages"][0]["content"] = json!([{"type": "image_url", "image_url": {"url": url}}]);
    proxy.client().post(path, &body).await.expect(200);
    let peak = (proxy.memory("VmHWM") - before) >> 10;
    assert!(peak < 115, "{peak} MiB for 50");
    let seen = pair.openai.seen();
    assert_eq!(seen[1].json()["messages"], body["messages"], "whole");
    proxy.finish().await;
}
