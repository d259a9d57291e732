//! What requests cost, and what a key may spend.

mod budgets;
mod prices;

use std::path::PathBuf;

use llm_sim::{Sim, Speaks};
use serde_json::{Value, json};

use crate::support::proxy::fresh_dir;
use crate::support::{Client, Proxy, Reply, Tongue};

const TEAM: &str = "sk-canary-client-team-0123456789";

/// A key with a budget, backends of both protocols, and the proxy.
struct Scene {
    sim: Sim,
    proxy: Proxy,
    /// Where its files of prices are.
    files: PathBuf,
}

impl Scene {
    /// With that budget, and these top-level sections.
    async fn start(budget: &str, top: &str) -> Self {
        Self::with(budget, |_| top.to_owned()).await
    }

    /// The same, with sections that name files of a folder.
    async fn with(budget: &str, top: impl Fn(&str) -> String) -> Self {
        let sim = Sim::start(Speaks::All).await.unwrap();
        let files = fresh_dir();
        let top = top(files.to_str().unwrap());
        let proxy = Proxy::start(&config(&sim, budget, &top)).await;
        Self { sim, proxy, files }
    }

    fn client(&self) -> Client {
        self.proxy.client().header("x-api-key", TEAM)
    }

    async fn ask(&self, tongue: Tongue, model: &str, stream: bool) -> Reply {
        let request = tongue.request(model, stream);
        self.client().post(tongue.path(), &request).await
    }

    /// The record of the request that is awaited here.
    async fn record<T>(&self, asked: impl Future<Output = T>) -> Value {
        let before = self.proxy.records().len();
        asked.await;
        self.proxy.recorded(before + 1).await.pop().unwrap()
    }

    /// The key's budget in the status.
    async fn budget(&self) -> Value {
        self.proxy.status().await["limits"]["budgets"]["team"].clone()
    }

    async fn finish(self) {
        assert_eq!(self.sim.protocol_errors(), [""; 0]);
        self.proxy.finish().await;
        let _ = std::fs::remove_dir_all(&self.files);
    }
}

/// An alias for each protocol, whose backend's model costs $3 and $15 a million tokens, $0.3 cached; one whose price
/// nobody knows.
fn config(sim: &Sim, budget: &str, top: &str) -> String {
    let url = sim.url();
    format!(
        "api_keys: [{{name: team, key: {TEAM}, {budget}}}]
backends:
  - {{name: openai, protocol: openai, url: {url}, api_key: sk-canary-backend}}
  - {{name: anthropic, protocol: anthropic, url: {url}, api_key: sk-canary-backend}}
models:
  sonnet: {{backend: anthropic, model: claude-sonnet-4-5-20250929}}
  resold: {{backend: openai, model: anthropic/claude-sonnet-4.5}}
  ours: {{backend: openai, model: ours}}
{top}"
    )
}

/// The alias whose backend speaks that dialect.
fn alias(tongue: Tongue) -> &'static str {
    if tongue == Tongue::Messages {
        "sonnet"
    } else {
        "resold"
    }
}

/// A request for a stream, or not, whose answer may have so many tokens.
fn request(model: &str, max_tokens: u32, stream: bool) -> Value {
    json!({
        "model": model, "max_tokens": max_tokens, "stream": stream,
        "messages": [{"role": "user", "content": "Hi"}]
    })
}

/// A number of the metrics, as it is written.
async fn metric(proxy: &Proxy, series: &str) -> String {
    let page = Client::plain(proxy.admin()).get("/metrics").await.text();
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    let value = line.unwrap_or_else(|| panic!("no {series} in {page}"));
    value.trim().to_owned()
}
