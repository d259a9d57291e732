//! What the program writes down, and that no request ever waits for it.

mod bodies;
mod files;
mod masks;
mod unread;

use llm_sim::Sim;

/// One backend behind the alias `m`.
fn config(sim: &Sim) -> String {
    format!(
        "backends: {{name: a, protocol: openai, url: '{}', api_key: sk-canary-backend}}
models: {{m: {{backend: a, model: real}}}}
",
        sim.url()
    )
}
