//! What the operator may do to the running program (contract, section 7).

use std::time::Duration;

use llm_sim::{Answer, Sim, Speaks};
use serde_json::json;

use super::support::client::chat;
use super::support::{Client, Proxy, within};

/// Two backends behind the alias `m`, the first of which is asked first.
fn two(first: &Sim, second: &Sim, more: &str) -> String {
    format!(
        "backends:
  - {{name: a, protocol: openai, url: {}, api_key: sk-canary-backend}}
  - {{name: b/2, protocol: openai, url: {}, api_key: sk-canary-other}}
models:
  m:
    routes: [{{backend: a, model: real, priority: 1}}, {{backend: b/2, model: real, priority: 2}}]
{more}",
        first.url(),
        second.url()
    )
}

async fn pair() -> (Sim, Sim) {
    let start = || async { Sim::start(Speaks::All).await.unwrap() };
    (start().await, start().await)
}

async fn post(proxy: &Proxy, path: &str) -> (u16, serde_json::Value) {
    let reply = Client::plain(proxy.admin()).send("POST", path, b"").await;
    (reply.status, reply.json())
}

/// Who answers the next request.
async fn answerer(proxy: &Proxy) -> String {
    let reply = proxy.client().chat("m", false).await.expect(200);
    reply.header("x-llm-proxy-backend").to_owned()
}

#[tokio::test]
async fn a_backend_that_the_operator_disables_gets_no_new_request_until_he_enables_it() {
    let (a, b) = pair().await;
    let proxy = Proxy::start(&two(&a, &b, "")).await;
    assert_eq!(answerer(&proxy).await, "a");
    a.next(Answer::healthy().deltas(20).delay(Duration::from_millis(20)));
    let body = chat("m", true).to_string();
    let mut running = proxy
        .client()
        .open("POST", "/v1/chat/completions", body.as_bytes())
        .await;
    running.until("data:").await;
    let disabled = post(&proxy, "/api/backends/a/disable").await;
    assert_eq!(disabled, (200, json!({"name": "a", "enabled": false})));
    assert_eq!(proxy.backend("a").await["state"], "disabled");
    assert_eq!(proxy.backend("a").await["enabled"], false);
    assert_eq!(answerer(&proxy).await, "b/2");
    proxy.reload(&two(&a, &b, "watch: false")).await;
    assert_eq!(answerer(&proxy).await, "b/2", "a reload does not switch it on");
    let rest = within("the stream's end", running.rest()).await;
    assert!(
        rest.text().contains("[DONE]"),
        "what it was answering, it answers to the end"
    );
    post(&proxy, "/api/backends/a/enable").await;
    assert_eq!(answerer(&proxy).await, "a");
    assert_eq!(proxy.backend("a").await["state"], "ok");
    proxy.finish().await;
}

#[tokio::test]
async fn with_every_backend_disabled_clients_are_told_so_in_their_dialect() {
    let (a, b) = pair().await;
    let proxy = Proxy::start(&two(&a, &b, "")).await;
    post(&proxy, "/api/backends/a/disable").await;
    post(&proxy, "/api/backends/b%2F2/disable").await;
    let chat = proxy.client().chat("m", false).await.expect(503);
    assert!(
        chat.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("switched off"),
        "{}",
        chat.text()
    );
    let messages = proxy.client().messages("m", true).await;
    assert_eq!(messages.json()["type"], "error", "{}", messages.text());
    assert!(a.seen().is_empty() && b.seen().is_empty());
    proxy.finish().await;
}

#[tokio::test]
async fn a_reset_forgets_why_a_backend_cools() {
    let (a, b) = pair().await;
    let proxy = Proxy::start(&two(&a, &b, "")).await;
    a.next(Answer::status(401));
    assert_eq!(answerer(&proxy).await, "b/2");
    assert_eq!(proxy.backend("a").await["state"], "cooling");
    assert_eq!(answerer(&proxy).await, "b/2");
    assert_eq!(
        post(&proxy, "/api/backends/a/reset").await,
        (200, json!({"name": "a", "enabled": true}))
    );
    assert_eq!(proxy.backend("a").await["state"], "ok");
    assert_eq!(answerer(&proxy).await, "a");
    proxy.finish().await;
}

