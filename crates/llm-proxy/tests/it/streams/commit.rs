//! Before the commit point every fault is invisible: another backend answers as if nothing had been.

use llm_sim::{Answer, Cut};
use serde_json::json;
use std::time::Duration;

use crate::support::rig::Twist;
use crate::support::{Reply, Rig, Tongue};

/// A stream that `b` gave, whole and clean.
#[track_caller]
fn assert_clean(tongue: Tongue, reply: &Reply, from: &str) {
    let text = reply.text();
    assert_eq!(reply.status, 200, "{tongue:?}: {text}");
    assert_eq!(reply.header("x-llm-proxy-backend"), from, "{tongue:?}");
    assert!(reply.header("content-type").starts_with("text/event-stream"));
    assert!(
        reply.whole && text.contains(tongue.terminal()),
        "{tongue:?}: {text}"
    );
    for trace in ["event: error", "\"error\":{", "of-a"] {
        assert!(!text.contains(trace), "{tongue:?}: a trace of a: {text}");
    }
}

/// `a` sends these events and the end of the body; the client has to get a clean stream of `b`, and the record says
/// that `a` failed with `class`.
async fn falls_back(tongue: Tongue, events: Vec<String>, class: &str) -> Rig {
    let rig = Rig::start(tongue).await;
    rig.a.next(Answer::events(events));
    assert_clean(tongue, &rig.ask(true).await, "b");
    let record = &rig.proxy.recorded(1).await[0];
    assert_eq!(record["attempts"][0]["class"], class, "{tongue:?}");
    assert_eq!(record["attempts"][0]["backend"], "a");
    assert_eq!(record["attempts"][1]["class"], "ok");
    assert_eq!(record["status"], 200);
    rig
}

#[tokio::test]
async fn s01_an_error_as_the_first_event_is_answered_from_the_next_backend() {
    for tongue in Tongue::ALL {
        let error = tongue.error(tongue.overloaded(), "overloaded of-a");
        let rig = falls_back(tongue, vec![error], "overloaded").await;
        let cooldowns = &rig.proxy.backend("a").await["cooldowns"];
        assert_eq!(cooldowns[0]["class"], "overloaded", "{tongue:?}: {cooldowns}");
        assert_eq!(cooldowns[0]["scope"], "backend_model", "{tongue:?}: {cooldowns}");
        rig.ask(true).await.expect(200);
        assert_eq!(rig.a.seen().len(), 1, "{tongue:?}: a cools");
        rig.finish().await;
    }
}

