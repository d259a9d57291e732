//! Heads that ask for more than they may: expectations, hop-by-hop headers, odd paths and methods (D11 to D15).

use super::super::contract::{Pair, calls};
use super::super::support::{Client, Proxy, within};
use super::spellings::{heads, status};

const KEY: &str = "sk-canary-client-key";

fn keyed(pair: &Pair) -> String {
    format!("api_keys: [{{name: k, key: {KEY}}}]\n{}", pair.yaml())
}

#[tokio::test]
async fn d11_a_client_that_waits_is_asked_for_its_body_only_once_its_key_is_good() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&keyed(&pair)).await;
    for (path, body) in calls("m", false) {
        let body = body.to_string();
        let head = |line: &str, more: &str| {
            let length = body.len();
            format!(
                "{line} HTTP/1.1\r\nhost: x\r\n{more}content-length: {length}\r\nexpect: 100-continue\r\n\r\n"
            )
        };
        let good = head(&format!("POST {path}"), &format!("x-api-key: {KEY}\r\n"));
        let mut waiting = proxy.client().raw(good.as_bytes()).await;
        waiting.until("HTTP/1.1 100 Continue\r\n\r\n").await;
        waiting.write(body.as_bytes()).await;
        waiting.until("HTTP/1.1 200 OK\r\n").await;
        for (line, key, final_status) in [
            (format!("POST {path}"), "", 401),
            (format!("POST {path}"), "x-api-key: sk-wrong\r\n", 401),
            (format!("GET {path}"), "", 405),
            (format!("POST {path}/nowhere"), "", 404),
        ] {
            let mut waiting = proxy.client().raw(head(&line, key).as_bytes()).await;
            let reply = within("the final status", waiting.rest())
                .await
                .expect(final_status);
            assert!(reply.whole);
            assert!(
                waiting
                    .raw()
                    .starts_with(format!("HTTP/1.1 {final_status}").as_bytes())
            );
            waiting.closed().await;
        }
    }
    proxy.sent(15);
    assert_eq!(pair.seen().len(), 3);
    proxy.finish().await;
}

#[tokio::test]
async fn d13_neither_connection_nor_trailers_make_a_key_come_or_go() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&keyed(&pair)).await;
    for (path, body) in calls("m", false) {
        let connections = "x-api-key, authorization, content-length, host, close";
        let hop = proxy.client().header("connection", connections);
        hop.post(path, &body).await.expect(401);
        hop.header("x-api-key", KEY).post(path, &body).await.expect(200);
        let body = body.to_string();
        let trailed = |head: &str, trailer: &str| {
            let (length, line) = (body.len(), format!("POST {path} HTTP/1.1\r\nhost: x\r\n"));
            format!(
                "{line}{head}trailer: x-api-key\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n{trailer}\r\n"
            )
        };
        for (head, trailer, expected) in [
            ("", format!("x-api-key: {KEY}\r\n"), 401),
            (
                &*format!("x-api-key: {KEY}\r\n"),
                "x-api-key: sk-other\r\ncontent-length: 1\r\n".to_owned(),
                200,
            ),
        ] {
            let mut asked = proxy.client().raw(trailed(head, &trailer).as_bytes()).await;
            within("an answer", asked.rest()).await.expect(expected);
        }
    }
    proxy.sent(6);
    for seen in pair.seen() {
        let known = ["trailer", "transfer-encoding"].map(|name| seen.header(name));
        assert_eq!(known, [None; 2], "{:?}", seen.headers);
        assert!(!seen.headers.iter().any(|(_, value)| value.contains("sk-other")));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn d14_tricks_with_paths_reach_nothing_but_a_404() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    let (_, body) = &calls("m", false)[0];
    let tricks = [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/../v1/chat/completions",
        "/v1/./chat/completions",
        "/v1/chat/completions/..",
        "/v1/%2e%2e/v1/chat/completions",
        "/v1/chat%2fcompletions",
        "/v1/chat/%63ompletions",
        "/v1/chat/completions;x",
        "/v1/chat/completions/;/",
        "/V1/chat/completions",
        "/v1/chat/COMPLETIONS",
        "/v1/chat/completions%00",
        "/v1/chat/completions%20",
        "/v1\\chat\\completions",
        "/api/status",
        "/../api/status",
        "/v1/../api/status",
        "/metrics",
        "/admin",
        "/.",
        "/v1/images/../chat/completions",
        "/v1/images/..%2f..%2fapi",
        "/v1/models/..%2f..%2fapi%2fstatus",
    ];
    for path in tricks {
        for method in ["POST", "GET"] {
            let reply = proxy
                .client()
                .send(method, path, body.to_string().as_bytes())
                .await;
            assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text());
        }
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn d15_other_methods_are_405_with_allow_and_nothing_is_tunnelled_or_echoed() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&pair.yaml()).await;
    for (path, _) in calls("m", false) {
        for method in [
            "GET", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "PROPFIND", "post", "X",
        ] {
            let client = proxy.client().header("x-echo", "not-to-be-echoed");
            let reply = client.send(method, path, b"").await.expect(405);
            assert_eq!(reply.header("allow"), "POST", "{method} {path}");
            assert!(!reply.text().contains("not-to-be-echoed"));
        }
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let mut asked = proxy.client().raw(head.as_bytes()).await;
        let reply = within("a head alone", asked.until_closed()).await.expect(405);
        assert_eq!((reply.header("allow"), reply.body.len()), ("POST", 0));
        proxy.sent(1);
    }
    let target = pair.openai.addr();
    for line in [
        format!("CONNECT {target}"),
        format!("CONNECT http://{target}/"),
        "OPTIONS *".to_owned(),
    ] {
        let authority = line.contains(':').then(|| target.to_string());
        let host = authority.unwrap_or_else(|| "x".to_owned());
        let raw =
            format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        let mut asked = Client::plain(proxy.address()).raw(raw.as_bytes()).await;
        within("the end", asked.closed()).await;
        let text = String::from_utf8_lossy(asked.raw()).into_owned();
        let statuses: Vec<_> = heads(&text).into_iter().filter_map(status).collect();
        assert!(matches!(statuses[..], [400 | 404 | 405]), "{line}: {text}");
        proxy.sent(u64::from(text.contains("x-request-id")));
    }
    assert_eq!(pair.openai.open_connections(), 0);
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}
