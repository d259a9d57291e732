//! `llm-proxy schema`: the JSON Schema of the config file, or of that of prices.

use super::Outcome;
use crate::config;

/// The schema, which is always there.
pub fn run(prices: bool) -> Outcome {
    Outcome::fine(if prices {
        config::prices_schema()
    } else {
        config::schema()
    })
}
