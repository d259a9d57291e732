//! F24 to F26, F29, F30: what is the caller's own fault is told as the backend told it, and harms nobody.

use llm_sim::Answer;

use super::bench::{Bench, Case, Dialect, KEY_A, Setup};

/// An error with odd spacing and an unknown member, in the dialect's envelope: relayed to the byte, or not at all.
fn odd(case: Case, message: &str) -> String {
    match case.dialect {
        Dialect::Messages => format!(
            "{{ \"type\":\"error\",\n  \"error\":{{\"message\":\"{message}\", \"type\":\"invalid_request_error\",\"x\":1.50}} }}"
        ),
        _ => format!(
            "{{ \"error\":\n  {{\"type\":\"invalid_request_error\", \"message\":\"{message}\",\"x\":1.50, \"code\":null}} }}"
        ),
    }
}

#[tokio::test]
async fn f24_a_400_is_relayed_word_for_word_and_changes_nothing() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let body = odd(case, "temperature: must be at most 2");
        let answer = Answer::status(400)
            .header("server", "secret-relay/1.0")
            .header("set-cookie", "session=1")
            .header("x-ratelimit-remaining-requests", "41")
            .header("x-should-retry", "false")
            .raw_body(body.clone(), "application/json");
        bench.a.always(answer);
        // Every dialect often enough for a breaker to trip, one of them much more often.
        let times = if case == Case::ALL[0] { 50 } else { 12 };
        for _ in 0..times {
            let reply = bench.ask("m").await.expect(400);
            assert_eq!(reply.text(), body);
            assert_eq!(reply.header("server"), "");
            assert_eq!(reply.header("set-cookie"), "");
            assert_eq!(reply.header("x-ratelimit-remaining-requests"), "41");
            assert_eq!(reply.header("x-should-retry"), "false");
        }
        assert_eq!(bench.a.seen().len(), times, "it stays the first choice");
        assert_eq!(bench.b.seen().len(), 0);
        assert_eq!(bench.proxy.recorded(times).await[times - 1]["class"], "client");
        bench.a.always(Answer::healthy());
        bench.a_answers("m").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f24_a_key_that_the_backend_repeats_is_blotted_out_and_nothing_else() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let body = odd(case, &format!("the key {KEY_A} sent this"));
        bench
            .a
            .always(Answer::status(400).raw_body(body.clone(), "application/json"));
        let reply = bench.ask("m").await.expect(400);
        assert_eq!(reply.text(), body.replace(KEY_A, "***"));
        bench.finish().await;
    }
}

#[tokio::test]
async fn f25_a_context_that_is_too_long_goes_on_to_a_larger_one() {
    for case in Case::ALL {
        let bench = Setup::of(case).contexts(200_000, 1_000_000).start().await;
        bench.a.always(too_long(case));
        for request in 0..5 {
            bench.b_answers("m").await;
            bench.fell_back(request, "context_length").await;
        }
        assert_eq!(bench.a.seen().len(), 5, "nothing rests for it");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f26_a_context_that_is_too_long_is_not_tried_on_a_smaller_one() {
    for case in Case::ALL {
        for smaller in [100_000, 200_000] {
            let bench = Setup::of(case).contexts(200_000, smaller).start().await;
            bench.a.always(too_long(case));
            let reply = bench.ask("m").await.expect(400);
            let message = reply.json()["error"]["message"].clone();
            assert_eq!(
                message, "prompt is too long: 210000 tokens > 200000 maximum",
                "verbatim"
            );
            assert_eq!(bench.b.seen().len(), 0);
            bench.finish().await;
        }
    }
}

fn too_long(case: Case) -> Answer {
    let message = "prompt is too long: 210000 tokens > 200000 maximum";
    let body = case.error("invalid_request_error", "context_length_exceeded", message);
    Answer::status(400).body(body)
}

#[tokio::test]
async fn f29_a_signature_error_with_nothing_to_repair_is_relayed() {
    for stream in [false, true] {
        let case = Case::new(Dialect::Messages, stream);
        let bench = Bench::start(case).await;
        let body = odd(
            case,
            "messages.1.content.0: Invalid `signature` in `thinking` block",
        );
        bench
            .a
            .always(Answer::status(400).raw_body(body.clone(), "application/json"));
        assert_eq!(bench.ask("m").await.expect(400).text(), body);
        assert_eq!(bench.b.seen().len(), 0);
        assert_eq!(bench.proxy.recorded(1).await[0]["class"], "signature");
        assert_eq!(bench.coolings().len(), 0);
        bench.finish().await;
    }
}

#[tokio::test]
async fn f30_other_faults_of_the_caller_are_relayed_too() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        for status in [413, 415, 422] {
            let body = odd(case, "no");
            bench
                .a
                .next(Answer::status(status).raw_body(body.clone(), "application/json"));
            assert_eq!(bench.ask("m").await.expect(status).text(), body);
        }
        assert_eq!(bench.b.seen().len(), 0);
        assert_eq!(bench.coolings().len(), 0);
        bench.a_answers("m").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f30_a_page_in_place_of_an_error_is_told_in_the_dialect() {
    let page = "<html><head><title>413 Request Entity Too Large</title></head><body>nginx</body></html>";
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.always(Answer::status(413).raw_body(page, "text/html"));
        let reply = bench.ask("m").await.expect(413);
        assert_eq!(reply.header("content-type"), "application/json");
        assert!(!reply.text().contains('<'), "{}", reply.text());
        assert_eq!(bench.b.seen().len(), 0);
        bench.finish().await;
    }
}
