//! Where log lines go: a bounded buffer that one thread empties, so that a slow disk or terminal never holds a request.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::{Condvar, Mutex};

use super::log::{self, Form};
use super::mask::Mask;
use crate::base::clock;

/// What may wait to be written. Beyond it lines are dropped and counted.
const MAX_WAITING: usize = 8 * 1024 * 1024;
/// What the emptied buffer keeps for the next lines, in bytes: a burst's memory goes back.
const KEPT: usize = 256 * 1024;
/// How long the thread rests when it has written: what comes meanwhile is written together. The first line after a
/// silence is written at once.
const REST: Duration = Duration::from_millis(20);
/// So much ends a rest, in bytes: under load one write carries a hundred lines and more, and both buffers stay small.
const ENOUGH: usize = 128 * 1024;

/// What is blotted out of lines before they are written; none before a config is known.
pub(super) type SharedMask = Arc<ArcSwapOption<Mask>>;

/// A line sink. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sink(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is a line, after there was none.
    arrived: Condvar,
    /// There is enough to end a rest, or somebody is in a hurry.
    enough: Condvar,
    written: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// How many that came after these were lost, and nobody has been told.
    lost: u64,
    writing: bool,
    /// Whether somebody waits for all to be written.
    hurry: bool,
}

impl Sink {
    /// A sink whose thread writes to `out` for as long as the program runs. In which form it says what it could not write,
    /// is `form`.
    pub(super) fn to(out: impl Write + Send + 'static, form: Form, mask: SharedMask) -> Self {
        let sink = Self::default();
        let shared = Arc::clone(&sink.0);
        let (mut way, mut spare) = (Way { out, form, mask }, Vec::new());
        let body = move || loop {
            shared.wait();
            shared.write(&mut way, &mut spare);
            shared.rest();
        };
        // Without a thread the lines are dropped and counted, and the proxy serves on.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(body);
        sink
    }

    /// Takes a line (its newline included), or drops it if too much is waiting.
    pub(super) fn line(&self, line: &[u8]) {
        let mut waiting = self.0.waiting.lock();
        if waiting.lines.len() + line.len() > MAX_WAITING {
            waiting.lost += 1;
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = waiting.lines.len();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if before == 0 {
            self.0.arrived.notify_one();
        }
        if before < ENOUGH && before + line.len() >= ENOUGH {
            self.0.enough.notify_one();
        }
    }

    /// Waits until all lines are written, but not longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let mut waiting = self.0.waiting.lock();
        while !waiting.lines.is_empty() || waiting.writing {
            waiting.hurry = true;
            self.0.enough.notify_one();
            if self.0.written.wait_for(&mut waiting, limit).timed_out() {
                return;
            }
        }
    }

    /// How many lines were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Waits for lines.
    fn wait(&self) {
        let mut waiting = self.waiting.lock();
        while waiting.lines.is_empty() {
            self.arrived.wait(&mut waiting);
        }
    }

    /// Lets lines gather for a while.
    fn rest(&self) {
        let until = clock::now() + REST;
        let mut waiting = self.waiting.lock();
        while waiting.lines.len() < ENOUGH && !waiting.hurry {
            if self.enough.wait_until(&mut waiting, until).timed_out() {
                return;
            }
        }
    }

    /// Writes what is waiting, and behind it how much was lost. The two buffers change places, so that neither grows anew
    /// each time.
    fn write(&self, way: &mut Way<impl Write>, spare: &mut Vec<u8>) {
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.lines, spare);
        waiting.writing = true;
        let mut lost = std::mem::take(&mut waiting.lost);
        drop(waiting);
        // A closed pipe or a full disk loses lines, never requests.
        let failed = way.put(spare);
        self.dropped.fetch_add(failed, Ordering::Relaxed);
        if lost > 0 && failed == 0 && way.put(log::of_lost(way.form, lost).as_bytes()) == 0 {
            lost = 0;
        }
        spare.clear();
        spare.shrink_to(KEPT);
        let mut waiting = self.waiting.lock();
        waiting.lost += lost + failed;
        waiting.writing = false;
        waiting.hurry = false;
        drop(waiting);
        self.written.notify_all();
    }
}

/// Where the lines go, and how they look there.
struct Way<W> {
    out: W,
    form: Form,
    mask: SharedMask,
}

impl<W: Write> Way<W> {
    /// Writes `lines`, masked, and tells how many of them could not be.
    fn put(&mut self, lines: &[u8]) -> u64 {
        let mask = self.mask.load();
        let lines = mask
            .as_ref()
            .map_or(Cow::Borrowed(lines), |mask| mask.apply(lines));
        let mut left = &*lines;
        while !left.is_empty() {
            match self.out.write(left) {
                Ok(0) => break,
                Ok(count) => left = left.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let _ = self.out.flush();
        memchr::memchr_iter(b'\n', left).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reader that takes a write when it is told to, and passes it on.
    struct Reader {
        may: mpsc::Receiver<io::Result<()>>,
        read: mpsc::Sender<String>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Without a test that tells it, everything passes.
            self.may.recv().unwrap_or(Ok(()))?;
            let _ = self.read.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink() -> (Sink, mpsc::Sender<io::Result<()>>, mpsc::Receiver<String>) {
        let ((tell, may), (read, heard)) = (mpsc::channel(), mpsc::channel());
        let sink = Sink::to(Reader { may, read }, Form::Json, SharedMask::default());
        (sink, tell, heard)
    }

    #[test]
    fn l22_what_does_not_fit_while_nobody_reads_is_counted_and_said_to_the_next_reader() {
        let (sink, tell, heard) = sink();
        let line = format!("{}\n", "x".repeat(1024 * 1024 - 1));
        for _ in 0..30 {
            sink.line(line.as_bytes());
        }
        let lost = sink.dropped();
        assert!(
            (14..=22).contains(&lost),
            "8 MiB wait, and as much at most is being written: {lost}"
        );
        drop(tell);
        let said = std::iter::from_fn(|| heard.recv_timeout(Duration::from_secs(10)).ok());
        let mut kept = 0;
        for text in said {
            if !text.starts_with('x') {
                assert!(text.contains(&format!("\"lines\":{lost}")), "{text}");
                assert_eq!(kept + lost, 30, "it stands where the lines would have stood");
                return;
            }
            kept += text.lines().count() as u64;
        }
        panic!("nobody said that lines were lost");
    }

    #[test]
    fn l22_lines_that_a_full_disk_did_not_take_are_said_once_there_is_room() {
        let (sink, tell, heard) = sink();
        tell.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        sink.line(b"one\ntwo\n");
        sink.flush(Duration::from_secs(10));
        assert_eq!(sink.dropped(), 2);
        drop(tell);
        sink.line(b"three\n");
        assert_eq!(heard.recv().unwrap(), "three\n");
        assert!(heard.recv().unwrap().contains("\"lines\":2"));
    }
}
