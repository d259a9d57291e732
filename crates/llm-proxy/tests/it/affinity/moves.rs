//! C18: when a conversation moves, and that nothing keeps a request from falling back.

use llm_sim::{Answer, Cut};

use super::setting::{Routes, Scene, backend_of, backends, cases, model, sims};
use crate::support::{Tongue, until};

#[tokio::test]
async fn c18_a_conversation_whose_backend_fails_falls_back_at_once_and_stays_with_the_winner() {
    for case in cases() {
        let scene = Scene::start(case, Routes::Tiers).await;
        let client = scene.session("s");
        assert_eq!(scene.who(&client).await, "a");
        scene.sims[0].next(Answer::status(500));
        assert_eq!(scene.who(&client).await, "b", "{case:?}: at once");
        assert_eq!(scene.tried(1).await, ["a", "b"]);
        for _ in 0..5 {
            assert_eq!(
                scene.who(&client).await,
                "b",
                "{case:?}: a is well, and it stays all the same"
            );
        }
        assert_eq!(
            scene.who(&scene.session("new")).await,
            "a",
            "a new one begins at the top"
        );
        scene.finish().await;
    }
}

#[tokio::test]
async fn c18_after_a_failed_pin_the_order_begins_at_the_top_without_it() {
    for (tongue, stream) in cases() {
        let scene = Scene::with((tongue, stream), sims(3).await, |sims| {
            backends(tongue, sims, "") + &model(Routes::Tiers, 3, "")
        })
        .await;
        let client = scene.session("s");
        scene.sims[0].next(Answer::status(500));
        assert_eq!(scene.who(&client).await, "b");
        scene.sims[1].next(Answer::status(500));
        assert_eq!(
            scene.who(&client).await,
            "a",
            "{tongue:?}: the first choice, not the next"
        );
        assert_eq!(scene.tried(1).await, ["b", "a"], "{tongue:?}");
        scene.sims[0].next(Answer::status(500));
        scene.sims[1].next(Answer::status(500));
        assert_eq!(scene.who(&client).await, "c", "{tongue:?}: and all the others");
        assert_eq!(scene.tried(2).await, ["a", "b", "c"], "{tongue:?}");
        scene.finish().await;
    }
}

#[tokio::test]
async fn c18_a_key_that_is_refused_gives_its_conversation_to_the_next_key() {
    for case in cases() {
        let scene = Scene::start(case, Routes::Tiers).await;
        let client = scene.session("s");
        scene.ask(&client).await.expect(200);
        scene.sims[0].next(Answer::status(429).header("retry-after", "60"));
        for _ in 0..3 {
            scene.ask(&client).await.expect(200);
        }
        assert_eq!(scene.served(4).await, ["a#1", "a#2", "a#2", "a#2"], "{case:?}");
        scene.finish().await;
    }
}

#[tokio::test]
async fn c18_a_conversation_leaves_what_cools_and_does_not_come_back_when_that_is_well() {
    for (tongue, stream) in cases() {
        let scene = Scene::top((tongue, stream), Routes::Tiers, "fallback: {cooldown: 100ms}\n").await;
        let (client, other) = (scene.session("s"), scene.session("other"));
        assert_eq!(scene.who(&client).await, "a");
        let overload = Answer::status(529).header("retry-after-ms", "300");
        scene.sims[0].next(overload);
        assert_eq!(
            scene.who(&other).await,
            "b",
            "{tongue:?}: another's request has it cool"
        );
        let asked = scene.sims[0].seen().len();
        assert_eq!(scene.who(&client).await, "b", "{tongue:?}");
        assert_eq!(scene.sims[0].seen().len(), asked, "{tongue:?}: a is left alone");
        until("a to be due for a probe", async || {
            let a = scene.proxy.backend("a").await;
            (a["cooldowns"][0]["seconds_left"] == 0.0).then_some(())
        })
        .await;
        assert_eq!(
            scene.who(&scene.session("probe")).await,
            "a",
            "{tongue:?}: it is well again"
        );
        assert_eq!(scene.who(&client).await, "b", "{tongue:?}: no way back");
        scene.finish().await;
    }
}

