//! A row for each request, which says what its access record says.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use llm_proxy::base::Cost;
use llm_sim::{Answer, Cut, Sim, Speaks};
use serde_json::{Value, json};

use super::{Book, command, expected_row, usage};
use crate::support::client::chat;
use crate::support::{Proxy, Tongue, within};
use crate::upgrade::scene::Scene;

/// Two keys, and backends of both protocols; the model's price is one that the program knows.
fn config(sim: &Sim, more: &str) -> String {
    let url = sim.url();
    format!(
        "api_keys:
  - {{name: team, key: sk-canary-client-team, models: ['*']}}
  - {{name: bound, key: sk-canary-client-bound, models: [m]}}
fallback: {{cooldown: 1ms, cooldown_max: 1ms, retry_budget: 1}}
backends:
  - {{name: o, protocol: openai, url: {url}, api_key: sk-canary-o}}
  - {{name: a, protocol: anthropic, url: {url}, api_key: sk-canary-a}}
models:
  m: {{routes: [{{backend: o, model: gpt-5, priority: 1}}, {{backend: a, model: claude-sonnet-4-5, priority: 2}}]}}
  glob-*: {{backend: a}}
{more}"
    )
}

const SQLITE: &str = "ledger: {url: 'sqlite:ledger.db'}";

async fn sim() -> Sim {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy().usage(30, 12).cached(20));
    sim
}

/// Requests that end in every way.
async fn traffic(sim: &Sim, proxy: &Proxy) {
    let keyed = |key: &str| proxy.client().header("x-api-key", key);
    let team = || keyed("sk-canary-client-team");
    for tongue in Tongue::ALL {
        for stream in [false, true] {
            for model in ["m", "glob-x"] {
                team()
                    .post(tongue.path(), &tongue.request(model, stream))
                    .await
                    .expect(200);
            }
        }
    }
    sim.next(Answer::status(500));
    team().chat("m", false).await.expect(200);
    sim.next(Answer::status(400));
    team().messages("glob-y", false).await.expect(400);
    sim.next(Answer::healthy().after_deltas(1, Cut::Rst));
    team().messages("glob-z", true).await;
    team().chat("nowhere", false).await.expect(404);
    keyed("sk-canary-client-bound")
        .chat("glob-x", true)
        .await
        .expect(403);
    keyed("sk-canary-guess").chat("m", false).await.expect(401);
    sim.next(Answer::healthy().first_delay(Duration::from_mins(1)));
    let before = sim.seen().len();
    let body = chat("m", true).to_string();
    let streaming = team().open("POST", "/v1/chat/completions", body.as_bytes()).await;
    sim.wait_seen(before + 1).await;
    drop(streaming);
}

