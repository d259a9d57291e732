//! The scene of these tests: backends `a`, `b`, `c` that speak one dialect, and aliases over them.

use std::fmt::Write as _;

use llm_sim::{Answer, Sim, Speaks};
use serde_json::{Value, json};

use crate::support::client::{chat, messages, responses};
use crate::support::{Client, Proxy, Reply, Streaming, until};

/// A dialect of clients and of the backends behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// Chat Completions.
    Chat,
    /// Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
}

impl Tongue {
    /// For what the rule book marks as x3.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    fn protocol(self) -> &'static str {
        if self == Self::Messages {
            "anthropic"
        } else {
            "openai"
        }
    }

    /// The status of an overload.
    pub fn overloaded(self) -> u16 {
        if self == Self::Messages { 529 } else { 503 }
    }

    /// Asks that model and reads the whole answer.
    pub async fn ask(self, client: &Client, model: &str, stream: bool) -> Reply {
        match self {
            Self::Chat => client.chat(model, stream).await,
            Self::Responses => client.responses(model, stream).await,
            Self::Messages => client.messages(model, stream).await,
        }
    }

    /// Asks that model and does not wait.
    pub async fn open(self, client: &Client, model: &str, stream: bool) -> Streaming {
        let (path, body) = match self {
            Self::Chat => ("/v1/chat/completions", chat(model, stream)),
            Self::Responses => ("/v1/responses", responses(model, stream)),
            Self::Messages => ("/v1/messages", messages(model, stream)),
        };
        client.open("POST", path, body.to_string().as_bytes()).await
    }
}

/// So many simulated backends.
pub async fn sims<const N: usize>() -> [Sim; N] {
    let mut sims = Vec::with_capacity(N);
    for _ in 0..N {
        sims.push(Sim::start(Speaks::All).await.unwrap());
    }
    sims.try_into().unwrap()
}

/// The `backends` section: they are called `a`, `b`, `c`, each with one key of its own.
pub fn backends(tongue: Tongue, sims: &[&Sim]) -> String {
    let mut yaml = "backends:\n".to_owned();
    for (sim, name) in sims.iter().zip(["a", "b", "c", "d"]) {
        let (protocol, url) = (tongue.protocol(), sim.url());
        let _ = writeln!(
            yaml,
            "  - {{name: {name}, protocol: {protocol}, url: \"{url}\", api_key: sk-canary-backend-{name}}}"
        );
    }
    yaml
}

/// Backends of the chat dialect, and `m`: each of them in turn, under the model name `real`.
pub fn in_turn(sims: &[&Sim]) -> String {
    in_turn_of(Tongue::Chat, sims)
}

/// The same in a dialect.
pub fn in_turn_of(tongue: Tongue, sims: &[&Sim]) -> String {
    let mut yaml = backends(tongue, sims) + "models:\n  m:\n    routes:\n";
    for (n, name) in ["a", "b", "c", "d"].iter().enumerate().take(sims.len()) {
        let _ = writeln!(
            yaml,
            "      - {{backend: {name}, model: real, priority: {}}}",
            n + 1
        );
    }
    yaml
}

/// Which backend gave a reply.
pub fn backend_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-llm-proxy-backend").to_owned()
}

/// Asks `m` in the chat dialect and says who answered.
pub async fn answered_by(proxy: &Proxy) -> String {
    backend_of(&proxy.client().chat("m", false).await)
}

/// Asks `m` so many times, one after the other, and says who answered.
pub async fn answers(proxy: &Proxy, times: usize) -> Vec<String> {
    let mut names = Vec::with_capacity(times);
    for _ in 0..times {
        names.push(answered_by(proxy).await);
    }
    names
}

/// How many of them are `name`.
pub fn count(names: &[String], name: &str) -> usize {
    names.iter().filter(|own| *own == name).count()
}

/// The cooldowns of a backend in `/api/status`.
pub async fn cooldowns(proxy: &Proxy, backend: &str) -> Vec<Value> {
    let backend = proxy.backend(backend).await;
    backend["cooldowns"].as_array().unwrap().clone()
}

/// Waits until every cooldown of the backend is over, so that the next request may probe it.
pub async fn due(proxy: &Proxy, backend: &str) {
    until("the cooldown to be over", async || {
        let cooldowns = cooldowns(proxy, backend).await;
        assert!(!cooldowns.is_empty(), "nothing of `{backend}` cools");
        let is_over = |cooldown: &Value| cooldown["seconds_left"] == 0.0;
        cooldowns.iter().all(is_over).then_some(())
    })
    .await;
}

/// The log's word on the `n`th (from 0) time that something began to cool.
pub async fn cooled(proxy: &Proxy, n: usize) -> Value {
    until(&format!("cooldown {n} in the log"), async || {
        let lines = proxy.log();
        let all = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut cooling =
            all.filter(|line| line["msg"].as_str().is_some_and(|msg| msg.starts_with("cooling")));
        cooling.nth(n)
    })
    .await
}

/// How long it then cools, in seconds.
pub fn seconds(line: &Value) -> f64 {
    line["seconds"].as_f64().unwrap()
}

/// An overload that says when to come back: it cools the backend for that model at once, and for just that long.
pub fn overloaded(milliseconds: u64) -> Answer {
    Answer::status(529).header("retry-after-ms", &milliseconds.to_string())
}

/// A used-up quota: it cools the key.
pub fn quota(seconds: u64) -> Answer {
    Answer::status(429)
        .body(json!({"error": {"message": "You exceeded your current quota.", "type": "insufficient_quota", "param": null, "code": "insufficient_quota"}}))
        .header("retry-after", &seconds.to_string())
}

/// The `retry-after` of a refusal, in seconds.
#[track_caller]
pub fn retry_after(reply: &Reply) -> u64 {
    reply
        .header("retry-after")
        .parse()
        .expect("a retry-after in whole seconds")
}

/// The backends that the access record `n` names, in the order in which they were tried.
pub async fn tried(proxy: &Proxy, n: usize) -> Vec<String> {
    let records = proxy.recorded(n + 1).await;
    let attempts = records[n]["attempts"].as_array().unwrap();
    let name = |attempt: &Value| attempt["backend"].as_str().unwrap().to_owned();
    attempts.iter().map(name).collect()
}
