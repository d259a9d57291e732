//! The one place that writes to the terminal.

use std::io::Write;

/// Writes a line to standard output. A closed pipe is not our trouble.
pub(crate) fn line(text: &str) {
    let _closed_pipe = writeln!(std::io::stdout(), "{text}");
}

/// Writes a line to standard error.
pub(crate) fn complain(text: &str) {
    let _closed_pipe = writeln!(std::io::stderr(), "{text}");
}
