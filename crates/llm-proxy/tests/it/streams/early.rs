//! Signs of life before there is an answer: `stream.early_heartbeat_after` (S23).

use llm_sim::{Answer, Gate};
use serde_json::json;

use super::flow::{by_hand, open};
use crate::support::{Hand, Proxy, Rig, Tongue, promptly, rig, until, within};

/// Soon, and again and again.
const SOON: &str = "stream: {early_heartbeat_after: 50ms, heartbeat: 50ms}\n";

fn sign(tongue: Tongue) -> &'static str {
    if tongue == Tongue::Messages {
        "event: ping\ndata: {\"type\": \"ping\"}\n\n"
    } else {
        ": keep-alive\n\n"
    }
}

/// What is left of a stream without the signs before its answer.
fn answer(tongue: Tongue, text: &str) -> String {
    let mut rest = text;
    while let Some(more) = rest.strip_prefix(sign(tongue)) {
        rest = more;
    }
    rest.to_owned()
}

#[tokio::test]
async fn s23_signs_of_life_come_before_the_answer_and_another_backend_still_takes_over() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = by_hand(tongue, SOON).await;
        let mut asked = open(tongue, &proxy).await;
        let mut first = hand.take().await;
        asked.until(sign(tongue)).await;
        first.begin().await;
        first.say(&tongue.opening().concat()).await;
        asked.until_times(sign(tongue), 3).await;
        // It breaks before its first word: the client never hears of it.
        drop(first);
        let mut second = hand.take().await;
        second.begin().await;
        second.say(&tongue.whole(3).concat()).await;
        second.end().await;
        let reply = within("the end", asked.rest()).await.expect(200);
        assert!(reply.whole, "{tongue:?}");
        assert_eq!(
            answer(tongue, &reply.text()),
            tongue.whole(3).concat(),
            "{tongue:?}: one whole stream"
        );
        assert_eq!(reply.header("content-type"), "text/event-stream");
        assert_eq!(reply.header("x-llm-proxy-backend"), "", "nobody knew it yet");
        assert_ne!(reply.header("x-request-id"), "");
        let record = &proxy.recorded(1).await[0];
        assert_eq!(
            (&record["status"], &record["class"]),
            (&200.into(), &json!(null)),
            "{record}"
        );
        assert_eq!(record["attempts"].as_array().unwrap().len(), 2, "{record}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn s23_where_everything_fails_after_all_the_client_gets_its_dialects_error_event() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, SOON).await;
        let gate = Gate::default();
        let late = || Answer::status(500).behind(&gate);
        rig.a.next(late());
        rig.b.next(late());
        let mut asked = rig.open().await;
        asked.until(sign(tongue)).await;
        gate.open();
        let reply = within("the end", asked.until_closed()).await.expect(200);
        let text = answer(tongue, &reply.text());
        assert!(
            text.starts_with("event: error\n") || tongue == Tongue::Chat,
            "{text}"
        );
        assert!(
            text.contains("failed; try again") && text.contains("error"),
            "{text}"
        );
        assert!(!text.contains(tongue.terminal()), "{text}");
        let record = &rig.proxy.recorded(1).await[0];
        assert_eq!(
            (&record["status"], &record["class"]),
            (&200.into(), &"server".into()),
            "{record}"
        );
        assert_eq!(record["cancelled"], false, "{record}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn s23_the_callers_own_fault_is_told_in_the_backends_words() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, SOON).await;
        let error = json!({"error": {"type": "invalid_request_error", "message": "The Words Of A"}});
        let gate = Gate::default();
        rig.a.next(Answer::status(400).body(error).behind(&gate));
        let mut asked = rig.open().await;
        asked.until(sign(tongue)).await;
        gate.open();
        let reply = within("the end", asked.until_closed()).await.expect(200);
        let text = answer(tongue, &reply.text());
        assert!(text.contains("The Words Of A"), "{text}");
        assert!(!text.contains(tongue.terminal()), "{text}");
        assert_eq!(rig.b.seen().len(), 0, "{tongue:?}: nobody else is asked");
        rig.finish().await;
    }
}

