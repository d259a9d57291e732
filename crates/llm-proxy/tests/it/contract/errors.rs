//! The contract's table of errors (section 2): status, type and code of each cause in each dialect.

use std::time::Duration;

use llm_sim::{Answer, Sim};
use serde_json::{Value, json};

use super::super::support::{Proxy, Reply};
use super::{Pair, calls};

const MESSAGES: &str = "/v1/messages";

/// What an error must look like: status, type and code for OpenAI's dialects, status and type for Anthropic's.
type Look = (u16, &'static str, Option<&'static str>, u16, &'static str);

#[track_caller]
fn assert_look(path: &str, reply: &Reply, look: Look) {
    let body = reply.json();
    let (status, kind) = if path == MESSAGES {
        (look.3, look.4)
    } else {
        (look.0, look.1)
    };
    assert_eq!(reply.status, status, "{path}: {body}");
    assert_eq!(body["error"]["type"], kind, "{path}: {body}");
    if path == MESSAGES {
        assert_eq!(body["type"], "error");
        assert_eq!(body["request_id"], reply.header("x-request-id"), "{body}");
    } else {
        let fields: Vec<&String> = body["error"].as_object().unwrap().keys().collect();
        assert_eq!(fields.len(), 4, "message, type, param, code: {body}");
        assert_eq!(body["error"]["code"], json!(look.2), "{path}: {body}");
    }
    let text = reply.text();
    for inner in ["127.0.0.1", "backend-o", "backend-a", "sk-canary-"] {
        assert!(
            !text.contains(inner),
            "{path}: the proxy's own errors name nobody: {text}"
        );
    }
}

/// The pair under names that no error may repeat.
fn named(pair: &Pair) -> String {
    let yaml = pair
        .yaml()
        .replace("{name: o,", "{name: backend-o,")
        .replace("{name: a,", "{name: backend-a,");
    yaml.replace("backend: o,", "backend: backend-o,")
        .replace("backend: a,", "backend: backend-a,")
}

#[tokio::test]
async fn the_clients_own_faults_look_as_the_table_says() {
    let pair = Pair::start().await;
    let yaml = named(&pair).replace(
        "models:\n",
        "models:\n  secret: {backend: backend-o}\n  off: {backend: backend-o, enabled: false}\n",
    );
    let key = "sk-canary-client-key";
    let proxy = Proxy::start(&format!(
        "limits: {{max_body: 4KiB}}\napi_keys: [{{name: k, key: {key}, models: [m, off]}}]\n{yaml}"
    ))
    .await;
    let known = proxy
        .client()
        .header("x-api-key", key)
        .header("authorization", "");
    for (path, body) in calls("m", false).into_iter().chain(calls("m", true)) {
        let asking = |model: &str| {
            let mut body = body.clone();
            body["model"] = json!(model);
            body
        };
        let bad = "invalid_request_error";
        let wrong = proxy.client().post(path, &body).await;
        let kind = "authentication_error";
        assert_look(path, &wrong, (401, kind, Some("invalid_api_key"), 401, kind));
        let forbidden = known.post(path, &asking("secret")).await;
        let kind = "permission_error";
        assert_look(
            path,
            &forbidden,
            (403, kind, Some("model_not_allowed"), 403, kind),
        );
        let no_json = known.send("POST", path, b"{").await;
        assert_look(path, &no_json, (400, bad, Some("invalid_body"), 400, bad));
        let mut long = body.clone();
        long["padding"] = Value::from("x".repeat(5000));
        let long = known.post(path, &long).await;
        assert_look(
            path,
            &long,
            (413, bad, Some("request_too_large"), 413, "request_too_large"),
        );
        for model in ["nothing", "off"] {
            let unknown = known.post(path, &asking(model)).await;
            assert_look(
                path,
                &unknown,
                (404, bad, Some("model_not_found"), 404, "not_found_error"),
            );
        }
    }
    assert_eq!(pair.seen().len(), 0);
    proxy.finish().await;
}

fn both(pair: &Pair, act: impl Fn(&Sim)) {
    act(&pair.openai);
    act(&pair.anthropic);
}

#[tokio::test]
async fn an_error_for_the_callers_own_fault_goes_through_word_for_word() {
    let pair = Pair::start().await;
    let words = r#"{ "type":"error",  "error":{"type":"invalid_request_error","message":"temperature: 3.0 is too hot","param":"temperature","n":1e2} }"#;
    for status in [400, 413, 422] {
        both(&pair, |sim| {
            sim.always(
                Answer::status(status)
                    .raw_body(words, "application/json")
                    .header("request-id", "req-b"),
            );
        });
        let proxy = Proxy::start(&named(&pair)).await;
        for (path, body) in calls("m", false).into_iter().chain(calls("m", true)) {
            let reply = proxy.client().post(path, &body).await.expect(status);
            assert_eq!(reply.text(), words, "{path} {status}");
            assert_eq!(reply.header("content-type"), "application/json");
            assert_eq!(reply.header("request-id"), "req-b");
        }
        proxy.finish().await;
    }
}

#[tokio::test]
async fn when_every_candidate_fails_the_client_reads_our_words_and_never_an_upstream_401() {
    let pair = Pair::start().await;
    let (server, busy) = ("server_error", "overloaded_error");
    let table: [(u16, Look); 6] = [
        (401, (502, server, Some("upstream_auth"), 502, "api_error")),
        (
            404,
            (
                404,
                "invalid_request_error",
                Some("model_not_found"),
                404,
                "not_found_error",
            ),
        ),
        (
            429,
            (
                429,
                "rate_limit_error",
                Some("rate_limit_exceeded"),
                429,
                "rate_limit_error",
            ),
        ),
        (500, (502, server, Some("upstream_unavailable"), 502, "api_error")),
        (503, (503, server, Some("upstream_cooling"), 503, busy)),
        (529, (503, server, Some("overloaded"), 529, busy)),
    ];
    for (status, look) in table {
        both(&pair, |sim| {
            let words = Answer::status(status).header("retry-after", "7");
            // A body that says nothing, so that the status alone decides.
            sim.always(if status == 503 {
                words.raw_body("busy", "text/plain")
            } else {
                words
            });
        });
        for (path, body) in calls("m", false).into_iter().chain(calls("m", true)) {
            // A fresh proxy each, so that none answers from a cooldown.
            let proxy = Proxy::start(&named(&pair)).await;
            let reply = proxy.client().post(path, &body).await;
            assert_look(path, &reply, look);
            if matches!(status, 429 | 503 | 529) {
                assert_eq!(reply.header("retry-after"), "7", "{path} {status}");
                assert_eq!(reply.header("retry-after-ms"), "7000", "{path} {status}");
            }
            proxy.finish().await;
        }
    }
}

#[tokio::test]
async fn retry_after_is_whole_seconds_rounded_up_with_milliseconds_beside_it() {
    let pair = Pair::start().await;
    both(&pair, |sim| {
        sim.always(Answer::status(429).header("retry-after-ms", "1500"));
    });
    let proxy = Proxy::start(&named(&pair)).await;
    for (path, body) in calls("m", false) {
        let reply = proxy.client().post(path, &body).await.expect(429);
        let (seconds, milliseconds) = (reply.header("retry-after"), reply.header("retry-after-ms"));
        assert_eq!((seconds, milliseconds), ("2", "1500"), "{path}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn backends_that_are_not_there_are_502_and_silent_ones_504() {
    let pair = Pair::start().await;
    both(&pair, |sim| {
        sim.always(Answer::hang());
    });
    let timeouts = "timeout: {first_byte: 150ms}\n";
    let silent = Proxy::start(&format!("{timeouts}{}", named(&pair))).await;
    for (path, body) in calls("m", false).into_iter().chain(calls("m", true)) {
        let reply = silent.client().post(path, &body).await;
        let look = (
            504,
            "server_error",
            Some("upstream_timeout"),
            504,
            "timeout_error",
        );
        assert_look(path, &reply, look);
    }
    silent.finish().await;
    pair.openai.stop().await;
    pair.anthropic.stop().await;
    let gone = Proxy::start(&named(&pair)).await;
    for (path, body) in calls("m", false).into_iter().chain(calls("m", true)) {
        let reply = gone.client().post(path, &body).await;
        let look = (
            502,
            "server_error",
            Some("upstream_unavailable"),
            502,
            "api_error",
        );
        assert_look(path, &reply, look);
    }
    gone.finish().await;
}

#[tokio::test]
async fn a_backend_with_no_place_free_is_overloaded_with_retry_after() {
    let pair = Pair::start().await;
    let slow = Duration::from_mins(1);
    both(&pair, |sim| {
        sim.always(Answer::healthy().head_delay(slow));
    });
    // An alias for each protocol: else the other backend would answer by conversion.
    let full = named(&pair)
        .replace("api_key:", "max_concurrent: 1, api_key:")
        .replace(
            "  m: {routes: [{backend: backend-o, model: real}, {backend: backend-a, model: real}]}",
            "  o: {backend: backend-o}\n  a: {backend: backend-a}",
        );
    let proxy = Proxy::start(&full).await;
    for (path, mut body) in calls("m", false) {
        body["model"] = json!(if path == MESSAGES { "a" } else { "o" });
        let first = proxy
            .client()
            .open("POST", path, body.to_string().as_bytes())
            .await;
        let sim = if path == MESSAGES {
            &pair.anthropic
        } else {
            &pair.openai
        };
        let connection = sim.wait_seen(if path == "/v1/responses" { 2 } else { 1 }).await;
        let reply = proxy.client().post(path, &body).await;
        assert_look(
            path,
            &reply,
            (503, "server_error", Some("overloaded"), 529, "overloaded_error"),
        );
        assert_eq!(reply.header("retry-after"), "1", "{path}");
        first.leave();
        sim.wait_closed(connection.last().unwrap().connection).await;
        // The place is free once the request is over, which its access line tells.
        let records = if path == "/v1/chat/completions" {
            2
        } else if path == "/v1/responses" {
            4
        } else {
            6
        };
        proxy.recorded(records).await;
    }
    proxy.finish().await;
}
