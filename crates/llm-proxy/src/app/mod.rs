//! The running program: it starts, reloads and drains, and says so.

mod accept;
mod memory;
mod reload;
mod room;
mod run;
mod watch;

pub use run::{Fatal, Options, Source, run};