#[tokio::test]
async fn s02_s04_an_error_after_the_opening_leaves_no_trace_of_it() {
    for tongue in Tongue::ALL {
        let error = tongue.error(tongue.overloaded(), "overloaded of-a");
        let rig = falls_back(tongue, [tongue.opening(), vec![error]].concat(), "overloaded").await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn s02_the_client_gets_exactly_one_message_start() {
    let tongue = Tongue::Messages;
    let rig = Rig::start(tongue).await;
    let error = tongue.error("overloaded_error", "of-a");
    rig.a
        .next(Answer::events([tongue.opening(), vec![error]].concat()));
    rig.b.next(Answer::events(tongue.whole(3)));
    let reply = rig.ask(true).await;
    assert_eq!(reply.text(), tongue.whole(3).concat());
    assert_eq!(reply.text().matches("event: message_start").count(), 1);
    rig.finish().await;
}

#[tokio::test]
async fn s03_a_quota_error_inside_a_stream_cools_the_key() {
    for tongue in Tongue::ALL {
        let error = tongue.error("insufficient_quota", "You exceeded your current quota (of-a)");
        let rig = falls_back(tongue, [tongue.opening(), vec![error]].concat(), "quota").await;
        let cooldowns = &rig.proxy.backend("a").await["cooldowns"];
        assert_eq!(cooldowns[0]["scope"], "key", "{tongue:?}: {cooldowns}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn s03_a_response_that_failed_is_answered_from_the_next_backend() {
    let tongue = Tongue::Responses;
    let failed = json!({"type": "response.failed", "sequence_number": 2, "response": {"id": "resp_1", "status": "failed",
        "error": {"code": "insufficient_quota", "message": "You exceeded your current quota (of-a)"}}});
    let failed = format!("event: response.failed\ndata: {failed}\n\n");
    let rig = falls_back(tongue, [tongue.opening(), vec![failed]].concat(), "quota").await;
    rig.finish().await;
}

#[tokio::test]
async fn s05_an_empty_stream_is_no_answer() {
    for tongue in Tongue::ALL {
        let rig = falls_back(tongue, Vec::new(), "bad_response").await;
        rig.finish().await;
        let rig = falls_back(tongue, tongue.opening(), "bad_response").await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn s06_pings_are_not_progress() {
    for tongue in Tongue::ALL {
        let twist = Twist {
            a: ", timeout: {first_byte: 300ms}",
            top: "",
        };
        let rig = Rig::with(tongue, twist).await;
        let pings = vec![tongue.ping(); 4_000];
        rig.a.next(Answer::events(pings).delay(Duration::from_millis(10)));
        assert_clean(tongue, &rig.ask(true).await, "b");
        let record = &rig.proxy.recorded(1).await[0];
        assert_eq!(record["attempts"][0]["class"], "ttft_timeout", "{tongue:?}");
        assert!(record["attempts"][0]["ms"].as_f64().unwrap() >= 300.0);
        rig.a.wait_closed(rig.a.seen()[0].connection).await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn s07_where_every_stream_begins_with_an_error_the_client_gets_a_status() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        let overloaded = || Answer::events([tongue.error(tongue.overloaded(), "overloaded of-a")]);
        rig.a.next(overloaded());
        rig.b.next(overloaded());
        let reply = rig.ask(true).await;
        let expected = if tongue == Tongue::Messages { 529 } else { 503 };
        let reply = reply.expect(expected);
        assert!(reply.header("content-type").starts_with("application/json"));
        let wait: u64 = reply.header("retry-after").parse().expect("whole seconds");
        assert!(wait >= 1, "{tongue:?}: {wait}");
        let kind = &reply.json()["error"]["type"];
        assert_eq!(kind == "overloaded_error", tongue == Tongue::Messages, "{kind}");
        assert!(!reply.text().contains("of-a"), "our own words: {}", reply.text());
        rig.finish().await;
    }
}

/// An answer of `a` that is odd but sound is delivered, streamed and not, and nobody else is asked.
async fn delivered(answer: impl Fn() -> Answer) {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        rig.a.always(answer());
        for stream in [true, false] {
            let reply = rig.ask(stream).await.expect(200);
            assert_eq!(reply.header("x-llm-proxy-backend"), "a", "{tongue:?} {stream}");
            assert!(reply.whole);
            assert_eq!(reply.text().contains(tongue.terminal()), stream, "{tongue:?}");
        }
        assert_eq!(rig.b.seen().len(), 0, "{tongue:?}: no fallback");
        let records = rig.proxy.recorded(2).await;
        assert!(
            records.iter().all(|record| record["class"].is_null()),
            "{records:?}"
        );
        assert_eq!(rig.proxy.backend("a").await["state"], "ok");
        rig.finish().await;
    }
}

#[tokio::test]
async fn s18_an_answer_without_a_word_is_an_answer() {
    delivered(|| Answer::healthy().empty().usage(5, 0)).await;
}

#[tokio::test]
async fn s18_a_call_of_a_tool_is_an_answer() {
    delivered(|| Answer::healthy().tool_call("look_up", "{}")).await;
}

#[tokio::test]
async fn s18_a_refusal_is_an_answer() {
    delivered(|| Answer::healthy().refusal()).await;
}

#[tokio::test]
async fn s24_usage_that_only_the_proxy_asked_for_is_taken_out_again() {
    let rig = Rig::top(Tongue::Chat, "rate_limit: {per_model: {m: {tpm: 1000000}}}\n").await;
    rig.a.always(Answer::healthy().usage(11, 22));
    let reply = rig.ask(true).await.expect(200);
    assert_eq!(rig.a.seen()[0].json()["stream_options"]["include_usage"], true);
    assert!(!reply.text().contains("\"usage\":{"), "{}", reply.text());
    assert!(!reply.text().contains("\"choices\":[]"), "{}", reply.text());
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
    let record = &rig.proxy.recorded(1).await[0];
    assert_eq!(record["input_tokens"], 11);
    assert_eq!(record["output_tokens"], 22);
    rig.finish().await;
}

#[tokio::test]
async fn s24_usage_that_the_client_asked_for_stays() {
    let rig = Rig::top(Tongue::Chat, "rate_limit: {per_model: {m: {tpm: 1000000}}}\n").await;
    rig.a.always(Answer::healthy().usage(11, 22));
    let mut request = Tongue::Chat.request("m", true);
    request["stream_options"] = json!({"include_usage": true});
    let reply = rig.proxy.client().post(Tongue::Chat.path(), &request).await;
    assert!(reply.text().contains("\"prompt_tokens\":11"), "{}", reply.text());
    rig.finish().await;
}

#[tokio::test]
async fn s25_json_in_place_of_a_stream_is_relayed_as_it_is() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        rig.a.next(Answer::healthy().as_json());
        let reply = rig.ask(true).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "a");
        assert_eq!(reply.header("content-type"), "application/json");
        assert!(reply.json()["id"].is_string(), "{}", reply.text());
        assert_eq!(rig.b.seen().len(), 0);
        rig.finish().await;
    }
}

#[tokio::test]
async fn s26_a_stream_of_nothing_in_place_of_json_is_no_answer() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        rig.a.next(Answer::events(tongue.opening()));
        let reply = rig.ask(false).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "b", "{tongue:?}");
        assert!(reply.json()["id"].is_string(), "{}", reply.text());
        let record = &rig.proxy.recorded(1).await[0];
        assert_eq!(record["attempts"][0]["class"], "bad_response", "{tongue:?}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn s26_a_stream_in_place_of_json_is_gathered_into_it() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        rig.a.next(Answer::healthy().text("word for word").as_stream());
        let reply = rig.ask(false).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "a", "{tongue:?}");
        assert_eq!(reply.header("content-type"), "application/json", "{tongue:?}");
        assert!(
            reply.text().contains("word for word"),
            "{tongue:?}: {}",
            reply.text()
        );
        rig.finish().await;
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_first_word_is_answered_from_the_next_backend() {
    for tongue in Tongue::ALL {
        for cut in [Cut::Rst, Cut::Fin] {
            let rig = Rig::start(tongue).await;
            let opening = tongue.opening();
            let events = opening.len();
            rig.a.next(Answer::events(opening).after(events, cut));
            assert_clean(tongue, &rig.ask(true).await, "b");
            rig.finish().await;
        }
    }
}
