//! The running program: it starts, reloads, hands over and drains, and says so.

mod accept;
mod drain;
mod memory;
mod recall;
mod reload;
mod room;
mod run;
mod signals;
mod successor;
mod systemd;
mod watch;

pub use run::{Fatal, Options, Source, run};
