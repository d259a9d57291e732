//! F43: what only its maker knows goes to its maker, and the failure is an honest one.

use llm_sim::{Answer, Sim};
use serde_json::{Value, json};

use super::setting::{Routes, Scene, backend_of, backends, model, sims};
use crate::support::{Reply, Tongue};

async fn scene(stream: bool) -> Scene {
    Scene::start((Tongue::Responses, stream), Routes::Tiers).await
}

/// The id of a response, in its JSON or in the first event of its stream.
fn response_id(reply: &Reply) -> String {
    let text = reply.text();
    let (_, rest) = text.split_once("\"id\":\"resp").unwrap();
    format!("resp{}", rest.split_once('"').unwrap().0)
}

fn body(stream: bool, field: &str, value: Value) -> Value {
    let mut body = Tongue::Responses.request("m", stream);
    body[field] = value;
    body
}

#[tokio::test]
async fn f43_a_maker_that_cools_is_an_honest_503_with_its_time() {
    for (stream, answer) in [false, true].into_iter().flat_map(|stream| {
        let faults = [(529, "60"), (429, "60"), (401, "")];
        faults.map(|(status, wait)| {
            let answer = Answer::status(status);
            (
                stream,
                if wait.is_empty() {
                    answer
                } else {
                    answer.header("retry-after", wait)
                },
            )
        })
    }) {
        let scene = scene(stream).await;
        let first = scene.ask(&scene.client()).await.expect(200);
        let next = body(stream, "previous_response_id", json!(response_id(&first)));
        scene.sims[0].next(answer);
        let failed = scene.say(&scene.client(), &next).await;
        assert!(failed.status >= 429, "{}", failed.text());
        let asked = scene.sims[0].seen().len();
        for _ in 0..2 {
            let refused = scene.say(&scene.client(), &next).await.expect(503);
            let wait: u64 = refused.header("retry-after").parse().unwrap();
            assert!(wait > 30, "{wait} s");
            let error = &refused.json()["error"];
            assert!(
                error["message"].as_str().unwrap().contains("whole conversation"),
                "{error}"
            );
        }
        assert_eq!(scene.sims[0].seen().len(), asked, "it is left alone");
        assert_eq!(
            scene.sims[1].seen().len(),
            0,
            "and nobody else knows that response"
        );
        scene.ask(&scene.client()).await.expect(200);
        scene.finish().await;
    }
}

#[tokio::test]
async fn f43_a_maker_that_is_soon_well_again_is_waited_for() {
    for stream in [false, true] {
        let case = (Tongue::Responses, stream);
        let scene = Scene::top(case, Routes::Tiers, "fallback: {cooldown: 100ms}\n").await;
        let first = scene.ask(&scene.client()).await.expect(200);
        let next = body(stream, "previous_response_id", json!(response_id(&first)));
        scene.sims[0].next(Answer::status(529).header("retry-after-ms", "500"));
        scene.say(&scene.client(), &next).await.expect(503);
        let reply = scene.say(&scene.client(), &next).await;
        assert_eq!(backend_of(&reply), "a");
        assert_eq!(scene.sims[1].seen().len(), 0);
        scene.finish().await;
    }
}

#[tokio::test]
async fn f43_whoever_answers_a_response_that_nobody_remembers_has_it_from_then_on() {
    for stream in [false, true] {
        let config = |sims: &[Sim]| backends(Tongue::Responses, sims, "") + &model(Routes::Tiers, 2, "");
        let scene = Scene::with((Tongue::Responses, stream), sims(2).await, config).await;
        let unknown = body(stream, "previous_response_id", json!("resp_of_another_day"));
        let yaml = config(&scene.sims);
        scene
            .proxy
            .reload(&yaml.replace("name: a,", "name: a, enabled: false,"))
            .await;
        assert_eq!(backend_of(&scene.say(&scene.client(), &unknown).await), "b");
        scene.proxy.reload(&yaml).await;
        assert_eq!(scene.who(&scene.client()).await, "a", "it is back");
        for _ in 0..2 {
            assert_eq!(backend_of(&scene.say(&scene.client(), &unknown).await), "b");
        }
        scene.finish().await;
    }
}

#[tokio::test]
async fn f43_a_conversation_that_the_provider_keeps_goes_to_where_it_is() {
    for stream in [false, true] {
        for name in [json!("conv_1"), json!({"id": "conv_1"})] {
            let scene = scene(stream).await;
            let turn = body(stream, "conversation", name.clone());
            let first = scene.say(&scene.client(), &turn).await;
            assert_eq!(backend_of(&first), "a");
            scene.sims[0].next(Answer::status(500));
            scene.say(&scene.client(), &turn).await.expect(502);
            assert_eq!(scene.sims[1].seen().len(), 0, "no fallback");
            let served = scene.served(2).await;
            assert_eq!(served[0], served[1], "the same key too");
            scene.finish().await;
        }
    }
}
