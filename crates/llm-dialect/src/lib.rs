//! The dialects that AI clients and LLM backends speak, as pure code.
//!
//! Nothing here does I/O, reads a clock or starts a task: bytes go in, facts and bytes come out. That
//! is what makes this crate easy to fuzz and to use elsewhere.

mod alike;
pub mod answer;
pub mod canon;
pub mod chat;
pub mod dialect;
pub mod edit;
pub mod envelope;
pub mod estimate;
pub mod fault;
pub mod grammar;
pub mod inject;
mod lenient;
pub mod messages;
pub mod models;
pub mod multipart;
pub mod names;
pub mod needs;
mod openai;
pub mod path;
pub mod responses;
pub mod scan;
pub mod sse;
pub mod strip;
pub mod traits;
pub mod transcode;
pub mod turns;
pub mod usage;
pub mod watch;
pub mod wire_error;

pub use dialect::{Api, Dialect};
