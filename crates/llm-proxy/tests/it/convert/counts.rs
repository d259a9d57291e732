//! V09: tokens are counted by whoever can, else estimated, and an estimate says that it is one.

use llm_sim::{Answer, Sim, Speaks};
use serde_json::json;

use super::super::support::script::data;
use super::super::support::{Proxy, Tongue};
use super::pair::{Pair, Scene};

const PATH: &str = "/v1/messages/count_tokens";

#[tokio::test]
async fn v09_a_backend_that_cannot_count_is_estimated_for() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let yaml = format!(
        "backends: [{{name: a, protocol: openai, url: {}, api_key: sk-canary-backend-a}}]\nmodels: {{m: {{backend: a}}}}\n",
        sim.url()
    );
    let proxy = Proxy::start(&yaml).await;
    let body = json!({"model": "m", "system": "Be brief.", "messages": [{"role": "user", "content": "Hello there, how are you?"}]});
    let reply = proxy.client().post(PATH, &body).await.expect(200);
    let tokens = reply.json()["input_tokens"].as_u64().unwrap();
    assert!((12..60).contains(&tokens), "about a dozen words: {tokens}");
    assert_eq!(reply.header("x-llm-proxy-warnings"), "input_tokens:estimated");
    assert_eq!(sim.seen().len(), 0);
    let unknown = json!({"model": "nobody", "messages": []});
    proxy.client().post(PATH, &unknown).await.expect(404);
    proxy.finish().await;
}

#[tokio::test]
async fn v09_a_relay_without_the_call_is_estimated_for_and_loses_nothing() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let yaml = format!(
        "backends: [{{name: a, protocol: anthropic, url: {}, api_key: sk-canary-backend-a}}]\nmodels: {{m: {{backend: a}}}}\n",
        sim.url()
    );
    let proxy = Proxy::start(&yaml).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]});
    let counted = proxy.client().post(PATH, &body).await.expect(200);
    assert_eq!(counted.header("x-llm-proxy-warnings"), "", "it was counted");
    sim.next(Answer::status(404));
    let estimated = proxy.client().post(PATH, &body).await.expect(200);
    assert_eq!(estimated.header("x-llm-proxy-warnings"), "input_tokens:estimated");
    proxy.client().messages("m", false).await.expect(200);
    proxy.finish().await;
}

#[tokio::test]
async fn a_converted_messages_stream_says_about_how_much_it_read_at_once_and_how_much_at_its_end() {
    for backend in [Tongue::Chat, Tongue::Responses] {
        let pair = Pair {
            client: Tongue::Messages,
            backend,
        };
        let scene = Scene::start(pair).await;
        scene.a.always(Answer::healthy().text("Hello").usage(1234, 7));
        let body = json!({"model": "m", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "word ".repeat(400)}]});
        let reply = scene.send(&body).await;
        let told = scene.read(&reply, true);
        assert_eq!(told.text(), "Hello");
        let events: Vec<serde_json::Value> = data(&reply.text())
            .iter()
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let about = events[0]["message"]["usage"]["input_tokens"].as_u64().unwrap();
        assert!(
            (400..800).contains(&about),
            "{backend:?}: about 400 words: {about}"
        );
        let end = events
            .iter()
            .find(|event| event["type"] == "message_delta")
            .unwrap();
        assert_eq!(end["usage"]["input_tokens"], 1234, "{backend:?}");
        scene.finish().await;
    }
}
