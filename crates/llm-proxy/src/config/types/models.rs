//! An alias and its routes.

use llm_dialect::needs::Feature;
use serde_json::Value;

use super::TimeoutOverrides;

/// An alias: the name that clients send, and where it leads.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its routes, in the file's order; never empty.
    pub routes: Vec<Route>,
    /// The choice within a priority.
    pub strategy: Strategy,
    /// Whether conversations stay where their prompt cache is.
    pub affinity: bool,
    /// Other aliases, tried when every route here has failed.
    pub fallback: Vec<String>,
    /// Fields that are set where the request has none (raw JSON values by name).
    pub defaults: Vec<(String, Value)>,
    /// Fields that are always set.
    pub overrides: Vec<(String, Value)>,
    /// Whether it may be used.
    pub enabled: bool,
    /// Clocks that differ from the general ones.
    pub timeout: TimeoutOverrides,
}

/// One way from an alias to a backend.
#[derive(Clone, Debug)]
pub struct Route {
    /// The backend's name; it exists.
    pub backend: String,
    /// The backend's model; none: the client's name goes on as it is.
    pub model: Option<String>,
    /// Lower is tried first.
    pub priority: i32,
    /// Its share within a priority; 0: only when the others are gone.
    pub weight: u32,
    /// The context window in tokens, where known.
    pub context: Option<u64>,
    /// The longest answer in tokens that may be asked for, where known.
    pub max_tokens: Option<u64>,
    /// What its model cannot do.
    pub lacks: Vec<Feature>,
    /// Whether it may be used.
    pub enabled: bool,
}

/// The choice among routes of one priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Smooth round robin by weight.
    Weighted,
    /// The fewest requests in flight.
    LeastBusy,
    /// The better of two by first-byte latency.
    Fastest,
    /// By chance, by weight.
    Random,
}
