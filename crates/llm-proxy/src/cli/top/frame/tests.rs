//! Frames as somebody sees them.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::board::Answers;
use super::super::words::width;
use super::*;
use crate::base::clock;

fn attempt(backend: &str, class: &str) -> Value {
    json!({"n": 1, "backend": backend, "key": "k", "model": "m", "class": class, "status": 200, "ms": 1.0})
}

fn record(time: &str, status: u16, alias: Value, class: Value, attempts: &[Value]) -> Value {
    json!({
        "time": format!("2026-11-26T{time}.123Z"), "status": status, "alias": alias, "key": "team", "class": class,
        "attempts": attempts, "first_byte_ms": if status == 200 { json!(123.4) } else { Value::Null },
        "duration_ms": 3210.0, "input_tokens": 1200, "output_tokens": 45
    })
}

/// Three backends: one well, one whose key is refused, one that is off.
fn status(error: Value) -> Value {
    let cooldown = |left: f64, key: &str| json!({"scope": "key", "key": key, "model": null, "class": "auth", "reason": "the key is refused", "seconds_left": left});
    json!({
        "version": "0.1.0", "phase": "serving", "in_flight": 7,
        "config": {"generation": 4, "last_reload_error": error},
        "concurrency": {"in_service": 5, "max": 500, "waiting": 2},
        "backends": [
            {"name": "openai", "state": "ok", "in_flight": 5, "cooldowns": []},
            {"name": "spare", "state": "disabled", "in_flight": 0, "cooldowns": []},
            {"name": "relay\u{1b}[31m", "state": "cooling", "in_flight": 0, "cooldowns": [cooldown(30.0, "relay#1"), cooldown(605.0, "relay#2")]},
        ]
    })
}

fn metrics(requests: u32, fast: u32) -> String {
    format!(
        "llm_proxy_start_time_seconds 1000\nllm_proxy_requests_total{{dialect=\"chat\",alias=\"m\",status=\"200\"}} {requests}\n\
         llm_proxy_tokens_total{{alias=\"m\",kind=\"input\"}} {0}\nllm_proxy_tokens_total{{alias=\"m\",kind=\"output\"}} {1}\n\
         llm_proxy_attempts_total{{backend=\"openai\",class=\"ok\"}} {requests}\n\
         llm_proxy_attempts_total{{backend=\"openai\",class=\"server\"}} {2}\n\
         llm_proxy_attempts_total{{backend=\"openai\",class=\"client_gone\"}} {requests}\n\
         llm_proxy_first_byte_seconds_bucket{{backend=\"openai\",le=\"0.1\"}} {fast}\n\
         llm_proxy_first_byte_seconds_bucket{{backend=\"openai\",le=\"1\"}} {requests}\n\
         llm_proxy_first_byte_seconds_bucket{{backend=\"openai\",le=\"+Inf\"}} {requests}\n",
        requests * 1000,
        requests * 50,
        requests / 3,
    )
}

fn answers(error: Value, metrics: String) -> Answers {
    let requests = [
        record(
            "12:03:41",
            200,
            json!("claude-sonnet"),
            Value::Null,
            &[attempt("relay", "auth"), attempt("openai", "ok")],
        ),
        record(
            "12:03:40",
            200,
            json!("余额不足"),
            json!("midstream"),
            &[attempt("openai", "ok")],
        ),
        record(
            "12:03:39",
            503,
            json!("claude-sonnet"),
            json!("server"),
            &[attempt("openai", "server")],
        ),
        record("12:03:38", 401, Value::Null, json!("local"), &[]),
    ];
    Answers {
        status: status(error),
        requests: json!({"requests": requests, "last": 4}),
        metrics,
    }
}

/// A board that has seen a proxy for ten seconds, and the time of its last look.
fn seen(error: Value) -> (Board, Instant) {
    let mut board = Board {
        address: "http://127.0.0.1:8766".to_owned(),
        ..Board::default()
    };
    let start = clock::now();
    let later = start + Duration::from_secs(10);
    board.take(answers(Value::Null, metrics(30, 20)), start, 5000.0);
    board.take(answers(error, metrics(153, 100)), later, 5010.0);
    (board, later)
}

