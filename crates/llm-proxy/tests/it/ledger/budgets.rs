//! What a key has spent outlives the process.

use llm_sim::{Answer, Sim, Speaks};
use serde_json::json;

use super::Book;
use crate::support::Proxy;

#[tokio::test]
async fn a_budget_that_is_spent_stays_spent_over_a_restart() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy().usage(10, 100));
    let ledger = std::env::temp_dir().join(format!("llm-proxy-budget-{}.db", std::process::id()));
    let yaml = format!(
        "api_keys: [{{name: team, key: sk-canary-client-team, budget: {{usd: 0.001, per: month}}}}]
backends: [{{name: a, protocol: anthropic, url: {}, api_key: sk-canary-a}}]
models: {{m: {{backend: a, model: claude-sonnet-4-5}}}}
ledger: {{url: 'sqlite:{}'}}
",
        sim.url(),
        ledger.display()
    );
    let spent = async |proxy: &Proxy| proxy.status().await["limits"]["budgets"]["team"]["spent_usd"].clone();
    let mut first = Proxy::start(&yaml).await;
    let client = |proxy: &Proxy| proxy.client().header("x-api-key", "sk-canary-client-team");
    client(&first).messages("m", false).await.expect(200);
    client(&first).messages("m", false).await.expect(429);
    Book(ledger.clone()).filled(2).await;
    let before = spent(&first).await;
    assert_eq!(before, json!(0.001_53));
    first.signal("-TERM");
    first.ended().await;
    first.finish_ended().await;

    let second = Proxy::start(&yaml).await;
    assert_eq!(spent(&second).await, before, "before its first request");
    client(&second).messages("m", false).await.expect(429);
    second.finish().await;
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", ledger.display()));
    }
}
