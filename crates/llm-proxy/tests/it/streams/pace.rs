//! The pace that an answer has to keep while somebody else could still give it: `timeout.min_rate` (S19).

use serde_json::json;

use super::flow::{by_hand, open};
use crate::support::hand::Held;
use crate::support::{Hand, Proxy, Tongue, rig, within};

/// A thousand bytes in half a second.
const QUICK: &str = "timeout: {min_rate: 2000, min_rate_window: 500ms}\n";
/// A thousand bytes in a time that no test takes.
const LONG: &str = "timeout: {min_rate: 10, min_rate_window: 100s}\n";

/// Two backends that are moved by hand, the first one asked first.
pub(super) async fn two(tongue: Tongue, top: &str) -> ([Hand; 2], Proxy) {
    let hands = [Hand::start().await, Hand::start().await];
    let twist = rig::Twist { a: "", top };
    let config = rig::config(tongue, (&hands[0].url(), &hands[1].url()), twist);
    (hands, Proxy::start(&config).await)
}

/// Answers with a whole stream, at once.
pub(super) async fn answers(held: &mut Held, tongue: Tongue, words: usize) {
    held.begin().await;
    held.say(&tongue.whole(words).concat()).await;
    held.end().await;
}

/// Enough to keep the pace of a window.
fn enough(tongue: Tongue) -> String {
    tongue.text(1, &"x".repeat(1_000))
}

