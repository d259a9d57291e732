//! Faults: statuses, silence, resets, and answers that break off.

use std::time::Duration;

use llm_sim::{Answer, Broken, Cut, Sim, Speaks};
use serde_json::json;

use crate::client::{Client, DIALECTS, Dialect, Ended, ask};

#[tokio::test]
async fn a_status_has_the_error_of_the_dialect_and_the_headers_given() {
    for dialect in DIALECTS {
        let sim = Sim::start(Speaks::All).await.unwrap();
        sim.next(Answer::status(429).header("Retry-After", "7"));
        let reply = ask(&sim, dialect, true).await;
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("7")));
        let error = reply.json();
        match dialect {
            Dialect::Messages => assert_eq!(error["error"]["type"], "rate_limit_error"),
            _ => assert_eq!(error["error"]["code"], "rate_limit_exceeded"),
        }
    }
}

#[tokio::test]
async fn queued_answers_go_in_order_and_then_the_rule_holds() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.next(Answer::status(500))
        .next(Answer::status(503))
        .always(Answer::status(404));
    let mut client = Client::connect(&sim).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.ask(Dialect::Chat, false).await.status);
    }
    assert_eq!(statuses, [500, 503, 404, 404]);
    sim.script(|seen| Answer::status(if seen.nth == 5 { 418 } else { 200 }));
    assert_eq!(client.ask(Dialect::Chat, false).await.status, 418);
}

#[tokio::test]
async fn bodies_are_given_as_they_are() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.next(Answer::status(200).body(json!({"choices": []})));
    sim.next(Answer::status(200).raw_body("<html>", "text/html"));
    sim.next(Answer::status(200).raw_body("ab", "text/plain").times(3));
    sim.next(
        Answer::status(200)
            .raw_body("zip", "application/json")
            .header("content-encoding", "br"),
    );
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(Dialect::Chat, false).await.text(), r#"{"choices":[]}"#);
    let html = client.ask(Dialect::Chat, false).await;
    assert_eq!(
        (html.header("content-type"), html.text().as_str()),
        (Some("text/html"), "<html>")
    );
    assert_eq!(client.ask(Dialect::Chat, false).await.text(), "ababab");
    assert_eq!(
        client.ask(Dialect::Chat, false).await.header("content-encoding"),
        Some("br")
    );
}

#[tokio::test]
async fn a_status_that_is_no_error_has_an_empty_body() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.next(Answer::status(200))
        .next(Answer::status(302).header("location", "http://192.0.2.1/"));
    let mut client = Client::connect(&sim).await;
    let empty = client.ask(Dialect::Chat, false).await;
    assert_eq!((empty.status, empty.text().as_str()), (200, ""));
    let moved = client.ask(Dialect::Chat, false).await;
    assert_eq!(
        (moved.status, moved.header("location")),
        (302, Some("http://192.0.2.1/"))
    );
}

#[tokio::test]
async fn a_reset_is_an_rst_without_an_answer() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.next(Answer::reset());
    let reply = ask(&sim, Dialect::Chat, false).await;
    assert_eq!((reply.status, reply.ended), (0, Ended::Rst));
    sim.wait_closed(1).await;
}

#[tokio::test]
async fn a_stale_connection_resets_only_when_it_is_used_again() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.always(Answer::reset_on_reused());
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(Dialect::Chat, false).await.status, 200);
    assert_eq!(client.ask(Dialect::Chat, false).await.ended, Ended::Rst);
    assert_eq!(ask(&sim, Dialect::Chat, false).await.status, 200);
}

#[tokio::test]
async fn a_hanging_backend_notices_at_once_that_its_client_leaves() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.next(Answer::hang());
    let mut client = Client::connect(&sim).await;
    client
        .send(Dialect::Chat.path(), Dialect::Chat.headers(), b"{}")
        .await;
    let seen = sim.wait_seen(1).await.remove(0);
    assert_eq!(seen.closed(), None);
    drop(client);
    let closed = sim.wait_closed(1).await;
    assert_eq!(seen.closed(), Some(closed));
    assert!(closed >= seen.arrived);
}

