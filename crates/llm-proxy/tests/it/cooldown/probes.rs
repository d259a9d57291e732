//! How a cooldown ends: by one real request that probes, never by time alone.

use futures_util::future::{join, join_all};
use llm_sim::{Answer, Gate, Sim};

use super::setting::{
    Tongue, answered_by, answers, backend_of, backends, cooldowns, cooled, count, due, in_turn, in_turn_of,
    overloaded, seconds, sims,
};
use crate::support::{Proxy, within};

const QUICK: &str = "fallback: {cooldown: 300ms, trip: {consecutive: 1}}\n";

/// `a` has failed once and may be probed; what it has seen is that one request.
async fn probe_is_due(a: &Sim, b: &Sim) -> Proxy {
    a.next(Answer::status(500));
    let proxy = Proxy::start(&(in_turn(&[a, b]) + QUICK)).await;
    assert_eq!(answered_by(&proxy).await, "b");
    due(&proxy, "a").await;
    proxy
}

#[tokio::test]
async fn c01_of_fifty_requests_at_expiry_one_probes_and_its_success_brings_the_traffic_back() {
    let ([a, b], gate) = (sims().await, Gate::default());
    let proxy = probe_is_due(&a, &b).await;
    a.always(Answer::healthy().behind(&gate));
    let clients: Vec<_> = (0..50).map(|_| proxy.client()).collect();
    let asked = join_all(clients.iter().map(|client| client.chat("m", false)));
    let all_but_the_probe = async {
        proxy.recorded(1 + 49).await;
        assert_eq!(a.seen().len(), 2, "the failure, and one probe");
        gate.open();
    };
    let (replies, ()) = join(asked, all_but_the_probe).await;
    let names: Vec<String> = replies.iter().map(backend_of).collect();
    assert_eq!(
        (count(&names, "a"), count(&names, "b")),
        (1, 49),
        "nobody waits for the probe, and the probe itself is answered"
    );
    a.always(Answer::healthy());
    assert_eq!(answers(&proxy, 3).await, ["a"; 3]);
    assert!(cooldowns(&proxy, "a").await.is_empty());
    proxy.logged("\"recovered\"").await;
    proxy.finish().await;
}

#[tokio::test]
async fn c01_a_recovered_backend_starts_with_a_small_share_of_its_tier() {
    let [a, b] = sims().await;
    a.next(Answer::status(500));
    let config = backends(Tongue::Chat, &[&a, &b])
        + "models:\n  m: {routes: [{backend: a, model: real}, {backend: b, model: real}]}\n"
        + QUICK;
    let proxy = Proxy::start(&config).await;
    assert_eq!(answered_by(&proxy).await, "b", "a is asked first and fails");
    due(&proxy, "a").await;
    answers(&proxy, 4).await;
    assert!(cooldowns(&proxy, "a").await.is_empty(), "one of them probed");
    let names = answers(&proxy, 40).await;
    let (a, b) = (count(&names, "a"), count(&names, "b"));
    assert!(a >= 1, "it gets some");
    assert!(a * 2 < b, "of equal weights {a} : {b} is no slow start");
    proxy.finish().await;
}

#[tokio::test]
async fn c02_a_probe_that_fails_costs_its_client_nothing_and_doubles_the_cooldown() {
    let [a, b] = sims().await;
    a.always(Answer::status(500));
    let proxy = Proxy::start(&(in_turn(&[&a, &b]) + QUICK)).await;
    for stream in [false, true] {
        let reply = proxy.client().chat("m", stream).await.expect(200);
        assert_eq!(backend_of(&reply), "b");
        assert_eq!(reply.header("x-llm-proxy-attempts"), "2");
        due(&proxy, "a").await;
    }
    let (first, second) = (cooled(&proxy, 0).await, cooled(&proxy, 1).await);
    assert_eq!((&first["times"], &second["times"]), (&1.into(), &2.into()));
    assert!((0.24..=0.36).contains(&seconds(&first)), "{first}");
    assert!((0.48..=0.72).contains(&seconds(&second)), "{second}");
    assert_eq!(cooldowns(&proxy, "a").await[0]["times"], 2);
    assert_eq!(a.seen().len(), 2, "the two probes and nothing else");
    proxy.finish().await;
}

#[tokio::test]
async fn c03_a_probe_whose_client_leaves_is_no_verdict_and_the_next_request_probes() {
    for stream in [false, true] {
        let [a, b] = sims().await;
        let proxy = probe_is_due(&a, &b).await;
        a.next(Answer::hang());
        let probe = Tongue::Chat.open(&proxy.client(), "m", stream).await;
        let seen = within("the probe", a.wait_seen(2)).await;
        assert_eq!(answered_by(&proxy).await, "b", "somebody probes already");
        probe.leave();
        within("the probe to be cancelled", a.wait_closed(seen[1].connection)).await;
        let records = proxy.recorded(3).await;
        let cancelled = records.iter().find(|record| record["cancelled"] == true);
        assert_eq!(cancelled.unwrap()["attempts"][0]["class"], "client_gone");
        assert_eq!(cooldowns(&proxy, "a").await[0]["times"], 1, "no verdict");
        assert_eq!(answered_by(&proxy).await, "a");
        assert!(cooldowns(&proxy, "a").await.is_empty());
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c04_a_probe_that_the_caller_spoilt_is_no_verdict_either() {
    for tongue in Tongue::ALL {
        let [a, b] = sims().await;
        a.next(overloaded(300));
        let proxy = Proxy::start(&(in_turn_of(tongue, &[&a, &b]) + QUICK)).await;
        let client = proxy.client();
        assert_eq!(backend_of(&tongue.ask(&client, "m", false).await), "b");
        due(&proxy, "a").await;
        a.next(Answer::status(400));
        tongue.ask(&client, "m", false).await.expect(400);
        assert_eq!(b.seen().len(), 1, "the caller's own fault does not fall back");
        let left = cooldowns(&proxy, "a").await;
        assert_eq!(
            left[0]["times"], 1,
            "{tongue:?}: neither alive nor worse: {left:?}"
        );
        assert_eq!(
            backend_of(&tongue.ask(&client, "m", false).await),
            "a",
            "{tongue:?}"
        );
        assert!(cooldowns(&proxy, "a").await.is_empty(), "{tongue:?}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_probe_that_meets_another_fault_leaves_the_first_one_open() {
    let [a, b] = sims().await;
    let proxy = probe_is_due(&a, &b).await;
    a.next(Answer::status(429).header("retry-after-ms", "300"));
    assert_eq!(answered_by(&proxy).await, "b", "the probe met a rate limit");
    due(&proxy, "a").await;
    let mut scopes: Vec<String> = cooldowns(&proxy, "a")
        .await
        .iter()
        .map(|own| own["scope"].to_string())
        .collect();
    scopes.sort();
    assert_eq!(scopes, ["\"backend_model\"", "\"key_model\""]);
    assert_eq!(answered_by(&proxy).await, "a", "one probe speaks for both");
    assert!(cooldowns(&proxy, "a").await.is_empty());
    proxy.finish().await;
}
