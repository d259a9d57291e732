//! The scene of these tests: backends `a`, `b`, `c` of one dialect, and conversations that ask turn after turn.

use llm_sim::{Sim, Speaks};
use serde_json::{Value, json};

use crate::support::{Client, Proxy, Reply, Tongue};

/// The key of the client that most tests are.
pub const KEY: &str = "sk-canary-client-one-0123456789";
/// Another client's.
pub const OTHER_KEY: &str = "sk-canary-client-two-0123456789";

/// Each dialect, as JSON and as a stream.
pub fn cases() -> impl Iterator<Item = (Tongue, bool)> {
    Tongue::ALL
        .into_iter()
        .flat_map(|tongue| [(tongue, false), (tongue, true)])
}

/// The backends and the proxy before them.
pub struct Scene {
    pub tongue: Tongue,
    pub stream: bool,
    pub sims: Vec<Sim>,
    pub proxy: Proxy,
}

/// How `m` goes to the backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routes {
    /// One priority, equal weights.
    Equal,
    /// One after the other.
    Tiers,
}

/// The `backends` section: each has two keys, `a` more settings if asked.
pub fn backends(tongue: Tongue, sims: &[Sim], of_a: &str) -> String {
    let names = ["a", "b", "c"];
    let each = sims.iter().zip(names).map(|(sim, name)| {
        let (protocol, url) = (tongue.protocol(), sim.url());
        let more = if name == "a" { of_a } else { "" };
        format!(
            "  - {{name: {name}, protocol: {protocol}, url: \"{url}\", api_keys: [sk-canary-{name}-1, sk-canary-{name}-2]{more}}}\n"
        )
    });
    let keys = format!("api_keys: [{{name: one, key: {KEY}}}, {{name: two, key: {OTHER_KEY}}}]\n");
    format!("{keys}backends:\n{}", each.collect::<String>())
}

/// `m` over the first `count` backends.
pub fn model(routes: Routes, count: usize, more: &str) -> String {
    let route = |(n, name): (usize, &&str)| {
        let priority = if routes == Routes::Equal { 1 } else { n + 1 };
        format!("{{backend: {name}, model: real, priority: {priority}}}")
    };
    let all: Vec<String> = ["a", "b", "c"]
        .iter()
        .enumerate()
        .take(count)
        .map(route)
        .collect();
    format!("models: {{m: {{routes: [{}]{more}}}}}\n", all.join(", "))
}

/// So many simulated backends.
pub async fn sims(count: usize) -> Vec<Sim> {
    let mut sims = Vec::new();
    for _ in 0..count {
        sims.push(Sim::start(Speaks::All).await.unwrap());
    }
    sims
}

impl Scene {
    /// The usual one, of two backends.
    pub async fn start(case: (Tongue, bool), routes: Routes) -> Self {
        Self::top(case, routes, "").await
    }

    /// The same with more sections of the config.
    pub async fn top((tongue, stream): (Tongue, bool), routes: Routes, more: &str) -> Self {
        Self::with((tongue, stream), sims(2).await, |sims| {
            backends(tongue, sims, "") + &model(routes, 2, "") + more
        })
        .await
    }

    /// One with a config of its own.
    pub async fn with(
        (tongue, stream): (Tongue, bool),
        sims: Vec<Sim>,
        config: impl Fn(&[Sim]) -> String,
    ) -> Self {
        let proxy = Proxy::start(&config(&sims)).await;
        Self {
            tongue,
            stream,
            sims,
            proxy,
        }
    }

    /// A client with its key.
    pub fn client(&self) -> Client {
        self.proxy.client().header("x-api-key", KEY)
    }

    /// A client that names its session as its agents do.
    pub fn session(&self, name: &str) -> Client {
        session(self.client(), self.tongue, name)
    }

    /// Asks and waits for the answer.
    pub async fn ask(&self, client: &Client) -> Reply {
        self.say(client, &self.tongue.request("m", self.stream)).await
    }

    /// Sends that body.
    pub async fn say(&self, client: &Client, body: &Value) -> Reply {
        client.post(self.tongue.path(), body).await
    }

    /// Asks; a whole answer must come; says whose.
    pub async fn who(&self, client: &Client) -> String {
        backend_of(&self.ask(client).await)
    }

    /// The backend and key of each request so far, in order, those that were answered at once.
    pub async fn served(&self, count: usize) -> Vec<String> {
        let records = self.proxy.recorded(count).await;
        let key = |record: &Value| {
            let attempts = record["attempts"].as_array().unwrap();
            attempts.last().unwrap()["key"].as_str().unwrap().to_owned()
        };
        records.iter().map(key).collect()
    }

    /// The backends that the request with that number was tried on, from 0.
    pub async fn tried(&self, request: usize) -> Vec<String> {
        let records = self.proxy.recorded(request + 1).await;
        let attempts = records[request]["attempts"].as_array().unwrap();
        let name = |attempt: &Value| attempt["backend"].as_str().unwrap().to_owned();
        attempts.iter().map(name).collect()
    }

    /// What must hold at the end.
    pub async fn finish(self) {
        for sim in &self.sims {
            assert_eq!(sim.protocol_errors(), [""; 0]);
        }
        self.proxy.finish().await;
    }
}

/// That client in a session, in the headers of the agent that speaks this dialect; a chat has Codex's.
pub fn session(client: Client, tongue: Tongue, name: &str) -> Client {
    match tongue {
        Tongue::Messages => client.header("x-claude-code-session-id", name),
        Tongue::Responses => client.header("session-id", name).header("thread-id", name),
        Tongue::Chat => client.header("session_id", name),
    }
}

/// Which backend gave a whole answer.
#[track_caller]
pub fn backend_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.whole);
    reply.header("x-llm-proxy-backend").to_owned()
}

/// The request of a conversation that began with these words and has had `turns` answers.
pub fn grown(tongue: Tongue, stream: bool, first: &str, turns: usize) -> Value {
    let mut body = tongue.request("m", stream);
    let mut said = vec![json!({"role": "user", "content": first})];
    for turn in 0..turns {
        said.push(json!({"role": "assistant", "content": format!("answer {turn}")}));
        said.push(json!({"role": "user", "content": format!("question {turn}")}));
    }
    let list = if tongue == Tongue::Responses {
        "input"
    } else {
        "messages"
    };
    body[list] = json!(said);
    body
}
