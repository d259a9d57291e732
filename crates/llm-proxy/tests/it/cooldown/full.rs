//! A backend whose `max_concurrent` is reached is passed over; where all are full, the client is told so.

use llm_sim::{Answer, Cut, Sim};

use super::setting::{Tongue, backend_of, in_turn_of, overloaded, retry_after, sims};
use crate::support::{Proxy, Streaming};

/// `a` and `b` have one place each.
fn one_place_each(tongue: Tongue, a: &Sim, b: &Sim) -> String {
    in_turn_of(tongue, &[a, b]).replace(", api_key:", ", max_concurrent: 1, api_key:")
}

/// A stream that has begun and does not end: it holds its place.
async fn endless(tongue: Tongue, proxy: &Proxy) -> Streaming {
    let mut stream = tongue.open(&proxy.client(), "m", true).await;
    stream.until("data:").await;
    stream
}

#[tokio::test]
async fn a_full_backend_is_passed_over_until_its_stream_has_ended() {
    for tongue in Tongue::ALL {
        let [a, b] = sims().await;
        a.next(Answer::healthy().after_deltas(1, Cut::Stall));
        let proxy = Proxy::start(&one_place_each(tongue, &a, &b)).await;
        let holder = endless(tongue, &proxy).await;
        for stream in [false, true] {
            let reply = tongue.ask(&proxy.client(), "m", stream).await;
            assert_eq!(backend_of(&reply), "b", "{tongue:?}");
            assert_eq!(
                reply.header("x-llm-proxy-attempts"),
                "1",
                "no attempt was spent on a"
            );
        }
        assert_eq!(
            proxy.backend("a").await["cooldowns"],
            serde_json::json!([]),
            "full is no fault"
        );
        holder.leave();
        proxy.recorded(3).await;
        assert_eq!(
            backend_of(&tongue.ask(&proxy.client(), "m", false).await),
            "a",
            "{tongue:?}"
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn where_all_are_full_the_client_is_told_to_come_back() {
    for tongue in Tongue::ALL {
        let [a, b] = sims().await;
        for sim in [&a, &b] {
            sim.next(Answer::healthy().after_deltas(1, Cut::Stall));
        }
        let proxy = Proxy::start(&one_place_each(tongue, &a, &b)).await;
        let holders = [endless(tongue, &proxy).await, endless(tongue, &proxy).await];
        for stream in [false, true] {
            let refused = tongue
                .ask(&proxy.client(), "m", stream)
                .await
                .expect(tongue.overloaded());
            assert!(retry_after(&refused) >= 1);
            let error = &refused.json()["error"];
            match tongue {
                Tongue::Messages => assert_eq!(error["type"], "overloaded_error"),
                _ => assert_eq!(
                    (&error["type"], &error["code"]),
                    (&"server_error".into(), &"overloaded".into())
                ),
            }
        }
        assert_eq!(
            (a.seen().len(), b.seen().len()),
            (1, 1),
            "nobody was asked beyond his limit"
        );
        holders.into_iter().for_each(Streaming::leave);
        proxy.recorded(4).await;
        assert_eq!(backend_of(&tongue.ask(&proxy.client(), "m", false).await), "a");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn full_beats_cooling_in_what_the_client_is_told() {
    let [a, b] = sims().await;
    a.next(Answer::healthy().after_deltas(1, Cut::Stall));
    b.next(Answer::status(401));
    let proxy = Proxy::start(&one_place_each(Tongue::Chat, &a, &b)).await;
    let holder = endless(Tongue::Chat, &proxy).await;
    proxy.client().chat("m", false).await.expect(502);
    let refused = proxy.client().chat("m", false).await.expect(503);
    assert_eq!(
        refused.json()["error"]["code"],
        "overloaded",
        "a is well and only busy"
    );
    holder.leave();
    proxy.recorded(3).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_full_backend_takes_no_turn_of_the_round_robin() {
    let [a, b, c] = sims().await;
    a.next(Answer::healthy().after_deltas(1, Cut::Stall));
    let config = super::setting::backends(Tongue::Chat, &[&a, &b, &c]).replacen(
        ", api_key:",
        ", max_concurrent: 1, api_key:",
        1,
    ) + "models:
  m: {routes: [{backend: a, model: real, weight: 8}, {backend: b, model: real}, {backend: c, model: real}]}
";
    let proxy = Proxy::start(&config).await;
    let holder = endless(Tongue::Chat, &proxy).await;
    let names = super::setting::answers(&proxy, 20).await;
    let of = |name| super::setting::count(&names, name);
    assert_eq!(
        (of("a"), of("b"), of("c")),
        (0, 10, 10),
        "the rest is shared as their weights say"
    );
    holder.leave();
    proxy.recorded(21).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_probe_that_finds_its_backend_full_is_left_to_the_next_request() {
    let [a, b] = sims().await;
    a.next(Answer::healthy().after_deltas(1, Cut::Stall));
    let config =
        one_place_each(Tongue::Chat, &a, &b).replacen(", max_concurrent: 1", ", max_concurrent: 2", 1)
            + "fallback: {cooldown: 100ms}\n";
    let proxy = Proxy::start(&config).await;
    let holder = endless(Tongue::Chat, &proxy).await;
    a.next(overloaded(300));
    let asked = async || backend_of(&proxy.client().chat("m", false).await);
    assert_eq!(asked().await, "b");
    proxy
        .reload(&config.replacen("max_concurrent: 2", "max_concurrent: 1", 1))
        .await;
    super::setting::due(&proxy, "a").await;
    assert_eq!(asked().await, "b", "a may be probed, but is full");
    holder.leave();
    proxy.recorded(3).await;
    assert_eq!(asked().await, "a", "the probe was given back");
    proxy.finish().await;
}
