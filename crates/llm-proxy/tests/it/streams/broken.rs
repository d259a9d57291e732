//! After the commit point: what was said stays as it was said, the client learns of the break, nobody else is asked.

use std::time::Duration;

use llm_sim::{Answer, Cut};
use serde_json::Value;

use crate::support::script::data;
use crate::support::{Hand, Proxy, Rig, Tongue, promptly, rig, within};

const DELTAS: usize = 20;

/// Asks for a stream that breaks off; asserts all that holds of any such stream, and returns what came after the
/// backend's own bytes.
async fn broken_off(rig: &Rig) -> String {
    let tongue = rig.tongue;
    let mut streaming = rig.open().await;
    let reply = within("the end of a broken stream", streaming.rest()).await;
    streaming.closed().await;
    let text = reply.text();
    let sound = tongue.begun(DELTAS).concat();
    assert_eq!(reply.status, 200, "{tongue:?}");
    assert!(reply.whole, "{tongue:?}: the body's framing is whole");
    assert!(text.starts_with(&sound), "{tongue:?}: not what a sent: {text}");
    let tail = text[sound.len()..].to_owned();
    assert!(
        !text.contains(tongue.terminal()),
        "{tongue:?}: it looks whole: {tail}"
    );
    assert_error(tongue, &tail);
    let record = rig.proxy.recorded(1).await.pop().unwrap();
    assert_eq!(record["class"], "midstream", "{tongue:?}");
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(record["cancelled"], false, "it was not the client who left");
    assert_eq!(rig.b.seen().len(), 0, "{tongue:?}: b is not asked");
    tail
}

/// The dialect's own error event, as its SDKs know it.
#[track_caller]
fn assert_error(tongue: Tongue, tail: &str) {
    let events: Vec<Value> = data(tail)
        .iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert!(tail.ends_with("\n\n"), "{tongue:?}: {tail}");
    let first = events
        .first()
        .unwrap_or_else(|| panic!("{tongue:?}: no error event"));
    match tongue {
        Tongue::Chat => {
            assert_eq!(events.len(), 1, "{tail}");
            assert!(first["error"]["message"].is_string(), "{tail}");
        }
        Tongue::Messages => {
            assert_eq!(events.len(), 1, "{tail}");
            assert!(tail.starts_with("event: error\n"), "{tail}");
            assert_eq!(first["type"], "error");
            assert!(first["error"]["type"].is_string() && first["error"]["message"].is_string());
        }
        Tongue::Responses => {
            assert!(tail.starts_with("event: error\n"), "{tail}");
            assert_eq!(first["type"], "error");
            assert!(first["message"].is_string(), "{tail}");
        }
    }
}

async fn breaks_with(tongue: Tongue, top: &str, cut: Cut) -> Rig {
    let rig = Rig::top(tongue, top).await;
    let events = tongue.whole(DELTAS + 10);
    let sent = tongue.opening().len() + DELTAS;
    rig.a.next(Answer::events(events).after(sent, cut));
    rig
}

#[tokio::test]
async fn s08_a_reset_after_twenty_deltas_is_told_and_not_hidden() {
    for tongue in Tongue::ALL {
        let rig = breaks_with(tongue, "", Cut::Rst).await;
        let tail = broken_off(&rig).await;
        assert!(!tail.contains("127.0.0.1"), "no address of a backend: {tail}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn s08_a_response_that_breaks_off_also_fails_as_a_response() {
    let rig = breaks_with(Tongue::Responses, "", Cut::Rst).await;
    let tail = broken_off(&rig).await;
    let failed: Value = serde_json::from_str(&data(&tail)[1]).unwrap();
    assert_eq!(failed["type"], "response.failed");
    assert_eq!(
        failed["response"]["id"], "resp_1",
        "it is the response that had begun"
    );
    assert_eq!(failed["response"]["status"], "failed");
    // The deltas end at 21, the error event is 22.
    assert_eq!(failed["sequence_number"], 23);
    rig.finish().await;
}

#[tokio::test]
async fn s08_three_broken_streams_in_a_row_cool_the_backend() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        let sent = tongue.opening().len() + 1;
        rig.a
            .always(Answer::events(tongue.whole(3)).after(sent, Cut::Rst));
        for request in 1..=3 {
            assert_eq!(
                rig.proxy.backend("a").await["state"],
                "ok",
                "{tongue:?}: {request}"
            );
            let reply = rig.ask(true).await;
            assert_eq!(reply.header("x-llm-proxy-backend"), "a", "{tongue:?}: {request}");
        }
        let cooldowns = &rig.proxy.backend("a").await["cooldowns"];
        assert_eq!(cooldowns[0]["class"], "midstream", "{tongue:?}: {cooldowns}");
        assert_eq!(cooldowns[0]["scope"], "backend_model");
        let reply = rig.ask(true).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "b", "{tongue:?}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn s09_an_end_without_the_terminal_marker_is_a_break() {
    for tongue in Tongue::ALL {
        for cut in [Cut::End, Cut::Fin] {
            let rig = breaks_with(tongue, "", cut).await;
            broken_off(&rig).await;
            rig.finish().await;
        }
    }
}

#[tokio::test]
async fn s10_silence_inside_a_stream_ends_it_at_the_idle_timeout() {
    for tongue in Tongue::ALL {
        let rig = breaks_with(tongue, "timeout: {idle: 400ms}\n", Cut::Stall).await;
        broken_off(&rig).await;
        let record = &rig.proxy.recorded(1).await[0];
        assert!(record["duration_ms"].as_f64().unwrap() >= 400.0, "{record}");
        promptly(
            "a's socket is closed",
            rig.a.wait_closed(rig.a.seen()[0].connection),
        )
        .await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn s10_the_total_timeout_ends_a_stream_that_never_falls_silent() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, "timeout: {total: 1500ms}\n").await;
        let words = Answer::events(tongue.begun(4_000)).delay(Duration::from_millis(5));
        rig.a.next(words);
        let mut streaming = rig.open().await;
        let reply = within("the end by the total timeout", streaming.rest()).await;
        assert!(!reply.text().contains(tongue.terminal()));
        let text = reply.text();
        let last = text
            .rfind("word-")
            .and_then(|at| text[at..].find("\n\n").map(|end| at + end + 2));
        assert_error(tongue, &text[last.unwrap()..]);
        promptly(
            "a's socket is closed",
            rig.a.wait_closed(rig.a.seen()[0].connection),
        )
        .await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn s11_an_error_inside_a_stream_is_passed_on_and_is_the_last_word() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        let error = tongue.error(tongue.overloaded(), "the model tripped over itself");
        let events = [tongue.begun(DELTAS), vec![error.clone()], tongue.closing()].concat();
        rig.a.next(Answer::events(events));
        assert_eq!(
            broken_off(&rig).await,
            error,
            "{tongue:?}: the backend's own words"
        );
        rig.finish().await;
    }
}

