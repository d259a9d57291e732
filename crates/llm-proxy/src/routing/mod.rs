//! Where a request goes: which alias its model name means, and in which order that alias's routes are tried.
//!
//! Pure: what changes from request to request (in flight, latency, warming up) comes through [`Signals`], chance
//! through a source of random numbers. Who may be used at all is decided elsewhere, before the order is asked for.

pub mod chain;
pub mod fit;
pub mod resolve;
pub mod rotate;
pub mod smooth;
pub mod strategy;
pub mod tiers;

pub use chain::chain;
pub use fit::{Load, Misfit, Room, fitting};
pub use resolve::Aliases;
pub use rotate::rotate;
pub use smooth::Smooth;
pub use strategy::{Candidate, Signals, order};
pub use tiers::{tiers, usable};
