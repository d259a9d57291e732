//! Who is asked first: weighted, least busy, fastest, random, and the priorities above them.

use std::time::Duration;

use llm_sim::{Answer, Cut, Sim};

use super::setting::{
    Tongue, answered_by, answers, backend_of, backends, count, due, in_turn, overloaded, sims, tried,
};
use crate::support::{Proxy, Streaming, within};

/// `m` in one priority, with these weights and that strategy; `only-a` beside it.
fn one_tier(sims: &[&Sim], weights: &[u32], strategy: &str) -> String {
    let routes = weights.iter().zip(["a", "b", "c"]);
    let routes: Vec<String> = routes
        .map(|(weight, name)| format!("{{backend: {name}, model: real, weight: {weight}}}"))
        .collect();
    let routes = routes.join(", ");
    backends(Tongue::Chat, sims)
        + &format!(
            "models:\n  m: {{strategy: {strategy}, routes: [{routes}]}}\n  only-a: {{backend: a, model: real}}\n"
        )
}

#[tokio::test]
async fn c14_eight_to_two_over_a_thousand_requests_is_exact_and_smooth() {
    let [a, b] = sims().await;
    let proxy = Proxy::start(&one_tier(&[&a, &b], &[8, 2], "weighted")).await;
    let names = answers(&proxy, 1_000).await;
    let of_a = count(&names, "a");
    assert!((799..=801).contains(&of_a), "{of_a} of 1000");
    let longest = names.chunk_by(|x, y| x == y).map(<[String]>::len).max().unwrap();
    assert!(longest <= 5, "{longest} in a row to the same backend");
    proxy.finish().await;
}

#[tokio::test]
async fn weights_hold_among_those_that_are_left_while_one_cools() {
    let [a, b, c] = sims().await;
    a.always(overloaded(60_000));
    let proxy = Proxy::start(&one_tier(&[&a, &b, &c], &[6, 3, 1], "weighted")).await;
    answers(&proxy, 2).await;
    assert_eq!(a.seen().len(), 1, "it was asked once and cools");
    let names = answers(&proxy, 40).await;
    assert_eq!((count(&names, "b"), count(&names, "c")), (30, 10));
    proxy.finish().await;
}

#[tokio::test]
async fn a_weight_of_zero_is_for_when_the_others_fail() {
    for strategy in ["weighted", "least_busy", "fastest", "random"] {
        let [a, b] = sims().await;
        let proxy = Proxy::start(&one_tier(&[&a, &b], &[0, 1], strategy)).await;
        assert_eq!(answers(&proxy, 10).await, ["b"; 10], "{strategy}");
        b.always(Answer::status(500));
        assert_eq!(answered_by(&proxy).await, "a", "{strategy}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c15_a_tier_is_left_in_order_and_come_back_to() {
    let [a, b, c] = sims().await;
    a.next(overloaded(300));
    let settings = "fallback: {cooldown: 100ms}\n";
    let proxy = Proxy::start(&(in_turn(&[&a, &b, &c]) + settings)).await;
    assert_eq!(
        answered_by(&proxy).await,
        "b",
        "a began to cool in the middle of this request: next is b"
    );
    assert_eq!(tried(&proxy, 0).await, ["a", "b"]);
    b.next(Answer::status(500));
    due(&proxy, "a").await;
    assert_eq!(answers(&proxy, 3).await, ["a"; 3], "the traffic is back");
    a.next(overloaded(60_000));
    assert_eq!(answered_by(&proxy).await, "c", "a cools, b fails once");
    assert_eq!(tried(&proxy, 4).await, ["a", "b", "c"]);
    assert_eq!(answered_by(&proxy).await, "b");
    proxy.finish().await;
}

#[tokio::test]
async fn c16_least_busy_sends_the_next_ten_to_whoever_is_idle() {
    let [a, b] = sims().await;
    let endless = Answer::healthy().after_deltas(1, Cut::Stall);
    a.always(endless.clone());
    b.always(endless);
    let proxy = Proxy::start(&one_tier(&[&a, &b], &[1, 1], "least_busy")).await;
    let busy = opened(&proxy, "only-a", 10).await;
    assert_eq!(proxy.backend("a").await["in_flight"], 10);
    let next = opened(&proxy, "m", 10).await;
    assert_eq!(
        (a.seen().len(), b.seen().len()),
        (10, 10),
        "ten long streams each"
    );
    busy.into_iter().chain(next).for_each(Streaming::leave);
    proxy.recorded(20).await;
    proxy.finish().await;
}

/// So many streams that have begun and do not end, opened one after the other.
async fn opened(proxy: &Proxy, model: &str, streams: usize) -> Vec<Streaming> {
    let mut all = Vec::with_capacity(streams);
    for _ in 0..streams {
        let mut stream = Tongue::Chat.open(&proxy.client(), model, true).await;
        stream.until("data:").await;
        all.push(stream);
    }
    all
}

#[tokio::test]
async fn fastest_looks_at_each_once_and_then_stays_with_the_quick_one() {
    let [a, b] = sims().await;
    a.always(Answer::healthy().head_delay(Duration::from_millis(1_500)));
    let proxy = Proxy::start(&one_tier(&[&a, &b], &[1, 1], "fastest")).await;
    let names = answers(&proxy, 12).await;
    assert_eq!((count(&names, "a"), count(&names, "b")), (1, 11), "{names:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn random_goes_by_weight_and_leaves_nobody_out() {
    let [a, b] = sims().await;
    let proxy = Proxy::start(&one_tier(&[&a, &b], &[3, 1], "random")).await;
    let names = answers(&proxy, 200).await;
    let of_b = count(&names, "b");
    assert!((20..=90).contains(&of_b), "{of_b} of 200, and 50 are expected");
    let regular = names.chunk_by(|x, y| x == y).all(|run| run.len() <= 3);
    assert!(!regular, "no run of four in 200: that is no chance");
    proxy.finish().await;
}

#[tokio::test]
async fn every_strategy_falls_back_to_the_others_of_its_tier() {
    for strategy in ["weighted", "least_busy", "fastest", "random"] {
        let [a, b] = sims().await;
        a.always(Answer::status(500));
        let proxy = Proxy::start(&one_tier(&[&a, &b], &[1, 1], strategy)).await;
        for stream in [false, true, false, true] {
            let reply = within("an answer", proxy.client().chat("m", stream)).await;
            assert_eq!(backend_of(&reply), "b", "{strategy}");
        }
        proxy.finish().await;
    }
}
