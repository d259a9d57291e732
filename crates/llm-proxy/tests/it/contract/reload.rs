//! A new config for the running program (K02 to K09 of the rule book; contract, section 4).

use std::time::Duration;

use llm_sim::{Answer, Cut, Sim, Speaks};
use serde_json::json;

use super::super::support::client::chat;
use super::super::support::proxy::fresh_dir;
use super::super::support::{Client, Hand, Proxy, Tongue, until, within};
use super::{Pair, calls};

/// One backend of everything behind the alias `m`.
fn one(sim: &Sim, more: &str) -> String {
    format!(
        "backends: [{{name: a, protocol: openai, url: {}, api_key: sk-canary-backend, apis: [chat, responses]}}]
models: {{m: {{backend: a, model: real}}}}
{more}",
        sim.url()
    )
}

#[tokio::test]
async fn k02_a_reload_under_load_fails_no_request_and_streams_finish_on_the_old_backend() {
    let (old, new) = (Pair::start().await, Pair::start().await);
    let proxy = Proxy::start(&old.yaml()).await;
    let slow = Answer::healthy().deltas(20).delay(Duration::from_millis(20));
    for sim in [&old.openai, &old.anthropic] {
        sim.next(slow.clone()).next(slow.clone());
    }
    let mut streams = Vec::new();
    for (path, body) in calls("m", true) {
        let mut stream = proxy
            .client()
            .open("POST", path, body.to_string().as_bytes())
            .await;
        stream.until("200 OK").await;
        streams.push(stream);
    }
    let client = proxy.client();
    let load = tokio::spawn(async move {
        let mut generations = Vec::new();
        for _ in 0..60 {
            for (path, body) in calls("m", false) {
                generations.push(client.post(path, &body).await.status);
            }
        }
        generations
    });
    proxy.recorded(5).await;
    proxy.reload(&new.yaml()).await;
    assert!(
        load.await.unwrap().iter().all(|status| *status == 200),
        "no request fails"
    );
    for mut stream in streams {
        let reply = within("the stream's end", stream.rest()).await.expect(200);
        let ends = ["[DONE]", "response.completed", "message_stop"];
        assert!(
            reply.whole && ends.iter().any(|end| reply.text().contains(end)),
            "{}",
            reply.text()
        );
    }
    let before = old.seen().len();
    for (path, body) in calls("m", false) {
        proxy.client().post(path, &body).await.expect(200);
    }
    assert_eq!(old.seen().len(), before, "new requests go to the new backends");
    let records = proxy.recorded(186).await;
    assert_eq!(records.last().unwrap()["generation"], 2);
    assert_eq!(records[0]["generation"], 1);
    assert_eq!(proxy.generation().await, 2);
    proxy.finish().await;
}

#[tokio::test]
async fn k03_a_bad_file_changes_nothing_and_says_why() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&one(&sim, "")).await;
    let path = proxy.dir().join("config.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    let half = good[..good.len() / 2].to_owned();
    let cases = [
        (
            "unknown key",
            Some(format!("{good}lisen: x\n")),
            "did you mean `listen`?",
        ),
        ("half written", Some(half), "error"),
        ("empty", Some(String::new()), "error"),
        ("gone", None, "cannot read the config"),
    ];
    for (n, (what, text, says)) in cases.into_iter().enumerate() {
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
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
        assert!(error.contains(says), "{what}: {error}");
        let line = proxy
            .log()
            .into_iter()
            .rfind(|line| line.contains("is refused"))
            .unwrap();
        assert!(line.contains("\"level\":\"error\""), "{line}");
        proxy.client().chat("m", false).await.expect(200);
    }
    std::fs::write(&path, &good).unwrap();
    proxy.signal("-HUP");
    proxy.logged("generation 2 is in force").await;
    assert_eq!(proxy.status().await["config"]["last_reload_error"], json!(null));
    proxy.finish().await;
}

#[tokio::test]
async fn k04_many_signals_at_once_end_in_one_config_that_serves() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&one(&sim, "")).await;
    let pid = proxy.pid();
    let storm = format!("i=0; while [ $i -lt 1000 ]; do kill -HUP {pid}; i=$((i+1)); done");
    let sent = std::process::Command::new("sh")
        .args(["-c", &storm])
        .status()
        .unwrap();
    assert!(sent.success());
    proxy.reload(&one(&sim, "shutdown_grace: 1s\n")).await;
    proxy.client().chat("m", false).await.expect(200);
    assert!(proxy.generation().await <= 1002);
    proxy.finish().await;
}

#[tokio::test]
async fn k05_a_backend_that_is_removed_finishes_its_stream_and_gets_nothing_new() {
    let (old, new) = (
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::All).await.unwrap(),
    );
    old.next(Answer::healthy().deltas(10).delay(Duration::from_millis(50)));
    let proxy = Proxy::start(&one(&old, "")).await;
    let body = calls("m", true)[0].1.to_string();
    let mut stream = proxy
        .client()
        .open("POST", "/v1/chat/completions", body.as_bytes())
        .await;
    stream.until("data: ").await;
    proxy
        .reload(
            &one(&new, "")
                .replace("name: a", "name: b")
                .replace("backend: a", "backend: b"),
        )
        .await;
    for _ in 0..3 {
        let reply = proxy.client().chat("m", false).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "b");
    }
    let whole = within("the stream's end", stream.rest()).await;
    assert!(whole.text().contains("[DONE]"), "{}", whole.text());
    assert_eq!((old.seen().len(), new.seen().len()), (1, 3));
    proxy.finish().await;
}