#[tokio::test]
async fn a_stream_breaks_off_after_its_deltas_in_every_way_and_dialect() {
    for dialect in DIALECTS {
        let sim = Sim::start(Speaks::All).await.unwrap();
        let deltas = |reply: &crate::client::Reply| reply.text().matches("\"tok \"").count();
        let cut = async |cut: Cut| {
            sim.next(Answer::healthy().text("tok ".repeat(30)).after_deltas(20, cut));
            ask(&sim, dialect, true).await
        };
        for (how, ended) in [
            (Cut::Rst, Ended::Rst),
            (Cut::Fin, Ended::Fin),
            (Cut::End, Ended::Whole),
        ] {
            let reply = cut(how.clone()).await;
            assert_eq!((deltas(&reply), reply.ended), (20, ended), "{dialect:?} {how:?}");
            for terminal in ["[DONE]", "message_stop", "response.completed"] {
                assert!(
                    !reply.text().contains(terminal),
                    "a broken answer never looks whole"
                );
            }
        }
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}});
        let reply = cut(Cut::Error(error.clone())).await;
        assert_eq!(reply.events().pop().unwrap().1, error, "{dialect:?}");
        let fault = cut(Cut::Fault(529)).await.text();
        assert!(
            fault.contains("verloaded") && fault.contains("error"),
            "{dialect:?}: {fault}"
        );
    }
}

#[tokio::test]
async fn a_stalled_stream_stays_open_until_its_client_leaves() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.next(Answer::events(["data: 1\n\n", "data: 2\n\n"]).after(1, Cut::Stall));
    let mut client = Client::connect(&sim).await;
    client
        .send(Dialect::Chat.path(), Dialect::Chat.headers(), b"{}")
        .await;
    let reply = tokio::time::timeout(Duration::from_millis(50), client.reply()).await;
    assert!(reply.is_err(), "a stall gives no end: {reply:?}");
    assert_eq!(sim.open_connections(), 1);
    drop(client);
    sim.wait_closed(1).await;
}

#[tokio::test]
async fn a_broken_backend_is_overloaded_or_resets_every_second_request() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.broken(Broken::Overloaded);
    assert_eq!(ask(&sim, Dialect::Messages, false).await.status, 529);
    assert_eq!(ask(&sim, Dialect::Chat, true).await.status, 503);
    sim.broken(Broken::EverySecondReset);
    let mut ends = Vec::new();
    for _ in 0..4 {
        ends.push(ask(&sim, Dialect::Chat, false).await.ended);
    }
    assert_eq!(ends, [Ended::Rst, Ended::Whole, Ended::Rst, Ended::Whole]);
}

#[tokio::test]
async fn a_whole_answer_may_be_followed_by_a_fin_that_nobody_announced() {
    for dialect in DIALECTS {
        for stream in [false, true] {
            let sim = Sim::start(Speaks::All).await.unwrap();
            sim.next(Answer::healthy().hangs_up());
            let mut client = Client::connect(&sim).await;
            let reply = client.ask(dialect, stream).await;
            assert_eq!((reply.status, reply.ended), (200, Ended::Whole), "{dialect:?}");
            assert_eq!(reply.header("connection"), None, "{dialect:?}");
            assert_eq!(client.ended().await, Ended::Fin, "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_come_after_the_whole_answer() {
    const UNASKED: &str = "HTTP/1.1 418 Unasked\r\ncontent-length: 0\r\n\r\n";
    for dialect in DIALECTS {
        for stream in [false, true] {
            let sim = Sim::start(Speaks::All).await.unwrap();
            sim.next(Answer::healthy().unasked(UNASKED));
            let mut client = Client::connect(&sim).await;
            let reply = client.ask(dialect, stream).await;
            assert_eq!((reply.status, reply.ended), (200, Ended::Whole), "{dialect:?}");
            assert_eq!(client.reply().await.status, 418, "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn garbage_in_the_framing_is_no_end() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.next(Answer::events(["data: 1\n\n", "data: 2\n\n"]).after(1, Cut::Garbage));
    let mut client = Client::connect(&sim).await;
    client
        .send(Dialect::Chat.path(), Dialect::Chat.headers(), b"{}")
        .await;
    let got = client.rest().await;
    let garbage: &[u8] = b"9\r\ndata: 1\n\n\r\nthis is no size\r\n\0\xff\xfe";
    assert!(got.ends_with(garbage), "{:?}", String::from_utf8_lossy(&got));
}
