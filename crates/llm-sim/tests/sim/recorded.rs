//! Requests that a real provider took are taken here: strictness must not invent rules.

use std::path::PathBuf;

use llm_sim::{Sim, Speaks};
use serde_json::Value;

use crate::client::{Client, Dialect};

/// Where the recorded traffic lies, if it is at hand.
fn fixtures() -> Option<PathBuf> {
    let shared = option_env!("LLM_PROXY_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    Some(shared.join("fixtures")).filter(|folder| folder.is_dir())
}

/// The body of a case that its provider, one of the two that define a dialect, answered with 200.
fn accepted(path: &std::path::Path) -> Option<Value> {
    let case: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let by_definer = matches!(case["provider"].as_str(), Some("openai" | "anthropic" | "azure"));
    let of_dialect = matches!(case["dialect"].as_str(), Some("chat" | "messages" | "responses"));
    let body = case["request"]["body"].clone();
    (by_definer && of_dialect && case["response"]["status"] == 200 && body.is_object()).then_some(body)
}

#[tokio::test]
async fn what_providers_took_is_taken() {
    let Some(fixtures) = fixtures() else { return };
    let sim = Sim::start(Speaks::All).await.unwrap();
    let mut client = Client::connect(&sim).await;
    let mut taken = 0;
    for (folder, dialect) in [
        ("chat", Dialect::Chat),
        ("messages", Dialect::Messages),
        ("responses", Dialect::Responses),
    ] {
        for entry in std::fs::read_dir(fixtures.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let Some(body) = accepted(&path) else { continue };
            let reply = client
                .post(dialect.path(), dialect.headers(), body.to_string().as_bytes())
                .await;
            assert_eq!(reply.status, 200, "{}: {}", path.display(), reply.text());
            taken += 1;
        }
    }
    assert!(taken > 20, "the fixtures have many such requests, not {taken}");
    assert_eq!(sim.protocol_errors(), [""; 0]);
}
