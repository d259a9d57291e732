//! Bodies for debugging: masked, bounded, in files that are named by us.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use llm_sim::{Answer, Sim, Speaks};
use serde_json::{Value, json};

use super::super::support::{Proxy, until};
use super::config;

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    files
}

/// Waits for so many whole files.
async fn kept(proxy: &Proxy, count: usize) -> Vec<(PathBuf, Value)> {
    let dir = proxy.dir().join("logs/bodies");
    until("the bodies", async || {
        let read = |path: PathBuf| {
            let text = fs::read_to_string(&path).ok()?;
            Some((path, serde_json::from_str(&text).ok()?))
        };
        let files: Option<Vec<_>> = files(&dir).into_iter().map(read).collect();
        files.filter(|files| files.len() >= count)
    })
    .await
}

#[tokio::test]
async fn bodies_of_failed_requests_are_kept_masked_under_names_of_our_own() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.next(Answer::healthy());
    sim.next(
        Answer::status(400).body(json!({"error": {"message": "no sk-foreign-relay-key-01", "type": "x"}})),
    );
    let proxy = Proxy::start(&format!("logging: {{bodies: errors}}\n{}", config(&sim))).await;
    let id = "..-evil:name";
    let client = proxy.client().header("x-request-id", id);
    client.chat("m", false).await.expect(200);
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": "my key is sk-canary-of-a-client"}]});
    client.post("/v1/chat/completions", &body).await;
    proxy.recorded(2).await;
    let kept = kept(&proxy, 1).await;
    assert_eq!(kept.len(), 1, "the first was answered");
    let (path, file) = &kept[0];
    assert_eq!(file["about"]["status"], 400);
    assert_eq!(file["about"]["request_id"], id);
    let [request, answer] = ["request", "answer"].map(|side| file[side]["text"].as_str().unwrap());
    assert!(request.contains("my key is sk-***"), "{request}");
    assert!(answer.contains("no sk-***"), "{answer}");
    assert_eq!(file["request"]["bytes"], body.to_string().len());
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("20") && !name.contains("evil"), "{name}");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    proxy.finish().await;
}

#[tokio::test]
async fn bodies_of_all_requests_are_kept_streams_to_their_end_and_none_once_that_is_off() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    let yaml = format!("logging: {{bodies: all}}\n{}", config(&sim));
    let proxy = Proxy::start(&yaml).await;
    proxy.client().chat("m", false).await.expect(200);
    let streamed = proxy.client().messages("m", true).await.expect(200);
    let files = kept(&proxy, 2).await;
    assert_eq!(files[1].1["answer"]["text"], streamed.text());
    assert_eq!(files[1].1["answer"]["cut"], false);
    proxy.reload(&config(&sim)).await;
    proxy.client().chat("m", false).await.expect(200);
    proxy.reload(&yaml).await;
    proxy.client().chat("m", false).await.expect(200);
    assert_eq!(
        kept(&proxy, 3).await.len(),
        3,
        "in order: the third is the last request's"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn l22_bodies_that_cannot_be_written_hold_no_request() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    let proxy = Proxy::start(&format!("logging: {{bodies: all}}\n{}", config(&sim))).await;
    fs::write(proxy.dir().join("logs"), "no folder").unwrap();
    for _ in 0..5 {
        proxy.client().chat("m", false).await.expect(200);
    }
    proxy.logged("bodies cannot be written").await;
    proxy.finish().await;
}
