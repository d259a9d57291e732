//! Which alias a name means, which aliases stand in for it, and that `explain` says what happens.

use std::process::Command;

use llm_sim::{Answer, Sim};
use serde_json::{Value, json};

use super::setting::{Tongue, backend_of, backends, sims, tried};
use crate::support::Proxy;

#[tokio::test]
async fn c21_the_most_specific_alias_wins_and_a_globs_model_keeps_its_name() {
    let [a, b, c, d] = sims().await;
    let config = backends(Tongue::Chat, &[&a, &b, &c, &d])
        + "models:
  gpt-5: {backend: a, model: exact}
  \"gpt-*\": {routes: [{backend: b}]}
  \"gpt-5-*\": {routes: [{backend: c}]}
  \"*\": {routes: [{backend: d}]}
";
    let proxy = Proxy::start(&config).await;
    for (asked, backend, model) in [
        ("gpt-5", "a", "exact"),
        ("gpt-4", "b", "gpt-4"),
        ("gpt-5-mini", "c", "gpt-5-mini"),
        ("o3", "d", "o3"),
    ] {
        let reply = proxy.client().chat(asked, false).await.expect(200);
        let served = (
            reply.header("x-llm-proxy-backend"),
            reply.header("x-llm-proxy-model"),
        );
        assert_eq!(served, (backend, model), "{asked}");
        let explained = explained(&proxy, &["--model", asked]);
        assert_eq!(explained, [format!("{backend}#1/{model}")], "{asked}");
    }
    proxy.finish().await;
}

/// The candidates of `explain` in order, each as `key/model`; a key is called by its backend and a number.
fn explained(proxy: &Proxy, asked: &[&str]) -> Vec<String> {
    let config = proxy.dir().join("config.yaml");
    let mut explain = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
    let output = explain
        .arg("explain")
        .arg("--config")
        .arg(config)
        .args(asked)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("sk-canary"), "G2: {text}");
    let numbered = |line: &str| line.trim_start().starts_with(|c: char| c.is_ascii_digit());
    text.lines().filter(|line| numbered(line)).map(place).collect()
}

/// `  1. a (key a#1), model `real`: ...` as `a#1/real`.
fn place(line: &str) -> String {
    let (_, rest) = line.split_once(" (key ").unwrap();
    let (key, rest) = rest.split_once("), model `").unwrap();
    let (model, _) = rest.split_once('`').unwrap();
    format!("{key}/{model}")
}

/// The attempts of the access record `n`, as [`explained`] shows them.
async fn attempted(proxy: &Proxy, n: usize) -> Vec<String> {
    let records = proxy.recorded(n + 1).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let attempts = records[n]["attempts"].as_array().unwrap().iter();
    attempts
        .map(|attempt| text(&attempt["key"]) + "/" + &text(&attempt["model"]))
        .collect()
}

/// `m`: two routes, then the fallback `n`, whose own fallback leads back to `m`; `n` repeats a route of `m`.
fn chained(sims: &[&Sim]) -> String {
    backends(Tongue::Chat, sims)
        + "models:
  m:
    routes: [{backend: b, model: two, priority: 2}, {backend: a, model: one, priority: 1}]
    fallback: [n, gone]
  n:
    routes: [{backend: a, model: one}, {backend: c, model: three, priority: 2}]
    fallback: [m]
  gone: {enabled: false, routes: [{backend: d, model: four}], fallback: [last]}
  last: {routes: [{backend: d, model: five}]}
fallback: {max_attempts: 10}
"
}

#[tokio::test]
async fn c22_fallback_aliases_in_a_circle_are_tried_once_and_explain_says_so_before() {
    let [a, b, c, d] = sims().await;
    let all = [&a, &b, &c, &d];
    for sim in all {
        sim.always(Answer::status(500));
    }
    let proxy = Proxy::start(&chained(&all)).await;
    for (n, (model, order)) in [
        ("m", ["a#1/one", "b#1/two", "c#1/three", "d#1/five"]),
        ("n", ["a#1/one", "c#1/three", "b#1/two", "d#1/five"]),
    ]
    .into_iter()
    .enumerate()
    {
        proxy.client().chat(model, n == 1).await.expect(502);
        assert_eq!(
            attempted(&proxy, n).await,
            order,
            "{model}: nobody twice, the disabled alias never"
        );
        assert_eq!(
            explained(&proxy, &["--model", model]),
            order,
            "explain on {model}"
        );
    }
    d.always(Answer::healthy());
    let reply = proxy.client().chat("m", false).await;
    assert_eq!(backend_of(&reply), "d", "the last alias of the chain answers");
    proxy.finish().await;
}

#[tokio::test]
async fn every_route_of_an_alias_is_tried_before_its_fallback_even_another_model_of_what_failed() {
    let [a, b] = sims().await;
    a.script(|seen| match seen.json()["model"].as_str() {
        Some("one") => Answer::status(500),
        _ => Answer::healthy(),
    });
    let config = backends(Tongue::Chat, &[&a, &b])
        + "models:
  m: {routes: [{backend: a, model: one, priority: 1}, {backend: a, model: two, priority: 2}], fallback: [n]}
  n: {backend: b, model: three}
";
    let proxy = Proxy::start(&config).await;
    proxy.client().chat("m", false).await.expect(200);
    assert_eq!(attempted(&proxy, 0).await, ["a#1/one", "a#1/two"]);
    proxy.finish().await;
}

