//! C17, C19: who stays, and where.

use std::collections::BTreeSet;

use llm_sim::{Answer, Cut};
use serde_json::json;

use super::setting::{
    KEY, OTHER_KEY, Routes, Scene, backend_of, backends, cases, grown, model, session, sims,
};
use crate::support::Tongue;

const TURNS: usize = 20;

#[tokio::test]
async fn c17_a_conversation_stays_with_its_backend_and_key_and_others_spread() {
    for case in cases() {
        let scene = Scene::start(case, Routes::Equal).await;
        let clients = ["s1", "s2", "s3", "s4"].map(|name| scene.session(name));
        for client in &clients {
            scene.ask(client).await.expect(200);
        }
        for _ in 1..TURNS {
            for client in &clients {
                scene.ask(client).await.expect(200);
            }
        }
        let served = scene.served(4 * TURNS).await;
        let of = |n: usize| served.iter().skip(n).step_by(4).collect::<BTreeSet<_>>();
        let places: BTreeSet<_> = (0..4).flat_map(&of).collect();
        for n in 0..4 {
            assert_eq!(of(n).len(), 1, "{case:?}: conversation {n} was at {:?}", of(n));
        }
        assert_eq!(
            places.len(),
            4,
            "{case:?}: each backend and key has one of the four: {places:?}"
        );
        scene.finish().await;
    }
}

#[tokio::test]
async fn c17_a_conversation_without_a_name_is_known_by_how_it_began() {
    for (tongue, stream) in cases() {
        let scene = Scene::start((tongue, stream), Routes::Equal).await;
        let firsts = ["one", "two", "three", "four"];
        for turns in 0..5 {
            for first in firsts {
                let body = grown(tongue, stream, first, turns);
                scene.say(&scene.client(), &body).await.expect(200);
            }
        }
        let served = scene.served(5 * firsts.len()).await;
        let of = |n: usize| served.iter().skip(n).step_by(4).collect::<BTreeSet<_>>();
        for n in 0..4 {
            assert_eq!(of(n).len(), 1, "{tongue:?}: conversation {n} was at {:?}", of(n));
        }
        assert_eq!(
            (0..4).flat_map(of).collect::<BTreeSet<_>>().len(),
            4,
            "{tongue:?}"
        );
        scene.finish().await;
    }
}

#[tokio::test]
async fn c17_requests_that_begin_alike_are_not_one_conversation_and_go_as_their_weights_say() {
    for case in cases() {
        let scene = Scene::start(case, Routes::Equal).await;
        for _ in 0..8 {
            scene.ask(&scene.client()).await.expect(200);
        }
        let served = scene.served(8).await;
        for place in ["a#1", "a#2", "b#1", "b#2"] {
            let count = served.iter().filter(|own| *own == place).count();
            assert_eq!(count, 2, "{case:?}: {served:?}");
        }
        scene.finish().await;
    }
}

#[tokio::test]
async fn c17_whoever_stays_takes_no_turn_of_those_that_do_not() {
    let scene = Scene::start((Tongue::Chat, false), Routes::Equal).await;
    let stays = scene.session("s");
    let mut others = Vec::new();
    scene.ask(&stays).await.expect(200);
    for _ in 0..8 {
        scene.ask(&stays).await.expect(200);
        others.push(scene.who(&scene.client()).await);
    }
    let of_a = others.iter().filter(|name| *name == "a").count();
    assert_eq!(of_a, 4, "they take turns among themselves: {others:?}");
    scene.finish().await;
}

#[tokio::test]
async fn c19_the_same_session_of_two_keys_is_two_conversations() {
    for (tongue, stream) in cases() {
        let scene = Scene::start((tongue, stream), Routes::Equal).await;
        let of = |key| session(scene.proxy.client().header("x-api-key", key), tongue, "s");
        let clients = [of(KEY), of(OTHER_KEY)];
        for _ in 0..5 {
            for client in &clients {
                scene.ask(client).await.expect(200);
            }
        }
        let served = scene.served(10).await;
        let places: Vec<BTreeSet<_>> = (0..2)
            .map(|n| served.iter().skip(n).step_by(2).collect())
            .collect();
        assert_eq!(
            (places[0].len(), places[1].len()),
            (1, 1),
            "{tongue:?}: {served:?}"
        );
        assert_ne!(places[0], places[1], "{tongue:?}: each has its own");
        scene.finish().await;
    }
}

