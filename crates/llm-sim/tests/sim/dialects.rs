//! What healthy backends say, in JSON and as streams, against the grammar of each dialect.

use llm_sim::{Answer, Sim, Speaks};
use serde_json::{Value, json};

use crate::client::{Client, DIALECTS, Dialect, Reply, ask};

/// An answer with everything in it.
fn full() -> Answer {
    Answer::healthy()
        .reasoning("Let me think.")
        .text("It is 20 degrees.")
        .tool_call("weather", r#"{"city":"Ürümqi"}"#)
}

async fn answered(dialect: Dialect, stream: bool, answer: Answer) -> Reply {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(answer);
    let reply = ask(&sim, dialect, stream).await;
    assert_eq!(sim.protocol_errors(), [""; 0]);
    reply
}

#[tokio::test]
async fn json_answers_have_the_shape_of_their_dialect() {
    let chat = answered(Dialect::Chat, false, full()).await.json();
    let message = &chat["choices"][0]["message"];
    assert_eq!(chat["object"], "chat.completion");
    assert_eq!(message["content"], "It is 20 degrees.");
    assert_eq!(message["reasoning_content"], "Let me think.");
    assert_eq!(
        message["tool_calls"][0]["function"]["arguments"],
        r#"{"city":"Ürümqi"}"#
    );
    assert_eq!(chat["choices"][0]["finish_reason"], "tool_calls");

    let messages = answered(Dialect::Messages, false, full()).await.json();
    let kinds: Vec<_> = messages["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["type"].clone())
        .collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use"]);
    assert_eq!(messages["content"][2]["input"], json!({"city": "Ürümqi"}));
    assert_eq!(messages["stop_reason"], "tool_use");

    let responses = answered(Dialect::Responses, false, full()).await.json();
    let kinds: Vec<_> = responses["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["type"].clone())
        .collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    assert_eq!(responses["output"][1]["content"][0]["text"], "It is 20 degrees.");
    assert_eq!(responses["status"], "completed");
}

#[tokio::test]
async fn usage_counts_cached_tokens_as_each_provider_does() {
    let answer = Answer::healthy().usage(100, 7).cached(40);
    let chat = &answered(Dialect::Chat, false, answer.clone()).await.json()["usage"];
    assert_eq!(chat["prompt_tokens"], 100);
    assert_eq!(chat["prompt_tokens_details"]["cached_tokens"], 40);
    assert_eq!(chat["total_tokens"], 107);
    let messages = &answered(Dialect::Messages, false, answer.clone()).await.json()["usage"];
    assert_eq!(
        (&messages["input_tokens"], &messages["cache_read_input_tokens"]),
        (&json!(60), &json!(40))
    );
    let responses = &answered(Dialect::Responses, false, answer).await.json()["usage"];
    assert_eq!(responses["input_tokens_details"]["cached_tokens"], 40);
}

#[tokio::test]
async fn a_chat_stream_is_role_deltas_finish_done() {
    let reply = answered(Dialect::Chat, true, full()).await;
    assert_eq!(
        reply.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let events = reply.events();
    assert!(
        events.iter().all(|(name, _)| name.is_empty()),
        "chat events have no name"
    );
    let (last, chunks) = events.split_last().unwrap();
    assert_eq!(last.1, "[DONE]");
    let deltas: Vec<&Value> = chunks
        .iter()
        .map(|(_, chunk)| &chunk["choices"][0]["delta"])
        .collect();
    assert_eq!(deltas[0]["role"], "assistant");
    let said: String = deltas
        .iter()
        .filter_map(|delta| delta["content"].as_str())
        .collect();
    assert_eq!(said, "It is 20 degrees.");
    let arguments: String = deltas
        .iter()
        .filter_map(|delta| delta["tool_calls"][0]["function"]["arguments"].as_str())
        .collect();
    assert_eq!(arguments, r#"{"city":"Ürümqi"}"#);
    let ends: Vec<_> = chunks
        .iter()
        .filter_map(|(_, c)| c["choices"][0]["finish_reason"].as_str())
        .collect();
    assert_eq!(ends, ["tool_calls"]);
    assert!(
        chunks.iter().all(|(_, chunk)| chunk.get("usage").is_none()),
        "nobody asked for usage"
    );
}

#[tokio::test]
async fn a_chat_stream_has_usage_where_it_is_asked_for() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let mut body = Dialect::Chat.body(true);
    body["stream_options"] = json!({"include_usage": true});
    let mut client = Client::connect(&sim).await;
    let reply = client
        .post(
            Dialect::Chat.path(),
            Dialect::Chat.headers(),
            body.to_string().as_bytes(),
        )
        .await;
    let events = reply.events();
    let (usage, others) = events[..events.len() - 1].split_last().unwrap();
    assert_eq!(usage.1["choices"], json!([]));
    assert!(usage.1["usage"]["total_tokens"].as_u64() > Some(0));
    assert!(
        others
            .iter()
            .all(|(_, chunk)| chunk["usage"].is_null() && chunk.get("usage").is_some())
    );
}

#[tokio::test]
async fn a_messages_stream_has_blocks_one_after_another() {
    let events = answered(Dialect::Messages, true, full()).await.events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        events.iter().all(|(name, data)| data["type"] == name.as_str()),
        "names and types agree"
    );
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 2..], ["message_delta", "message_stop"]);
    let (mut open, mut next) = (None, 0);
    for (name, data) in &events {
        let index = data["index"].as_u64();
        match name.as_str() {
            "content_block_start" => {
                assert_eq!(
                    (open, index),
                    (None, Some(next)),
                    "blocks neither overlap nor leave gaps"
                );
                (open, next) = (index, next + 1);
            }
            "content_block_delta" => assert_eq!(index, open, "a delta belongs to the open block"),
            "content_block_stop" => assert_eq!(open.take(), index, "the open block is closed"),
            _ => {}
        }
    }
    assert_eq!((open, next), (None, 3));
    let json: String = events
        .iter()
        .filter_map(|(_, data)| data["delta"]["partial_json"].as_str())
        .collect();
    assert_eq!(json, r#"{"city":"Ürümqi"}"#);
    assert_eq!(events[events.len() - 2].1["delta"]["stop_reason"], "tool_use");
}

#[tokio::test]
async fn a_responses_stream_is_numbered_and_repeats_itself_at_the_end() {
    let events = answered(Dialect::Responses, true, full()).await.events();
    for (i, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["type"], name.as_str());
        assert_eq!(data["sequence_number"], i, "numbers are dense");
    }
    assert_eq!(events[0].0, "response.created");
    assert_eq!(events[1].0, "response.in_progress");
    let of = |wanted: &str| {
        events
            .iter()
            .filter(|(name, _)| name == wanted)
            .map(|(_, data)| data)
            .collect::<Vec<_>>()
    };
    let text: String = of("response.output_text.delta")
        .iter()
        .filter_map(|data| data["delta"].as_str())
        .collect();
    assert_eq!(text, "It is 20 degrees.");
    let done: Vec<&Value> = of("response.output_item.done")
        .iter()
        .map(|data| &data["item"])
        .collect();
    let (last, response) = events.last().unwrap();
    assert_eq!(last, "response.completed");
    assert_eq!(
        done,
        response["response"]["output"]
            .as_array()
            .unwrap()
            .iter()
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_refusal_an_empty_answer_and_a_cut_one_end_as_the_dialect_says() {
    let end = async |dialect, answer: Answer| {
        let json = answered(dialect, false, answer).await.json();
        match dialect {
            Dialect::Chat => json["choices"][0]["finish_reason"].clone(),
            Dialect::Messages => json["stop_reason"].clone(),
            Dialect::Responses => json["status"].clone(),
        }
    };
    for (dialect, refused, empty, cut) in [
        (Dialect::Chat, "stop", "stop", "length"),
        (Dialect::Messages, "refusal", "end_turn", "max_tokens"),
        (Dialect::Responses, "completed", "completed", "incomplete"),
    ] {
        assert_eq!(
            end(dialect, Answer::healthy().refusal()).await,
            refused,
            "{dialect:?}"
        );
        assert_eq!(
            end(dialect, Answer::healthy().empty()).await,
            empty,
            "{dialect:?}"
        );
        assert_eq!(
            end(dialect, Answer::healthy().truncated()).await,
            cut,
            "{dialect:?}"
        );
    }
}

#[tokio::test]
async fn the_same_question_has_the_same_answer() {
    for dialect in DIALECTS {
        let first = answered(dialect, true, Answer::healthy()).await.bytes();
        assert_eq!(
            first,
            answered(dialect, true, Answer::healthy()).await.bytes(),
            "{dialect:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_may_come_in_the_form_that_was_not_asked_for() {
    for dialect in DIALECTS {
        let json = answered(dialect, true, Answer::healthy().as_json()).await;
        assert_eq!(json.header("content-type"), Some("application/json"));
        assert!(json.json().is_object());
        let stream = answered(dialect, false, Answer::healthy().as_stream()).await;
        assert!(!stream.events().is_empty());
    }
}
