//! What the contract promises to whoever stands outside: paths, bodies, headers, keys, errors, reloads, ends, sockets.

mod access;
mod addresses;
mod bodies;
mod errors;
mod headers;
mod keys;
mod paths;
mod plain;
mod proxied;
mod reload;
mod signals;
mod strangers;
mod transport;

use llm_sim::{Seen, Sim, Speaks};
use serde_json::Value;

use super::support::client::{chat, messages, responses};

/// Everything that a backend of OpenAI's protocol may have.
const APIS: &str = "[chat, responses, embeddings, completions, moderations, images, audio, rerank]";
/// The key of each backend of a [`Pair`].
const KEYS: [&str; 2] = ["sk-canary-openai-backend", "sk-canary-anthropic-backend"];

/// A backend of each protocol behind one alias, `m`, whose name they know as `real`.
pub struct Pair {
    pub openai: Sim,
    pub anthropic: Sim,
}

impl Pair {
    pub async fn start() -> Self {
        Self {
            openai: Sim::start(Speaks::All).await.unwrap(),
            anthropic: Sim::start(Speaks::Messages).await.unwrap(),
        }
    }

    /// Their part of the config.
    pub fn yaml(&self) -> String {
        let [openai_key, anthropic_key] = KEYS;
        format!(
            "backends:
  - {{name: o, protocol: openai, url: {}, api_key: {openai_key}, apis: {APIS}}}
  - {{name: a, protocol: anthropic, url: {}, api_key: {anthropic_key}}}
models:
  m: {{routes: [{{backend: o, model: real}}, {{backend: a, model: real}}]}}
",
            self.openai.url(),
            self.anthropic.url()
        )
    }

    /// All that either has seen, and nothing was against its protocol.
    pub fn seen(&self) -> Vec<Seen> {
        assert_eq!(self.openai.protocol_errors(), [""; 0]);
        assert_eq!(self.anthropic.protocol_errors(), [""; 0]);
        let mut seen = self.openai.seen();
        seen.extend(self.anthropic.seen());
        seen
    }

    /// The only request that either has seen.
    pub fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

/// A small request in each dialect, with its path.
pub fn calls(model: &str, stream: bool) -> [(&'static str, Value); 3] {
    [
        ("/v1/chat/completions", chat(model, stream)),
        ("/v1/responses", responses(model, stream)),
        ("/v1/messages", messages(model, stream)),
    ]
}
