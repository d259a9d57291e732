//! Waiting for one another as `tokio` has it.

pub mod oneshot;

mod notify;

pub use notify::{Notified, Notify};