#[tokio::test]
async fn s23_a_whole_answer_in_place_of_a_stream_becomes_one_where_the_head_is_out() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, SOON).await;
        let (late, gate) = (Answer::healthy().text("word for word").as_json(), Gate::default());
        rig.a.next(late.behind(&gate));
        let mut asked = rig.open().await;
        asked.until(sign(tongue)).await;
        gate.open();
        let reply = within("the end", asked.rest()).await.expect(200);
        let text = reply.text();
        assert!(text.starts_with(sign(tongue)), "{text}");
        assert!(
            text.contains("word for word") && text.contains(tongue.terminal()),
            "{text}"
        );
        assert!(
            answer(tongue, &text)
                .lines()
                .all(|line| { line.is_empty() || line.starts_with("data: ") || line.starts_with("event: ") })
        );
        rig.finish().await;
    }
}

#[tokio::test]
async fn s23_leaving_while_only_signs_have_come_frees_everything() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = by_hand(tongue, SOON).await;
        let mut asked = open(tongue, &proxy).await;
        let mut held = hand.take().await;
        asked.until(sign(tongue)).await;
        asked.leave();
        promptly("the backend's connection is closed", held.gone()).await;
        let record = promptly("the record", proxy.recorded(1)).await.remove(0);
        assert_eq!(
            (&record["status"], &record["class"]),
            (&200.into(), &"client_gone".into()),
            "{tongue:?}: {record}"
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn s23_who_wants_no_stream_waits_for_the_answer() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, SOON).await;
        // Longer than a stream would wait for its first sign.
        let late = || Answer::status(500).head_delay(std::time::Duration::from_millis(150));
        rig.a.next(late());
        rig.b.next(late());
        rig.ask(false).await.expect(502);
        rig.finish().await;
    }
}

#[tokio::test]
async fn s23_an_answer_in_time_is_as_it_would_be_without() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, "stream: {early_heartbeat_after: 60s}\n").await;
        rig.a.next(Answer::events(tongue.whole(3)));
        let reply = rig.ask(true).await.expect(200);
        assert_eq!(reply.text(), tongue.whole(3).concat());
        assert_eq!(reply.header("x-llm-proxy-backend"), "a");
        rig.a.next(Answer::status(500));
        rig.b.next(Answer::status(500));
        rig.ask(true).await.expect(502);
        rig.finish().await;
    }
}

#[tokio::test]
async fn s23_a_drain_ends_a_response_that_has_only_begun_with_an_error_event() {
    for tongue in Tongue::ALL {
        let (hand, mut proxy) = by_hand(tongue, &format!("{SOON}shutdown_grace: 100ms\n")).await;
        let mut asked = open(tongue, &proxy).await;
        let held = hand.take().await;
        asked.until(sign(tongue)).await;
        proxy.signal("-TERM");
        let reply = within("the end", asked.until_closed()).await.expect(200);
        let text = answer(tongue, &reply.text());
        assert!(text.contains("shutting down"), "{text}");
        assert!(!text.contains(tongue.terminal()), "{text}");
        assert_eq!(proxy.ended().await, Some(0));
        drop(held);
        proxy.finish_ended().await;
    }
}

#[tokio::test]
async fn s06_a_flood_of_signs_before_the_first_word_is_no_answer_and_another_backend_gives_it() {
    for tongue in Tongue::ALL {
        let [flood, hand] = [Hand::start().await, Hand::start().await];
        // The one that answers has all the time that it needs.
        let twist = rig::Twist {
            a: ", timeout: {first_byte: 500ms}",
            top: "",
        };
        let config = rig::config(tongue, (&flood.url(), &hand.url()), twist);
        let proxy = Proxy::start(&config).await;
        let mut asked = open(tongue, &proxy).await;
        let mut first = flood.take().await;
        first.begin().await;
        // Far more than is held back, of events and of bytes.
        let poured = first.pour(tongue.ping().repeat(1000), 1 << 40, String::new());
        let mut second = hand.take().await;
        second.begin().await;
        second.say(&tongue.whole(2).concat()).await;
        second.end().await;
        let reply = within("the end", asked.rest()).await.expect(200);
        assert_eq!(reply.text(), tongue.whole(2).concat(), "{tongue:?}");
        let record = &proxy.recorded(1).await[0];
        assert_eq!(record["attempts"][0]["class"], "ttft_timeout", "{record}");
        until("more than is held back", async || {
            (poured.load(std::sync::atomic::Ordering::SeqCst) > 1 << 20).then_some(())
        })
        .await;
        proxy.finish().await;
    }
}
