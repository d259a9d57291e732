//! A key with a budget is refused when that is spent, and not before.

use futures_util::future::join_all;
use llm_sim::{Answer, Cut};
use serde_json::json;

use super::{Scene, TEAM, alias, config, request};
use crate::support::{Reply, Tongue, until};

/// An answer of a hundred tokens and a question of ten: $0.00153.
fn answer() -> Answer {
    Answer::healthy().usage(10, 100)
}

fn seconds(reply: &Reply) -> u64 {
    reply.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn a_spent_budget_refuses_in_the_callers_dialect_until_its_period_ends() {
    let scene = Scene::start("budget: {usd: 0.003, per: month}", "").await;
    scene.sim.always(answer());
    for _ in 0..2 {
        scene.ask(Tongue::Messages, "sonnet", false).await.expect(200);
    }
    let seen = scene.sim.seen().len();
    for tongue in Tongue::ALL {
        for stream in [false, true] {
            let refused = scene.ask(tongue, alias(tongue), stream).await.expect(429);
            let error = refused.json()["error"].clone();
            assert_eq!(error["type"], "rate_limit_error", "{error}");
            if tongue != Tongue::Messages {
                assert_eq!(error["code"], "budget_exceeded");
            }
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("for the month is spent"), "{message}");
            let left = scene.budget().await["seconds_left"].as_u64().unwrap();
            assert!(
                seconds(&refused).abs_diff(left) <= 20,
                "{} and {left}",
                seconds(&refused)
            );
            let exact: u64 = refused.header("retry-after-ms").parse().unwrap();
            assert_eq!(exact.div_ceil(1_000), seconds(&refused));
        }
    }
    assert_eq!(scene.sim.seen().len(), seen, "no backend was asked");
    let budget = scene.budget().await;
    assert_eq!(
        (&budget["spent_usd"], &budget["usd"]),
        (&json!(0.003_06), &json!(0.003))
    );
    assert_eq!(
        (&budget["per"], &budget["reserved_usd"]),
        (&json!("month"), &json!(0.0))
    );
    assert!(
        budget["period_end"].as_str().unwrap().ends_with("-01T00:00:00Z"),
        "{budget}"
    );
    scene.finish().await;
}

#[tokio::test]
async fn a_reload_keeps_what_was_spent_and_another_amount_counts_at_once() {
    let scene = Scene::start("budget: {usd: 0.001, per: month}", "").await;
    scene.sim.always(answer());
    scene.ask(Tongue::Chat, "resold", false).await.expect(200);
    scene.ask(Tongue::Chat, "resold", false).await.expect(429);
    scene
        .proxy
        .reload(&config(&scene.sim, "budget: {usd: 0.002, per: month}", ""))
        .await;
    scene.ask(Tongue::Chat, "resold", false).await.expect(200);
    scene.ask(Tongue::Chat, "resold", false).await.expect(429);
    scene
        .proxy
        .reload(&config(&scene.sim, "budget: {usd: 0.002, per: day}", ""))
        .await;
    let budget = scene.budget().await;
    assert_eq!(
        (&budget["per"], &budget["spent_usd"]),
        (&json!("day"), &json!(0.003_06))
    );
    scene.ask(Tongue::Chat, "resold", false).await.expect(429);
    scene.proxy.reload(&config(&scene.sim, "priority: 1", "")).await;
    scene.ask(Tongue::Chat, "resold", false).await.expect(200);
    assert!(scene.budget().await.is_null());
    scene.finish().await;
}