#[tokio::test]
async fn o06_each_request_leaves_a_row_that_equals_its_access_record() {
    let sim = sim().await;
    let proxy = Proxy::start(&config(&sim, SQLITE)).await;
    traffic(&sim, &proxy).await;
    let records = proxy.recorded(19).await;
    let book = Book::of(&proxy, "ledger.db");
    let rows = book.filled(18).await;
    let known = records.iter().filter(|record| record["status"] != 401);
    let expected: Vec<Value> = known.map(expected_row).collect();
    assert_eq!(rows, expected, "a stranger leaves none");
    assert!(rows[0]["cost_nano_usd"].is_u64(), "{}", rows[0]);
    assert_eq!(rows[17]["class"], "client_gone");
    let mode = std::fs::metadata(proxy.dir().join("ledger.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let told = usage(&proxy, "?by=backend").await;
    assert_eq!(
        (&told["source"], &told["total"]["requests"]),
        (&json!("ledger"), &json!(18))
    );
    let sum = |field: &str| rows.iter().filter_map(|row| row[field].as_u64()).sum::<u64>();
    for field in ["input_tokens", "output_tokens", "cached_tokens"] {
        assert_eq!(told["total"][field], sum(field), "{field}");
    }
    let cost = told["total"]["cost_usd"].as_f64().unwrap();
    assert_eq!(Cost::from_dollars(cost).nanos(), sum("cost_nano_usd"));
    assert_eq!(
        told["ledger"],
        json!({"url": "sqlite", "pending": 0, "dropped": 0, "error": null})
    );
    // The same while the proxy runs, from another process.
    let printed = command(&proxy, &["--by", "backend", "--json"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(
        (&printed["rows"], &printed["total"]),
        (&told["rows"], &told["total"])
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_chat_stream_that_did_not_ask_for_its_usage_is_counted_and_its_client_sees_nothing_of_that() {
    let sim = sim().await;
    let proxy = Proxy::start(&config(&sim, SQLITE)).await;
    let team = proxy.client().header("x-api-key", "sk-canary-client-team");
    let answer = team.chat("m", true).await.expect(200);
    assert!(!answer.text().contains("\"usage\":{"), "{}", answer.text());
    let rows = Book::of(&proxy, "ledger.db").filled(1).await;
    assert_eq!(
        (&rows[0]["input_tokens"], &rows[0]["output_tokens"]),
        (&json!(30), &json!(12))
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_drain_writes_every_row_and_leaves_one_whole_file() {
    let sim = sim().await;
    let mut proxy = Proxy::start(&config(&sim, SQLITE)).await;
    let team = proxy.client().header("x-api-key", "sk-canary-client-team");
    for _ in 0..30 {
        team.chat("m", false).await.expect(200);
    }
    proxy.signal("-TERM");
    assert_eq!(proxy.ended().await, Some(0));
    let beside = proxy.dir().join("ledger.db-wal");
    assert!(!beside.exists(), "nothing is left beside it");
    let book = Book::of(&proxy, "ledger.db");
    assert_eq!(book.rows().len(), 30, "none waits for a next start");
    proxy.finish_ended().await;
}

#[tokio::test]
async fn a_killed_proxy_loses_no_more_than_its_last_batch_and_the_next_one_goes_on() {
    let sim = sim().await;
    let yaml = config(&sim, SQLITE);
    let mut proxy = Proxy::start(&yaml).await;
    let team = proxy.client().header("x-api-key", "sk-canary-client-team");
    for _ in 0..20 {
        team.chat("m", false).await.expect(200);
    }
    let book = Book::of(&proxy, "ledger.db");
    book.filled(20).await;
    let asked = async {
        for _ in 0..20 {
            team.chat("m", false).await.expect(200);
        }
    };
    asked.await;
    proxy.recorded(40).await;
    proxy.signal("-KILL");
    proxy.ended().await;
    let copy = proxy.dir().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for file in ["ledger.db", "ledger.db-wal"] {
        std::fs::copy(proxy.dir().join(file), copy.join(file)).unwrap();
    }
    assert_eq!(
        book.all("PRAGMA integrity_check").unwrap()[0]["integrity_check"],
        "ok"
    );
    let kept = book.rows().len();
    assert!((20..=40).contains(&kept), "{kept}");
    assert_eq!(
        book.sum("requests"),
        kept as u64,
        "sums and rows are written together"
    );

    let next = Proxy::start(&yaml.replace("sqlite:", &format!("sqlite:{}/", copy.display()))).await;
    let team = next.client().header("x-api-key", "sk-canary-client-team");
    team.chat("m", false).await.expect(200);
    Book(copy.join("ledger.db")).filled(kept + 1).await;
    next.finish().await;
    proxy.finish_ended().await;
}

#[tokio::test]
async fn after_a_hand_over_two_processes_write_one_file() {
    let mut scene = Scene::start(SQLITE).await;
    let ask = async |scene: &Scene| {
        let client = scene.proxy.client();
        within("an answer", client.chat("m", false)).await.expect(200);
    };
    ask(&scene).await;
    let body = chat("h", false).to_string();
    let client = scene.proxy.client();
    let mut old = client.open("POST", "/v1/chat/completions", body.as_bytes()).await;
    let mut held = scene.hand.take().await;
    scene.upgrade().await;
    ask(&scene).await;
    let book = Book::of(&scene.proxy, "ledger.db");
    book.filled(2).await;
    let answer = json!({"choices": [{"message": {"role": "assistant", "content": "late"}}]}).to_string();
    let length = answer.len();
    let start = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}");
    held.raw(&format!("{start}\r\n\r\n{answer}")).await;
    within("the old process' answer", old.rest()).await.expect(200);
    book.filled(3).await;
    scene.finish().await;
}
