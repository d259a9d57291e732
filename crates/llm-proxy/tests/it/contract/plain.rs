//! What needs no backend: health, probes, the list of models, and the admin listener's door (contract, sections 2
//! and 7).

use serde_json::json;

use super::super::support::{Client, Proxy, within};
use super::Pair;

const KEYS: &str = "api_keys:
  - {name: all, key: sk-canary-client-all}
  - {name: few, key: sk-canary-client-few, models: [\"gpt-*\"]}
";

/// Aliases of several kinds in front of one backend.
fn aliases(pair: &Pair) -> String {
    let backends = pair.yaml();
    let (backends, _) = backends.split_once("models:").unwrap();
    format!(
        "{KEYS}{backends}models:
  gpt-b: {{backend: o, model: real}}
  gpt-a: {{backend: o, model: real}}
  claude: {{backend: a, model: real}}
  off: {{backend: o, enabled: false}}
  \"llama-*\": {{backend: o}}
"
    )
}

fn ids(list: &serde_json::Value) -> Vec<String> {
    let data = list["data"].as_array().unwrap();
    data.iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn health_paths_and_probes_answer_200_without_a_key_and_leave_no_access_line() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&aliases(&pair)).await;
    for path in ["/health", "/healthz", "/readyz"] {
        let reply = proxy.client().get(path).await.expect(200);
        assert!(reply.json()["status"].is_string(), "{path}");
    }
    let closing = proxy.client().header("connection", "close");
    for path in ["/", "/api/hello", "/health"] {
        let reply = closing.send("HEAD", path, b"").await.expect(200);
        assert_eq!(reply.text(), "", "{path}: a HEAD has no body");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn the_models_are_those_that_the_key_may_use_in_the_callers_shape() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&aliases(&pair)).await;
    let all = proxy
        .client()
        .header("authorization", "Bearer sk-canary-client-all");
    let few = proxy
        .client()
        .header("x-api-key", "sk-canary-client-few")
        .header("authorization", "");
    for path in ["/v1/models", "/models", "/v1/v1/models/"] {
        let list = all.get(path).await.expect(200).json();
        assert_eq!(ids(&list), ["claude", "gpt-a", "gpt-b"], "{path}");
        assert_eq!(list["object"], "list");
        assert_eq!(list["data"][0]["object"], "model");
        assert!(list["data"][0]["created"].is_u64() && list["data"][0]["owned_by"].is_string());
    }
    assert_eq!(
        ids(&few.get("/v1/models").await.expect(200).json()),
        ["gpt-a", "gpt-b"]
    );
    let anthropic = all.clone().header("anthropic-version", "2023-06-01");
    let page = anthropic.get("/v1/models?limit=1000").await.expect(200).json();
    assert_eq!(ids(&page), ["claude", "gpt-a", "gpt-b"]);
    assert_eq!(
        (&page["has_more"], &page["last_id"]),
        (&json!(false), &json!("gpt-b"))
    );
    assert_eq!(page["data"][0]["type"], "model");
    assert!(page["data"][0]["display_name"].is_string() && page["data"][0]["created_at"].is_string());
    let first = anthropic.get("/v1/models?limit=1").await.expect(200).json();
    assert_eq!(
        (ids(&first), &first["has_more"]),
        (vec!["claude".to_owned()], &json!(true))
    );
    let next = anthropic
        .get("/v1/models?limit=1&after_id=claude")
        .await
        .expect(200)
        .json();
    assert_eq!(ids(&next), ["gpt-a"]);
    proxy.client().get("/v1/models").await.expect(401);
    proxy.finish().await;
}

#[tokio::test]
async fn one_model_is_shown_to_whoever_may_use_it_and_is_unknown_to_all_others() {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&aliases(&pair)).await;
    let few = proxy
        .client()
        .header("authorization", "Bearer sk-canary-client-few");
    let all = proxy
        .client()
        .header("authorization", "Bearer sk-canary-client-all");
    let one = few.get("/v1/models/gpt-a").await.expect(200).json();
    assert_eq!((&one["id"], &one["object"]), (&json!("gpt-a"), &json!("model")));
    assert_eq!(
        all.get("/v1/models/llama-3").await.expect(200).json()["id"],
        "llama-3",
        "a glob fits it"
    );
    let anthropic = all.clone().header("anthropic-version", "2023-06-01");
    let one = anthropic.get("/v1/models/claude").await.expect(200).json();
    assert_eq!((&one["id"], &one["type"]), (&json!("claude"), &json!("model")));
    for (client, id) in [(&few, "claude"), (&all, "off"), (&all, "nothing")] {
        let missing = client.get(&format!("/v1/models/{id}")).await.expect(404).json();
        assert_eq!(missing["error"]["code"], "model_not_found", "{id}");
    }
    let missing = anthropic.get("/v1/models/nothing").await.expect(404).json();
    assert_eq!(missing["error"]["type"], "not_found_error");
    proxy.finish().await;
}

#[tokio::test]
async fn a19_the_data_listener_has_no_admin_paths_and_the_admin_listener_takes_its_own_key_alone() {
    let pair = Pair::start().await;
    let listen = "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0, key: sk-canary-admin-key}\n";
    let proxy = Proxy::start(&format!("{listen}{}", aliases(&pair))).await;
    let client = proxy
        .client()
        .header("authorization", "Bearer sk-canary-client-all");
    for path in [
        "/api/status",
        "/metrics",
        "/api/requests",
        "/api/reload",
        "/v1/../api/status",
    ] {
        client.get(path).await.expect(404);
    }
    let admin = Client::plain(proxy.admin());
    for path in ["/", "/api/status", "/metrics", "/nothing"] {
        let refused = admin.get(path).await.expect(401);
        assert_eq!(refused.header("www-authenticate"), "Bearer", "{path}");
        let as_client = admin
            .clone()
            .header("authorization", "Bearer sk-canary-client-all");
        as_client.get(path).await.expect(401);
    }
    admin.get("/healthz").await.expect(200);
    let known = admin
        .clone()
        .header("authorization", "Bearer sk-canary-admin-key");
    let status = known.get("/api/status").await.expect(200);
    assert_eq!(status.json()["config"]["generation"], 1);
    assert!(!status.text().contains("sk-canary-"), "G2: {}", status.text());
    known.get("/").await.expect(200);
    known.get("/nothing").await.expect(404);
    let rebound = b"GET /api/status HTTP/1.1\r\nhost: evil.example\r\nauthorization: Bearer sk-canary-admin-key\r\n\r\n";
    within("an answer", admin.raw(rebound).await.rest())
        .await
        .expect(421);
    // Without its key again, so that the end can look into the status.
    proxy.rewrite(&aliases(&pair));
    proxy.signal("-HUP");
    proxy.logged("generation 2 is in force").await;
    proxy.finish().await;
}
