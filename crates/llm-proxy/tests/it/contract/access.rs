//! The access line (O06 of the rule book; contract, section 7).

use llm_sim::Answer;
use serde_json::{Value, json};

use super::super::support::Proxy;
use super::Pair;

/// What each line has, whether there is anything to say or not.
const FIELDS: [&str; 19] = [
    "time",
    "request_id",
    "key",
    "ip",
    "dialect",
    "alias",
    "backend",
    "model",
    "status",
    "class",
    "attempts",
    "first_byte_ms",
    "duration_ms",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost_usd",
    "cancelled",
    "generation",
];

/// The pair, another backend that comes second, and a client key.
fn with_a_second(pair: &Pair) -> String {
    let url = pair.openai.url();
    let second = format!("  - {{name: o2, protocol: openai, url: {url}, api_key: sk-canary-o2}}\nmodels:");
    let last = "{backend: a, model: real}]";
    let routes = "{backend: a, model: real, priority: 3}, {backend: o2, model: twin, priority: 2}]";
    let yaml = pair.yaml().replace(last, routes).replace("models:", &second);
    format!("api_keys: {{name: team, key: sk-canary-client-key}}\n{yaml}")
}

#[tokio::test]
async fn o06_the_access_line_says_all_that_the_contract_lists() {
    let pair = Pair::start().await;
    pair.openai.next(Answer::status(500));
    let proxy = Proxy::start(&with_a_second(&pair)).await;
    let client = proxy.client().header("x-api-key", "sk-canary-client-key");
    client.chat("m", true).await.expect(200);
    client.messages("m", false).await.expect(200);
    let records = proxy.recorded(2).await;
    for record in &records {
        let missing = FIELDS.iter().find(|field| record.get(**field).is_none());
        assert_eq!(missing, None, "{record}");
        assert!(
            record["first_byte_ms"].as_f64() <= record["duration_ms"].as_f64(),
            "{record}"
        );
    }
    let record = &records[0];
    let told = [
        "key",
        "ip",
        "dialect",
        "alias",
        "backend",
        "model",
        "status",
        "class",
        "cancelled",
        "generation",
    ]
    .map(|field| record[field].clone());
    let expected = json!([
        "team",
        "127.0.0.1",
        "chat",
        "m",
        "o2",
        "twin",
        200,
        null,
        false,
        1
    ]);
    assert_eq!(json!(told), expected, "{record}");
    let attempts = record["attempts"].as_array().unwrap();
    let told: Vec<[&Value; 5]> = attempts
        .iter()
        .map(|one| ["backend", "key", "model", "class", "status"].map(|field| &one[field]))
        .collect();
    let expected = json!([
        ["o", "o#1", "real", "server", 500],
        ["o2", "o2#1", "twin", "ok", 200]
    ]);
    assert_eq!(json!(told), expected);
    assert!(attempts.iter().all(|one| one["ms"].is_f64()));
    assert!(
        records[1]["input_tokens"].is_u64() && records[1]["output_tokens"].is_u64(),
        "{}",
        records[1]
    );
    proxy.finish().await;
}