#[test]
fn a_screen_shows_who_fails_and_why_and_where_requests_went() {
    let (board, now) = seen(Value::Null);
    let expected = "\
llm-proxy 0.1.0  up 1h 6m, config 4, http://127.0.0.1:8766
relay\u{fffd}[31m cools, 1 of 3 backends are well.
12.3 requests/s, 12.3k tokens/s in, 615 tokens/s out
first byte p50 77 ms, p90 743 ms, p99 974 ms  of the last minute
7 in flight, 5 of 500 places taken, 2 waiting

BACKEND     STATE     FLIGHT    OK    P50     P90  WHY
relay\u{fffd}[31m  cooling        0     -      -       -  the key is refused (relay#2), 10m 5s left, and 1 more
openai      ok             5  75 %  77 ms  743 ms
spare       disabled       0     -      -       -

TIME      STATUS  MODEL          KEY    FIRST   TOTAL   TOKENS  WAY
12:03:41     200  claude-sonnet  team  123 ms  3.21 s  1200+45  relay auth → openai
12:03:40     200  余额不足       team  123 ms  3.21 s  1200+45  openai, midstream
12:03:39     503  claude-sonnet  team       -  3.21 s  1200+45  openai server
12:03:38     401  -              team       -  3.21 s  1200+45  local";
    assert_eq!(frame(&board, 120, 40, now), expected);
}

#[test]
fn a_small_screen_shows_what_matters_most() {
    let (board, now) = seen(json!("config.yaml:3:1: unknown key"));
    let expected = "\
llm-proxy 0.1.0  up 1h 6m, config 4, ht…
relay\u{fffd}[31m cools, 1 of 3 backends are w…
The last reload was refused: config.yam…
12.3 requests/s, 12.3k tokens/s in, 615…
first byte p50 77 ms, p90 743 ms, p99 9…
7 in flight, 5 of 500 places taken, 2 w…

BACKEND     STATE       OK  WHY
relay\u{fffd}[31m  cooling      -  the key is …
and 2 more

STATUS  MODEL          WAY
   200  claude-sonnet  relay auth → ope…";
    assert_eq!(frame(&board, 40, 13, now), expected);
}

#[test]
fn time_goes_on_without_answers_and_their_loss_is_told() {
    let (mut board, now) = seen(Value::Null);
    board.fault = Some("Connection refused".to_owned());
    let text = frame(&board, 120, 40, now + Duration::from_secs(65));
    for words in [
        "up 1h 7m",
        "No answer: Connection refused; asking again. What follows is 1m 5s old.",
        "9m 0s left",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let nobody = Board {
        address: "http://127.0.0.1:1".to_owned(),
        ..Board::default()
    };
    assert_eq!(
        frame(&nobody, 80, 24, now),
        "llm-proxy  http://127.0.0.1:1\nAsking..."
    );
}

#[test]
fn a_proxy_that_has_only_begun_says_so() {
    let mut board = Board::default();
    let mut quiet = answers(Value::Null, metrics(0, 0));
    quiet.requests = json!({"requests": [], "last": 0});
    quiet.status["backends"] = json!([]);
    let now = clock::now();
    board.take(quiet, now, 1001.0);
    let text = frame(&board, 80, 24, now);
    for words in [
        "0 requests/s",
        "p50 -, p90 -, p99 -  since the start",
        "No request has ended yet.",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
}

#[test]
fn no_frame_is_larger_than_the_screen_and_colours_take_no_room() {
    let (mut board, now) = seen(json!("a\nb"));
    for colour in [false, true] {
        board.colour = colour;
        for columns in 0..140 {
            for rows in 1..30 {
                let text = frame(&board, columns, rows, now);
                assert!(text.lines().count() <= rows);
                let plain = without_colours(&text);
                assert!(
                    plain.lines().all(|line| width(line) <= columns),
                    "{columns}: {plain}"
                );
                assert!(!plain.contains('\u{1b}'), "{plain:?}");
            }
        }
    }
    board.colour = true;
    let coloured = frame(&board, 120, 40, now);
    board.colour = false;
    assert!(coloured.contains("\x1b[31mcooling"));
    assert_eq!(without_colours(&coloured), frame(&board, 120, 40, now));
}

fn without_colours(text: &str) -> String {
    let codes = [
        "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m",
    ];
    codes
        .iter()
        .fold(text.to_owned(), |text, code| text.replace(code, ""))
}

#[test]
fn an_answer_of_anything_makes_a_frame() {
    for nonsense in [
        Value::Null,
        json!([1]),
        json!({"backends": 7, "config": []}),
        json!({"backends": [null, {"cooldowns": [7]}]}),
    ] {
        let mut board = Board::default();
        let said = Answers {
            status: nonsense.clone(),
            requests: json!({"requests": [nonsense, {"attempts": [3, {}], "time": "é"}]}),
            metrics: "x{ 1\n{} 2\nllm_proxy_start_time_seconds NaN\n".to_owned(),
        };
        board.take(said, clock::now(), 5.0);
        assert!(!frame(&board, 80, 24, clock::now()).is_empty());
    }
}
