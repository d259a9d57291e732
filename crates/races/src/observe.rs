//! What is counted of a backend, and what waits for a collector.

use std::time::SystemTime;

pub use llm_proxy::observe::{Attempt, BackendMeters, access, finished, series};

#[path = "../../llm-proxy/src/observe/lately.rs"]
pub mod lately;
#[path = "../../llm-proxy/src/observe/outbox.rs"]
pub mod outbox;

/// Notes an attempt: only this layer may.
pub fn note(lately: &lately::Lately, attempt: &Attempt, at: SystemTime) {
    lately.attempt(attempt, at);
}

/// Puts a request into the outbox that is over: only this layer may.
pub fn put(outbox: &outbox::Outbox, finished: finished::Finished) {
    outbox.put(finished);
}