#[tokio::test]
async fn another_model_of_the_same_session_is_another_conversation() {
    let sims = sims(2).await;
    let scene = Scene::with((Tongue::Messages, false), sims, |sims| {
        let config = backends(Tongue::Messages, sims, "") + &model(Routes::Equal, 2, "");
        config.replace("{m:", "{\"m*\":")
    })
    .await;
    let client = scene.session("s");
    for _ in 0..3 {
        for model in ["m", "m-small"] {
            let body = scene.tongue.request(model, false);
            scene.say(&client, &body).await.expect(200);
        }
    }
    let served = scene.served(6).await;
    assert_eq!(served, ["a#1", "b#1", "a#1", "b#1", "a#1", "b#1"]);
    scene.finish().await;
}

#[tokio::test]
async fn with_affinity_off_every_request_takes_its_turn() {
    for (tongue, stream) in cases() {
        let scene = Scene::with((tongue, stream), sims(2).await, |sims| {
            backends(tongue, sims, "") + &model(Routes::Equal, 2, ", affinity: off")
        })
        .await;
        let client = scene.session("s");
        for _ in 0..4 {
            scene.ask(&client).await.expect(200);
        }
        assert_eq!(scene.served(4).await, ["a#1", "b#1", "a#2", "b#2"], "{tongue:?}");
        assert_eq!(scene.proxy.status().await["affinity"]["conversations"], 0);
        scene.finish().await;
    }
}

#[tokio::test]
async fn a_reload_keeps_conversations_where_they_are_if_that_is_still_there() {
    let config = |sims: &[llm_sim::Sim]| backends(Tongue::Chat, sims, "") + &model(Routes::Tiers, 2, "");
    let scene = Scene::with((Tongue::Chat, false), sims(2).await, config).await;
    let client = scene.session("s");
    scene.sims[0].next(Answer::status(500));
    assert_eq!(scene.who(&client).await, "b", "a failed");
    let yaml = config(&scene.sims);
    scene.proxy.reload(&format!("{yaml}watch: false\n")).await;
    assert_eq!(scene.who(&client).await, "b", "the reload changed nothing for it");
    let gone = yaml.replace("name: b,", "name: b, enabled: false,");
    scene.proxy.reload(&gone).await;
    assert_eq!(scene.who(&client).await, "a", "b is there no longer");
    scene.proxy.reload(&yaml).await;
    assert_eq!(scene.who(&client).await, "a", "it has moved");
    scene.finish().await;
}

#[tokio::test]
async fn only_an_answer_that_ended_well_says_where_a_conversation_is() {
    for tongue in Tongue::ALL {
        let scene = Scene::start((tongue, true), Routes::Equal).await;
        let client = scene.session("s");
        // The first answer is left in the middle, the second breaks off: nobody has it.
        scene.sims[0].next(Answer::healthy().after_deltas(1, Cut::Stall));
        scene.sims[1].next(Answer::healthy().after_deltas(1, Cut::End));
        let body = tongue.request("m", true).to_string();
        let mut left = client.open("POST", tongue.path(), body.as_bytes()).await;
        left.until("data:").await;
        left.leave();
        scene.proxy.recorded(1).await;
        assert_eq!(scene.proxy.status().await["affinity"]["conversations"], 0);
        scene.ask(&client).await;
        assert_eq!(scene.proxy.recorded(2).await[1]["class"], "midstream");
        assert_eq!(scene.proxy.status().await["affinity"]["conversations"], 0);
        scene.ask(&client).await.expect(200);
        scene.ask(&client).await.expect(200);
        let served = scene.served(4).await;
        assert_eq!(served[..2], ["a#1", "b#1"], "{tongue:?}");
        assert_eq!(served[2], served[3], "{tongue:?}: now somebody has");
        scene.finish().await;
    }
}

#[tokio::test]
async fn what_is_counted_or_embedded_belongs_to_no_conversation() {
    let scene = Scene::start((Tongue::Messages, false), Routes::Equal).await;
    let client = scene.session("s");
    let count = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]});
    for _ in 0..4 {
        client.post("/v1/messages/count_tokens", &count).await.expect(200);
    }
    assert_eq!(scene.proxy.status().await["affinity"]["conversations"], 0);
    let place = backend_of(&scene.ask(&client).await);
    client.post("/v1/messages/count_tokens", &count).await.expect(200);
    assert_eq!(scene.who(&client).await, place);
    scene.finish().await;
}
