//! F31 to F39, F45: answers with a good status that are none.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use llm_sim::{Answer, Sim, Speaks};
use serde_json::json;

use super::super::support::within;
use super::bench::{Bench, Case, Dialect, Setup};

/// A gibibyte is far above it, a healthy answer far below.
const SMALL_RESPONSES: &str = "limits: {max_response: 1MiB}";

#[tokio::test]
async fn f31_a_redirect_is_not_followed() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let target = Sim::start(Speaks::All).await.unwrap();
        for (request, status) in [301, 302, 303, 307, 308, 304].into_iter().enumerate() {
            let elsewhere = format!("{}{}", target.url(), case.path());
            bench
                .a
                .next(Answer::status(status).header("location", &elsewhere));
            let reply = bench.b_answers(&format!("m-{status}")).await;
            assert_eq!(reply.header("location"), "");
            bench.fell_back(request, "bad_response").await;
        }
        assert_eq!(target.open_connections(), 0);
        assert_eq!(target.seen().len(), 0);
        bench.finish().await;
    }
}

#[tokio::test]
async fn f32_a_page_under_a_200_reaches_neither_client_nor_log() {
    let page = format!(
        "<!DOCTYPE html><html><body>{}the-end-of-the-page</body></html>",
        "x".repeat(2_000)
    );
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let answer = Answer::status(200).raw_body(page.clone(), "text/html; charset=utf-8");
        bench.a.always(answer);
        bench.b_answers("m").await;
        bench.fell_back(0, "bad_response").await;
        let error = bench
            .refused("only", 502, "bad_upstream_response", "api_error")
            .await;
        assert!(!error.text().contains("html"), "{}", error.text());
        for line in bench.proxy.log() {
            assert!(!line.contains("the-end-of-the-page"), "{line}");
        }
        bench.finish().await;
    }
}

#[tokio::test]
async fn f33_an_error_under_a_200_is_what_it_says_it_is() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let message = "Rate limit exceeded, try again in 20s";
        let rate = match case.dialect {
            Dialect::Messages => case.error("rate_limit_error", "", message),
            _ => json!({"error": {"message": message, "code": 429}}),
        };
        bench.a.next(Answer::status(200).body(rate));
        bench.b_answers("m").await;
        bench.fell_back(0, "rate").await;
        let line = bench.cooled("m").await;
        assert_eq!(line["scope"], "key_model");
        assert_eq!(line["seconds"], json!(20.0));

        let overloaded = case.error("overloaded_error", "server_is_overloaded", "Overloaded");
        bench.a.next(Answer::status(200).body(overloaded));
        bench.b_answers("m-2").await;
        bench.fell_back(1, "overloaded").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f34_an_empty_a_hollow_or_a_cut_answer_falls_back() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let hollow = match case.dialect {
            Dialect::Chat => json!({"id": "c", "object": "chat.completion", "choices": []}),
            Dialect::Responses => json!({"id": "r", "object": "response"}),
            Dialect::Messages => json!({"id": "m", "type": "message", "role": "assistant", "content": []}),
        };
        let whole = "{\"id\":\"x\",\"choices\":[{\"message\":{\"content\":\"Hel";
        let answers = [
            Answer::status(200),
            Answer::status(200).body(json!({})),
            Answer::status(200).body(hollow),
            Answer::status(200).raw_body(whole, "application/json"),
            Answer::healthy().as_json().content_length_over(10),
            Answer::status(200).raw_body("not at all", "text/plain"),
        ];
        for (n, answer) in answers.into_iter().enumerate() {
            bench.a.next(answer);
            bench.b_answers(&format!("m-{n}")).await;
            bench.fell_back(n, "bad_response").await;
        }
        bench.finish().await;
    }
}

#[tokio::test]
async fn f34_three_bad_answers_in_a_row_bench_the_model() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.always(Answer::status(200).body(json!({})));
        for _ in 0..4 {
            bench.b_answers("m").await;
        }
        assert_eq!(bench.a.seen().len(), 3);
        assert_eq!(bench.cooled("m").await["class"], "bad_response");
        bench.finish().await;
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A small JSON answer of the dialect, as text.
fn small(case: Case) -> String {
    let answer = match case.dialect {
        Dialect::Chat => json!({"id": "c", "object": "chat.completion", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "folded"}, "finish_reason": "stop"}]}),
        Dialect::Responses => {
            json!({"id": "r", "object": "response", "status": "completed", "output": [
            {"type": "message", "content": [{"type": "output_text", "text": "folded"}]}]})
        }
        Dialect::Messages => {
            json!({"id": "m", "type": "message", "role": "assistant", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "folded"}]})
        }
    };
    answer.to_string()
}

