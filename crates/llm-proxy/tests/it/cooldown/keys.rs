//! Several keys of one backend: they take turns, each cools by itself, and they are all tried before it is left.

use llm_sim::{Answer, Seen, Sim};
use serde_json::json;

use super::setting::{answered_by, answers, backend_of, cooldowns, quota, sims, tried};
use crate::support::Proxy;

/// `a` with keys 1 to 3, `b` with one; `m` and `n` are two models of both.
fn three_keys(a: &Sim, b: &Sim) -> String {
    format!(
        "backends:
  - {{name: a, protocol: openai, url: \"{}\", api_keys: [sk-canary-key-1, sk-canary-key-2, sk-canary-key-3]}}
  - {{name: b, protocol: openai, url: \"{}\", api_key: sk-canary-backend-b}}
models:
  m: {{routes: [{{backend: a, model: one, priority: 1}}, {{backend: b, model: one, priority: 2}}]}}
  n: {{routes: [{{backend: a, model: two, priority: 1}}, {{backend: b, model: two, priority: 2}}]}}
",
        a.url(),
        b.url()
    )
}

/// The last character of the key that came with a request.
fn key_of(seen: &Seen) -> char {
    seen.header("authorization").unwrap().chars().last().unwrap()
}

fn keys(sim: &Sim) -> String {
    sim.seen().iter().map(key_of).collect()
}

/// Requests with these keys get that answer, the others a healthy one.
fn with_keys(sim: &Sim, keys: &'static str, answer: Answer) {
    sim.script(move |seen| {
        if keys.contains(key_of(seen)) {
            answer.clone()
        } else {
            Answer::healthy()
        }
    });
}

#[tokio::test]
async fn keys_take_turns() {
    let [a, b] = sims().await;
    let proxy = Proxy::start(&three_keys(&a, &b)).await;
    answers(&proxy, 6).await;
    assert_eq!(keys(&a), "123123");
    assert_eq!(b.protocol_errors(), [""; 0]);
    proxy.finish().await;
}

#[tokio::test]
async fn f13_a_rate_limit_goes_on_to_the_next_key_and_leaves_that_keys_other_models_alone() {
    let [a, b] = sims().await;
    with_keys(&a, "1", Answer::status(429).header("retry-after", "60"));
    let proxy = Proxy::start(&three_keys(&a, &b)).await;
    assert_eq!(answers(&proxy, 4).await, ["a"; 4]);
    assert_eq!(
        keys(&a),
        "12232",
        "1 is limited, and passed over at its next turn"
    );
    assert_eq!(b.seen().len(), 0, "b is not needed");
    a.always(Answer::healthy());
    for _ in 0..3 {
        assert_eq!(backend_of(&proxy.client().chat("n", false).await), "a");
    }
    let of_n: String = keys(&a).chars().skip(5).collect();
    assert!(of_n.contains('1'), "the limit was for one model: {of_n}");
    proxy.finish().await;
}

#[tokio::test]
async fn f17_f19_what_condemns_a_key_holds_for_all_its_models() {
    for answer in [Answer::status(401), quota(600)] {
        let [a, b] = sims().await;
        with_keys(&a, "1", answer);
        let proxy = Proxy::start(&three_keys(&a, &b)).await;
        assert_eq!(answered_by(&proxy).await, "a");
        let cooling = cooldowns(&proxy, "a").await;
        assert_eq!((&cooling[0]["scope"], cooling.len()), (&"key".into(), 1));
        for _ in 0..3 {
            assert_eq!(backend_of(&proxy.client().chat("n", false).await), "a");
        }
        assert_eq!(
            keys(&a).matches('1').count(),
            1,
            "never asked with it again: {}",
            keys(&a)
        );
        assert_eq!(b.seen().len(), 0);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn all_keys_are_tried_before_the_backend_is_left() {
    let [a, b] = sims().await;
    a.always(Answer::status(401));
    let proxy = Proxy::start(&(three_keys(&a, &b) + "fallback: {max_attempts: 4}\n")).await;
    assert_eq!(answered_by(&proxy).await, "b");
    assert_eq!(tried(&proxy, 0).await, ["a", "a", "a", "b"]);
    assert_eq!(keys(&a), "123");
    assert_eq!(answered_by(&proxy).await, "b");
    assert_eq!(a.seen().len(), 3, "all of them cool");
    let refused = proxy
        .log()
        .iter()
        .filter(|line| line.contains("the key was refused"))
        .count();
    assert_eq!(refused, 3, "said once for each key");
    proxy.finish().await;
}

#[tokio::test]
async fn a_fault_of_the_backend_leaves_it_at_once_and_comes_back_to_its_other_keys_last() {
    let [a, b] = sims().await;
    a.always(Answer::status(500));
    b.always(Answer::status(500));
    let proxy = Proxy::start(&(three_keys(&a, &b) + "fallback: {max_attempts: 3}\n")).await;
    proxy.client().chat("m", false).await.expect(502);
    assert_eq!(tried(&proxy, 0).await, ["a", "b", "a"]);
    assert_eq!(keys(&a), "12");
    proxy.finish().await;
}

#[tokio::test]
async fn f22_a_model_that_one_key_does_not_find_is_not_asked_for_with_the_others() {
    let [a, b] = sims().await;
    let unknown = json!({"error": {"message": "The model `one` does not exist.", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}});
    a.always(Answer::status(404).body(unknown));
    let proxy = Proxy::start(&three_keys(&a, &b)).await;
    assert_eq!(answers(&proxy, 2).await, ["b"; 2]);
    assert_eq!(keys(&a), "1");
    proxy.finish().await;
}
