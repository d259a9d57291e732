//! Every order in which threads may come, tried on the proxy's own code.
//!
//! Some files of `llm-proxy` share numbers and flags between threads without a lock, or a lock and something beside it. They
//! are compiled here once more, as they are, with [loom](https://docs.rs/loom)'s numbers in the place of std's
//! ([`base::atomic`]). Under loom a test runs again and again, until each order of their steps has been, and each value
//! that the memory of a machine may show to a thread. What they promise is in `tests/races/`.
//!
//! Locks, wakers and channels of others are taken at their word: the modules below have the names of `tokio`,
//! `parking_lot` and `futures-util`, and do what those promise, step by step under loom's eyes. Whatever knows of no other
//! thread comes from `llm-proxy` as it is built there.

// The unit tests of those files are run where they belong.
#![cfg(not(test))]

// The compiled files say `tokio`, `parking_lot` and `futures_util`, and get what stands in for them here.
extern crate self as futures_util;
extern crate self as parking_lot;
extern crate self as tokio;

pub mod base;
pub mod limits;
pub mod observe;
pub mod state;
pub mod sync;
pub mod task;
pub mod time;

mod lock;

pub use llm_proxy::{config, health, prompts};
pub use lock::{Mutex, MutexGuard};
