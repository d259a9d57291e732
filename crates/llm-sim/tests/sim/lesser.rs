//! The APIs that a proxy only passes through.

use llm_sim::{Sim, Speaks};
use serde_json::{Value, json};

use crate::client::{Client, Dialect, Reply};

async fn post(path: &str, body: Value) -> Reply {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let headers = if path.starts_with("/v1/messages") {
        Dialect::Messages
    } else {
        Dialect::Chat
    }
    .headers();
    let reply = Client::connect(&sim)
        .await
        .post(path, headers, body.to_string().as_bytes())
        .await;
    assert_eq!(sim.protocol_errors(), [""; 0], "{path}");
    reply
}

#[tokio::test]
async fn each_has_a_small_valid_answer() {
    let tokens = post(
        "/v1/messages/count_tokens",
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
    );
    assert!(tokens.await.json()["input_tokens"].as_u64() > Some(0));
    let floats = post("/v1/embeddings", json!({"model": "m", "input": ["a", "b"]}))
        .await
        .json();
    assert_eq!(floats["data"].as_array().map(Vec::len), Some(2));
    assert!(floats["data"][1]["embedding"].is_array());
    let base64 = post(
        "/v1/embeddings",
        json!({"model": "m", "input": [1, 2], "encoding_format": "base64"}),
    )
    .await
    .json();
    assert_eq!(base64["data"][0]["embedding"], "AAAAPwAAAL8AAIA+AAAAPg==");
    assert_eq!(
        base64["data"].as_array().map(Vec::len),
        Some(1),
        "a list of tokens is one input"
    );
    let one = post("/v1/embeddings", json!({"model": "sim-small", "input": "a"}))
        .await
        .json();
    assert_eq!(one["data"].as_array().map(Vec::len), Some(1));
    let moderation = post("/v1/moderations", json!({"model": "m", "input": "x"}))
        .await
        .json();
    assert_eq!(moderation["results"][0]["flagged"], false);
    let image = post("/v1/images/generations", json!({"model": "m", "prompt": "x"}))
        .await
        .json();
    assert!(image["data"][0]["b64_json"].is_string());
    let ranked = post(
        "/v1/rerank",
        json!({"model": "m", "query": "q", "documents": ["a", "b", "c"]}),
    )
    .await
    .json();
    assert_eq!(ranked["results"].as_array().map(Vec::len), Some(3));
    let sound = post(
        "/v1/audio/speech",
        json!({"model": "m", "voice": "v", "input": "x"}),
    )
    .await;
    assert_eq!(sound.header("content-type"), Some("audio/mpeg"));
}

#[tokio::test]
async fn legacy_completions_answer_whole_and_streamed() {
    let whole = post("/v1/completions", json!({"model": "m", "prompt": "x"}))
        .await
        .json();
    let streamed = post(
        "/v1/completions",
        json!({"model": "m", "prompt": "x", "stream": true}),
    )
    .await
    .events();
    let text: String = streamed
        .iter()
        .filter_map(|(_, chunk)| chunk["choices"][0]["text"].as_str())
        .collect();
    assert_eq!(whole["choices"][0]["text"], text);
    assert_eq!(streamed.last().unwrap().1, "[DONE]");
}

#[tokio::test]
async fn a_transcription_wants_a_form() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let headers = "authorization: Bearer k\r\ncontent-type: multipart/form-data; boundary=XX\r\n";
    let part = |name: &str| format!("--XX\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\nx\r\n");
    let mut client = Client::connect(&sim).await;
    let form = format!("{}{}--XX--\r\n", part("model"), part("file"));
    let path = "/v1/audio/transcriptions";
    assert!(client.post(path, headers, form.as_bytes()).await.json()["text"].is_string());
    for broken in [
        format!("{}--XX--\r\n", part("model")),
        format!("{}{}", part("model"), part("file")),
    ] {
        assert_eq!(client.post(path, headers, broken.as_bytes()).await.status, 400);
    }
}

#[tokio::test]
async fn models_are_listed_in_the_dialect_of_the_asker() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let mut client = Client::connect(&sim).await;
    let get =
        |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", sim.addr());
    client
        .raw(get("/v1/models", "authorization: Bearer k\r\n").as_bytes())
        .await;
    assert_eq!(client.reply().await.json()["object"], "list");
    client
        .raw(
            get(
                "/v1/models?limit=9",
                "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n",
            )
            .as_bytes(),
        )
        .await;
    assert_eq!(client.reply().await.json()["has_more"], false);
    client
        .raw(get("/v1/models/gpt-x", "authorization: Bearer k\r\n").as_bytes())
        .await;
    assert_eq!(client.reply().await.json()["id"], "gpt-x");
}
