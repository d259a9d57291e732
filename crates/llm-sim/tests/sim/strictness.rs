//! What a healthy backend refuses, and in which words.

use llm_sim::{Answer, Api, Sim, Speaks};

use crate::client::{Client, DIALECTS, Dialect, Ended, Reply, ask};

async fn posted(sim: &Sim, path: &str, headers: &str, body: &str) -> Reply {
    Client::connect(sim)
        .await
        .post(path, headers, body.as_bytes())
        .await
}

#[tokio::test]
async fn paths_and_methods_are_taken_to_the_letter() {
    let sim = Sim::start(Speaks::Messages).await.unwrap();
    let reply = posted(&sim, "/v1/chat/completions", Dialect::Chat.headers(), "{}").await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["type"]),
        (404, &"not_found_error".into())
    );
    let reply = posted(&sim, "/v1/models", Dialect::Messages.headers(), "{}").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET")));
    assert_eq!(sim.protocol_errors().len(), 2);
    sim.also_at("/chat", Api::Messages);
    let body = Dialect::Messages.body(false).to_string();
    assert_eq!(
        posted(&sim, "/chat", Dialect::Messages.headers(), &body)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn credentials_are_of_the_right_kind_alone_and_known() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.keys(["k1"]);
    let json = "content-type: application/json\r\nanthropic-version: 2023-06-01\r\n";
    for (dialect, credentials, status) in [
        (Dialect::Chat, "authorization: Bearer k1\r\n", 200),
        (Dialect::Chat, "x-api-key: k1\r\n", 401),
        (Dialect::Chat, "authorization: Bearer k2\r\n", 401),
        (Dialect::Chat, "", 401),
        (Dialect::Responses, "api-key: k1\r\n", 200),
        (Dialect::Messages, "x-api-key: k1\r\n", 200),
        (Dialect::Messages, "authorization: Bearer k1\r\n", 200),
        (Dialect::Messages, "api-key: k1\r\n", 401),
        (
            Dialect::Messages,
            "x-api-key: k1\r\nauthorization: Bearer k1\r\n",
            400,
        ),
        (
            Dialect::Chat,
            "authorization: Bearer k1\r\nx-goog-api-key: k1\r\n",
            400,
        ),
    ] {
        let headers = format!("{json}{credentials}");
        let reply = posted(&sim, dialect.path(), &headers, &dialect.body(false).to_string()).await;
        assert_eq!(
            reply.status,
            status,
            "{dialect:?} {credentials:?}: {}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn what_should_have_ended_at_a_proxy_is_refused() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.canaries(["sk-canary"]);
    for (i, header) in [
        "cookie: a=b",
        "X-Forwarded-For: 1.2.3.4",
        "te: trailers",
        "proxy-authorization: x",
        "connection: keep-alive, x-secret",
        "x-note: sk-canary-1",
        "content-encoding: gzip",
    ]
    .iter()
    .enumerate()
    {
        let headers = format!("{}{header}\r\n", Dialect::Chat.headers());
        let reply = posted(
            &sim,
            Dialect::Chat.path(),
            &headers,
            &Dialect::Chat.body(false).to_string(),
        )
        .await;
        assert!((400..416).contains(&reply.status), "{header}");
        assert_eq!(sim.protocol_errors().len(), i + 1, "{header}");
        assert!(
            !reply.text().contains("sk-canary"),
            "an error does not repeat a secret"
        );
    }
}

#[tokio::test]
async fn requests_without_their_headers_or_their_json_are_refused() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let body = Dialect::Messages.body(false).to_string();
    for (headers, body, words) in [
        (
            "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n",
            body.as_str(),
            "content-type",
        ),
        (
            "x-api-key: k\r\ncontent-type: application/json\r\n",
            body.as_str(),
            "anthropic-version",
        ),
        (Dialect::Messages.headers(), "{", "parse the JSON"),
        (Dialect::Messages.headers(), "[]", "object"),
        (Dialect::Messages.headers(), "{}", "model: Field required"),
    ] {
        let reply = posted(&sim, "/v1/messages", headers, body).await;
        let error = reply.json();
        assert_eq!((reply.status, &error["type"]), (400, &"error".into()), "{words}");
        assert!(
            error["error"]["message"].as_str().unwrap().contains(words),
            "{error}"
        );
    }
    let reply = posted(
        &sim,
        "/v1/responses",
        Dialect::Responses.headers(),
        r#"{"model":"m"}"#,
    )
    .await;
    assert_eq!(reply.json()["error"]["param"], "input");
}

#[tokio::test]
async fn a_request_framed_in_two_ways_is_refused_and_the_connection_closed() {
    for double in [
        "content-length: 2\r\ncontent-length: 2",
        "transfer-encoding: chunked\r\ncontent-length: 2",
    ] {
        let sim = Sim::start(Speaks::Chat).await.unwrap();
        let mut client = Client::connect(&sim).await;
        client
            .raw(format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{double}\r\n\r\n").as_bytes())
            .await;
        assert_eq!(client.reply().await.status, 400);
        assert_eq!(client.ended().await, Ended::Fin);
        assert_eq!(sim.protocol_errors().len(), 1);
        assert!(sim.seen().is_empty(), "what cannot be read has not been seen");
    }
}

#[tokio::test]
async fn a_strangers_host_is_refused() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let mut client = Client::connect(&sim).await;
    let (headers, body) = (Dialect::Chat.headers(), Dialect::Chat.body(false).to_string());
    let length = body.len();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: proxy:1\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    client.raw(request.as_bytes()).await;
    assert_eq!(client.reply().await.status, 400);
}

#[tokio::test]
async fn scripted_answers_come_in_spite_of_breaches_but_these_are_noted() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.next(Answer::status(500));
    assert_eq!(posted(&sim, "/v1/chat/completions", "", "{}").await.status, 500);
    assert_eq!(sim.protocol_errors().len(), 1);
}

#[tokio::test]
async fn sound_requests_leave_no_protocol_errors() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    for dialect in DIALECTS {
        assert_eq!(ask(&sim, dialect, false).await.status, 200);
        assert_eq!(ask(&sim, dialect, true).await.status, 200);
    }
    assert_eq!(sim.protocol_errors(), [""; 0]);
}
