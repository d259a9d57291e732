//! The running program: it starts, reloads and drains, and says so.

mod accept;
mod reload;
mod room;
mod run;
mod watch;

pub use run::{Fatal, Options, Source, run};
