//! Nobody but the model reads a prompt (reliability.md, A17).

use llm_sim::Answer;
use serde_json::json;

use super::{client, scene};
use crate::support::Tongue;

#[tokio::test]
async fn a17_a_prompt_is_in_no_error_and_in_no_log() {
    let secret = "The \"operator's\" own words, which nobody else should read.";
    let (sim, proxy) = scene("anthropic", &format!("[{{text: {}}}]", json!(secret))).await;
    sim.script(|seen| {
        let said = seen.json()["system"][0]["text"].clone();
        let message = format!("I was told: {}", said.as_str().unwrap());
        Answer::status(400)
            .body(json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}}))
    });
    for tongue in Tongue::ALL {
        for stream in [false, true] {
            let reply = client(&proxy)
                .post(tongue.path(), &tongue.request("m", stream))
                .await
                .expect(400);
            assert!(!reply.text().contains("own words"), "{}", reply.text());
            assert!(reply.text().contains("I was told: ***"), "{}", reply.text());
            for (_, value) in &reply.headers {
                assert!(!value.contains("own words"));
            }
        }
    }
    proxy.recorded(6).await;
    assert!(!proxy.log().concat().contains("own words"));
    proxy.finish().await;
}

#[tokio::test]
async fn a17_a_prompt_that_a_backend_repeats_within_a_stream_is_blotted_out() {
    let secret = "The operator's own words, which nobody else should read.";
    for (protocol, tongues) in [
        ("openai", &[Tongue::Chat, Tongue::Responses][..]),
        ("anthropic", &[Tongue::Messages]),
    ] {
        let (sim, proxy) = scene(protocol, &format!("[{{text: {}}}]", json!(secret))).await;
        for tongue in tongues {
            let error = tongue.error("api_error", &format!("I was told: {secret}"));
            sim.always(Answer::events([tongue.begun(3), vec![error]].concat()));
            let reply = client(&proxy)
                .post(tongue.path(), &tongue.request("m", true))
                .await
                .expect(200);
            assert!(!reply.text().contains("own words"), "{}", reply.text());
            assert!(reply.text().contains("I was told: ***"), "{}", reply.text());
        }
        proxy.recorded(tongues.len()).await;
        assert!(!proxy.log().concat().contains("own words"));
        proxy.finish().await;
    }
}
