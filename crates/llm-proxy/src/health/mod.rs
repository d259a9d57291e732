//! What failed, what that means for the request, and what it means for those who come next.
//!
//! Three layers that never drive one another (`reliability.md` section 5):
//!
//! 1. [`classify()`] turns the [`Evidence`] of one attempt into one class and, where stated, a reset time.
//! 2. [`next()`] and [`choose()`] decide what this request does now; [`RetryBudget`] bounds what all of them may add.
//! 3. [`Registry`] keeps who is cooling, who probes and who is warming up again.
//!
//! Everything here is pure: the time and the dice are arguments.

pub mod budget;
pub mod classify;
pub mod evidence;
pub mod next;
pub mod policy;
pub mod quota;
pub mod registry;
pub mod reset;
pub mod scope;
pub mod terminal;

mod breaker;
mod cooldown;
mod entry;
mod span;
mod texts;
mod window;
mod windows;
mod words;

pub use budget::RetryBudget;
pub use classify::{Verdict, classify, disguised};
pub use entry::{Cooled, Failure, Sole};
pub use evidence::{ErrorFacts, Evidence};
pub use next::{Next, Spent, StopReason, Time, next, pause};
pub use policy::{Policy, blames_the_caller, is_hard};
pub use quota::QuotaKind;
pub use registry::{CoolingView, Gate, Probe, Registry};
pub use reset::reset_after;
pub use scope::{Scope, Target};
pub use terminal::{Tried, choose};

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod simulation;