#[tokio::test]
async fn s19_a_stream_that_trickles_is_left_for_another_and_nobody_sees_a_word_of_it() {
    for tongue in Tongue::ALL {
        let ([a, b], proxy) = two(tongue, QUICK).await;
        let mut asked = open(tongue, &proxy).await;
        let mut slow = a.take().await;
        slow.begin().await;
        slow.say(&tongue.begun(1).concat()).await;
        answers(&mut b.take().await, tongue, 3).await;
        let reply = within("the end", asked.rest()).await.expect(200);
        assert_eq!(reply.text(), tongue.whole(3).concat(), "{tongue:?}");
        assert_eq!(reply.header("x-llm-proxy-backend"), "b");
        within("the slow one is left", slow.gone()).await;
        let record = &proxy.recorded(1).await[0];
        assert_eq!(record["attempts"][0]["class"], "ttft_timeout", "{record}");
        assert_eq!(record["class"], json!(null), "{record}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn s19_a_stream_that_keeps_the_pace_is_passed_on_at_once_and_may_be_slow_after_that() {
    for tongue in Tongue::ALL {
        let ([a, _b], proxy) = two(tongue, LONG).await;
        let mut asked = open(tongue, &proxy).await;
        let mut held = a.take().await;
        held.begin().await;
        held.say(&tongue.begun(1).concat()).await;
        // Others overtake it, so the proxy has had its chance to let something out.
        for _ in 0..20 {
            proxy.status().await;
        }
        assert!(asked.is_silent(), "{tongue:?}: it has yet to show its pace");
        held.say(&enough(tongue)).await;
        asked.until("xxx").await;
        held.say(&tongue.closing().concat()).await;
        held.end().await;
        let reply = within("the end", asked.rest()).await.expect(200);
        let all = [
            tongue.begun(1).concat(),
            enough(tongue),
            tongue.closing().concat(),
        ];
        assert_eq!(reply.text(), all.concat(), "{tongue:?}: in order, and all of it");
        assert_eq!(reply.header("x-llm-proxy-attempts"), "1");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn s19_a_short_answer_is_held_back_no_longer_than_it_takes() {
    for tongue in Tongue::ALL {
        let ([a, _b], proxy) = two(tongue, LONG).await;
        let mut asked = open(tongue, &proxy).await;
        answers(&mut a.take().await, tongue, 1).await;
        let reply = within("the end", asked.rest()).await.expect(200);
        assert_eq!(reply.text(), tongue.whole(1).concat(), "{tongue:?}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn s19_where_nobody_else_could_answer_a_slow_stream_is_better_than_none() {
    for tongue in Tongue::ALL {
        for alone in ["fallback: {max_attempts: 1}\n", ""] {
            let ([a, b], proxy) = two(tongue, &format!("{LONG}{alone}")).await;
            if alone.is_empty() {
                // The other one cools.
                let mut asked = open(tongue, &proxy).await;
                drop(a.take().await);
                let mut refuses = b.take().await;
                refuses
                    .raw("HTTP/1.1 429 Slow\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n")
                    .await;
                within("the refusal", asked.rest()).await;
            }
            let mut asked = open(tongue, &proxy).await;
            let mut held = a.take().await;
            held.begin().await;
            held.say(&tongue.begun(1).concat()).await;
            asked.until("word-0 ").await;
            held.say(&tongue.closing().concat()).await;
            held.end().await;
            let reply = within("the end", asked.rest()).await.expect(200);
            assert_eq!(reply.text(), tongue.whole(1).concat(), "{tongue:?}: {alone}");
            proxy.finish().await;
        }
    }
}

#[tokio::test]
async fn s19_what_breaks_while_it_is_held_back_is_hidden_by_another() {
    for tongue in Tongue::ALL {
        for told in [true, false] {
            let ([a, b], proxy) = two(tongue, LONG).await;
            let mut asked = open(tongue, &proxy).await;
            let mut breaks = a.take().await;
            breaks.begin().await;
            breaks.say(&tongue.begun(2).concat()).await;
            if told {
                let error = tongue.error(tongue.overloaded(), "no more of this");
                breaks.say(&error).await;
            }
            drop(breaks);
            answers(&mut b.take().await, tongue, 3).await;
            let reply = within("the end", asked.rest()).await.expect(200);
            assert_eq!(reply.text(), tongue.whole(3).concat(), "{tongue:?}");
            let record = &proxy.recorded(1).await[0];
            let class = if told { "overloaded" } else { "bad_response" };
            assert_eq!(record["attempts"][0]["class"], class, "{record}");
            proxy.finish().await;
        }
    }
}

#[tokio::test]
async fn s19_no_more_is_held_back_than_without() {
    for tongue in Tongue::ALL {
        let ([a, _b], proxy) = two(tongue, LONG).await;
        let mut asked = open(tongue, &proxy).await;
        let mut held = a.take().await;
        held.begin().await;
        held.say(&tongue.begun(1).concat()).await;
        // Signs of life are no progress, and fill the room that there is for what is held back.
        held.pour(tongue.ping().repeat(1_000), 1 << 40, String::new());
        asked.until("word-0 ").await;
        asked.leave();
        proxy.finish().await;
    }
}

#[tokio::test]
async fn s19_json_that_trickles_is_left_for_another() {
    for tongue in Tongue::ALL {
        let (a, b) = (
            Hand::start().await,
            llm_sim::Sim::start(llm_sim::Speaks::All).await.unwrap(),
        );
        let twist = rig::Twist { a: "", top: QUICK };
        let proxy = Proxy::start(&rig::config(tongue, (&a.url(), &b.url()), twist)).await;
        let request = tongue.request("m", false).to_string();
        let client = proxy.client();
        let mut asked = client.open("POST", tongue.path(), request.as_bytes()).await;
        let mut slow = a.take().await;
        slow.raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{\"id\"")
            .await;
        let reply = within("the end", asked.rest()).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "b", "{tongue:?}");
        within("the slow one is left", slow.gone()).await;
        let record = &proxy.recorded(1).await[0];
        assert_eq!(record["attempts"][0]["class"], "ttft_timeout", "{record}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn s19_without_a_rate_every_word_flows() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = by_hand(tongue, "timeout: {min_rate_window: 100ms}\n").await;
        let mut asked = open(tongue, &proxy).await;
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&tongue.begun(1).concat()).await;
        asked.until("word-0 ").await;
        held.say(&tongue.closing().concat()).await;
        held.end().await;
        within("the end", asked.rest()).await.expect(200);
        proxy.finish().await;
    }
}
