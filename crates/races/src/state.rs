//! What outlives a reload, and what a request holds of it.
#![expect(dead_code, reason = "what the rest of the layer would call is not here")]

use std::sync::Arc;

use crate::config::types::{self, Rate};
use crate::limits::Buckets;

pub use llm_proxy::state::{CacheCount, CacheView};

// `cargo fmt` would look for the file of its tests in the wrong folder.
#[rustfmt::skip]
#[path = "../../llm-proxy/src/state/places.rs"]
pub mod places;
#[path = "../../llm-proxy/src/state/rates.rs"]
pub mod rates;
#[path = "../../llm-proxy/src/state/signals.rs"]
pub mod signals;
#[path = "../../llm-proxy/src/state/spending.rs"]
pub mod spending;
#[path = "../../llm-proxy/src/state/told.rs"]
pub mod told;
#[path = "../../llm-proxy/src/state/vitals.rs"]
pub mod vitals;

/// Where `vitals` looks for it.
mod cache {
    pub(super) use llm_proxy::state::CacheCount;
}

/// The buckets of a limit: only this layer may ask for them.
pub fn buckets(rates: &rates::Rates, level: rates::Level, of: &str, rate: &Rate) -> Arc<Buckets> {
    rates.shared((level, of), rate)
}

/// The budget of a key: only this layer may ask for it.
pub fn budget(spendings: &spending::Spendings, key: &str, budget: types::Budget) -> spending::Budget {
    spendings.budget(1, key, budget)
}