#[tokio::test]
async fn c18_a_stream_that_breaks_sets_its_conversation_free() {
    for tongue in Tongue::ALL {
        let scene = Scene::start((tongue, true), Routes::Tiers).await;
        let client = scene.session("s");
        scene.sims[0].next(Answer::status(500));
        assert_eq!(scene.who(&client).await, "b");
        scene.sims[1].next(Answer::healthy().after_deltas(1, Cut::End));
        scene.ask(&client).await;
        assert_eq!(scene.proxy.recorded(2).await[1]["class"], "midstream");
        assert_eq!(scene.who(&client).await, "a", "{tongue:?}: from the top");
        scene.finish().await;
    }
}

#[tokio::test]
async fn c18_the_callers_own_fault_moves_nothing() {
    for case in cases() {
        let scene = Scene::start(case, Routes::Tiers).await;
        let client = scene.session("s");
        scene.sims[0].next(Answer::status(500));
        assert_eq!(scene.who(&client).await, "b");
        scene.sims[1].next(Answer::status(400));
        scene.ask(&client).await.expect(400);
        assert_eq!(scene.who(&client).await, "b", "{case:?}");
        scene.finish().await;
    }
}

#[tokio::test]
async fn a_full_backend_is_passed_over_and_its_conversation_comes_back() {
    for (tongue, stream) in cases() {
        let scene = Scene::with((tongue, stream), sims(2).await, |sims| {
            backends(tongue, sims, ", max_concurrent: 1") + &model(Routes::Tiers, 2, "")
        })
        .await;
        let client = scene.session("s");
        assert_eq!(scene.who(&client).await, "a");
        scene.sims[0].next(Answer::healthy().after_deltas(1, Cut::Stall));
        let body = tongue.request("m", true).to_string();
        let mut holder = scene.client().open("POST", tongue.path(), body.as_bytes()).await;
        holder.until("data:").await;
        for _ in 0..2 {
            let reply = scene.ask(&client).await;
            assert_eq!(
                reply.header("x-llm-proxy-attempts"),
                "1",
                "{tongue:?}: no attempt is spent on a"
            );
            assert_eq!(backend_of(&reply), "b", "{tongue:?}");
        }
        holder.leave();
        scene.proxy.recorded(4).await;
        assert_eq!(
            scene.who(&client).await,
            "a",
            "{tongue:?}: its cache is still there"
        );
        scene.finish().await;
    }
}

#[tokio::test]
async fn where_all_fails_the_client_hears_of_it_and_the_next_turn_begins_at_the_top() {
    for case in cases() {
        let scene = Scene::start(case, Routes::Tiers).await;
        let client = scene.session("s");
        scene.sims[0].next(Answer::status(500));
        assert_eq!(scene.who(&client).await, "b");
        scene.sims[0].next(Answer::status(500));
        scene.sims[1].next(Answer::status(500)).next(Answer::status(500));
        scene.ask(&client).await.expect(502);
        assert_eq!(
            scene.tried(1).await,
            ["b", "a", "b"],
            "{case:?}: its own key first, its other key last"
        );
        assert_eq!(scene.who(&client).await, "a", "{case:?}");
        scene.finish().await;
    }
}

#[tokio::test]
async fn c18_a_failed_pin_is_not_asked_twice() {
    for (tongue, stream) in cases() {
        let scene = Scene::with((tongue, stream), sims(2).await, |sims| {
            let two_keys = backends(tongue, sims, "") + &model(Routes::Tiers, 2, "");
            two_keys
                .replace(", sk-canary-a-2", "")
                .replace(", sk-canary-b-2", "")
        })
        .await;
        let client = scene.session("s");
        scene.sims[0].next(Answer::status(500));
        assert_eq!(scene.who(&client).await, "b");
        scene.sims[0].next(Answer::status(500));
        scene.sims[1].next(Answer::status(500));
        scene.ask(&client).await.expect(502);
        assert_eq!(
            scene.tried(1).await,
            ["b", "a"],
            "{tongue:?}: there is nobody else"
        );
        scene.finish().await;
    }
}
