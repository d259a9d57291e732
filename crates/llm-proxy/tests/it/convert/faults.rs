//! What fails behind a conversion: before the commit point the next backend answers, after it the client's own error
//! event ends the stream, and the caller's own faults keep their words.

use llm_sim::{Answer, Cut};
use serde_json::json;

use super::super::support::{Hand, Proxy, Tongue, within};
use super::pair::{Pair, Scene, apis, dialect};
use llm_dialect::grammar::{self, State};

#[tokio::test]
async fn s01_to_s04_an_error_before_any_content_moves_on_unseen() {
    for pair in Pair::all() {
        let scene = Scene::start(pair).await;
        let mut events = pair.backend.opening();
        events.push(pair.backend.error(pair.backend.overloaded(), "busy"));
        scene.a.always(Answer::events(events));
        scene.b.always(Answer::healthy().text("from b"));
        let reply = scene.ask(true).await;
        let told = scene.read(&reply, true);
        assert_eq!(told.text(), "from b", "{pair:?}");
        assert!(!reply.text().contains("busy"), "no trace of a: {}", reply.text());
        scene.finish().await;
    }
}

#[tokio::test]
async fn s08_s09_s11_a_stream_that_breaks_later_ends_with_the_clients_error_event() {
    for pair in Pair::all() {
        let begun = || pair.backend.begun(3);
        let error = pair.backend.error(pair.backend.overloaded(), "busy now");
        let mut told_so = begun();
        told_so.push(error);
        for (what, answer) in [
            (
                "S08 a reset",
                Answer::events(begun()).after(begun().len(), Cut::Rst),
            ),
            ("S09 an end without a mark", Answer::events(begun())),
            ("S11 an error event", Answer::events(told_so.clone())),
        ] {
            let scene = Scene::start(pair).await;
            scene.a.always(answer);
            let reply = scene.ask(true).await;
            assert_eq!(reply.status, 200, "{what}, {pair:?}");
            let state = grammar::beginning(dialect(pair.client), &reply.body);
            assert_eq!(state, Ok(State::Failed), "{what}, {pair:?}: {}", reply.text());
            assert!(
                reply.text().contains("word-2"),
                "{what}, {pair:?}: what came is there: {}",
                reply.text()
            );
            for mark in ["[DONE]", "message_stop", "response.completed"] {
                assert!(
                    !reply.text().contains(mark),
                    "{what}, {pair:?}: it must not look whole"
                );
            }
            assert_eq!(
                scene.b.seen().len(),
                0,
                "{what}, {pair:?}: never a second backend"
            );
            assert_eq!(
                scene.proxy.recorded(1).await[0]["class"],
                "midstream",
                "{what}, {pair:?}"
            );
            scene.finish().await;
        }
    }
}

#[tokio::test]
async fn s13_an_event_that_is_no_json_breaks_a_converted_stream() {
    for pair in Pair::all() {
        let hand = Hand::start().await;
        let proxy = Proxy::start(&format!(
            "backends: [{{name: a, protocol: {}, url: {}, api_key: sk-canary-backend, apis: [{}]}}]
models: {{m: {{backend: a, model: real}}}}\n",
            pair.backend.protocol(),
            hand.url(),
            apis(pair.backend),
        ))
        .await;
        let body = pair.client.request("m", true).to_string();
        let mut client = proxy
            .client()
            .open("POST", pair.client.path(), body.as_bytes())
            .await;
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&pair.backend.begun(2).concat()).await;
        // The client has been told something: from here on nobody else can answer.
        client.until("word-1").await;
        held.say("data: {\"broken\n\n").await;
        let reply = within("the stream's end", client.rest()).await;
        let state = grammar::beginning(dialect(pair.client), &reply.body);
        assert_eq!(state, Ok(State::Failed), "{pair:?}: {}", reply.text());
        held.gone().await;
        proxy.finish().await;
    }
}

#[tokio::test]
async fn f24_the_callers_own_fault_keeps_its_words_in_the_callers_envelope() {
    for pair in Pair::all() {
        let scene = Scene::start(pair).await;
        let message = "temperature: must be at most 2";
        let body = if pair.backend == Tongue::Messages {
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}})
        } else {
            json!({"error": {"type": "invalid_request_error", "message": message, "param": null, "code": null}})
        };
        scene.a.always(Answer::status(400).body(body));
        for stream in [false, true] {
            let reply = scene.ask(stream).await.expect(400);
            assert_eq!(reply.json()["error"]["message"], message, "{pair:?}");
            assert_eq!(reply.json()["error"]["type"], "invalid_request_error", "{pair:?}");
        }
        assert_eq!(scene.b.seen().len(), 0, "{pair:?}");
        scene.finish().await;
    }
}

#[tokio::test]
async fn v06_a_conversation_that_is_too_long_is_said_in_the_words_that_clients_act_on() {
    for pair in Pair::all() {
        let scene = Scene::start(pair).await;
        let body = if pair.backend == Tongue::Messages {
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 250000 tokens > 200000 maximum"}})
        } else {
            json!({"error": {"type": "invalid_request_error", "message": "This model's maximum context length is 128000 tokens", "param": "messages", "code": "context_length_exceeded"}})
        };
        for sim in [&scene.a, &scene.b] {
            sim.always(Answer::status(400).body(body.clone()));
        }
        let reply = scene.ask(false).await.expect(400);
        if pair.client == Tongue::Messages {
            let message = reply.json()["error"]["message"].to_string();
            assert!(message.contains("prompt is too long"), "{pair:?}: {message}");
        } else {
            assert_eq!(
                reply.json()["error"]["code"],
                "context_length_exceeded",
                "{pair:?}: {}",
                reply.text()
            );
        }
        scene.finish().await;
    }
}

#[tokio::test]
async fn f42_a_refusal_by_a_converted_fallback_masks_no_earlier_rate_limit() {
    let pair = Pair {
        client: Tongue::Messages,
        backend: Tongue::Chat,
    };
    let scene = Scene::start(pair).await;
    scene.a.always(Answer::status(429).header("retry-after", "7"));
    scene.b.always(Answer::status(400));
    let reply = scene.ask(false).await.expect(429);
    assert_eq!(reply.header("retry-after"), "7");
    scene.finish().await;
}
