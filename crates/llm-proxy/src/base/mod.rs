//! What every layer may use: the clock, the environment, addresses, secrets, money, units, patterns, the classes of failure,
//! whose certificates are believed, whose conversation a request belongs to, and whose trace.

pub mod address;
pub mod atomic;
pub mod class;
pub mod clock;
pub mod conversation;
pub mod day;
pub mod env;
pub mod gauge;
pub mod glob;
pub mod hasher;
pub mod identity;
pub mod money;
pub mod rarely;
pub mod recent;
pub mod secret;
pub mod trace;
pub mod trust;
pub mod units;

pub use address::Address;
pub use class::Class;
pub use day::Day;
pub use money::Cost;
pub use secret::Secret;