#[tokio::test]
async fn c21_explain_prints_the_very_order_in_which_a_first_request_tries_keys_weights_and_priorities() {
    let [a, b, c] = sims().await;
    for sim in [&a, &b, &c] {
        sim.always(Answer::status(429).header("retry-after", "1"));
    }
    let config = backends(Tongue::Chat, &[&a, &b, &c]).replace(
        "api_key: sk-canary-backend-b",
        "api_keys: [sk-canary-key-1, sk-canary-key-2]",
    ) + "models:
  m:
    routes:
      - {backend: c, model: one, priority: 2}
      - {backend: a, model: one, priority: 1, weight: 1}
      - {backend: b, model: one, priority: 1, weight: 3}
fallback: {max_attempts: 10}
";
    let proxy = Proxy::start(&config).await;
    proxy.client().chat("m", false).await.expect(429);
    let order = attempted(&proxy, 0).await;
    assert_eq!(order, ["b#1/one", "b#2/one", "a#1/one", "c#1/one"]);
    assert_eq!(explained(&proxy, &["--model", "m"]), order);
    proxy.finish().await;
}

#[tokio::test]
async fn a06_a_fallback_alias_never_widens_what_a_key_may_use() {
    let [a, b] = sims().await;
    a.always(Answer::status(500));
    let config = backends(Tongue::Chat, &[&a, &b])
        + "api_keys:
  - {name: narrow, key: sk-canary-narrow-key, models: [m]}
  - {name: wide, key: sk-canary-wide-key-1, models: [m, n]}
models:
  m: {backend: a, model: one, fallback: [n]}
  n: {backend: b, model: two}
";
    let proxy = Proxy::start(&config).await;
    let narrow = proxy
        .client()
        .header("authorization", "Bearer sk-canary-narrow-key");
    let wide = proxy.client().header("x-api-key", "sk-canary-wide-key-1");
    narrow.chat("m", false).await.expect(502);
    assert_eq!(b.seen().len(), 0, "n is not for this key");
    narrow.chat("n", false).await.expect(403);
    assert_eq!(backend_of(&wide.chat("m", true).await), "b");
    assert_eq!(tried(&proxy, 2).await, ["a", "b"]);
    let explained_to = |key| explained(&proxy, &["--model", "m", "--key", key]);
    assert_eq!(explained_to("narrow"), ["a#1/one"]);
    assert_eq!(explained_to("wide"), ["a#1/one", "b#1/two"]);
    proxy.finish().await;
}

#[tokio::test]
async fn a_fallback_alias_applies_its_own_defaults_and_overrides() {
    let [a, b] = sims().await;
    a.always(Answer::status(500));
    let config = backends(Tongue::Chat, &[&a, &b])
        + "models:
  m: {routes: [{backend: a, model: one}], fallback: [n], overrides: {temperature: 0}}
  n: {routes: [{backend: b, model: two}], defaults: {max_tokens: 7}}
";
    let proxy = Proxy::start(&config).await;
    proxy.client().chat("m", false).await.expect(200);
    let (first, second) = (a.seen()[0].json(), b.seen()[0].json());
    assert_eq!(
        (&first["model"], &first["temperature"]),
        (&json!("one"), &json!(0))
    );
    assert_eq!(
        (&second["model"], &second["max_tokens"]),
        (&json!("two"), &json!(7))
    );
    assert_eq!(
        second["temperature"],
        Value::Null,
        "nothing of the earlier attempt is left"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn what_is_disabled_at_any_of_three_levels_is_not_used() {
    let [a, b] = sims().await;
    let working = backends(Tongue::Chat, &[&a, &b])
        + "models:
  m: {routes: [{backend: a, model: real, priority: 1}, {backend: b, model: real, priority: 2}]}
  other: {backend: a, model: real}
";
    let route_off = working.replace(
        "model: real, priority: 1",
        "model: real, priority: 1, enabled: false",
    );
    let backend_off = working.replace("{name: a,", "{name: a, enabled: false,");
    let alias_off = working.replace("m: {routes", "m: {enabled: false, routes");
    let proxy = Proxy::start(&working).await;
    for (what, config, m, other) in [
        ("nothing", &working, "a", "a"),
        ("the route", &route_off, "b", "a"),
        ("the backend", &backend_off, "b", "404"),
        ("the alias", &alias_off, "404", "a"),
        ("nothing again", &working, "a", "a"),
    ] {
        proxy.reload(config).await;
        for (model, expected) in [("m", m), ("other", other)] {
            let reply = proxy.client().chat(model, false).await;
            let got = match reply.status {
                200 => backend_of(&reply),
                status => status.to_string(),
            };
            assert_eq!(got, expected, "{model} with {what} disabled");
        }
    }
    proxy.finish().await;
}
