//! `llm-proxy serve`.

use std::io::{self, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use crate::app::{self, Fatal, Options, Source};
use crate::server::Inherited;

/// Exit code: a run-time failure.
const FAILED: u8 = 1;
/// Exit code: a wrong config or usage.
const WRONG: u8 = 2;

/// Runs the proxy until a signal ends it.
pub(super) fn serve(config: PathBuf, colour: bool) -> ExitCode {
    run(
        app::run(Options {
            source: Source::File(config),
            inherited: Inherited::from_environment(),
            ready: |_, _| {},
        }),
        colour,
    )
}

/// Runs a future of the program to its end, and turns that into an exit code.
pub(super) fn run(program: impl Future<Output = Result<(), Fatal>>, colour: bool) -> ExitCode {
    let ended = match runtime() {
        Ok(runtime) => {
            let ended = runtime.block_on(program);
            // Dropping it would wait for its blocking threads, and a look-up of a name can hang for minutes.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(Fatal::Runtime(format!("cannot start: {error}"))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fatal::Config(report)) => failed(&report.render(colour), WRONG),
        Err(Fatal::Runtime(sentence)) => failed(&sentence, FAILED),
    }
}

/// A worker for each processor; where there is but one, no scheduler for many is needed.
fn runtime() -> io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = if processors > 1 {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    builder.enable_all().build()
}

/// One clear sentence first, on standard error.
fn failed(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(code)
}