#[tokio::test]
async fn s11_keys_in_an_error_inside_a_stream_are_blotted_out() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        let error = tongue.error("api_error", "refused for sk-canary-backend-a, sorry");
        rig.a.next(Answer::events(
            [tongue.begun(DELTAS), vec![error.clone()]].concat(),
        ));
        // That it is in no log line either is asserted by `finish`.
        let tail = broken_off(&rig).await;
        assert_eq!(tail, error.replace("sk-canary-backend-a", "***"), "{tongue:?}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn s12_an_event_that_is_no_json_passes_and_the_stream_goes_on() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        let broken = "data: {\"choices\":[{\"delta\n\n".to_owned();
        let events = [tongue.begun(3), vec![broken, tongue.delta(3)], tongue.closing()].concat();
        rig.a.next(Answer::events(events.clone()));
        let reply = rig.ask(true).await.expect(200);
        assert_eq!(reply.text(), events.concat(), "{tongue:?}");
        let record = &rig.proxy.recorded(1).await[0];
        assert!(record["class"].is_null(), "{record}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn a_break_behind_the_terminal_marker_takes_nothing_from_the_answer() {
    for tongue in Tongue::ALL {
        for cut in [Cut::Rst, Cut::Fin] {
            let rig = Rig::start(tongue).await;
            let events = tongue.whole(5);
            rig.a
                .next(Answer::events(events.clone()).after(events.len(), cut));
            let reply = rig.ask(true).await.expect(200);
            assert_eq!(reply.text(), events.concat(), "{tongue:?}");
            assert!(reply.whole);
            let record = &rig.proxy.recorded(1).await[0];
            assert!(record["class"].is_null(), "{record}");
            rig.finish().await;
        }
    }
}

#[tokio::test]
async fn a_backend_that_lingers_behind_the_terminal_marker_does_not_hold_the_client() {
    for tongue in Tongue::ALL {
        let hand = Hand::start().await;
        let config = rig::config(tongue, (&hand.url(), &hand.url()), rig::Twist::default());
        let proxy = Proxy::start(&config).await;
        let request = tongue.request("m", true).to_string();
        let mut streaming = proxy
            .client()
            .open("POST", tongue.path(), request.as_bytes())
            .await;
        let mut held = hand.take().await;
        held.begin().await;
        // The clock of silence runs already when the end comes.
        held.say(&tongue.begun(3).concat()).await;
        streaming.until("word-2 ").await;
        held.say(&tongue.closing().concat()).await;
        let reply = within("the end, although a says no more", streaming.rest()).await;
        assert_eq!(reply.text(), tongue.whole(3).concat(), "{tongue:?}");
        assert!(reply.whole);
        within("a's socket is closed", held.gone()).await;
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_with_the_terminal_marker_has_had_its_answer() {
    for tongue in Tongue::ALL {
        let hand = Hand::start().await;
        let config = rig::config(tongue, (&hand.url(), &hand.url()), rig::Twist::default());
        let proxy = Proxy::start(&config).await;
        let request = tongue.request("m", true).to_string();
        let mut streaming = proxy
            .client()
            .open("POST", tongue.path(), request.as_bytes())
            .await;
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&tongue.whole(3).concat()).await;
        // As the SDKs do: nothing of interest can come behind it.
        streaming.until(tongue.terminal()).await;
        streaming.leave();
        within("a's socket is closed", held.gone()).await;
        let record = &proxy.recorded(1).await[0];
        assert_eq!(record["cancelled"], false, "{tongue:?}: {record}");
        assert!(record["class"].is_null(), "{tongue:?}: {record}");
        proxy.finish().await;
    }
}
