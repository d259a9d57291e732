//! Two backends of one dialect, `a` before `b`, with the proxy before them, and clients of another dialect.

use llm_dialect::Dialect;
use llm_dialect::grammar::{self, Transcript};
use llm_sim::{Sim, Speaks};
use serde_json::Value;

use super::super::support::{Proxy, Reply, Tongue};

/// A client's dialect and a backend's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What the client speaks.
    pub client: Tongue,
    /// What the backends speak.
    pub backend: Tongue,
}

impl Pair {
    /// All that need conversion.
    pub fn all() -> Vec<Self> {
        let pairs = Tongue::ALL.into_iter().flat_map(|client| {
            Tongue::ALL
                .into_iter()
                .map(move |backend| Self { client, backend })
        });
        pairs.filter(|pair| pair.client != pair.backend).collect()
    }
}

/// The dialect of a tongue.
pub fn dialect(tongue: Tongue) -> Dialect {
    match tongue {
        Tongue::Chat => Dialect::Chat,
        Tongue::Messages => Dialect::Messages,
        Tongue::Responses => Dialect::Responses,
    }
}

/// The scene.
pub struct Scene {
    /// Who speaks what.
    pub pair: Pair,
    /// The first choice.
    pub a: Sim,
    /// The second.
    pub b: Sim,
    /// The proxy.
    pub proxy: Proxy,
}

impl Scene {
    /// The scene with the contract's defaults.
    pub async fn start(pair: Pair) -> Self {
        Self::with(pair, "", "").await
    }

    /// The scene with more keys of the alias, each with a comma before it, and more top-level sections.
    pub async fn with(pair: Pair, alias: &str, top: &str) -> Self {
        let a = Sim::start(Speaks::All).await.unwrap();
        let b = Sim::start(Speaks::All).await.unwrap();
        let backend = |name: &str, url: &str| {
            let protocol = pair.backend.protocol();
            let apis = apis(pair.backend);
            format!(
                "  - {{name: {name}, protocol: {protocol}, url: {url}, api_key: sk-canary-backend-{name}, apis: [{apis}]}}\n"
            )
        };
        let yaml = format!(
            "backends:\n{}{}models:\n  m: {{routes: [{{backend: a, model: real, priority: 1}}, {{backend: b, model: real, priority: 2}}]{alias}}}\n{top}",
            backend("a", &a.url()),
            backend("b", &b.url()),
        );
        let proxy = Proxy::start(&yaml).await;
        Self { pair, a, b, proxy }
    }

    /// Asks for the alias, and waits for the whole answer.
    pub async fn ask(&self, stream: bool) -> Reply {
        self.send(&self.pair.client.request("m", stream)).await
    }

    /// Sends this body to the client's path.
    pub async fn send(&self, body: &Value) -> Reply {
        self.proxy.client().post(self.pair.client.path(), body).await
    }

    /// What a strict client has assembled of a good answer.
    #[track_caller]
    pub fn read(&self, reply: &Reply, stream: bool) -> Transcript {
        read(self.pair, reply, stream)
    }

    /// What must hold at the end: of the proxy, and that it said nothing wrong to any backend.
    pub async fn finish(self) {
        assert_eq!(self.a.protocol_errors(), [""; 0], "{:?}", self.pair);
        assert_eq!(self.b.protocol_errors(), [""; 0], "{:?}", self.pair);
        self.proxy.finish().await;
    }
}

/// The only call of a backend of that dialect.
pub fn apis(tongue: Tongue) -> &'static str {
    match tongue {
        Tongue::Chat => "chat",
        Tongue::Messages => "messages",
        Tongue::Responses => "responses",
    }
}

/// What a strict client has assembled of a good answer.
#[track_caller]
pub fn read(pair: Pair, reply: &Reply, stream: bool) -> Transcript {
    assert_eq!(reply.status, 200, "{pair:?}: {}", reply.text());
    assert!(reply.whole, "{pair:?}: the body ends as its framing says");
    let to = dialect(pair.client);
    let read = if stream {
        assert_eq!(reply.header("content-type"), "text/event-stream", "{pair:?}");
        grammar::stream(to, &reply.body)
    } else {
        assert_eq!(reply.header("content-type"), "application/json", "{pair:?}");
        grammar::answer(to, &reply.text())
    };
    read.unwrap_or_else(|fault| panic!("{pair:?}, stream {stream}: {fault}\n{}", reply.text()))
}
