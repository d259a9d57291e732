//! A second backend beside a silent one: `timeout.hedge_after` (C24).

use std::time::Duration;

use futures_util::future::join_all;
use llm_sim::Answer;
use serde_json::{Value, json};

use super::flow::open;
use super::pace::{answers, two};
use crate::support::{Client, Proxy, Rig, Tongue, within};

/// Sooner than any test can move a backend by hand.
const SOON: &str = "timeout: {hedge_after: 20ms}\n";
/// Later than any test takes.
const LATE: &str = "timeout: {hedge_after: 100s}\n";
/// A failure that falls back.
const BROKEN: &str = "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// The caller's own fault.
const REFUSED: &str = "HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n";

/// What the proxy counted of attempts beside others.
async fn hedges(proxy: &Proxy) -> u64 {
    let page = Client::plain(proxy.admin()).get("/metrics").await.text();
    let line = page
        .lines()
        .find(|line| line.starts_with("llm_proxy_hedges_total "));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// The attempts of the only record: who, and what it came to.
async fn trail(proxy: &Proxy) -> Vec<[Value; 2]> {
    let record = proxy.recorded(1).await.remove(0);
    let attempts = record["attempts"].as_array().unwrap().clone();
    let told = |one: &Value| [one["backend"].clone(), one["class"].clone()];
    attempts.iter().map(told).collect()
}

#[tokio::test]
async fn c24_where_the_first_is_silent_another_is_asked_beside_it_and_answers() {
    for tongue in Tongue::ALL {
        let ([a, b], proxy) = two(tongue, SOON).await;
        let mut asked = open(tongue, &proxy).await;
        let mut silent = a.take().await;
        answers(&mut b.take().await, tongue, 3).await;
        let reply = within("the end", asked.rest()).await.expect(200);
        assert_eq!(reply.text(), tongue.whole(3).concat(), "{tongue:?}");
        assert_eq!(reply.header("x-llm-proxy-backend"), "b");
        assert_eq!(reply.header("x-llm-proxy-attempts"), "2");
        within("the silent one is left", silent.gone()).await;
        assert_eq!(
            trail(&proxy).await,
            [["a".into(), "overtaken".into()], ["b".into(), json!("ok")]]
        );
        assert_eq!(hedges(&proxy).await, 1);
        let status = proxy.backend("a").await;
        assert_eq!(
            (&status["state"], &status["in_flight"]),
            (&json!("ok"), &json!(0))
        );
        assert_eq!(
            status["lately"]["last_failure"],
            json!(null),
            "silence is no failure"
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c24_the_first_may_still_win() {
    for tongue in Tongue::ALL {
        let ([a, b], proxy) = two(tongue, SOON).await;
        let mut asked = open(tongue, &proxy).await;
        let mut first = a.take().await;
        let mut second = b.take().await;
        // Pings and a head are no content: they do not decide.
        second.begin().await;
        second.say(": ping\n\n").await;
        answers(&mut first, tongue, 3).await;
        let reply = within("the end", asked.rest()).await.expect(200);
        assert_eq!(reply.text(), tongue.whole(3).concat(), "{tongue:?}");
        assert_eq!(reply.header("x-llm-proxy-backend"), "a");
        within("the second is left", second.gone()).await;
        assert_eq!(
            trail(&proxy).await,
            [["b".into(), json!("overtaken")], ["a".into(), json!("ok")]]
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c24_whichever_fails_the_other_is_waited_for() {
    for tongue in Tongue::ALL {
        for first_fails in [true, false] {
            let ([a, b], proxy) = two(tongue, SOON).await;
            let mut asked = open(tongue, &proxy).await;
            let (mut first, mut second) = (a.take().await, b.take().await);
            let (fails, speaks) = if first_fails {
                (&mut first, &mut second)
            } else {
                (&mut second, &mut first)
            };
            fails.raw(BROKEN).await;
            within("the failed one is let go", fails.gone()).await;
            answers(speaks, tongue, 3).await;
            let reply = within("the end", asked.rest()).await.expect(200);
            assert_eq!(reply.text(), tongue.whole(3).concat(), "{tongue:?}");
            let [failed, spoke] = if first_fails { ["a", "b"] } else { ["b", "a"] };
            assert_eq!(
                trail(&proxy).await,
                [[json!(failed), json!("server")], [json!(spoke), json!("ok")]]
            );
            let lately = &proxy.backend(failed).await["lately"];
            assert_eq!(lately["last_failure"]["class"], "server");
            proxy.finish().await;
        }
    }
}

#[tokio::test]
async fn c24_where_both_fail_the_client_is_told_once_and_both_are_recorded() {
    for tongue in Tongue::ALL {
        let ([a, b], proxy) = two(tongue, SOON).await;
        let mut asked = open(tongue, &proxy).await;
        let (mut first, mut second) = (a.take().await, b.take().await);
        first.raw(BROKEN).await;
        // Heard before the other says a word: whoever fails last decides, and is the last of the record.
        within("the first is let go", first.gone()).await;
        second.raw(BROKEN).await;
        let reply = within("the end", asked.rest()).await;
        assert!(reply.status >= 500, "{tongue:?}: {}", reply.text());
        assert_eq!(
            trail(&proxy).await,
            [["a".into(), json!("server")], ["b".into(), json!("server")]]
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c24_the_callers_own_fault_is_told_at_once() {
    for tongue in Tongue::ALL {
        let ([a, b], proxy) = two(tongue, SOON).await;
        let mut asked = open(tongue, &proxy).await;
        let mut silent = a.take().await;
        b.take().await.raw(REFUSED).await;
        within("the end", asked.rest()).await.expect(400);
        within("the silent one is left", silent.gone()).await;
        assert_eq!(
            trail(&proxy).await,
            [["a".into(), json!("overtaken")], ["b".into(), json!("client")]]
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c24_a_client_that_leaves_ends_both() {
    for tongue in Tongue::ALL {
        let ([a, b], proxy) = two(tongue, SOON).await;
        let asked = open(tongue, &proxy).await;
        let (mut first, mut second) = (a.take().await, b.take().await);
        asked.leave();
        within("the first is left", first.gone()).await;
        within("the second is left", second.gone()).await;
        assert_eq!(
            trail(&proxy).await,
            [
                ["a".into(), json!("client_gone")],
                ["b".into(), json!("client_gone")]
            ]
        );
        assert_eq!(hedges(&proxy).await, 1);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c24_who_answers_or_fails_in_time_is_asked_alone() {
    for tongue in Tongue::ALL {
        let ([a, b], proxy) = two(tongue, LATE).await;
        let mut asked = open(tongue, &proxy).await;
        answers(&mut a.take().await, tongue, 3).await;
        let reply = within("the end", asked.rest()).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-attempts"), "1");
        // A failure falls back as ever.
        let mut asked = open(tongue, &proxy).await;
        a.take().await.raw(BROKEN).await;
        answers(&mut b.take().await, tongue, 3).await;
        within("the end", asked.rest()).await.expect(200);
        assert_eq!(hedges(&proxy).await, 0, "{tongue:?}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn c24_nobody_else_is_asked_where_no_attempt_is_left_or_an_alias_wants_none() {
    let tongue = Tongue::Chat;
    let off = "timeout: {hedge_after: 20ms}\nfallback: {max_attempts: 1}\n";
    let alias = "  n: {timeout: {hedge_after: off}, routes: [{backend: a, model: real}, {backend: b, model: real, priority: 2}]}\n";
    for (top, model) in [(off.to_owned(), "m"), (format!("{alias}{SOON}"), "n")] {
        let rig = Rig::top(tongue, &top).await;
        rig.a
            .next(Answer::healthy().head_delay(Duration::from_millis(300)));
        let request = tongue.request(model, false);
        let reply = rig.proxy.client().post(tongue.path(), &request).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "a");
        assert_eq!(rig.b.seen().len(), 0, "{top}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn c24_attempts_beside_others_are_paid_for_like_all_further_ones() {
    let tongue = Tongue::Chat;
    let rig = Rig::top(tongue, &format!("{SOON}fallback: {{retry_budget: 0}}\n")).await;
    rig.a
        .always(Answer::healthy().head_delay(Duration::from_millis(1500)));
    let all = join_all((0..60).map(|_| rig.ask(false))).await;
    for reply in all {
        reply.expect(200);
    }
    let hedges = hedges(&rig.proxy).await;
    // Ten at once, and ten more each second that this took.
    assert!((10..50).contains(&hedges), "{hedges}");
    rig.finish().await;
}

#[tokio::test]
async fn c24_a_conversation_moves_to_whoever_answered() {
    let tongue = Tongue::Chat;
    let ([a, b], proxy) = two(tongue, SOON).await;
    let request = tongue.request("m", true).to_string();
    let ask = async || {
        let client = proxy
            .client()
            .header("connection", "close")
            .header("session-id", "one");
        client.open("POST", tongue.path(), request.as_bytes()).await
    };
    let mut asked = ask().await;
    answers(&mut a.take().await, tongue, 3).await;
    within("the end", asked.rest()).await.expect(200);
    let mut asked = ask().await;
    let _silent = a.take().await;
    answers(&mut b.take().await, tongue, 3).await;
    within("the end", asked.rest()).await.expect(200);
    let mut asked = ask().await;
    answers(&mut b.take().await, tongue, 3).await;
    let reply = within("the end", asked.rest()).await.expect(200);
    assert_eq!(reply.header("x-llm-proxy-attempts"), "1");
    proxy.finish().await;
}

#[tokio::test]
async fn c24_what_could_not_be_paid_for_beside_is_still_there_to_fall_back_to() {
    let tongue = Tongue::Chat;
    let rig = Rig::top(tongue, &format!("{SOON}fallback: {{retry_budget: 0}}\n")).await;
    rig.a
        .always(Answer::status(500).head_delay(Duration::from_millis(1500)));
    let all = join_all((0..30).map(|_| rig.ask(false))).await;
    let answered = all.iter().filter(|reply| reply.status == 200).count();
    // Ten at once beside the silent one; by the time that it fails for the others, ten more may fall back.
    assert!(answered >= 15, "{answered}");
    rig.finish().await;
}
