//! Large events: up to `limits.max_event` they pass, above it the stream ends; memory stays bounded either way.

use llm_sim::{Answer, Cut};

use crate::support::{Rig, Tongue, promptly, within};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn s16_an_event_of_five_mebibytes_passes_below_the_bound() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        let large = tongue.text(1, &"A".repeat(5 * MIB));
        let events = [tongue.begun(1), vec![large], tongue.closing()].concat();
        let text = events.concat();
        rig.a.next(Answer::events(events));
        let client = rig.proxy.client().header("connection", "close");
        let request = tongue.request("m", true).to_string();
        let mut streaming = client.open("POST", tongue.path(), request.as_bytes()).await;
        let reply = within("an answer of 5 MiB", streaming.until_closed()).await;
        // Not assert_eq: five mebibytes help nobody.
        assert!(
            reply.whole && reply.text() == text,
            "{tongue:?}: not the same bytes"
        );
        rig.finish().await;
    }
}

#[tokio::test]
async fn s16_an_event_above_the_bound_ends_the_stream_with_an_error() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, "limits: {max_event: 4MiB}\n").await;
        let large = tongue.text(1, &"A".repeat(5 * MIB));
        let events = [tongue.begun(1), vec![large], tongue.closing()].concat();
        rig.a.next(Answer::events(events));
        ends_with_an_error(&rig).await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn s17_a_line_that_never_ends_is_cut_at_the_bound() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, "limits: {max_event: 1MiB}\n").await;
        // Without a line end there is no event, and without an event no end: silence would wait for 90 s.
        let endless = format!("data: {}", "A".repeat(3 * MIB));
        let events = [tongue.begun(1), vec![endless]].concat();
        let sent = events.len();
        rig.a.next(Answer::events(events).after(sent, Cut::Stall));
        ends_with_an_error(&rig).await;
        promptly(
            "a's socket is closed",
            rig.a.wait_closed(rig.a.seen()[0].connection),
        )
        .await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn s17_a_line_that_never_ends_before_the_first_word_is_answered_from_the_next_backend() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, "limits: {max_event: 1MiB}\n").await;
        let endless = format!("data: {}", "A".repeat(3 * MIB));
        rig.a.next(Answer::events([endless]).after(1, Cut::Stall));
        let reply = rig.ask(true).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "b", "{tongue:?}");
        let record = &rig.proxy.recorded(1).await[0];
        assert_eq!(record["attempts"][0]["class"], "bad_response");
        rig.finish().await;
    }
}

async fn ends_with_an_error(rig: &Rig) {
    let tongue = rig.tongue;
    let mut streaming = rig.open().await;
    let reply = within("the end of the stream", streaming.rest()).await;
    streaming.closed().await;
    let text = reply.text();
    let tail = text
        .strip_prefix(&tongue.begun(1).concat())
        .expect("what was said before");
    assert!(reply.whole && tail.contains("error"), "{tongue:?}: {tail}");
    assert!(tail.len() < 4096, "{tongue:?}: nothing of the event is passed on");
    assert!(!tail.contains(tongue.terminal()), "{tongue:?}: {tail}");
    let record = &rig.proxy.recorded(1).await[0];
    assert_eq!(record["class"], "midstream", "{record}");
    assert_eq!(rig.b.seen().len(), 0);
}
