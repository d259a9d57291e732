//! The numbers and flags that threads share without a lock: those of std, under a name of ours.
//!
//! Whoever makes a promise with one of them takes it from here. Then `crates/races` can compile the very same file with
//! loom's in their place, and try every order in which threads may come, and every value that each may see.

pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
