//! `x-request-timeout-ms`: how long a client waits, for all attempts and for the queue together.

use std::time::Duration;

use futures_util::future::join_all;
use llm_sim::{Answer, Cut};

use super::support::{Rig, Streaming, Tongue, until};

const HEADER: &str = "x-request-timeout-ms";

/// Asks for the alias with that much patience.
async fn ask(rig: &Rig, millis: &str, stream: bool) -> super::support::Reply {
    let client = rig.proxy.client().header(HEADER, millis);
    client
        .post(rig.tongue.path(), &rig.tongue.request("m", stream))
        .await
}

/// As many as would bench a backend, with time enough for a machine that is busy with other things.
async fn three_at_once(rig: &Rig, millis: &str, stream: bool) -> Vec<super::support::Reply> {
    join_all((0..3).map(|_| ask(rig, millis, stream))).await
}

#[tokio::test]
async fn a_clients_deadline_ends_its_request_and_blames_nobody() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        rig.a.always(Answer::hang());
        for reply in three_at_once(&rig, "1000", false).await {
            reply.expect(504);
        }
        let records = rig.proxy.recorded(3).await;
        assert_eq!(records[0]["attempts"][0]["class"], "local", "{tongue:?}");
        assert_eq!(
            rig.b.seen().len(),
            0,
            "{tongue:?}: no time is left for anybody else"
        );
        let backend = rig.proxy.backend("a").await;
        assert_eq!(backend["state"], "ok", "{tongue:?}: it had but a moment");
        rig.a.always(Answer::healthy());
        ask(&rig, "60000", false).await.expect(200);
        assert_eq!(
            rig.a.seen()[3].header(HEADER),
            None,
            "{tongue:?}: it is between the client and us"
        );
        rig.finish().await;
    }
}

#[tokio::test]
async fn what_is_no_whole_number_above_zero_is_no_deadline() {
    let rig = Rig::start(Tongue::Chat).await;
    for odd in ["0", "-5", "soon", "1.5", "99999999999999999999999"] {
        ask(&rig, odd, false).await.expect(200);
    }
    rig.finish().await;
}

#[tokio::test]
async fn a_stream_is_over_with_its_clients_deadline() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        rig.a.always(Answer::healthy().after_deltas(2, Cut::Stall));
        for reply in three_at_once(&rig, "1000", true).await {
            let text = reply.expect(200).text();
            assert!(!text.contains(tongue.terminal()), "{tongue:?}: {text}");
            assert!(text.contains("error"), "{tongue:?}: it ends with an error event");
        }
        let records = rig.proxy.recorded(3).await;
        assert_eq!(records[2]["class"], "local", "{tongue:?}");
        let backend = rig.proxy.backend("a").await;
        assert_eq!(
            backend["state"], "ok",
            "{tongue:?}: nobody benches it by impatience"
        );
        rig.finish().await;
    }
}

#[tokio::test]
async fn whoever_waits_in_the_queue_leaves_it_with_its_deadline() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, "concurrency: {max_requests: 1}").await;
        rig.a.always(Answer::healthy().after_deltas(1, Cut::Stall));
        let running: Streaming = rig.open().await;
        rig.a.wait_seen(1).await;
        ask(&rig, "150", false).await.expect(504);
        until("the queue to be empty", async || {
            (rig.proxy.status().await["concurrency"]["waiting"] == 0).then_some(())
        })
        .await;
        assert_eq!(rig.a.seen().len(), 1, "{tongue:?}: it never left the queue");
        running.leave();
        rig.finish().await;
    }
}

/// With a deadline of its own a client decides what is too slow; without one the cutoff does.
#[tokio::test]
async fn f40_a_slow_failure_is_the_last_attempt_unless_the_client_has_time() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(
            tongue,
            "fallback: {slow_failure_cutoff: 100ms}\nlogging: {level: debug}",
        )
        .await;
        rig.a
            .always(Answer::status(500).head_delay(Duration::from_millis(250)));
        rig.ask(false).await.expect(502);
        assert_eq!(rig.b.seen().len(), 0, "{tongue:?}: its user has waited enough");
        rig.proxy.logged("slow_failure").await;
        let reply = ask(&rig, "60000", false).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "b", "{tongue:?}");
        rig.finish().await;
    }
}
