//! Where all that the program says goes: to standard error, and into files where the config names some.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::bodies::BodyLog;
use super::file::Target;
use super::log::Form;
pub use super::mask::Mask;
use super::sink::{Outlet, SharedMask, Sink};
use crate::config::types::{self, Config};

/// What a thread keeps for its next line, in bytes: most are shorter.
const KEPT: usize = 4 * 1024;

thread_local! {
    /// Where a thread writes its lines, one over another. Whoever logs within a line gets room of its own.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// All outlets of the log.
#[derive(Debug)]
pub struct Logs {
    form: Form,
    sink: Sink,
    /// None: nobody reads what is said.
    stderr: Option<Outlet>,
    file: Target,
    bodies: BodyLog,
    mask: SharedMask,
}

/// What could not be logged since the start, by outlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Lines to standard error.
    pub stderr: u64,
    /// Lines to the file.
    pub file: u64,
    /// Requests whose bodies were to be kept.
    pub bodies: u64,
}

impl Logs {
    /// An outlet to `out`, in that form; files come with a config.
    pub fn to(out: impl Write + Send + 'static, form: Form) -> Arc<Self> {
        let mask = SharedMask::default();
        let sink = Sink::new(form, Arc::clone(&mask));
        let stderr = sink.outlet(out);
        Self::with((sink, Some(stderr)), form, mask)
    }

    /// Nobody reads what is said.
    pub fn nowhere() -> Arc<Self> {
        let mask = SharedMask::default();
        let sink = Sink::new(Form::Json, Arc::clone(&mask));
        Self::with((sink, None), Form::Json, mask)
    }

    fn with((sink, stderr): (Sink, Option<Outlet>), form: Form, mask: SharedMask) -> Arc<Self> {
        let of_file = match form {
            Form::Json => sink.clone(),
            Form::Pretty => Sink::new(Form::Json, Arc::clone(&mask)),
        };
        Arc::new(Self {
            form,
            sink,
            stderr,
            file: Target::new(of_file),
            bodies: BodyLog::new(Arc::clone(&mask)),
            mask,
        })
    }

    /// Takes a config's settings; the form of lines on standard error is that of the start.
    pub fn configure(&self, config: &Config, mask: Mask) {
        self.mask.store(Some(Arc::new(mask)));
        self.file.set(config.logging.file.clone());
    }

    /// What is blotted out; none before a config is known.
    pub fn mask(&self) -> Option<Arc<Mask>> {
        self.mask.load_full()
    }

    /// A text as it may be shown: what the log's mask catches is blotted out.
    pub fn masked<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        match &*self.mask.load() {
            Some(mask) => Cow::Owned(mask.apply(text).into_owned()),
            None => Cow::Borrowed(text),
        }
    }

    /// Opens the file anew: somebody else may have moved it away.
    pub fn reopen(&self) {
        self.file.reopen();
    }

    /// Takes one line, which `make` writes in each of the forms that are asked for: over whatever is in the room that it is
    /// given, from its beginning on. It says how long the line is.
    pub(super) fn line(&self, make: impl Fn(Form, &mut Vec<u8>) -> usize) {
        let mut room = LINE.try_with(Cell::take).unwrap_or_default();
        let length = make(self.form, &mut room);
        self.sink.line(room.get(..length).unwrap_or_default());
        // Lines for programs are shared with the file; beside those for eyes it has its own.
        if self.form == Form::Pretty
            && let Some(file) = self.file.sink()
        {
            let length = make(Form::Json, &mut room);
            file.line(room.get(..length).unwrap_or_default());
        }
        room.truncate(KEPT);
        room.shrink_to(KEPT);
        // A thread that ends has no lines any more: it takes the room along.
        let _ = LINE.try_with(|kept| kept.set(room));
    }

    /// The keeper of bodies.
    pub(super) fn bodies(&self) -> &BodyLog {
        &self.bodies
    }

    /// Waits until all is written, but not longer than `limit` for each outlet.
    pub fn flush(&self, limit: Duration) {
        if let Some(stderr) = &self.stderr {
            self.sink.flush(stderr, limit);
        }
        self.file.flush(limit);
        self.bodies.flush(limit);
    }

    /// What could not be logged.
    pub fn dropped(&self) -> Dropped {
        Dropped {
            stderr: self.stderr.as_ref().map_or(0, Outlet::dropped),
            file: self.file.dropped(),
            bodies: self.bodies.dropped(),
        }
    }
}

/// Puts a line down in that room, and says how long it is.
pub(super) fn copied(line: &str, room: &mut Vec<u8>) -> usize {
    room.clear();
    room.extend_from_slice(line.as_bytes());
    room.len()
}

/// What a config's log must not show.
///
/// # Errors
/// There are too many secrets to look for.
pub fn mask(config: &Config) -> Result<Mask, String> {
    Mask::new(&config.secrets(), config.logging.mask == types::Mask::Strict)
}
