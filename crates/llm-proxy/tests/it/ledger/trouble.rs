//! A ledger that cannot be written holds nothing up, and loses as little as can be.

use llm_sim::{Answer, Sim, Speaks};
use rusqlite::{Connection, TransactionBehavior};
use serde_json::json;

use super::{Book, command, usage};
use crate::support::{Client, Proxy, until};

fn config(sim: &Sim, more: &str) -> String {
    format!(
        "backends: [{{name: o, protocol: openai, url: {}, api_key: sk-canary-o}}]
models: {{m: {{backend: o, model: real}}}}
{more}",
        sim.url()
    )
}

async fn sim() -> Sim {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    sim
}

const SQLITE: &str = "ledger: {url: 'sqlite:ledger.db'}";

#[tokio::test]
async fn while_another_process_holds_the_file_rows_wait_and_no_request_does() {
    let sim = sim().await;
    let proxy = Proxy::start(&config(&sim, SQLITE)).await;
    let mut holder = Connection::open(proxy.dir().join("ledger.db")).unwrap();
    let held = holder
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    for _ in 0..10 {
        proxy.client().chat("m", false).await.expect(200);
    }
    let line = proxy.logged("the ledger cannot be written").await;
    assert!(line.contains("another process holds the database"), "{line}");
    proxy.client().chat("m", false).await.expect(200);
    let told = usage(&proxy, "").await;
    assert_eq!(
        told["ledger"],
        json!({"url": "sqlite", "pending": 11, "dropped": 0, "error": "another process holds the database"})
    );
    let metrics = Client::plain(proxy.admin()).get("/metrics").await.text();
    for line in [
        "llm_proxy_ledger_pending 11",
        "llm_proxy_ledger_dropped_total 0",
        "llm_proxy_ledger_failing 1",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    drop(held);
    proxy.logged("the ledger is written again").await;
    Book::of(&proxy, "ledger.db").filled(11).await;
    let all = proxy.log().into_iter();
    let said = all
        .filter(|line| line.contains("the ledger cannot be written"))
        .count();
    assert_eq!(said, 1, "once");
    assert_eq!(usage(&proxy, "").await["ledger"]["error"], json!(null));
    proxy.finish().await;
}

#[tokio::test]
async fn what_has_had_its_time_is_deleted_and_the_sums_stay() {
    let sim = sim().await;
    let yaml = config(&sim, "ledger: {url: 'sqlite:ledger.db', retention: 30d}");
    let proxy = Proxy::start(&yaml).await;
    proxy.client().chat("m", false).await.expect(200);
    let book = Book::of(&proxy, "ledger.db");
    book.filled(1).await;
    // More than one step of the deletion takes, older than all; and a day that even the sums have forgotten.
    book.change(
        "CREATE TABLE young AS SELECT * FROM llm_proxy_requests;
         DELETE FROM llm_proxy_requests;
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)
         INSERT INTO llm_proxy_requests SELECT time - 31 * 86400000, 'old-' || n, key, alias, backend, model, dialect,
           status, class, attempts, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
           cost_nano_usd, first_byte_ms, duration_ms, cancelled, generation, node FROM young, n;
         INSERT INTO llm_proxy_requests SELECT * FROM young;
         DROP TABLE young;
         INSERT INTO llm_proxy_days SELECT '2001-01-01', key, backend, model, 1, 0, 0, 0, 0, 0, 0, 0 FROM llm_proxy_days;",
    );
    assert_eq!((book.rows().len(), book.sum("requests")), (2501, 2));
    // New settings begin with a look for what is old.
    proxy.reload(&yaml.replace("30d", "29d")).await;
    until("the old rows to be gone", async || {
        (book.rows().len() == 1).then_some(())
    })
    .await;
    assert!(!book.rows()[0]["request_id"].as_str().unwrap().starts_with("old"));
    assert_eq!(book.sum("requests"), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn k08_a_ledger_of_a_newer_program_is_left_alone() {
    let sim = sim().await;
    let mut proxy = Proxy::start(&config(&sim, SQLITE)).await;
    let file = proxy.dir().join("ledger.db");
    let newer = proxy.dir().join("newer.db");
    proxy.client().chat("m", false).await.expect(200);
    Book::of(&proxy, "ledger.db").filled(1).await;
    Connection::open(&file)
        .unwrap()
        .execute("VACUUM INTO ?1", [newer.to_str().unwrap()])
        .unwrap();
    Book(newer.clone()).change("PRAGMA user_version = 2");

    // Not by a reload,
    let before = proxy.generation().await;
    proxy.rewrite(&config(&sim, "ledger: {url: 'sqlite:newer.db'}"));
    let refused = Client::plain(proxy.admin())
        .send("POST", "/api/reload", b"")
        .await
        .expect(422);
    assert!(
        refused.text().contains("a newer llm-proxy has written it"),
        "{}",
        refused.text()
    );
    assert_eq!(proxy.generation().await, before);
    // not by a command,
    let output = command(&proxy, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("its schema has version 2, and this program knows 1"),
        "{said}"
    );
    proxy.signal("-TERM");
    proxy.ended().await;
    // and not by a start.
    let start = |config: &str| {
        let path = proxy.dir().join("other.yaml");
        std::fs::write(&path, config).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
        let output = command.arg("-c").arg(path).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = start(&format!(
        "listen: 127.0.0.1:0\nadmin: {{listen: off}}\n{}",
        config(&sim, "ledger: {url: 'sqlite:newer.db'}")
    ));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot use the ledger"), "{said}");
    let version = Connection::open(&newer)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    assert_eq!(version, Ok(2));
    // Neither is a database of another program.
    let foreign = proxy.dir().join("foreign.db");
    Book(foreign.clone()).change("CREATE TABLE theirs (x)");
    let (code, said) = start(&format!(
        "listen: 127.0.0.1:0\nadmin: {{listen: off}}\n{}",
        config(&sim, "ledger: {url: 'sqlite:foreign.db'}")
    ));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a database of another program"), "{said}");
    proxy.finish_ended().await;
}