#[tokio::test]
async fn k06_cooldowns_survive_a_reload_of_other_things() {
    let (a, b) = (
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::All).await.unwrap(),
    );
    a.always(Answer::status(401));
    let yaml = |more: &str| {
        format!(
            "backends:
  - {{name: a, protocol: openai, url: {}, api_key: sk-canary-a}}
  - {{name: b, protocol: openai, url: {}, api_key: sk-canary-b}}
models: {{m: {{routes: [{{backend: a, priority: 1}}, {{backend: b, priority: 2}}]}}}}
{more}",
            a.url(),
            b.url()
        )
    };
    let proxy = Proxy::start(&yaml("")).await;
    proxy.client().chat("m", false).await.expect(200);
    assert_eq!(proxy.backend("a").await["cooldowns"][0]["class"], "auth");
    proxy
        .reload(&yaml(
            "fallback: {max_attempts: 2, cooldown: 1s}\nstream: {heartbeat: 5s}\n",
        ))
        .await;
    assert_eq!(proxy.backend("a").await["state"], "cooling");
    proxy.client().chat("m", false).await.expect(200);
    assert_eq!(a.seen().len(), 1, "the refused key still rests");
    proxy.finish().await;
}

#[tokio::test]
async fn k07_k09_a_key_from_a_file_is_trimmed_and_a_new_one_is_used_after_a_reload_at_once() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let dir = fresh_dir();
    let secret = dir.join("key");
    std::fs::write(&secret, "sk-canary-first\n").unwrap();
    sim.keys(["sk-canary-second"]);
    let from_file = format!("'${{file:{}}}'", secret.display());
    let yaml = one(&sim, "").replace("sk-canary-backend", &from_file);
    let proxy = Proxy::start(&yaml).await;
    proxy.client().chat("m", false).await.expect(502);
    assert_eq!(
        sim.seen()[0].header("authorization"),
        Some("Bearer sk-canary-first")
    );
    assert_eq!(proxy.backend("a").await["state"], "cooling");
    std::fs::write(&secret, "sk-canary-second\r\n").unwrap();
    proxy.reload(&yaml).await;
    proxy.client().chat("m", false).await.expect(200);
    assert_eq!(
        sim.seen()[1].header("authorization"),
        Some("Bearer sk-canary-second")
    );
    assert_eq!(
        proxy.backend("a").await["state"],
        "ok",
        "the old key's cooldown went with it"
    );
    proxy.finish().await;
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn k07_a_client_key_that_is_removed_takes_no_new_request_and_a_new_one_does() {
    let pair = Pair::start().await;
    let keyed = |name: &str| {
        format!(
            "api_keys: {{name: {name}, key: sk-canary-client-{name}}}\n{}",
            pair.yaml()
        )
    };
    let proxy = Proxy::start(&keyed("old")).await;
    let (old, new) = ("sk-canary-client-old", "sk-canary-client-new");
    let as_key = |key: &str| proxy.client().header("x-api-key", key);
    as_key(old).chat("m", false).await.expect(200);
    as_key(new).chat("m", false).await.expect(401);
    proxy.reload(&keyed("new")).await;
    as_key(old).chat("m", false).await.expect(401);
    as_key(new).chat("m", false).await.expect(200);
    proxy.finish().await;
}

#[tokio::test]
async fn k07_a_client_key_that_is_removed_or_disabled_takes_nothing_new_while_its_stream_finishes() {
    let hand = Hand::start().await;
    let sim = Sim::start(Speaks::All).await.unwrap();
    let yaml = |keys: &str, url: &str| {
        let key = "sk-canary-client-old";
        format!(
            "api_keys: [{{name: new, key: sk-canary-client-new}}{}]
backends: [{{name: a, protocol: openai, url: {url}, api_key: sk-canary-a}}]
models: {{m: {{backend: a}}}}
",
            keys.replace("OLD", &format!("name: old, key: {key}"))
        )
    };
    let with = yaml(", {OLD}", &hand.url());
    let proxy = Proxy::start(&with).await;
    for without in ["", ", {OLD, enabled: false}", ", {OLD, expires: 2025-12-31}"] {
        let old = proxy.client().header("x-api-key", "sk-canary-client-old");
        let request = chat("m", true).to_string();
        let mut stream = old.open("POST", "/v1/chat/completions", request.as_bytes()).await;
        let mut held = hand.take().await;
        held.begin().await;
        let script = Tongue::Chat.whole(2);
        let (said, rest) = script.split_at(2);
        held.say(&said.concat()).await;
        stream.until("word-0").await;
        proxy.reload(&yaml(without, &sim.url())).await;
        old.chat("m", false).await.expect(401);
        held.say(&rest.concat()).await;
        held.end().await;
        let whole = within("the stream's end", stream.rest()).await;
        assert!(whole.text().contains("[DONE]"), "{without}: {}", whole.text());
        let again = old.open_on(stream.into_stream(), "GET", "/v1/models", b"");
        within("an answer on the same connection", again.await.rest())
            .await
            .expect(401);
        let new = proxy.client().header("x-api-key", "sk-canary-client-new");
        new.chat("m", false).await.expect(200);
        proxy.reload(&with).await;
    }
    proxy.finish().await;
}

