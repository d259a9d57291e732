//! Where log lines go: a bounded buffer that one thread empties, so that a slow disk or terminal never holds a request.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// What may wait to be written. Beyond it lines are dropped and counted.
const MAX_WAITING: usize = 8 * 1024 * 1024;
/// What the emptied buffer keeps for the next lines, in bytes: a burst's memory goes back.
const KEPT: usize = 256 * 1024;
/// How long lines gather before they are written together.
const GATHER: Duration = Duration::from_millis(5);

/// A line sink. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Sink(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    written: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    writing: bool,
}

impl Sink {
    /// A sink whose thread writes to `out` for as long as the program runs.
    pub fn to(mut out: impl Write + Send + 'static) -> Self {
        let sink = Self::default();
        let shared = Arc::clone(&sink.0);
        let mut spare = Vec::new();
        let body = move || loop {
            shared.gather();
            shared.write(&mut out, &mut spare);
        };
        // Without a thread the lines are dropped and counted, and the proxy serves on.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(body);
        sink
    }

    /// Takes a line (its newline included), or drops it if too much is waiting.
    pub fn line(&self, line: &[u8]) {
        let mut waiting = self.0.waiting.lock();
        if waiting.lines.len() + line.len() > MAX_WAITING {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.0.arrived.notify_one();
        }
    }

    /// Waits until all lines are written, but not longer than `limit`.
    pub fn flush(&self, limit: Duration) {
        let mut waiting = self.0.waiting.lock();
        while !waiting.lines.is_empty() || waiting.writing {
            if self.0.written.wait_for(&mut waiting, limit).timed_out() {
                return;
            }
        }
    }

    /// How many lines were dropped.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Waits for lines, and a little longer for more of them.
    fn gather(&self) {
        let mut waiting = self.waiting.lock();
        while waiting.lines.is_empty() {
            self.arrived.wait(&mut waiting);
        }
        drop(waiting);
        // A thread of its own: nothing but the log waits here, and under load one write carries hundreds of lines.
        std::thread::sleep(GATHER);
    }

    /// Writes what is waiting. The two buffers change places, so that neither grows anew each time.
    fn write(&self, out: &mut impl Write, spare: &mut Vec<u8>) {
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.lines, spare);
        waiting.writing = true;
        drop(waiting);
        // A closed pipe or a full disk loses lines, never requests.
        if out.write_all(spare).and_then(|()| out.flush()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        spare.clear();
        spare.shrink_to(KEPT);
        self.waiting.lock().writing = false;
        self.written.notify_all();
    }
}

/// One log event on its way into the sink: `tracing` writes a line in pieces.
#[derive(Debug)]
pub struct Line {
    sink: Sink,
    text: Vec<u8>,
}

impl Sink {
    /// A line to be written in pieces; it goes out when it is dropped.
    pub fn begin(&self) -> Line {
        Line {
            sink: self.clone(),
            text: Vec::with_capacity(256),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.sink.line(&self.text);
        }
    }
}
