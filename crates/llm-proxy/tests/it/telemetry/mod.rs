//! Traces and metrics over OTLP: what a collector is told, whose trace it is, and what happens where there is none.

mod away;
mod numbers;
mod parents;
mod tree;

use llm_sim::{Answer, Sim, Speaks};

use super::support::{Client, Collector, Proxy};

/// Two backends, of which the second speaks Messages alone, a proxy before them, and a collector beside it.
struct Scene {
    first: Sim,
    second: Sim,
    collector: Collector,
    proxy: Proxy,
    keyed: Client,
}

impl Scene {
    async fn start() -> Self {
        Self::with("", "").await
    }

    /// With more keys of `telemetry`, each with a comma before it, and more sections.
    async fn with(telemetry: &str, top: &str) -> Self {
        let collector = Collector::start().await;
        Self::beside(collector, telemetry, top).await
    }

    async fn beside(collector: Collector, telemetry: &str, top: &str) -> Self {
        let first = Sim::start(Speaks::All).await.unwrap();
        let second = Sim::start(Speaks::Messages).await.unwrap();
        first.always(Answer::healthy().usage(30, 12).cached(20));
        second.always(Answer::healthy().usage(30, 12));
        let otlp = format!("telemetry: {{otlp: '{}'{telemetry}}}\n{top}", collector.url());
        let proxy = Proxy::start(&config(&first, &second, &otlp)).await;
        let keyed = proxy.client().header("x-api-key", "sk-canary-client-key");
        Self {
            first,
            second,
            collector,
            proxy,
            keyed,
        }
    }

    /// A sample of `/metrics`.
    async fn sample(&self, name: &str) -> u64 {
        let page = Client::plain(self.proxy.admin()).get("/metrics").await.text();
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().parse().unwrap()
    }

    async fn finish(self) {
        self.proxy.finish().await;
        self.collector.assert_no_secrets();
        assert_eq!(self.first.protocol_errors(), [""; 0]);
        assert_eq!(self.second.protocol_errors(), [""; 0]);
    }
}

fn config(first: &Sim, second: &Sim, top: &str) -> String {
    format!(
        "api_keys: {{name: team, key: sk-canary-client-key, models: ['m', 'only', 'glob-*']}}
fallback: {{cooldown: 50ms, cooldown_max: 50ms, retry_budget: 1}}
backends:
  - {{name: o, protocol: openai, url: {}, api_keys: [sk-canary-o1, sk-canary-o2]}}
  - {{name: a, protocol: anthropic, url: {}, api_key: sk-canary-a}}
models:
  m: {{routes: [{{backend: o, model: real, priority: 1}}, {{backend: a, model: claude, priority: 2}}]}}
  only: {{backend: a, model: claude}}
  glob-*: {{backend: o}}
{top}",
        first.url(),
        second.url()
    )
}
