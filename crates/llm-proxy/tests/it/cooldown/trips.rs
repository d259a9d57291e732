//! When failures become a cooldown: so many in a row, or too large a share of a window.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use llm_sim::{Answer, Sim};

use super::setting::{answered_by, answers, cooldowns, cooled, in_turn, sims};
use crate::support::Proxy;

/// Answers one character a request: `x` an error, else healthy; healthy when they are used up.
fn outcomes(sim: &Sim, outcomes: &'static str) {
    let at = AtomicUsize::new(0);
    sim.script(
        move |_| match outcomes.as_bytes().get(at.fetch_add(1, Ordering::SeqCst)) {
            Some(b'x') => Answer::status(500),
            _ => Answer::healthy(),
        },
    );
}

#[tokio::test]
async fn c10_half_of_ten_trips_though_never_three_came_in_a_row() {
    let [a, b] = sims().await;
    outcomes(&a, "x.x.x.x..x");
    let proxy = Proxy::start(&in_turn(&[&a, &b])).await;
    assert_eq!(
        answers(&proxy, 9).await,
        ["b", "a", "b", "a", "b", "a", "b", "a", "a"]
    );
    assert!(
        cooldowns(&proxy, "a").await.is_empty(),
        "four of nine are not enough"
    );
    assert_eq!(answered_by(&proxy).await, "b", "the fifth failure of ten");
    assert_eq!(cooldowns(&proxy, "a").await[0]["class"], "server");
    assert_eq!(answered_by(&proxy).await, "b");
    assert_eq!(a.seen().len(), 10, "it is left alone now");
    proxy.finish().await;
}

#[tokio::test]
async fn c10_a_burst_of_a_hundred_failures_is_no_blind_spot() {
    let [a, b] = sims().await;
    a.always(Answer::status(500));
    let settings = "fallback: {retry_budget: 1, trip: {consecutive: 1000}}\n";
    let proxy = Proxy::start(&(in_turn(&[&a, &b]) + settings)).await;
    let clients: Vec<_> = (0..100).map(|_| proxy.client()).collect();
    let replies = join_all(clients.iter().map(|client| client.chat("m", false))).await;
    assert!(
        replies.iter().all(|reply| reply.status == 200),
        "every client is answered from b"
    );
    let cooling = cooldowns(&proxy, "a").await;
    assert_eq!(cooling.len(), 1, "{cooling:?}");
    assert_eq!(
        cooling[0]["times"], 1,
        "requests that were under way are no trips of their own"
    );
    let before = a.seen().len();
    answers(&proxy, 5).await;
    assert_eq!(a.seen().len(), before, "it is left alone now");
    proxy.finish().await;
}

#[tokio::test]
async fn c11_one_failure_and_a_hundred_successes_cool_nothing() {
    let [a, b] = sims().await;
    a.next(Answer::status(500));
    let proxy = Proxy::start(&in_turn(&[&a, &b])).await;
    assert_eq!(answered_by(&proxy).await, "b");
    let names = answers(&proxy, 100).await;
    assert!(names.iter().all(|name| name == "a"), "{names:?}");
    let warned = proxy.log().iter().any(|line| line.contains("\"cooling"));
    assert!(!warned, "nothing ever cooled");
    proxy.finish().await;
}

#[tokio::test]
async fn failures_in_a_row_are_counted_anew_after_a_success() {
    let [a, b] = sims().await;
    outcomes(&a, "xx.xx.xxx");
    let settings = "fallback: {trip: {min_requests: 1000}}\n";
    let proxy = Proxy::start(&(in_turn(&[&a, &b]) + settings)).await;
    answers(&proxy, 8).await;
    assert!(cooldowns(&proxy, "a").await.is_empty());
    answered_by(&proxy).await;
    assert_eq!(cooldowns(&proxy, "a").await[0]["times"], 1, "the third in a row");
    proxy.finish().await;
}

#[tokio::test]
async fn the_settings_of_trip_say_when() {
    for (trip, outcomes_of_a, requests) in [
        ("{consecutive: 2}", "xx", 2),
        ("{consecutive: 100, min_requests: 4, error_rate: 0.25}", "x...", 0),
        ("{consecutive: 100, min_requests: 4, error_rate: 0.25}", "...x", 4),
        ("{consecutive: 100, min_requests: 2, error_rate: 1.0}", ".xx", 0),
        ("{consecutive: 100, min_requests: 2, error_rate: 1.0}", "xx", 2),
    ] {
        let [a, b] = sims().await;
        outcomes(&a, outcomes_of_a);
        let settings = format!("fallback: {{trip: {trip}}}\n");
        let proxy = Proxy::start(&(in_turn(&[&a, &b]) + &settings)).await;
        for n in 1..=outcomes_of_a.len() {
            answered_by(&proxy).await;
            let trips = !cooldowns(&proxy, "a").await.is_empty();
            let expected = requests > 0 && n >= requests;
            assert_eq!(trips, expected, "{trip}, {outcomes_of_a:?}: after {n}");
        }
        proxy.finish().await;
    }
}

#[tokio::test]
async fn silence_counts_double() {
    let [a, b] = sims().await;
    a.always(Answer::hang());
    let silent = format!("url: \"{}\",", a.url());
    let config = in_turn(&[&a, &b]).replace(&silent, &format!("{silent} timeout: {{first_byte: 200ms}},"));
    assert!(config.contains("first_byte"), "{config}");
    let proxy = Proxy::start(&(config + "fallback: {trip: {consecutive: 4}}\n")).await;
    answered_by(&proxy).await;
    assert!(cooldowns(&proxy, "a").await.is_empty());
    answered_by(&proxy).await;
    let line = cooled(&proxy, 0).await;
    assert_eq!(
        (&line["class"], &line["scope"]),
        (&"ttft_timeout".into(), &"backend_model".into())
    );
    proxy.finish().await;
}
