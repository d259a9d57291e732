//! What a request gets when all that it could use is cooling, or when there is only one backend anyway.

use std::time::Duration;

use futures_util::future::join_all;
use llm_sim::{Answer, Gate, Sim};

use super::setting::{
    Tongue, answered_by, backend_of, backends, cooldowns, due, in_turn_of, overloaded, quota, retry_after,
    sims,
};
use crate::support::{Proxy, until, within};

/// `a` and `b` have been asked once each, and cool.
async fn both_cool(tongue: Tongue, (a, b): (&Sim, &Sim), answers: [Answer; 2], settings: &str) -> Proxy {
    let [of_a, of_b] = answers;
    a.next(of_a);
    b.next(of_b);
    let proxy = Proxy::start(&(in_turn_of(tongue, &[a, b]) + settings)).await;
    let reply = tongue.ask(&proxy.client(), "m", false).await;
    assert!(reply.status >= 400, "{}", reply.text());
    for backend in ["a", "b"] {
        assert_eq!(proxy.backend(backend).await["state"], "cooling", "{backend}");
    }
    proxy
}

#[tokio::test]
async fn c05_requests_wait_for_a_recovery_that_is_near() {
    let [a, b] = sims().await;
    let soon = [overloaded(1_000), overloaded(5_000)];
    let proxy = both_cool(Tongue::Chat, (&a, &b), soon, "fallback: {cooldown: 100ms}\n").await;
    let clients: Vec<_> = (0..10).map(|_| proxy.client()).collect();
    let replies = join_all(clients.iter().map(|client| client.chat("m", false))).await;
    assert!(
        replies.iter().all(|reply| backend_of(reply) == "a"),
        "nobody is turned away"
    );
    let seen = a.seen();
    let waited = seen[1].arrived - seen[0].arrived;
    assert!(
        waited >= Duration::from_millis(900),
        "{waited:?} is no cooldown of a second"
    );
    assert_eq!(b.seen().len(), 1, "b cools for longer");
    assert!(
        cooldowns(&proxy, "a").await.is_empty(),
        "one of them was the probe"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn c06_with_no_recovery_near_one_request_probes_and_the_others_are_told_when_to_come_back() {
    for tongue in Tongue::ALL {
        let [a, b] = sims().await;
        let long = [overloaded(30_000), overloaded(90_000)];
        let proxy = both_cool(tongue, (&a, &b), long, "").await;
        let gate = Gate::default();
        a.next(Answer::healthy().behind(&gate));
        let client = proxy.client();
        let mut probe = tongue.open(&client, "m", false).await;
        within("the forced probe", a.wait_seen(2)).await;
        let refused = tongue.ask(&client, "m", false).await.expect(tongue.overloaded());
        assert!(
            (1..=30).contains(&retry_after(&refused)),
            "{tongue:?}: a is back in 30 s"
        );
        let milliseconds: u64 = refused.header("retry-after-ms").parse().unwrap();
        assert!(milliseconds <= 30_000, "{tongue:?}");
        assert_eq!(
            b.seen().len(),
            1,
            "{tongue:?}: b recovers later and is left alone"
        );
        gate.open();
        assert_eq!(backend_of(&within("the probe", probe.rest()).await), "a");
        assert_eq!(
            backend_of(&tongue.ask(&client, "m", true).await),
            "a",
            "the probe opened it"
        );
        proxy.finish().await;
    }
}

/// `a` is due first and still down, `b` is well again: whoever is sent out to look finds it.
#[tokio::test]
async fn c06_a_probe_before_its_time_keeps_its_right_to_fall_back() {
    for tongue in Tongue::ALL {
        let [a, b] = sims().await;
        let long = [overloaded(30_000), overloaded(90_000)];
        let proxy = both_cool(tongue, (&a, &b), long, "").await;
        a.always(Answer::status(500));
        let client = proxy.client();
        assert_eq!(
            backend_of(&tongue.ask(&client, "m", false).await.expect(200)),
            "b",
            "{tongue:?}"
        );
        assert_eq!(
            (a.seen().len(), b.seen().len()),
            (2, 2),
            "{tongue:?}: a was looked at before"
        );
        assert!(
            cooldowns(&proxy, "b").await.is_empty(),
            "{tongue:?}: and b is in use again"
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c07_hard_faults_are_told_at_once_with_their_end_and_nobody_is_asked() {
    for tongue in Tongue::ALL {
        for stream in [false, true] {
            let [a, b] = sims().await;
            let proxy = both_cool(tongue, (&a, &b), [quota(120), quota(240)], "").await;
            let refused = tongue.ask(&proxy.client(), "m", stream).await.expect(429);
            assert!(
                (100..=120).contains(&retry_after(&refused)),
                "{}",
                retry_after(&refused)
            );
            assert_eq!(
                (a.seen().len(), b.seen().len()),
                (1, 1),
                "{tongue:?}: nobody was asked again"
            );
            let records = proxy.recorded(2).await;
            assert_eq!(records[1]["class"], "quota");
            assert_eq!(records[1]["attempts"].as_array().unwrap().len(), 0);
            proxy.finish().await;
        }
    }
}

#[tokio::test]
async fn c07_a_soft_fault_among_hard_ones_is_probed() {
    let [a, b] = sims().await;
    let proxy = both_cool(Tongue::Chat, (&a, &b), [quota(60), overloaded(90_000)], "").await;
    assert_eq!(
        answered_by(&proxy).await,
        "b",
        "a's quota is known to be gone, b may be well"
    );
    assert_eq!(a.seen().len(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn c08_always_try_sends_it_to_whoever_recovers_first() {
    let policy = "fallback: {when_all_cooling: always_try}\n";
    for answers in [[overloaded(90_000), overloaded(30_000)], [quota(240), quota(120)]] {
        let [a, b] = sims().await;
        let proxy = both_cool(Tongue::Chat, (&a, &b), answers, policy).await;
        assert_eq!(answered_by(&proxy).await, "b");
        assert_eq!(a.seen().len(), 1);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn fail_refuses_at_once_whatever_the_fault() {
    let policy = "fallback: {when_all_cooling: fail, cooldown: 300ms}\n";
    for tongue in Tongue::ALL {
        let [a, b] = sims().await;
        let soon = [overloaded(1_500), overloaded(90_000)];
        let proxy = both_cool(tongue, (&a, &b), soon, policy).await;
        let refused = tongue
            .ask(&proxy.client(), "m", false)
            .await
            .expect(tongue.overloaded());
        assert!((1..=2).contains(&retry_after(&refused)), "rounded up");
        assert_eq!((a.seen().len(), b.seen().len()), (1, 1), "nobody was asked again");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c09_the_only_backend_is_tried_every_time_whatever_its_soft_fault() {
    for tongue in Tongue::ALL {
        for (answer, status) in [
            (Answer::status(500), 502),
            (overloaded(60_000), tongue.overloaded()),
            (Answer::status(429).header("retry-after", "60"), 429),
        ] {
            let [a] = sims().await;
            a.always(answer);
            let proxy = Proxy::start(&in_turn_of(tongue, &[&a])).await;
            let client = proxy.client();
            for n in 0..10 {
                tongue.ask(&client, "m", n % 2 == 1).await.expect(status);
            }
            assert_eq!(
                a.seen().len(),
                10,
                "{tongue:?} {status}: no self-inflicted outage"
            );
            a.always(Answer::healthy());
            assert_eq!(backend_of(&tongue.ask(&client, "m", false).await), "a");
            proxy.finish().await;
        }
    }
}

/// One backend with two keys that both meet a rate limit.
fn two_keys(a: &Sim, more: &str) -> String {
    format!(
        "backends:
  - {{name: a, protocol: openai, url: \"{}\", api_keys: [sk-canary-key-1, sk-canary-key-2]{more}}}
models:
  m: {{backend: a, model: real}}
",
        a.url()
    )
}

#[tokio::test]
async fn c09_the_only_backend_is_tried_even_when_all_its_keys_cool_for_a_rate() {
    for policy in ["probe", "fail", "always_try"] {
        let [a] = sims().await;
        a.always(Answer::status(429).header("retry-after", "60"));
        let config = two_keys(&a, "") + &format!("fallback: {{when_all_cooling: {policy}}}\n");
        let proxy = Proxy::start(&config).await;
        proxy.client().chat("m", false).await.expect(429);
        assert_eq!(a.seen().len(), 2, "both keys");
        let reply = proxy.client().chat("m", false).await.expect(429);
        assert!(retry_after(&reply) <= 60);
        assert_eq!(a.seen().len(), 3, "{policy}: it was asked again");
        a.always(Answer::healthy());
        assert_eq!(answered_by(&proxy).await, "a", "{policy}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c01_the_refused_key_of_an_only_backend_is_probed_once_and_the_others_wait_for_the_outcome() {
    for tongue in Tongue::ALL {
        let ([a], gate) = (sims().await, Gate::default());
        a.next(Answer::status(401));
        let settings = "fallback: {cooldowns: {auth: 300ms}}\n";
        let proxy = Proxy::start(&(in_turn_of(tongue, &[&a]) + settings)).await;
        let client = proxy.client();
        tongue.ask(&client, "m", false).await.expect(502);
        due(&proxy, "a").await;
        a.always(Answer::healthy().behind(&gate));
        let mut probe = tongue.open(&client, "m", false).await;
        within("the probe", a.wait_seen(2)).await;
        let waiting = (0..5).map(|_| tongue.ask(&client, "m", false));
        let outcome = async {
            until("all of them to be there", async || {
                (proxy.status().await["in_flight"] == 6).then_some(())
            })
            .await;
            assert_eq!(a.seen().len(), 2, "{tongue:?}: one probe at a time");
            gate.open();
            probe.rest().await
        };
        let (replies, first) = futures_util::future::join(join_all(waiting), outcome).await;
        assert_eq!(backend_of(&first), "a", "{tongue:?}");
        assert!(replies.iter().all(|reply| backend_of(reply) == "a"), "{tongue:?}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn an_only_backend_whose_keys_cool_and_which_is_full_says_so() {
    let [a] = sims().await;
    a.always(Answer::status(429).header("retry-after", "60"));
    let proxy = Proxy::start(&two_keys(&a, ", max_concurrent: 1")).await;
    proxy.client().chat("m", false).await.expect(429);
    a.always(Answer::hang());
    let holder = Tongue::Chat.open(&proxy.client(), "m", false).await;
    within("the request that takes the place", a.wait_seen(3)).await;
    let refused = proxy.client().chat("m", false).await.expect(503);
    assert_eq!(refused.json()["error"]["code"], "overloaded");
    assert!(retry_after(&refused) >= 1);
    holder.leave();
    proxy.recorded(3).await;
    proxy.finish().await;
}

#[tokio::test]
async fn two_models_of_one_backend_cool_each_by_itself_and_both_cooling_are_still_tried() {
    let [a] = sims().await;
    a.script(|seen| match seen.json()["model"].as_str() {
        Some("large") => Answer::status(500),
        _ => Answer::healthy(),
    });
    let config = backends(Tongue::Chat, &[&a])
        + "models:
  m: {routes: [{backend: a, model: large, priority: 1}, {backend: a, model: small, priority: 2}]}
fallback: {cooldown: 60s, trip: {consecutive: 1}}
";
    let proxy = Proxy::start(&config).await;
    let asked = |at: usize| a.seen()[at].json()["model"].clone();
    answered_by(&proxy).await;
    answered_by(&proxy).await;
    assert_eq!([asked(0), asked(1), asked(2)], ["large", "small", "small"]);
    a.always(Answer::status(500));
    proxy.client().chat("m", false).await.expect(502);
    let all = cooldowns(&proxy, "a").await;
    assert_eq!(all.len(), 2, "both models cool: {all:?}");
    a.always(Answer::healthy());
    assert_eq!(answered_by(&proxy).await, "a", "there is nowhere else to go");
    proxy.finish().await;
}