#[tokio::test]
async fn what_requests_in_flight_may_cost_is_put_aside_and_given_back() {
    let scene = Scene::start("budget: {usd: 0.02, per: month}", "").await;
    scene.sim.always(answer().after_deltas(1, Cut::Stall));
    // A thousand tokens at $15 a million, and its question: two of them may take all that there is.
    let body = request("resold", 1_000, true).to_string();
    let mut running = Vec::new();
    for _ in 0..2 {
        let client = scene.client();
        let mut stream = client.open("POST", "/v1/chat/completions", body.as_bytes()).await;
        stream.until("data:").await;
        running.push(stream);
    }
    let small = request("resold", 1, false);
    let refused = scene
        .client()
        .post("/v1/chat/completions", &small)
        .await
        .expect(429);
    assert_eq!(
        (refused.json()["error"]["code"].as_str(), seconds(&refused)),
        (Some("rate_limit_exceeded"), 1)
    );
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("its requests in flight"), "{message}");
    let reserved = scene.budget().await["reserved_usd"].as_f64().unwrap();
    assert!((0.03..0.031).contains(&reserved), "{reserved}");

    let records = scene.proxy.records().len();
    running.into_iter().for_each(crate::support::Streaming::leave);
    scene.proxy.recorded(records + 2).await;
    // It is given back behind the record.
    let budget = until("what was put aside is given back", async || {
        let budget = scene.budget().await;
        (budget["reserved_usd"] == 0.0).then_some(budget)
    })
    .await;
    let spent = budget["spent_usd"].as_f64().unwrap();
    assert!(
        (0.000_01..0.001).contains(&spent),
        "nobody told what they cost, but they were asked: {spent}"
    );
    scene.sim.always(answer());
    scene
        .client()
        .post("/v1/chat/completions", &small)
        .await
        .expect(200);
    scene.finish().await;
}

#[tokio::test]
async fn forty_clients_at_once_overrun_a_budget_by_less_than_one_request() {
    let scene = Scene::start("budget: {usd: 0.01, per: month}", "").await;
    scene.sim.always(answer());
    let body = request("resold", 100, false);
    for _ in 0..3 {
        let client = scene.client();
        join_all((0..40).map(|_| client.post("/v1/chat/completions", &body))).await;
    }
    let spent = scene.budget().await["spent_usd"].as_f64().unwrap();
    let records = scene.proxy.recorded(120).await;
    let paid: f64 = records
        .iter()
        .filter_map(|record| record["cost_usd"].as_f64())
        .sum();
    assert!((paid - spent).abs() < 1e-9, "{paid} {spent}");
    assert!((0.01 - 0.001_6..0.01 + 0.001_6).contains(&spent), "{spent}");
    scene.finish().await;
}

#[tokio::test]
async fn what_is_free_or_counts_tokens_alone_needs_no_budget() {
    let scene = Scene::with("budget: {usd: 0.001, per: month}", |dir| {
        let text = "models: {ours: {input: 0, output: 0}}";
        std::fs::write(format!("{dir}/prices.yaml"), text).unwrap();
        format!("prices: {{file: {dir}/prices.yaml}}\n")
    })
    .await;
    scene.sim.always(answer());
    scene.ask(Tongue::Chat, "resold", false).await.expect(200);
    scene.ask(Tongue::Chat, "resold", false).await.expect(429);
    scene.ask(Tongue::Chat, "ours", true).await.expect(200);
    let count = json!({"model": "sonnet", "messages": [{"role": "user", "content": "Hi"}]});
    scene
        .client()
        .post("/v1/messages/count_tokens", &count)
        .await
        .expect(200);
    scene.finish().await;
}

#[tokio::test]
async fn only_streams_of_a_key_with_a_budget_are_asked_for_their_usage() {
    let scene = Scene::start(
        "budget: {usd: 1}}, {name: other, key: sk-canary-client-other-0123456789",
        "",
    )
    .await;
    scene.sim.always(answer());
    for (key, asked) in [
        (TEAM, json!(true)),
        ("sk-canary-client-other-0123456789", json!(null)),
    ] {
        let client = scene.proxy.client().header("x-api-key", key);
        let reply = client.chat("resold", true).await.expect(200);
        let seen = scene.sim.seen().pop().unwrap().json();
        assert_eq!(seen["stream_options"]["include_usage"], asked, "{seen}");
        assert!(!reply.text().contains("prompt_tokens"), "the client did not ask");
    }
    scene.finish().await;
}
