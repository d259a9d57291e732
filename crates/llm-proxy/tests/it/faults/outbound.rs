//! How a backend is reached and asked: TLS, HTTP/2, kinds of credentials, paths, queries, headers.

use llm_sim::{Answer, Api, Seen, Sim, Speaks};
use serde_json::json;

use super::super::support::tls::{Came, Certificate, TlsBackend};
use super::super::support::{Client, Proxy, Reply};

/// A proxy before one backend with these fields, for the model `m`.
async fn before(fields: &str) -> Proxy {
    Proxy::start(&format!(
        "backends:\n  - {{name: a, {fields}}}\nmodels: {{m: {{backend: a, model: real}}}}\n"
    ))
    .await
}

async fn ask(proxy: &Proxy) -> Reply {
    proxy.client().chat("m", false).await
}

#[tokio::test]
async fn https_with_an_authority_of_ones_own_is_http_1_where_nothing_else_is_agreed() {
    let cases: [(&[&str], &str, &str); 4] = [
        (&[], "auto", "HTTP/1.1"),
        (&["http/1.1"], "auto", "HTTP/1.1"),
        (&["h2", "http/1.1"], "1", "HTTP/1.1"),
        (&["h2", "http/1.1"], "auto", "HTTP/2.0"),
    ];
    for (alpn, http, version) in cases {
        let backend = TlsBackend::start(Certificate::Good, alpn).await;
        let proxy = before(&format!(
            "protocol: openai, url: {}, api_key: sk-canary-a, http: {http}, tls: {{ca: \"{}\"}}",
            backend.url(),
            backend.ca()
        ))
        .await;
        for _ in 0..3 {
            ask(&proxy).await.expect(200);
        }
        assert_sound(&backend, version);
        assert_eq!(
            backend.handshakes(),
            1,
            "one connection for all, {alpn:?}, http: {http}"
        );
        proxy.finish().await;
    }
}

/// Three requests of that version, each meant for this backend and with the backend's model.
fn assert_sound(backend: &TlsBackend, version: &str) {
    let requests = backend.requests();
    assert_eq!(requests.len(), 3);
    let authority = backend.url().split_once("://").unwrap().1.to_owned();
    for came in requests {
        let Came {
            version: own,
            target,
            authority: host,
            body,
        } = came;
        assert_eq!(own, version);
        assert_eq!(target, "/v1/chat/completions");
        assert_eq!(host, authority);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["model"], "real");
    }
}

#[tokio::test]
async fn https_with_checks_off_takes_any_certificate() {
    let backend = TlsBackend::start(Certificate::OfAnotherHost, &["http/1.1"]).await;
    let proxy = before(&format!(
        "protocol: openai, url: {}, api_key: sk-canary-a, tls: {{insecure: true}}",
        backend.url()
    ))
    .await;
    ask(&proxy).await.expect(200);
    proxy.finish().await;
}