/// An address that nobody listens on now.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

async fn refused(address: &str) {
    until("the address to be closed", async || {
        tokio::net::TcpStream::connect(address)
            .await
            .is_err()
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn k08_addresses_are_opened_and_closed_as_the_new_config_says_or_not_at_all() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let (second, third) = (free_address(), free_address());
    let admin = "admin: {listen: 127.0.0.1:0}\n";
    let listen = |list: &str| format!("listen: [{list}]\n{admin}{}", one(&sim, ""));
    let proxy = Proxy::start(&listen("127.0.0.1:0")).await;
    proxy.reload(&listen(&format!("127.0.0.1:0, '{second}'"))).await;
    Client::plain(&second).get("/readyz").await.expect(200);
    let mut open = Client::plain(&second).open("GET", "/readyz", b"").await;
    within("an answer", open.rest()).await.expect(200);
    // One that cannot be opened refuses all of the config, and the others that it names stay closed.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.rewrite(&listen(&format!(
        "127.0.0.1:0, '{third}', '{}'",
        taken.local_addr().unwrap()
    )));
    proxy.signal("-HUP");
    proxy.logged("the address is in use").await;
    refused(&third).await;
    Client::plain(&second).get("/readyz").await.expect(200);
    assert_eq!(proxy.generation().await, 2);
    proxy.reload(&listen("127.0.0.1:0")).await;
    refused(&second).await;
    let mut again = Client::plain(&second)
        .open_on(open.into_stream(), "GET", "/readyz", b"")
        .await;
    within("an answer on the open connection", again.rest())
        .await
        .expect(200);
    proxy.client().chat("m", false).await.expect(200);
    proxy.finish().await;
}

#[tokio::test]
async fn watch_reloads_when_the_file_changes_or_is_replaced_until_the_config_says_no() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let watched = |alias: &str, watch: bool| {
        one(&sim, &format!("watch: {watch}\n")).replace("{m:", &format!("{{{alias}:"))
    };
    let proxy = Proxy::start(&watched("m", true)).await;
    proxy.rewrite(&watched("written", true));
    proxy.logged("generation 2 is in force").await;
    proxy.client().chat("written", false).await.expect(200);
    // As editors and Kubernetes do it: another file is moved into the place.
    let path = proxy.dir().join("config.yaml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("written", "moved");
    std::fs::write(
        proxy.dir().join("new"),
        text.replace("watch: true", "watch: false"),
    )
    .unwrap();
    std::fs::rename(proxy.dir().join("new"), &path).unwrap();
    proxy.logged("generation 3 is in force").await;
    proxy.client().chat("moved", false).await.expect(200);
    // Nobody watches any more: this one waits for the signal.
    proxy.rewrite(&watched("unseen", true));
    proxy.reload(&watched("told", true)).await;
    proxy.client().chat("told", false).await.expect(200);
    assert_eq!(proxy.generation().await, 4);
    proxy.rewrite(&watched("again", true));
    proxy.logged("generation 5 is in force").await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_stream_that_breaks_after_a_reload_still_gets_its_error_event() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.next(
        Answer::healthy()
            .deltas(8)
            .delay(Duration::from_millis(40))
            .after_deltas(6, Cut::Rst),
    );
    let proxy = Proxy::start(&one(&sim, "")).await;
    let body = calls("m", true)[0].1.to_string();
    let mut stream = proxy
        .client()
        .open("POST", "/v1/chat/completions", body.as_bytes())
        .await;
    stream.until("data: ").await;
    proxy.reload(&one(&sim, "timeout: {idle: 1s}\n")).await;
    let reply = within("the stream's end", stream.rest()).await;
    assert!(
        reply.text().contains("\"error\"") && !reply.text().contains("[DONE]"),
        "{}",
        reply.text()
    );
    proxy.finish().await;
}

#[tokio::test]
async fn the_level_of_the_log_changes_with_the_config() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::status(500));
    let proxy = Proxy::start(&one(&sim, "")).await;
    proxy.client().chat("m", false).await.expect(502);
    proxy.recorded(1).await;
    assert!(
        !proxy
            .log()
            .iter()
            .any(|line| line.contains("\"level\":\"debug\""))
    );
    proxy.reload(&one(&sim, "logging: {level: debug}\n")).await;
    proxy.client().chat("m", false).await.expect(502);
    proxy.logged("attempt failed").await;
    proxy.finish().await;
}
