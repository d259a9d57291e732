//! `GET /api/usage`.

use llm_sim::{Answer, Sim, Speaks};
use serde_json::{Value, json};

use super::usage;
use crate::support::{Client, Proxy};

/// Two keys and two backends, each behind an alias of its own.
fn config(a: &Sim, b: &Sim, more: &str) -> String {
    format!(
        "api_keys:
  - {{name: team, key: sk-canary-client-team}}
  - {{name: lone, key: sk-canary-client-lone}}
backends:
  - {{name: a, protocol: openai, url: {}, api_key: sk-canary-a}}
  - {{name: b, protocol: openai, url: {}, api_key: sk-canary-b}}
models: {{m: {{backend: a, model: real}}, n: {{backend: b, model: other}}}}
{more}",
        a.url(),
        b.url()
    )
}

/// Rows of an answer: name, requests, errors, input, cached and output tokens.
fn rows(answer: &Value) -> Vec<Value> {
    let row = |row: &Value| {
        let columns = [
            "name",
            "requests",
            "errors",
            "input_tokens",
            "cached_tokens",
            "output_tokens",
        ];
        json!(columns.map(|column| row[column].clone()))
    };
    answer["rows"].as_array().unwrap().iter().map(row).collect()
}

#[tokio::test]
async fn without_a_ledger_usage_is_told_since_the_start_by_whatever_is_asked_for() {
    let start = || async { Sim::start(Speaks::All).await.unwrap() };
    let (a, b) = (start().await, start().await);
    a.always(Answer::healthy().usage(30, 12).cached(20));
    b.always(Answer::healthy().usage(7, 3));
    let proxy = Proxy::start(&config(&a, &b, "")).await;
    let key = |key: &str| proxy.client().header("x-api-key", key);
    let (team, lone) = (key("sk-canary-client-team"), key("sk-canary-client-lone"));
    team.chat("m", false).await.expect(200);
    team.responses("m", true).await.expect(200);
    lone.messages("n", false).await.expect(200);
    b.next(Answer::status(400));
    team.chat("n", false).await.expect(400);
    team.chat("nowhere", false).await.expect(404);
    // Nobody knows whose that is: it is logged, and not added up.
    proxy.client().chat("m", false).await.expect(401);
    proxy.recorded(6).await;

    let by_key = usage(&proxy, "").await;
    assert_eq!(
        rows(&by_key),
        [json!(["team", 4, 2, 60, 40, 24]), json!(["lone", 1, 0, 7, 0, 3])]
    );
    assert_eq!(
        (&by_key["source"], &by_key["by"]),
        (&json!("memory"), &json!("key"))
    );
    let total = &by_key["total"];
    assert_eq!(
        (&total["requests"], &total["input_tokens"]),
        (&json!(5), &json!(67))
    );
    assert!(total["name"].is_null() && total["cost_usd"].is_null());
    assert_eq!(
        by_key["ledger"],
        json!({"url": "off", "pending": 0, "dropped": 0, "error": null})
    );
    let backends = rows(&usage(&proxy, "?by=backend&days=1").await);
    assert_eq!(
        backends,
        [
            json!(["a", 2, 0, 60, 40, 24]),
            json!(["b", 2, 1, 7, 0, 3]),
            json!(["-", 1, 1, 0, 0, 0])
        ]
    );
    let models = rows(&usage(&proxy, "?by=model").await);
    assert_eq!(models[0], json!(["real", 2, 0, 60, 40, 24]));
    let days = usage(&proxy, "?by=day").await;
    let today = days["rows"][0]["name"].as_str().unwrap();
    assert!(days["since"].as_str().unwrap().starts_with(today), "{days}");
    assert_eq!(days["rows"][0]["requests"], 5);
    proxy.finish().await;
}

#[tokio::test]
async fn a_query_for_usage_that_means_nothing_is_told_why() {
    let a = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&config(&a, &a, "")).await;
    let admin = Client::plain(proxy.admin());
    for (query, words) in [
        ("by=colour", "one of key, model, backend and day"),
        ("days=0", "a whole number"),
        ("since=yesterday", "`by` and `days`"),
    ] {
        let refused = admin.get(&format!("/api/usage?{query}")).await.expect(400).json();
        let why = refused["error"]["message"].as_str().unwrap();
        assert!(why.contains(words), "{query}: {why}");
    }
    proxy.finish().await;
}
