//! The dashboard as the listener gives it, and the numbers that it draws. What a browser makes of it, `tests/page` tries.

use llm_sim::{Answer, Sim, Speaks};
use serde_json::{Value, json};

use super::support::{Client, Proxy, until};

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// Two backends behind the alias `m`, the first of which is asked first.
async fn two() -> (Sim, Sim, String) {
    let a = Sim::start(Speaks::All).await.unwrap();
    let b = Sim::start(Speaks::All).await.unwrap();
    let yaml = format!(
        "backends:
  - {{name: a, protocol: openai, url: {}, api_key: sk-canary-a, max_concurrent: 9}}
  - {{name: b, protocol: openai, url: {}, api_key: sk-canary-b}}
  - {{name: c, protocol: openai, url: http://127.0.0.1:9, api_key: sk-canary-c, enabled: false}}
models:
  m:
    routes: [{{backend: a, model: real, priority: 1}}, {{backend: b, model: other, priority: 2}}]
",
        a.url(),
        b.url()
    );
    (a, b, yaml)
}

async fn series(proxy: &Proxy) -> Value {
    let admin = Client::plain(proxy.admin());
    admin.get("/api/series").await.expect(200).json()
}

/// The sum of a list of the series.
fn sum(series: &Value, name: &str) -> u64 {
    let list = series[name].as_array().unwrap().iter();
    list.map(|value| value.as_u64().unwrap()).sum()
}

#[tokio::test]
async fn the_page_allows_itself_nothing_from_elsewhere_and_is_in_nobodys_frame() {
    let (_a, _b, yaml) = two().await;
    let proxy = Proxy::start(&yaml).await;
    let admin = Client::plain(proxy.admin()).header("accept", HTML);
    let page = admin.get("/").await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.split("; ").any(|own| own == rule), "{rule}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let script = admin.get("/page/app.js").await.expect(200);
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    let status = admin.get("/api/status").await.expect(200);
    for reply in [&page, &script, &status] {
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
    }
    assert_eq!(status.header("cache-control"), "no-store");
    let tag = script.header("etag").to_owned();
    let known = admin.clone().header("if-none-match", &tag);
    let unchanged = known.get("/page/app.js").await.expect(304);
    assert!(unchanged.body.is_empty());
    admin.get("/page/none.js").await.expect(404);
    admin.send("POST", "/", b"").await.expect(405);
    proxy.finish().await;
}

#[tokio::test]
async fn without_the_admin_key_a_browser_gets_the_page_that_asks_for_it_and_nothing_that_it_would_show() {
    let (_a, _b, yaml) = two().await;
    let head = "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0, key: sk-canary-admin-key}\n";
    let proxy = Proxy::start(&format!("{head}{yaml}")).await;
    let browser = Client::plain(proxy.admin()).header("accept", HTML);
    let door = browser.get("/").await.expect(401);
    assert_eq!(door.header("www-authenticate"), "Bearer");
    assert_eq!(door.header("content-type"), "text/html; charset=utf-8");
    browser.get("/page/app.js").await.expect(200);
    for path in ["/api/status", "/api/series", "/api/requests", "/metrics"] {
        browser.get(path).await.expect(401);
    }
    let program = Client::plain(proxy.admin()).get("/").await.expect(401);
    assert!(
        program.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("Bearer")
    );
    let rebound = b"GET /page/app.js HTTP/1.1\r\nhost: evil.example\r\n\r\n";
    browser.raw(rebound).await.rest().await.expect(421);
    // Without its key again, so that the end can look into the status.
    proxy.rewrite(&yaml);
    proxy.signal("-HUP");
    proxy.logged("generation 2 is in force").await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_page_that_has_just_been_opened_is_told_the_last_quarter_of_an_hour() {
    let (a, _b, yaml) = two().await;
    let proxy = Proxy::start(&yaml).await;
    a.next(Answer::status(500));
    proxy.client().chat("m", false).await.expect(200);
    proxy.client().chat("nobody", false).await.expect(404);
    proxy.recorded(2).await;
    let told = series(&proxy).await;
    for (name, count) in [("requests", 2), ("rescued", 1), ("refused", 1), ("errors", 0)] {
        assert_eq!(sum(&told, name), count, "{name}: {told}");
    }
    assert!(
        sum(&told, "input_tokens") > 0 && sum(&told, "output_tokens") > 0,
        "{told}"
    );
    let lengths = |told: &Value| {
        let lists = told.as_object().unwrap().values().filter_map(Value::as_array);
        lists.map(Vec::len).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(lengths(&told).len(), 1, "as many points in each list: {told}");
    let median = told["p50_ms"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .find_map(Value::as_f64);
    assert!(median.is_some_and(|ms| ms > 0.0), "{told}");
    assert_eq!(told["current"], json!({"in_flight": 0, "waiting": 0}));
    // The clock goes on, whether anybody asks anything or not.
    let ended = told["ended"].as_u64();
    let later = until("another point", async || {
        let now = series(&proxy).await;
        (now["ended"].as_u64() > ended).then_some(now)
    })
    .await;
    assert_eq!(sum(&later, "requests"), 2);
    proxy.finish().await;
}

#[tokio::test]
async fn the_status_says_how_a_backend_did_lately_and_who_switched_it_off() {
    let (a, _b, yaml) = two().await;
    let proxy = Proxy::start(&yaml).await;
    a.next(Answer::status(500));
    proxy.client().chat("m", false).await.expect(200);
    proxy.recorded(1).await;
    let told = proxy.backend("a").await;
    let lately = &told["lately"];
    assert_eq!(lately["cells"].as_array().unwrap().last(), Some(&json!([0, 1])));
    assert_eq!(lately["failed_in_a_row"], 1);
    let last = &lately["last_failure"];
    assert_eq!(
        (&last["class"], &last["status"], &last["model"]),
        (&json!("server"), &json!(500), &json!("real"))
    );
    assert_eq!(told["max_concurrent"], 9);
    assert_eq!(told["keys"], json!(["a#1"]));
    assert_eq!(told["models"][0]["aliases"], json!(["m"]));
    assert_eq!(told["address"], a.url());
    let other = proxy.backend("b").await;
    assert_eq!(
        other["lately"]["cells"].as_array().unwrap().last(),
        Some(&json!([1, 0]))
    );
    assert!(other["first_byte"]["ms"].as_f64().unwrap() > 0.0, "{other}");
    let admin = Client::plain(proxy.admin());
    admin.send("POST", "/api/backends/a/reset", b"").await.expect(200);
    assert_eq!(
        proxy.backend("a").await["lately"]["failed_in_a_row"],
        0,
        "it is forgiven"
    );
    admin
        .send("POST", "/api/backends/a/disable", b"")
        .await
        .expect(200);
    for (name, by) in [
        ("a", json!("operator")),
        ("b", Value::Null),
        ("c", json!("config")),
    ] {
        assert_eq!(proxy.backend(name).await["disabled_by"], by, "{name}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_tells_whom_it_passed_over_and_why() {
    let (a, _b, yaml) = two().await;
    let proxy = Proxy::start(&yaml).await;
    a.next(Answer::status(401));
    proxy.client().chat("m", false).await.expect(200);
    proxy.client().chat("m", false).await.expect(200);
    let records = proxy.recorded(2).await;
    assert_eq!(records[0].get("skipped"), None, "it was asked");
    let skipped = &records[1]["skipped"];
    assert_eq!(skipped.as_array().unwrap().len(), 1);
    let told = |name: &str| skipped[0][name].as_str().unwrap().to_owned();
    assert_eq!(
        ["backend", "key", "model", "why", "class"].map(told),
        ["a", "a#1", "real", "cooling", "auth"]
    );
    assert!(skipped[0]["ms_left"].as_f64().unwrap() > 0.0, "{skipped}");
    proxy.finish().await;
}

#[tokio::test]
async fn who_is_asked_after_all_was_not_passed_over() {
    let a = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&format!(
        "backends: [{{name: a, protocol: openai, url: {}, api_keys: [sk-canary-1, sk-canary-2]}}]
models: {{m: {{backend: a, model: real}}}}
fallback: {{when_all_cooling: always_try}}
",
        a.url()
    ))
    .await;
    a.always(Answer::status(401));
    proxy.client().chat("m", false).await;
    a.always(Answer::healthy());
    proxy.client().chat("m", false).await.expect(200);
    let records = proxy.recorded(2).await;
    let asked = records[1]["attempts"][0]["key"].as_str().unwrap();
    let skipped = records[1]["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 1, "{}", records[1]);
    assert_ne!(skipped[0]["key"].as_str().unwrap(), asked);
    proxy.finish().await;
}
