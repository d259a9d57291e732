//! `llm-proxy schema`: the JSON Schema of the config file.

use super::Outcome;

/// The schema, which is always there.
pub fn run() -> Outcome {
    Outcome::fine(crate::config::schema())
}
