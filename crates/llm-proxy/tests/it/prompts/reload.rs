//! Prompts and reloads: new texts are for new conversations, and bad ones are for nobody.

use serde_json::json;

use super::{bodies, client, config, scene, told};
use crate::support::{Proxy, Tongue, until};
use llm_sim::Sim;

/// What a chat that begins with these words is told.
async fn ask(sim: &Sim, proxy: &Proxy, words: &str) -> String {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": words}]});
    client(proxy)
        .post("/v1/chat/completions", &body)
        .await
        .expect(200);
    told(Tongue::Chat, bodies(sim).last().unwrap()).join("|")
}

#[tokio::test]
async fn a_reload_changes_new_conversations_only() {
    let (sim, proxy) = scene("openai", "[{text: OLD}]").await;
    assert_eq!(ask(&sim, &proxy, "one").await, "OLD");
    proxy.reload(&config(&sim, "openai", "[{text: NEW}]")).await;
    assert_eq!(ask(&sim, &proxy, "one").await, "OLD");
    assert_eq!(ask(&sim, &proxy, "two").await, "NEW");
    proxy.reload(&config(&sim, "openai", "[]")).await;
    assert_eq!(ask(&sim, &proxy, "two").await, "NEW");
    assert_eq!(ask(&sim, &proxy, "three").await, "");
    proxy.finish().await;
}

#[tokio::test]
async fn a_changed_file_is_read_by_a_reload() {
    let (sim, proxy) = scene("openai", "[]").await;
    std::fs::write(proxy.dir().join("p.md"), "---\nposition: after\n---\nONE\n").unwrap();
    let yaml = config(&sim, "openai", "[{file: p.md}]");
    proxy.reload(&yaml).await;
    assert_eq!(ask(&sim, &proxy, "one").await, "ONE");
    std::fs::write(proxy.dir().join("p.md"), "TWO").unwrap();
    proxy.reload(&yaml).await;
    assert_eq!(ask(&sim, &proxy, "one").await, "ONE");
    assert_eq!(ask(&sim, &proxy, "two").await, "TWO");
    proxy.finish().await;
}

/// Prompt files that no config can have, and where each goes wrong.
const BAD: [(&str, &[u8], &str); 6] = [
    ("unknown variable", b"A\nB ${_DAT}\n", "p.md:2:3"),
    ("unset environment variable", b"${NOT_SET_ANYWHERE}", "p.md:1:1"),
    (
        "front matter of an unknown key",
        b"---\npriorty: 1\n---\nA",
        "p.md:2:1",
    ),
    ("front matter without an end", b"---\npriority: 1\nA", "p.md:1:1"),
    (
        "front matter that is no YAML",
        b"---\nmodels: [a\n---\nA",
        "p.md:",
    ),
    ("not UTF-8", b"A\nB \xe9t\xe9", "p.md:2:3"),
];

#[tokio::test]
async fn a_bad_prompt_is_refused_with_its_line_and_the_running_ones_stay() {
    let (sim, proxy) = scene("openai", "[{text: RUNNING}]").await;
    let path = proxy.dir().join("p.md");
    let dangling = ("unreadable", &b""[..], "cannot read the prompt");
    for (n, (what, bytes, place)) in BAD.into_iter().chain([dangling]).enumerate() {
        if bytes.is_empty() {
            // A folder's link to nothing: root reads whatever there is.
            std::fs::create_dir(proxy.dir().join("d")).unwrap();
            std::os::unix::fs::symlink("nowhere", proxy.dir().join("d/p.md")).unwrap();
            proxy.rewrite(&config(&sim, "openai", "[{dir: d}]"));
        } else {
            std::fs::write(&path, bytes).unwrap();
            proxy.rewrite(&config(&sim, "openai", "[{file: p.md}]"));
        }
        proxy.signal("-HUP");
        let refusals = || {
            proxy
                .log()
                .iter()
                .filter(|line| line.contains("is refused"))
                .count()
        };
        until("the refusal", async || (refusals() == n + 1).then_some(())).await;
        let status = proxy.status().await;
        assert_eq!(status["config"]["generation"], 1, "{what}");
        let error = status["config"]["last_reload_error"].as_str().unwrap();
        assert!(error.contains(place), "{what}: {error}");
        let words = format!("after {what}");
        assert_eq!(ask(&sim, &proxy, &words).await, "RUNNING", "{what}");
    }
    proxy.finish().await;
}
