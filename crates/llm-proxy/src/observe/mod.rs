//! What the program says about itself: log lines and one access record a request.

pub mod access;
mod escape;
mod line;
pub mod log;
pub mod panics;
pub mod sink;

pub use access::{Attempt, Entry, Record};
pub use sink::Sink;
