//! The command line (contract, section 1).

pub mod check;
pub mod init;
mod limits;
pub mod schema;

mod args;
mod demo;
mod explain;
mod outcome;
mod prompts;
mod serve;
mod top;
mod usage;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

pub use args::{Args, Command};
pub use outcome::Outcome;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let colour = std::io::stderr().is_terminal();
    match args.command.unwrap_or(Command::Serve(args.serve)) {
        Command::Serve(at) => serve::serve(at.path(), colour),
        Command::Demo { port } => demo::demo(port),
        Command::Sim { listen } => demo::sim(listen),
        Command::Check(at) => print(check::run(&at.path(), colour)),
        Command::Explain(asked) => print(explain::explain(&asked, colour)),
        Command::Usage(asked) => print(usage::run(&asked, colour)),
        Command::Init => print(init::run(std::path::Path::new("config.yaml"))),
        Command::Schema { prices } => print(schema::run(prices)),
        Command::Top(watched) => top::top(&watched, colour),
    }
}

/// Writes an outcome to the terminal. A closed pipe is nobody's loss.
fn print(outcome: Outcome) -> ExitCode {
    let _ = std::io::stdout().write_all(outcome.out.as_bytes());
    let _ = std::io::stderr().write_all(outcome.err.as_bytes());
    ExitCode::from(outcome.code)
}
