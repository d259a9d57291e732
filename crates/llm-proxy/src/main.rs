//! The program: everything is in `llm_proxy::cli`. Here is only the allocator.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    llm_proxy::cli::main()
}