#[tokio::test]
async fn a_reload_that_is_asked_for_says_what_came_of_it() {
    let (a, b) = pair().await;
    let proxy = Proxy::start(&two(&a, &b, "")).await;
    assert_eq!(post(&proxy, "/api/reload").await, (200, json!({"generation": 2})));
    proxy.rewrite("backends: nonsense\n");
    let (status, said) = post(&proxy, "/api/reload").await;
    assert_eq!(status, 422);
    let why = said["error"]["message"].as_str().unwrap();
    assert!(why.contains("the key `models` is missing"), "{why}");
    assert_eq!(proxy.status().await["config"]["last_reload_error"], why);
    assert_eq!(proxy.generation().await, 2, "what was in force stays");
    assert_eq!(answerer(&proxy).await, "a");
    proxy.finish().await;
}

#[tokio::test]
async fn only_a_post_of_a_program_or_of_a_page_of_this_machine_changes_anything() {
    let (a, b) = pair().await;
    let more = "  off: {backend: c, model: real}";
    let yaml = two(&a, &b, more).replace(
        "models:",
        "  - {name: c, protocol: openai, url: http://127.0.0.1:9, api_key: sk-canary-c, enabled: false}\nmodels:",
    );
    let proxy = Proxy::start(&yaml).await;
    let admin = || Client::plain(proxy.admin());
    let read = admin().get("/api/backends/a/disable").await.expect(405);
    assert_eq!(read.header("allow"), "POST");
    let send = async |origin: &str| {
        let client = admin().header("origin", origin);
        client.send("POST", "/api/backends/a/disable", b"").await
    };
    send("https://evil.example").await.expect(403);
    send("null").await.expect(403);
    assert_eq!(proxy.backend("a").await["enabled"], true);
    send(&format!("http://{}", proxy.admin())).await.expect(200);
    assert_eq!(post(&proxy, "/api/backends/nobody/enable").await.0, 404);
    assert_eq!(
        post(&proxy, "/api/backends/c/enable").await.0,
        409,
        "the config says otherwise"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn recent_requests_say_by_which_way_each_went() {
    let (a, b) = pair().await;
    let proxy = Proxy::start(&two(&a, &b, "")).await;
    a.next(Answer::status(500));
    proxy.client().chat("m", false).await.expect(200);
    proxy.client().chat("nobody", false).await.expect(404);
    proxy.recorded(2).await;
    let admin = Client::plain(proxy.admin());
    let all = admin.get("/api/requests").await.expect(200).json();
    assert_eq!(all["last"], 2);
    let [refused, answered] = &all["requests"].as_array().unwrap()[..] else {
        panic!("two requests, the newest first: {all}")
    };
    assert_eq!((&refused["status"], &refused["number"]), (&json!(404), &json!(2)));
    assert_eq!(
        (&answered["status"], &answered["backend"]),
        (&json!(200), &json!("b/2"))
    );
    let attempts = answered["attempts"].as_array().unwrap();
    let classes: Vec<&str> = attempts
        .iter()
        .map(|attempt| attempt["class"].as_str().unwrap())
        .collect();
    assert_eq!(classes, ["server", "ok"]);
    // As the log has them, word for word.
    let mut logged = proxy.records();
    for (line, number) in logged.iter_mut().zip(1..) {
        line["number"] = json!(number);
    }
    assert_eq!([&logged[0], &logged[1]], [answered, refused]);
    let newer = admin
        .get("/api/requests?limit=9&after=1")
        .await
        .expect(200)
        .json();
    assert_eq!(newer["requests"].as_array().unwrap().len(), 1);
    let one = admin.get("/api/requests?limit=1").await.expect(200).json();
    assert_eq!(one["requests"][0]["number"], 2);
    proxy.finish().await;
}
