//! What `/api/status` says of prompt caches, what `explain` says of affinity, and that names are bounded.

use llm_sim::{Answer, Cut};
use serde_json::{Value, json};

use super::setting::{Routes, Scene, backend_of, cases};
use crate::support::{Client, Tongue};

/// A request whose answer tells its usage.
fn request(scene: &Scene) -> Value {
    let mut body = scene.tongue.request("m", scene.stream);
    if scene.tongue == Tongue::Chat && scene.stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

/// Asks, and says who answered.
async fn who(scene: &Scene, client: &Client) -> String {
    backend_of(&scene.say(client, &request(scene)).await)
}

/// The `cache` of a backend in the status.
async fn cache(scene: &Scene, backend: &str) -> Value {
    scene.proxy.backend(backend).await["cache"].clone()
}

#[tokio::test]
async fn the_status_tells_what_the_cache_was_worth_and_what_a_move_has_cost() {
    for case in cases() {
        let scene = Scene::start(case, Routes::Tiers).await;
        let client = scene.session("s");
        assert_eq!(
            cache(&scene, "a").await["hit_ratio"],
            Value::Null,
            "nothing was read"
        );
        scene.sims[0]
            .next(Answer::healthy().usage(1_000, 10))
            .next(Answer::healthy().usage(3_000, 10).cached(2_000));
        for _ in 0..2 {
            assert_eq!(who(&scene, &client).await, "a");
        }
        scene.proxy.recorded(2).await;
        let before = cache(&scene, "a").await;
        assert_eq!(
            before,
            json!({"input_tokens": 4_000, "cached_tokens": 2_000, "hit_ratio": 0.5, "moves": 0, "tokens_read_anew": 0}),
            "{case:?}"
        );
        scene.sims[0].next(Answer::status(500));
        scene.sims[1].always(Answer::healthy().usage(5_000, 10));
        for _ in 0..2 {
            assert_eq!(who(&scene, &client).await, "b");
        }
        scene.proxy.recorded(4).await;
        let after = cache(&scene, "a").await;
        assert_eq!(
            (&after["moves"], &after["tokens_read_anew"]),
            (&1.into(), &2_000.into()),
            "{case:?}"
        );
        assert_eq!(after["input_tokens"], 4_000, "{case:?}: a failure reads nothing");
        let other = cache(&scene, "b").await;
        assert_eq!(
            (&other["input_tokens"], &other["moves"]),
            (&10_000.into(), &0.into()),
            "{case:?}"
        );
        assert_eq!(scene.proxy.status().await["affinity"]["conversations"], 1);
        scene.finish().await;
    }
}

#[tokio::test]
async fn what_a_client_left_behind_was_read_all_the_same() {
    let scene = Scene::start((Tongue::Messages, true), Routes::Tiers).await;
    scene.sims[0].next(
        Answer::healthy()
            .usage(1_000, 10)
            .cached(400)
            .after_deltas(1, Cut::Stall),
    );
    let body = Tongue::Messages.request("m", true).to_string();
    let mut left = scene.client().open("POST", "/v1/messages", body.as_bytes()).await;
    left.until("content_block_delta").await;
    left.leave();
    scene.proxy.recorded(1).await;
    let count = crate::support::until("the tokens to be counted", async || {
        Some(cache(&scene, "a").await).filter(|cache| cache["input_tokens"] != 0)
    })
    .await;
    assert_eq!(
        (&count["input_tokens"], &count["cached_tokens"]),
        (&1_000.into(), &400.into())
    );
    scene.finish().await;
}

#[tokio::test]
async fn c20_sessions_that_clients_make_up_are_each_remembered_once() {
    let scene = Scene::start((Tongue::Chat, false), Routes::Equal).await;
    let long = "s".repeat(8_000);
    for n in 0..200 {
        scene.ask(&scene.session(&format!("{long}{n}"))).await.expect(200);
        scene.ask(&scene.session(&format!("{long}{n}"))).await.expect(200);
    }
    assert_eq!(scene.proxy.status().await["affinity"]["conversations"], 200);
    scene.finish().await;
}
