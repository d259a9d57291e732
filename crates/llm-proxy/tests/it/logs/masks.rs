//! What others put into the log: credentials are blotted out, whoever said them.

use llm_sim::{Answer, Sim, Speaks};
use serde_json::json;

use super::super::support::Proxy;
use super::config;

/// A backend's error that repeats what it must not.
fn telltale(words: &str) -> Answer {
    Answer::status(401).body(json!({"error": {"message": words, "type": "x", "code": "x"}}))
}

#[tokio::test]
async fn a12_credentials_in_a_backends_words_are_blotted_out_of_the_log() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.next(telltale(
        "bad key team-key-0123456789abcdef, or sk-canary-nobody-knows-it, or AIzaSyA0123456789abcdefghijkl, \
         sent as Bearer abcdefghijklmnop from 192.0.2.7",
    ));
    let keys = "api_keys: {name: team, key: team-key-0123456789abcdef}\nlogging: {level: debug}\n";
    let proxy = Proxy::start(&format!("{keys}{}", config(&sim))).await;
    let client = proxy.client().header("x-api-key", "team-key-0123456789abcdef");
    proxy.expects_masks();
    client.chat("m", false).await;
    let line = proxy.logged("\"msg\":\"attempt failed\"").await;
    let expected = "bad key ***, or sk-***, or AIza***, sent as Bearer *** from 192.0.2.7";
    assert!(line.contains(expected), "{line}");
    for line in proxy.log() {
        for secret in ["team-key-0123", "AIzaSy", "abcdefghijklmnop"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a12_a_strict_mask_takes_the_addresses_of_people_and_machines_too() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.next(telltale("ask admin@relay.example.org at 2001:db8::17"));
    let strict = format!("logging: {{level: debug, mask: strict}}\n{}", config(&sim));
    let proxy = Proxy::start(&config(&sim)).await;
    proxy.reload(&strict).await;
    proxy.client().chat("m", false).await;
    let line = proxy.logged("\"msg\":\"attempt failed\"").await;
    assert!(line.contains("ask *** at ***"), "{line}");
    let record = proxy.recorded(1).await.remove(0);
    assert_eq!(record["ip"], "***");
    assert!(
        record["time"].as_str().unwrap().contains(':'),
        "times are no addresses: {record}"
    );
    proxy.finish().await;
}
