//! The config file: its types, and how it is read and checked.

pub mod types;

pub use types::Config;
