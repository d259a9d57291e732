//! The settings of `fallback`: how long what cools, what a reload keeps and changes, and the retry budget.

use futures_util::future::join_all;
use llm_sim::{Answer, Sim};

use super::setting::{
    Tongue, answered_by, answers, backend_of, backends, cooldowns, cooled, due, in_turn, overloaded, seconds,
    sims,
};
use crate::support::Proxy;

#[tokio::test]
async fn cooldowns_of_their_own_hold_for_the_classes_that_they_name() {
    let policy = "fallback: {cooldown: 10s, trip: {consecutive: 1}, cooldowns: {rate: 100s, server: 50s, auth: 20s}}\n";
    for (answer, length) in [
        (Answer::status(429), 100.0),
        (Answer::status(500), 50.0),
        (Answer::status(401), 20.0),
        (Answer::status(529), 10.0),
    ] {
        let [a, b] = sims().await;
        a.next(answer);
        let proxy = Proxy::start(&(in_turn(&[&a, &b]) + policy)).await;
        answered_by(&proxy).await;
        let line = cooled(&proxy, 0).await;
        let got = seconds(&line);
        assert!((length * 0.8..=length * 1.2).contains(&got), "{line}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_stated_time_replaces_the_cooldown_of_a_rate_and_is_a_floor_for_the_rest() {
    let policy = "fallback: {cooldown: 10s}\n";
    for (status, stated, shortest, longest) in [
        (429, "2", 2.0, 2.0),
        (429, "60", 60.0, 60.0),
        (503, "2", 8.0, 12.0),
        (503, "60", 60.0, 60.0),
        (529, "999999999", 86_400.0, 86_400.0),
    ] {
        let [a, b] = sims().await;
        a.next(Answer::status(status).header("retry-after", stated));
        let proxy = Proxy::start(&(in_turn(&[&a, &b]) + policy)).await;
        answered_by(&proxy).await;
        let got = seconds(&cooled(&proxy, 0).await);
        assert!((shortest..=longest).contains(&got), "{status}, {stated}: {got}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn doubling_stops_at_cooldown_max() {
    let [a, b] = sims().await;
    a.always(Answer::status(500));
    let policy = "fallback: {cooldown: 100ms, cooldown_max: 150ms, trip: {consecutive: 1}}\n";
    let proxy = Proxy::start(&(in_turn(&[&a, &b]) + policy)).await;
    for n in 0..4_u32 {
        answered_by(&proxy).await;
        let line = cooled(&proxy, n as usize).await;
        assert_eq!(line["times"], n + 1);
        assert!(seconds(&line) <= 0.15, "{line}");
        due(&proxy, "a").await;
    }
    proxy.finish().await;
}

#[tokio::test]
async fn k06_a_reload_keeps_what_cools_and_changes_the_rules_for_what_comes() {
    let [a, b, c] = sims().await;
    a.next(overloaded(60_000));
    let before = in_turn(&[&a, &b, &c]);
    let proxy = Proxy::start(&before).await;
    assert_eq!(answered_by(&proxy).await, "b");
    let times = |all: &[serde_json::Value]| all[0]["seconds_left"].as_f64().unwrap();
    let left = times(&cooldowns(&proxy, "a").await);
    proxy
        .reload(&(before + "fallback: {cooldown: 1s, cooldowns: {server: 40s}, trip: {consecutive: 1}}\n"))
        .await;
    let after = times(&cooldowns(&proxy, "a").await);
    assert!((30.0..=left).contains(&after), "{left} s before, {after} s after");
    b.next(Answer::status(500));
    assert_eq!(answered_by(&proxy).await, "c", "a still cools, b fails");
    assert_eq!(a.seen().len(), 1);
    let line = cooled(&proxy, 1).await;
    assert_eq!(
        (&line["backend"], &line["class"]),
        (&"b".into(), &"server".into()),
        "one failure is enough now"
    );
    assert!((32.0..=48.0).contains(&seconds(&line)), "{line}");
    proxy.finish().await;
}

#[tokio::test]
async fn k06_failures_that_were_counted_before_a_reload_count_on() {
    let [a, b] = sims().await;
    a.always(Answer::status(500));
    let proxy = Proxy::start(&in_turn(&[&a, &b])).await;
    answers(&proxy, 2).await;
    proxy.reload(&in_turn(&[&a, &b])).await;
    assert!(cooldowns(&proxy, "a").await.is_empty());
    answered_by(&proxy).await;
    assert_eq!(cooldowns(&proxy, "a").await.len(), 1, "the third in a row");
    proxy.finish().await;
}

#[tokio::test]
async fn k07_a_new_key_does_not_inherit_the_cooldown_of_the_old_one() {
    let [a, b] = sims().await;
    a.next(Answer::status(401));
    let config = in_turn(&[&a, &b]);
    let proxy = Proxy::start(&config).await;
    assert_eq!(answered_by(&proxy).await, "b");
    assert_eq!(answered_by(&proxy).await, "b");
    proxy
        .reload(&config.replace("sk-canary-backend-a", "sk-canary-new-key"))
        .await;
    assert!(
        cooldowns(&proxy, "a").await.is_empty(),
        "the old key is gone, and so is its cooldown"
    );
    assert_eq!(proxy.backend("a").await["state"], "ok");
    assert_eq!(answered_by(&proxy).await, "a");
    let presented = a.seen()[1].header("authorization").unwrap().to_owned();
    assert_eq!(presented, "Bearer sk-canary-new-key");
    proxy.finish().await;
}

/// `m` fails over without end, and nothing ever cools.
fn never_cools(a: &Sim, b: &Sim, budget: &str) -> String {
    in_turn(&[a, b])
        + "  only-a: {backend: a, model: real}\n"
        + &format!(
            "fallback: {{retry_budget: {budget}, trip: {{consecutive: 100000, min_requests: 100000}}}}\n"
        )
}

#[tokio::test]
async fn the_retry_budget_bounds_what_a_storm_adds() {
    let [a, b] = sims().await;
    a.always(Answer::status(500));
    let proxy = Proxy::start(&never_cools(&a, &b, "0")).await;
    let clients: Vec<_> = (0..60).map(|_| proxy.client()).collect();
    let replies = join_all(clients.iter().map(|client| client.chat("m", false))).await;
    let won = replies.iter().filter(|reply| reply.status == 200).count();
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 502)));
    assert_eq!(a.seen().len(), 60, "a first attempt is always made");
    assert_eq!(b.seen().len(), won);
    assert!(won >= 10, "ten a second are free");
    let first = a.seen().iter().map(|seen| seen.arrived).min().unwrap();
    let last = b.seen().iter().map(|seen| seen.arrived).max().unwrap();
    let tenths = (last - first).as_millis() / 100;
    let most = 11 + usize::try_from(tenths).unwrap();
    assert!(
        won <= most,
        "{won} further attempts in {tenths} tenths of a second"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_failure_with_nowhere_to_go_spends_nothing_of_the_retry_budget() {
    let [a, b] = sims().await;
    a.always(Answer::status(500));
    let proxy = Proxy::start(&never_cools(&a, &b, "0")).await;
    let clients: Vec<_> = (0..60).map(|_| proxy.client()).collect();
    let replies = join_all(clients.iter().map(|client| client.chat("only-a", false))).await;
    assert!(replies.iter().all(|reply| reply.status == 502));
    assert_eq!(answers(&proxy, 8).await, ["b"; 8]);
    proxy.finish().await;
}

#[tokio::test]
async fn f41_max_attempts_bounds_one_request() {
    for (most, status) in [(1, 502), (2, 502), (3, 200)] {
        let [a, b, c] = sims().await;
        a.always(Answer::status(500));
        b.always(Answer::status(500));
        let settings = format!("fallback: {{max_attempts: {most}}}\n");
        let proxy = Proxy::start(&(in_turn(&[&a, &b, &c]) + &settings)).await;
        let reply = proxy.client().chat("m", false).await.expect(status);
        assert_eq!(a.seen().len() + b.seen().len() + c.seen().len(), most);
        if status == 200 {
            assert_eq!(backend_of(&reply), "c");
        }
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_route_of_lower_priority_serves_until_the_first_is_back() {
    let [a, b] = sims().await;
    a.next(overloaded(300));
    let config = backends(Tongue::Chat, &[&a, &b])
        + "models:
  m: {routes: [{backend: b, model: real, priority: 7}, {backend: a, model: real, priority: -3}]}
fallback: {cooldown: 100ms}
";
    let proxy = Proxy::start(&config).await;
    assert_eq!(answered_by(&proxy).await, "b");
    due(&proxy, "a").await;
    assert_eq!(
        answers(&proxy, 2).await,
        ["a"; 2],
        "the lowest number is first, wherever it stands in the file"
    );
    proxy.finish().await;
}
