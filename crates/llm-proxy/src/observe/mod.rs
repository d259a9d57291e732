//! What the program says about itself: log lines, one access record a request, and counts.

pub mod access;
mod bodies;
mod escape;
mod file;
pub mod finished;
mod json;
pub mod lately;
pub mod ledger;
mod line;
pub mod log;
pub mod logs;
mod mask;
pub mod meters;
mod old;
pub mod outbox;
pub mod panics;
mod recent;
pub mod series;
mod sink;
pub mod trace;

pub use access::{Attempt, Entry, Obstacle, Record, Skipped};
pub use bodies::Bodies;
pub use escape::one_line;
pub use logs::Logs;
pub use meters::{AliasMeters, BackendMeters};
pub use trace::Trace;