#[tokio::test]
async fn http_2_in_the_clear_is_one_connection_for_all() {
    let backend = TlsBackend::in_the_clear().await;
    let proxy = before(&format!(
        "protocol: openai, url: {}, api_key: sk-canary-a, http: 2",
        backend.url()
    ))
    .await;
    for _ in 0..3 {
        ask(&proxy).await.expect(200);
    }
    assert_sound(&backend, "HTTP/2.0");
    assert_eq!(backend.connections(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn an_http_2_connection_that_the_backend_gave_up_is_replaced() {
    let backend = TlsBackend::in_the_clear().await;
    let proxy = before(&format!(
        "protocol: openai, url: {}, api_key: sk-canary-a, http: 2",
        backend.url()
    ))
    .await;
    for connections in 1..=3 {
        let reply = ask(&proxy).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-attempts"), "1");
        assert_eq!(backend.connections(), connections);
        backend.close_all().await;
    }
    proxy.finish().await;
}

#[tokio::test]
async fn http_2_at_a_backend_that_does_not_speak_it_falls_back() {
    let (a, b) = (
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::All).await.unwrap(),
    );
    let proxy = Proxy::start(&format!(
        "backends:
  - {{name: a, protocol: openai, url: {}, api_key: sk-canary-a, http: 2}}
  - {{name: b, protocol: openai, url: {}, api_key: sk-canary-b}}
models:
  m: {{routes: [{{backend: a, priority: 1}}, {{backend: b, priority: 2}}]}}
",
        a.url(),
        b.url()
    ))
    .await;
    let reply = ask(&proxy).await.expect(200);
    assert_eq!(reply.header("x-llm-proxy-backend"), "b");
    proxy.finish().await;
}

/// Starts a backend, asks it once with these fields, and shows what it saw; whether it was content is not asked.
async fn seen_with(speaks: Speaks, fields: &str, ask: impl AsyncFn(Client) -> Reply) -> (Seen, Reply) {
    let sim = Sim::start(speaks).await.unwrap();
    sim.also_at("/custom/talk", Api::Chat);
    sim.also_at("/base/v4/chat/completions", Api::Chat);
    sim.also_at("/openai/v1/chat/completions", Api::Chat);
    let proxy = before(&fields.replace("URL", &sim.url())).await;
    let reply = ask(proxy.client()).await;
    let seen = sim.wait_seen(1).await[0].clone();
    proxy.finish().await;
    (seen, reply)
}

#[tokio::test]
async fn credentials_come_in_the_form_that_the_backend_wants() {
    let cases = [
        ("openai", "auto", "authorization", "Bearer sk-canary-a"),
        ("anthropic", "auto", "x-api-key", "sk-canary-a"),
        ("anthropic", "bearer", "authorization", "Bearer sk-canary-a"),
        ("openai", "bearer", "authorization", "Bearer sk-canary-a"),
        ("openai", "x-api-key", "x-api-key", "sk-canary-a"),
        ("openai", "api-key", "api-key", "sk-canary-a"),
        ("openai", "none", "", ""),
    ];
    for (protocol, auth, header, value) in cases {
        let fields = format!("protocol: {protocol}, url: URL, api_key: sk-canary-a, auth: {auth}");
        let ask = async |client: Client| match protocol {
            "anthropic" => client.messages("m", false).await,
            _ => client.chat("m", false).await,
        };
        let (seen, _) = seen_with(Speaks::All, &fields, ask).await;
        let given: Vec<(&str, &str)> = ["authorization", "x-api-key", "api-key", "x-goog-api-key"]
            .into_iter()
            .filter_map(|name| Some((name, seen.header(name)?)))
            .collect();
        let expected: &[(&str, &str)] = if header.is_empty() {
            &[]
        } else {
            &[(header, value)]
        };
        assert_eq!(given, expected, "{protocol}, auth: {auth}");
    }
}

#[tokio::test]
async fn requests_go_to_the_path_that_url_and_paths_make() {
    let cases = [
        ("url: URL", "/v1/chat/completions"),
        ("url: URL/", "/v1/chat/completions"),
        ("url: URL/v1", "/v1/chat/completions"),
        ("url: URL/v1/", "/v1/chat/completions"),
        ("url: URL/openai", "/openai/v1/chat/completions"),
        ("url: URL/base/v4", "/base/v4/chat/completions"),
        ("url: URL, paths: {chat: /custom/talk}", "/custom/talk"),
        ("url: URL/custom, paths: {chat: /talk}", "/custom/talk"),
    ];
    for (fields, path) in cases {
        let fields = format!("protocol: openai, {fields}, api_key: sk-canary-a");
        let ask = async |client: Client| client.chat("m", false).await;
        let (seen, reply) = seen_with(Speaks::Chat, &fields, ask).await;
        assert_eq!(seen.path, path, "{fields}");
        assert_eq!(seen.query, None, "{fields}");
        reply.expect(200);
    }
}

#[tokio::test]
async fn queries_and_headers_of_the_config_are_added_to_each_request() {
    let fields = "protocol: anthropic, url: URL, api_key: sk-canary-a, \
                  headers: {x-team: blue, user-agent: ours/1}, query: {api-version: \"2026-01-01\", odd: \"a b&c\"}";
    let ask = async |client: Client| {
        let client = client.header("user-agent", "theirs/2").header("x-team", "red");
        let body = super::super::support::client::messages("m", true);
        client.post("/v1/messages?beta=true&key=sk-secret", &body).await
    };
    let (seen, reply) = seen_with(Speaks::Messages, fields, ask).await;
    reply.expect(200);
    assert_eq!(
        seen.query.as_deref(),
        Some("api-version=2026-01-01&odd=a%20b%26c&beta=true")
    );
    let all = |name: &str| {
        let own = seen.headers.iter().filter(|(own, _)| own == name);
        own.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(all("x-team"), ["blue"]);
    assert_eq!(all("user-agent"), ["ours/1"]);
    assert_eq!(all("accept-encoding"), ["identity"]);
}

#[tokio::test]
async fn a_backend_that_lacks_a_call_is_asked_by_another_or_not_at_all() {
    let (a, b) = (
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::All).await.unwrap(),
    );
    let proxy = Proxy::start(&format!(
        "backends:
  - {{name: a, protocol: openai, url: {}, api_key: sk-canary-a, apis: [chat]}}
  - {{name: b, protocol: openai, url: {}, api_key: sk-canary-b}}
models:
  m: {{routes: [{{backend: a, priority: 1}}, {{backend: b, priority: 2}}]}}
",
        a.url(),
        b.url()
    ))
    .await;
    a.always(Answer::healthy());
    let reply = proxy.client().responses("m", false).await.expect(200);
    assert_eq!(
        reply.header("x-llm-proxy-backend"),
        "a",
        "converted: its priority is the higher"
    );
    let embeddings = json!({"model": "m", "input": "x"});
    let reply = proxy
        .client()
        .post("/v1/embeddings", &embeddings)
        .await
        .expect(200);
    assert_eq!(reply.header("x-llm-proxy-backend"), "b");
    assert_eq!(reply.header("x-llm-proxy-attempts"), "1");
    let reply = ask(&proxy).await.expect(200);
    assert_eq!(reply.header("x-llm-proxy-backend"), "a");
    proxy.finish().await;
}
