//! What a request costs: in its record, in the metrics, and by the operator's own prices.

use llm_sim::{Answer, Cut};
use serde_json::{Value, json};

use super::{Scene, alias, metric, request};
use crate::support::{Tongue, until};

const RICH: &str = "budget: {usd: 1000, per: month}";

#[tokio::test]
async fn every_answer_says_what_it_cost_in_its_record_and_the_metrics_add_it_up() {
    let scene = Scene::start(RICH, "").await;
    // 10 tokens at $3, 20 cached at $0.30 and 12 at $15 a million.
    scene.sim.always(Answer::healthy().usage(30, 12).cached(20));
    for tongue in Tongue::ALL {
        for stream in [false, true] {
            let record = scene.record(scene.ask(tongue, alias(tongue), stream)).await;
            assert_eq!(record["cost_usd"], 0.000_216, "{tongue:?} {stream}: {record}");
        }
    }
    let recent = scene.proxy.admin().to_owned();
    let recent = crate::support::Client::plain(&recent)
        .get("/api/requests")
        .await
        .json();
    assert_eq!(recent["requests"][0]["cost_usd"], 0.000_216);
    for (series, cost) in [
        ("llm_proxy_cost_usd_total{alias=\"sonnet\"}", "0.000432"),
        ("llm_proxy_cost_usd_total{alias=\"resold\"}", "0.000864"),
        ("llm_proxy_backend_cost_usd_total{backend=\"openai\"}", "0.000864"),
        ("llm_proxy_budget_spent_usd{name=\"team\"}", "0.001296"),
        ("llm_proxy_budget_usd{name=\"team\"}", "1000"),
        ("llm_proxy_unpriced_answers_total{alias=\"sonnet\"}", "0"),
    ] {
        assert_eq!(metric(&scene.proxy, series).await, cost, "{series}");
    }
    scene.finish().await;
}

#[tokio::test]
async fn an_answer_of_another_dialect_costs_what_its_backend_asks() {
    let scene = Scene::start(RICH, "").await;
    scene.sim.always(Answer::healthy().usage(30, 12).cached(20));
    for (tongue, model) in [
        (Tongue::Chat, "sonnet"),
        (Tongue::Responses, "sonnet"),
        (Tongue::Messages, "resold"),
    ] {
        for stream in [false, true] {
            let record = scene.record(scene.ask(tongue, model, stream)).await;
            assert_eq!(record["cost_usd"], 0.000_216, "{tongue:?} {stream}: {record}");
        }
    }
    scene.finish().await;
}

#[tokio::test]
async fn what_has_no_price_has_no_cost_and_is_counted() {
    let scene = Scene::start(RICH, "").await;
    scene.sim.always(Answer::healthy().usage(30, 12));
    let record = scene.record(scene.ask(Tongue::Chat, "ours", false)).await;
    assert_eq!(
        (&record["cost_usd"], &record["input_tokens"]),
        (&Value::Null, &json!(30))
    );
    let unpriced = metric(&scene.proxy, "llm_proxy_unpriced_answers_total{alias=\"ours\"}").await;
    assert_eq!(unpriced, "1");
    scene.sim.next(Answer::status(400));
    let refused = scene.record(scene.ask(Tongue::Chat, "resold", false)).await;
    assert_eq!(refused["cost_usd"], Value::Null, "a refusal costs nothing");
    assert_eq!(scene.budget().await["spent_usd"], 0.0);
    scene.finish().await;
}

#[tokio::test]
async fn a_stream_that_breaks_or_is_left_costs_what_is_known_of_it() {
    let scene = Scene::start(RICH, "").await;
    // The beginning of a message tells what was read: 1000 tokens at $3 a million, and a token or so of the answer.
    scene
        .sim
        .next(Answer::healthy().usage(1_000, 50).after_deltas(1, Cut::Rst));
    let broken = scene.record(scene.ask(Tongue::Messages, "sonnet", true)).await;
    assert_eq!(broken["class"], "midstream", "{broken}");
    let cost = broken["cost_usd"].as_f64().unwrap();
    assert!((0.003..0.0038).contains(&cost), "{broken}");

    scene
        .sim
        .next(Answer::healthy().usage(1_000, 50).after_deltas(1, Cut::Stall));
    let body = Tongue::Messages.request("sonnet", true).to_string();
    let left = async {
        let mut stream = scene.client().open("POST", "/v1/messages", body.as_bytes()).await;
        stream.until("content_block_delta").await;
        stream.leave();
    };
    let left = scene.record(left).await;
    assert_eq!(
        (&left["cancelled"], &left["cost_usd"]),
        (&json!(true), &json!(cost))
    );
    scene.finish().await;
}

fn prices(scene: &Scene, text: &str) {
    std::fs::write(scene.files.join("prices.yaml"), text).unwrap();
}

#[tokio::test]
async fn the_operators_own_prices_go_before_and_a_change_of_their_file_is_a_change_of_the_config() {
    let scene = Scene::with(RICH, |dir| {
        let text = "models: {ours: {input: 1, output: 2}, openai/anthropic/*: {input: 10, output: 10}}";
        std::fs::write(format!("{dir}/prices.yaml"), text).unwrap();
        format!("watch: true\nprices: {{file: {dir}/prices.yaml}}\n")
    })
    .await;
    scene.sim.always(Answer::healthy().usage(100, 100));
    let cost = async |model: &str| {
        let record = scene.record(scene.ask(Tongue::Chat, model, false)).await;
        record["cost_usd"].clone()
    };
    assert_eq!(cost("ours").await, 0.0003);
    assert_eq!(cost("resold").await, 0.002, "a relay's own price");
    assert_eq!(cost("sonnet").await, 0.0018, "that no other backend has");

    prices(&scene, "models: {ours: {input: 0, output: 0}}");
    until("the new prices", async || {
        (scene.proxy.generation().await >= 2).then_some(())
    })
    .await;
    assert_eq!(cost("ours").await, 0.0, "free, which is known");
    assert_eq!(cost("resold").await, 0.0018);

    prices(&scene, "models: {ours: {inptu: 3, output: 0}}");
    let refused = until("the bad file to be refused", async || {
        let status = scene.proxy.status().await;
        status["config"]["last_reload_error"].as_str().map(str::to_owned)
    })
    .await;
    assert!(
        refused.contains("prices.yaml:1:16") && refused.contains("did you mean `input`?"),
        "{refused}"
    );
    assert_eq!(cost("ours").await, 0.0, "the old prices stay in force");
    scene.finish().await;
}

#[tokio::test]
async fn a_long_prompt_costs_what_its_step_says() {
    let scene = Scene::with(RICH, |dir| {
        let text = "models: {ours: {input: 1, output: 10, above: {tokens: 1000, input: 2, output: 20}}}";
        std::fs::write(format!("{dir}/prices.yaml"), text).unwrap();
        format!("prices: {{file: {dir}/prices.yaml}}\n")
    })
    .await;
    for (input, cost) in [(1_000, 0.002), (1_001, 0.004_002)] {
        scene.sim.next(Answer::healthy().usage(input, 100));
        let (client, body) = (scene.client(), request("ours", 100, false));
        let record = scene.record(client.post("/v1/chat/completions", &body)).await;
        assert_eq!(record["cost_usd"], cost, "{input}");
    }
    scene.finish().await;
}
