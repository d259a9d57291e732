//! The usual scene: two backends of one dialect, `a` before `b`, one alias `m`, and the proxy.

use llm_sim::{Sim, Speaks};

use super::{Proxy, Reply, Streaming, Tongue};

/// Two backends and the proxy before them.
pub struct Rig {
    /// The dialect of all of them.
    pub tongue: Tongue,
    /// The first choice.
    pub a: Sim,
    /// The second.
    pub b: Sim,
    /// The proxy.
    pub proxy: Proxy,
}

/// What a test changes of the usual config.
#[derive(Default)]
pub struct Twist<'a> {
    /// More keys of backend `a`, each with a comma before it.
    pub a: &'a str,
    /// More top-level sections, or all that follows them.
    pub top: &'a str,
}

impl Rig {
    /// The scene with the contract's defaults.
    pub async fn start(tongue: Tongue) -> Self {
        Self::with(tongue, Twist::default()).await
    }

    /// The scene with other top-level sections.
    pub async fn top(tongue: Tongue, top: &str) -> Self {
        Self::with(tongue, Twist { a: "", top }).await
    }

    /// The scene with a twist.
    pub async fn with(tongue: Tongue, twist: Twist<'_>) -> Self {
        let a = Sim::start(Speaks::All).await.unwrap();
        let b = Sim::start(Speaks::All).await.unwrap();
        let proxy = Proxy::start(&config(tongue, (&a.url(), &b.url()), twist)).await;
        Self { tongue, a, b, proxy }
    }

    /// Asks for the alias, and waits for the whole answer.
    pub async fn ask(&self, stream: bool) -> Reply {
        let request = self.tongue.request("m", stream);
        self.proxy.client().post(self.tongue.path(), &request).await
    }

    /// Asks for a stream and returns before any answer.
    pub async fn open(&self) -> Streaming {
        let request = self.tongue.request("m", true).to_string();
        let client = self.proxy.client();
        client.open("POST", self.tongue.path(), request.as_bytes()).await
    }

    /// What must hold at the end: of the proxy, and that it said nothing wrong to any backend.
    pub async fn finish(self) {
        assert_eq!(self.a.protocol_errors(), [""; 0]);
        assert_eq!(self.b.protocol_errors(), [""; 0]);
        self.proxy.finish().await;
    }
}

/// The config of the scene.
pub fn config(tongue: Tongue, (a, b): (&str, &str), twist: Twist<'_>) -> String {
    let protocol = tongue.protocol();
    format!(
        "backends:
  - {{name: a, protocol: {protocol}, url: {a}, api_key: sk-canary-backend-a{}}}
  - {{name: b, protocol: {protocol}, url: {b}, api_key: sk-canary-backend-b}}
models:
  m: {{routes: [{{backend: a, model: real, priority: 1}}, {{backend: b, model: real, priority: 2}}]}}
{}",
        twist.a, twist.top
    )
}