#[tokio::test]
async fn f35_a_folded_answer_is_unfolded_or_left() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let folded = |encoding: &str, bytes: Vec<u8>| {
            Answer::status(200)
                .header("content-encoding", encoding)
                .raw_body(bytes, "application/json")
        };
        bench
            .a
            .next(folded("gzip", gzip(small(case).as_bytes())))
            .next(folded("br", small(case).into_bytes()))
            .next(folded("gzip", small(case).into_bytes()));
        let reply = bench.ask("m-1").await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "a");
        assert_eq!(reply.header("content-encoding"), "");
        assert_eq!(reply.text(), small(case));
        bench.b_answers("m-2").await;
        bench.fell_back(1, "bad_response").await;
        bench.b_answers("m-3").await;
        bench.fell_back(2, "bad_response").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f35_a_folded_stream_is_left_however_long_it_is() {
    for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Messages] {
        let bench = Bench::start(Case::new(dialect, true)).await;
        // Longer than what is held back before an answer commits whatever it is.
        let mut noise = 1_u32;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0]
        })
        .take(600 * 1024)
        .collect();
        let answer = Answer::status(200)
            .header("content-encoding", "gzip")
            .raw_body(gzip(&bytes), "text/event-stream");
        bench.a.next(answer);
        bench.b_answers("m").await;
        bench.fell_back(0, "bad_response").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f35_folded_bytes_that_pass_unseen_are_left_too() {
    let bench = Bench::start(Case::CHAT[0]).await;
    let speech = gzip(b"ID3 not what the client's player expects");
    bench.a.next(
        Answer::status(200)
            .header("content-encoding", "gzip")
            .raw_body(speech, "audio/mpeg"),
    );
    let request = json!({"model": "m", "input": "Hello", "voice": "alloy"});
    let reply = bench
        .client()
        .post("/v1/audio/speech", &request)
        .await
        .expect(200);
    assert_eq!(reply.header("x-llm-proxy-backend"), "b");
    bench.fell_back(0, "bad_response").await;
    bench.finish().await;
}

#[tokio::test]
async fn f36_a_bomb_is_not_unfolded() {
    let bomb = gzip(&vec![b' '; 256 << 20]);
    for case in Case::ALL {
        let bench = Setup::of(case).top(SMALL_RESPONSES).start().await;
        bench.a_answers("m").await;
        let before = peak_memory(bench.proxy.pid());
        let answer = Answer::status(200)
            .header("content-encoding", "gzip")
            .raw_body(bomb.clone(), "application/json");
        bench.a.always(answer);
        bench.b_answers("m").await;
        bench.fell_back(1, "bad_response").await;
        bench
            .refused("only", 502, "bad_upstream_response", "api_error")
            .await;
        let rise = peak_memory(bench.proxy.pid()) - before;
        assert!(rise < 64 << 10, "the peak rose by {rise} KiB");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f37_an_endless_answer_is_cut_off_at_the_limit() {
    let mebibyte = vec![b' '; 1 << 20];
    for case in Case::ALL {
        let bench = Setup::of(case).top(SMALL_RESPONSES).start().await;
        let gibibyte = Answer::status(200)
            .raw_body(mebibyte.clone(), "application/json")
            .times(1024);
        for (n, answer) in [gibibyte.clone(), gibibyte.close_delimited()]
            .into_iter()
            .enumerate()
        {
            bench.a.next(answer.clone()).next(answer);
            bench.b_answers(&format!("m-{n}")).await;
            bench.fell_back(2 * n, "bad_response").await;
            bench
                .refused(&format!("only-{n}"), 502, "bad_upstream_response", "api_error")
                .await;
        }
        for seen in bench.a.seen() {
            within(
                "the connection to be closed",
                bench.a.wait_closed(seen.connection),
            )
            .await;
        }
        let peak = peak_memory(bench.proxy.pid());
        assert!(peak < 256 << 10, "a peak of {peak} KiB");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f38_a_monstrous_head_is_no_answer() {
    let long = format!("x-ratelimit-a: {}\r\n", "a".repeat(1 << 20));
    let many = "x-ratelimit-a: 1\r\n".repeat(10_000);
    let smuggled = "x-ratelimit-a: 1\rset-cookie: evil=1\r\n";
    let zero = "x-ratelimit-a: \0evil\r\n";
    let twice = "content-length: 3\r\ncontent-length: 5\r\n";
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        for (n, headers) in [&long, &many, smuggled, zero, twice].into_iter().enumerate() {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\n");
            bench
                .a
                .next(Answer::raw_response(head + &small(case)))
                .next(Answer::raw_response("HTTP/9 what\r\n\r\n"));
            let reply = bench.b_answers(&format!("m-{n}")).await;
            assert_eq!(reply.header("x-ratelimit-a"), "");
            assert_eq!(reply.header("set-cookie"), "");
            bench.fell_back(2 * n, "bad_response").await;
            bench
                .refused(&format!("only-{n}"), 502, "bad_upstream_response", "api_error")
                .await;
        }
        bench.finish().await;
    }
}

#[tokio::test]
async fn f39_informational_answers_stay_here() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let answer = Answer::healthy()
            .informational(100, &[])
            .informational(103, &[("link", "</style.css>; rel=preload")]);
        bench.a.always(answer);
        for _ in 0..2 {
            let reply = bench.a_answers("m").await;
            assert_eq!(reply.header("link"), "");
        }
        assert_eq!(bench.a.seen()[1].nth, 2, "the connection serves on");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f45_an_answer_that_the_operator_calls_an_error_is_one() {
    let map = "detection: {error_map: [{backend: a, status: 200, pattern: no available channel, class: unavailable}]}";
    for case in Case::ALL {
        let bench = Setup::of(case).top(map).start().await;
        bench.a.always(
            Answer::healthy()
                .text("Sorry: no available channel for this model")
                .deltas(1),
        );
        bench.b_answers("m").await;
        bench.fell_back(0, "unavailable").await;
        assert_eq!(bench.cooled("m").await["scope"], "backend_model");
        bench.b_answers("m").await;
        assert_eq!(bench.a.seen().len(), 1);
        bench.finish().await;
    }
}

/// The most memory that a process has had so far, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
