//! The program: arguments to `llm_proxy::cli`, and the allocator.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    llm_proxy::cli::main()
}
