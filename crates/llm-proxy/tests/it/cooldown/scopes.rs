//! What a failure is held against: the key, the key for one model, the backend for one model, or the backend.

use llm_sim::{Answer, Sim};
use serde_json::{Value, json};

use super::setting::{Tongue, answered_by, backends, cooldowns, in_turn, overloaded, quota, sims};
use crate::support::Proxy;

/// `m1` and `m2`: other models of the same two backends.
fn two_models(a: &Sim, b: &Sim) -> String {
    let routes = |model: &str| {
        format!(
            "{{routes: [{{backend: a, model: {model}, priority: 1}}, {{backend: b, model: {model}, priority: 2}}]}}"
        )
    };
    backends(Tongue::Chat, &[a, b]) + &format!("models:\n  m1: {}\n  m2: {}\n", routes("one"), routes("two"))
}

#[tokio::test]
async fn c12_failures_of_one_model_leave_the_backends_other_models_alone() {
    let [a, b] = sims().await;
    a.script(|seen| match seen.json()["model"].as_str() {
        Some("one") => Answer::status(500),
        _ => Answer::healthy(),
    });
    let proxy = Proxy::start(&two_models(&a, &b)).await;
    for n in 0..5 {
        let reply = proxy.client().chat("m1", n % 2 == 0).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "b");
    }
    assert_eq!(a.seen().len(), 3, "cooled on the third failure");
    for _ in 0..3 {
        let reply = proxy.client().chat("m2", false).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "a");
    }
    proxy.finish().await;
}

/// An error with this code and these words.
fn says(status: u16, code: &str, message: &str) -> Answer {
    Answer::status(status)
        .body(json!({"error": {"message": message, "type": "error", "param": null, "code": code}}))
}

#[tokio::test]
async fn the_status_tells_scope_reason_and_end_and_other_models_feel_only_what_is_theirs() {
    #[rustfmt::skip]
    let cases = [
        ("F13: rate", Answer::status(429).header("retry-after", "7"), "key_model", "rate", 7.0, "a"),
        ("F17: quota", quota(90), "key", "quota", 90.0, "b"),
        ("F19: key refused", Answer::status(401), "key", "auth", 600.0, "b"),
        ("F21: no permission", says(403, "model_access", "Your organization does not have access to this model."), "key_model", "forbidden_model", 1800.0, "a"),
        ("F22: no such model", says(404, "model_not_found", "The model does not exist."), "backend_model", "not_found", 600.0, "a"),
        ("F12: overload", overloaded(20_000), "backend_model", "overloaded", 20.0, "a"),
    ];
    for (case, answer, scope, class, length, other_model) in cases {
        let [a, b] = sims().await;
        a.next(answer);
        let proxy = Proxy::start(&two_models(&a, &b)).await;
        let reply = proxy.client().chat("m1", false).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "b", "{case}");
        let cooling = cooldowns(&proxy, "a").await;
        let only = &cooling[0];
        assert_eq!(cooling.len(), 1, "{case}: {cooling:?}");
        assert_eq!(
            (&only["scope"], &only["class"]),
            (&scope.into(), &class.into()),
            "{case}"
        );
        let left = only["seconds_left"].as_f64().unwrap();
        assert!(
            left <= length * 1.2 && left > length * 0.8 - 5.0,
            "{case}: {left} of {length} s"
        );
        let named = |what: &str| only[what] != Value::Null;
        assert_eq!(named("key"), scope.starts_with("key"), "{case}: {only}");
        assert_eq!(only["model"] == "one", scope.ends_with("model"), "{case}: {only}");
        assert_eq!(proxy.backend("a").await["state"], "cooling");
        assert_eq!(proxy.backend("b").await["state"], "ok");
        let reply = proxy.client().chat("m2", false).await.expect(200);
        assert_eq!(
            reply.header("x-llm-proxy-backend"),
            other_model,
            "{case}: the other model"
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn refused_connections_bench_the_backend_for_every_model() {
    let [a, b] = sims().await;
    a.stop().await;
    let proxy = Proxy::start(&two_models(&a, &b)).await;
    proxy.client().chat("m1", false).await.expect(200);
    assert!(cooldowns(&proxy, "a").await.is_empty(), "once is chance");
    proxy.client().chat("m2", false).await.expect(200);
    let cooling = cooldowns(&proxy, "a").await;
    assert_eq!(cooling.len(), 1);
    assert_eq!(
        (&cooling[0]["scope"], &cooling[0]["class"]),
        (&"backend".into(), &"connect".into())
    );
    for model in ["m1", "m2"] {
        let reply = proxy.client().chat(model, false).await.expect(200);
        assert_eq!(
            reply.header("x-llm-proxy-attempts"),
            "1",
            "{model}: nobody knocks"
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn what_is_no_fault_of_the_backend_cools_nothing() {
    let [a, b] = sims().await;
    a.always(Answer::status(400));
    let proxy = Proxy::start(&in_turn(&[&a, &b])).await;
    for _ in 0..50 {
        proxy.client().chat("m", false).await.expect(400);
    }
    assert!(cooldowns(&proxy, "a").await.is_empty());
    a.always(Answer::healthy());
    assert_eq!(answered_by(&proxy).await, "a");
    assert_eq!(b.seen().len(), 0);
    proxy.finish().await;
}
