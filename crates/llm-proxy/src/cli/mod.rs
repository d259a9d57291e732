//! The command line (contract, section 1).

mod args;
mod demo;
mod explain;
mod serve;

use std::process::ExitCode;

use clap::Parser;

pub use args::{Args, Command};

/// Exit code: a run-time failure.
const FAILED: u8 = 1;
/// Exit code: a wrong config or usage.
const WRONG: u8 = 2;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match args.command.unwrap_or(Command::Serve(args.serve)) {
        Command::Serve(serve) => serve::serve(&serve.config),
        Command::Demo { port } => demo::demo(port),
        Command::Sim { listen } => demo::sim(listen),
        Command::Check(at) => print(super::cli::check::run(&at.path())),
        Command::Explain(asked) => print(explain::explain(&asked)),
        Command::Init => print(super::cli::init::run()),
        Command::Schema => print(super::cli::schema::run()),
    }
}
