//! The program: everything is in `llm_proxy::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    llm_proxy::cli::main()
}
