//! Where log lines go: bounded buffers that threads empty, so that a slow disk or terminal never holds a request.
//!
//! Outlets that get the same lines share them: a line is put down once, looked through for secrets once, and written by
//! each outlet's own thread when that has time.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::{Condvar, Mutex};

use super::log::{self, Form};
use super::mask::Mask;
use crate::base::clock;

/// What may wait for one outlet, in bytes. Beyond it lines are dropped and counted.
const MAX_WAITING: usize = 8 * 1024 * 1024;
/// How long a thread rests when it has written: what comes meanwhile is written together. The first line after a
/// silence is written at once.
const REST: Duration = Duration::from_millis(20);
/// So much ends a rest, in bytes. Under load one write carries some hundred lines: a thread that takes turns with those that
/// serve throws out of the processor's caches what they work on.
const ENOUGH: usize = 256 * 1024;

/// What is blotted out of lines before they are written; none before a config is known.
pub(super) type SharedMask = Arc<ArcSwapOption<Mask>>;

/// Takes lines of one form for all of its outlets. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Sink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    form: Form,
    mask: SharedMask,
    gathered: Mutex<Gathered>,
}

/// Lines that no outlet has been handed.
#[derive(Debug, Default)]
struct Gathered {
    lines: Vec<u8>,
    /// Room for the next of them.
    spare: Vec<u8>,
    outlets: Vec<Outlet>,
}

/// A place that the lines of a sink are written to. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlet(Arc<Lane>);

#[derive(Debug, Default)]
struct Lane {
    queue: Mutex<Queue>,
    /// There is something to write, or will soon be.
    stirred: Condvar,
    written: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whether it gets lines at all.
    is_open: bool,
    batches: VecDeque<Arc<Batch>>,
    /// How many bytes they are.
    bytes: usize,
    /// How many lines that came after these were lost, and nobody has been told.
    lost: u64,
    /// Lines have begun to gather.
    is_due: bool,
    /// Its thread lets them gather, and looks for them by itself.
    is_resting: bool,
    is_writing: bool,
}

/// Lines that are written together.
#[derive(Debug)]
struct Batch {
    lines: Vec<u8>,
    /// The same where something had to be blotted out.
    masked: OnceLock<Option<Vec<u8>>>,
}

impl Sink {
    /// A sink without outlets.
    pub(super) fn new(form: Form, mask: SharedMask) -> Self {
        Self(Arc::new(Shared {
            form,
            mask,
            gathered: Mutex::default(),
        }))
    }

    /// One more outlet, whose thread writes to `out` for as long as the program runs.
    pub(super) fn outlet(&self, out: impl Write + Send + 'static) -> Outlet {
        let outlet = Outlet::default();
        outlet.0.queue.lock().is_open = true;
        let mut gathered = self.0.gathered.lock();
        gathered.hand_out();
        gathered.outlets.push(outlet.clone());
        drop(gathered);
        let (shared, lane, mut out) = (Arc::clone(&self.0), Arc::clone(&outlet.0), out);
        let body = move || loop {
            lane.wait(&shared);
            lane.write(&shared, &mut out);
            lane.rest();
        };
        // Without a thread the lines are dropped and counted, and the proxy serves on.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(body);
        outlet
    }

    /// Whether that outlet gets the lines from now on.
    pub(super) fn set_open(&self, outlet: &Outlet, is_open: bool) {
        let mut gathered = self.0.gathered.lock();
        // Those so far go by what was said so far.
        gathered.hand_out();
        outlet.0.queue.lock().is_open = is_open;
    }

    /// Takes a line (its newline included).
    pub(super) fn line(&self, line: &[u8]) {
        let mut gathered = self.0.gathered.lock();
        if gathered.outlets.is_empty() {
            return;
        }
        let is_first = gathered.lines.is_empty();
        gathered.lines.extend_from_slice(line);
        let is_full = gathered.lines.len() >= ENOUGH;
        if is_full {
            gathered.hand_out();
        }
        if is_first || is_full {
            let outlets = gathered.outlets.clone();
            // Who wakes up must find no door shut: it would have to be woken again.
            drop(gathered);
            outlets.iter().for_each(Outlet::stir);
        }
    }

    /// Waits until all lines so far are written to that outlet of it, but not longer than `limit`.
    pub(super) fn flush(&self, outlet: &Outlet, limit: Duration) {
        self.0.gathered.lock().hand_out();
        outlet.stir();
        let mut queue = outlet.0.queue.lock();
        while !queue.batches.is_empty() || queue.is_writing {
            if outlet.0.written.wait_for(&mut queue, limit).timed_out() {
                return;
            }
        }
    }
}

impl Gathered {
    /// Hands each outlet what has been gathered.
    fn hand_out(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let room = mem::take(&mut self.spare);
        let batch = Arc::new(Batch {
            lines: mem::replace(&mut self.lines, room),
            masked: OnceLock::new(),
        });
        for outlet in &self.outlets {
            outlet.take(&batch);
        }
    }

    /// Keeps that room for lines to come.
    fn recycle(&mut self, mut room: Vec<u8>) {
        if room.capacity() > self.spare.capacity() && room.capacity() <= 2 * ENOUGH {
            room.clear();
            self.spare = room;
        }
    }
}

impl Outlet {
    /// How many lines were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Tells it that there is a batch, or will be one.
    fn stir(&self) {
        let mut queue = self.0.queue.lock();
        // One that is closed sleeps on: there will be none for it.
        queue.is_due = queue.is_open;
        let is_asked = !queue.batches.is_empty() || queue.is_due && !queue.is_resting;
        drop(queue);
        if is_asked {
            self.0.stirred.notify_one();
        }
    }

    /// Queues a batch, or loses it if too much is waiting. Its thread knows that there is one, or will at once: whoever
    /// put down the first line stirs it.
    fn take(&self, batch: &Arc<Batch>) {
        let mut queue = self.0.queue.lock();
        if !queue.is_open {
            return;
        }
        if queue.bytes + batch.lines.len() > MAX_WAITING {
            let lines = count(&batch.lines);
            queue.lost += lines;
            self.0.dropped.fetch_add(lines, Ordering::Relaxed);
            return;
        }
        queue.bytes += batch.lines.len();
        queue.batches.push_back(Arc::clone(batch));
    }
}

/// The thread's side.
impl Lane {
    /// Waits for lines. While there are none, no room is kept for them.
    fn wait(&self, shared: &Shared) {
        let is_idle = |queue: &Queue| queue.batches.is_empty() && !queue.is_due;
        if is_idle(&self.queue.lock()) {
            let mut gathered = shared.gathered.lock();
            gathered.spare = Vec::new();
            if gathered.lines.is_empty() {
                gathered.lines = Vec::new();
            }
        }
        let mut queue = self.queue.lock();
        while is_idle(&queue) {
            self.stirred.wait(&mut queue);
        }
    }

    /// Lets lines gather for a while.
    fn rest(&self) {
        let until = clock::now() + REST;
        let mut queue = self.queue.lock();
        queue.is_resting = true;
        while queue.batches.is_empty() && !self.stirred.wait_until(&mut queue, until).timed_out() {}
        queue.is_resting = false;
    }

    /// Writes what is waiting, and behind it how much was lost.
    fn write(&self, shared: &Shared, out: &mut impl Write) {
        let (batches, mut lost) = self.take(shared);
        let mut failed = 0;
        for batch in batches {
            failed += put(out, batch.text(&shared.mask));
            // The last to have written it keeps its room.
            if let Some(batch) = Arc::into_inner(batch) {
                shared.gathered.lock().recycle(batch.lines);
            }
        }
        self.dropped.fetch_add(failed, Ordering::Relaxed);
        if lost > 0 && failed == 0 && put(out, log::of_lost(shared.form, lost).as_bytes()) == 0 {
            lost = 0;
        }
        let mut queue = self.queue.lock();
        queue.lost += lost + failed;
        queue.is_writing = false;
        drop(queue);
        self.written.notify_all();
    }

    /// The batches that wait, and how many lines were lost behind them.
    fn take(&self, shared: &Shared) -> (VecDeque<Arc<Batch>>, u64) {
        let mut queue = self.queue.lock();
        if queue.batches.is_empty() {
            // Before it looks for lines: of those that come after the look it will be told.
            queue.is_due = false;
            drop(queue);
            shared.gathered.lock().hand_out();
            queue = self.queue.lock();
        }
        queue.is_writing = true;
        queue.bytes = 0;
        (mem::take(&mut queue.batches), mem::take(&mut queue.lost))
    }
}

impl Batch {
    /// The lines as they may be shown. The first who needs them looks through them.
    fn text(&self, mask: &SharedMask) -> &[u8] {
        let masked = || match mask.load().as_ref()?.apply(&self.lines) {
            Cow::Owned(masked) => Some(masked),
            Cow::Borrowed(_) => None,
        };
        self.masked.get_or_init(masked).as_ref().unwrap_or(&self.lines)
    }
}

/// Writes `lines`, and tells how many of them could not be.
fn put(out: &mut impl Write, lines: &[u8]) -> u64 {
    let mut left = lines;
    while !left.is_empty() {
        match out.write(left) {
            Ok(0) => break,
            Ok(count) => left = left.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A closed pipe or a full disk loses lines, never requests.
            Err(_) => break,
        }
    }
    let _ = out.flush();
    count(left)
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
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

    type Ends = (Outlet, mpsc::Sender<io::Result<()>>, mpsc::Receiver<String>);

    fn sink() -> Sink {
        Sink::new(Form::Json, SharedMask::default())
    }

    fn outlet(sink: &Sink) -> Ends {
        let ((tell, may), (read, heard)) = (mpsc::channel(), mpsc::channel());
        (sink.outlet(Reader { may, read }), tell, heard)
    }

    #[test]
    fn l22_what_does_not_fit_while_nobody_reads_is_counted_and_said_to_the_next_reader() {
        let sink = sink();
        let (outlet, tell, heard) = outlet(&sink);
        let line = format!("{}\n", "x".repeat(1024 * 1024 - 1));
        for _ in 0..30 {
            sink.line(line.as_bytes());
        }
        let lost = outlet.dropped();
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
        let sink = sink();
        let (outlet, tell, heard) = outlet(&sink);
        tell.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        sink.line(b"one\ntwo\n");
        sink.flush(&outlet, Duration::from_secs(10));
        assert_eq!(outlet.dropped(), 2);
        drop(tell);
        sink.line(b"three\n");
        assert_eq!(heard.recv().unwrap(), "three\n");
        assert!(heard.recv().unwrap().contains("\"lines\":2"));
    }

    #[test]
    fn l22_an_outlet_that_is_stuck_keeps_no_other_waiting() {
        let sink = sink();
        let (stuck, told, of_the_stuck) = outlet(&sink);
        let (other, may, heard) = outlet(&sink);
        drop(may);
        for n in 0..3 {
            sink.line(format!("{n}\n").as_bytes());
            sink.flush(&other, Duration::from_secs(10));
            assert_eq!(heard.try_recv().unwrap(), format!("{n}\n"));
        }
        assert!(of_the_stuck.try_recv().is_err(), "nobody has let it write");
        drop(told);
        sink.flush(&stuck, Duration::from_secs(10));
        let all: String = of_the_stuck.try_iter().collect();
        assert_eq!(all, "0\n1\n2\n");
        assert_eq!((stuck.dropped(), other.dropped()), (0, 0));
    }

    #[test]
    fn an_outlet_gets_lines_while_it_is_open_and_each_gets_them_without_secrets() {
        let mask = SharedMask::default();
        let secrets = [crate::base::Secret::new("hunter2hunter2")];
        mask.store(Some(Arc::new(Mask::new(&secrets, false).unwrap())));
        let sink = Sink::new(Form::Json, mask);
        let (first, may, heard) = outlet(&sink);
        drop(may);
        let (second, may, also_heard) = outlet(&sink);
        drop(may);
        for (is_open, line) in [
            (true, "key hunter2hunter2\n"),
            (false, "closed\n"),
            (true, "open\n"),
        ] {
            sink.set_open(&second, is_open);
            sink.line(line.as_bytes());
        }
        sink.flush(&first, Duration::from_secs(10));
        sink.flush(&second, Duration::from_secs(10));
        let all: String = heard.try_iter().collect();
        assert_eq!(all, "key ***\nclosed\nopen\n");
        let all: String = also_heard.try_iter().collect();
        assert_eq!(all, "key ***\nopen\n");
    }

    #[test]
    fn l22_lines_behind_a_full_batch_are_written_without_anybody_asking() {
        let sink = sink();
        let (outlet, may, heard) = outlet(&sink);
        sink.line(b"first\n");
        while !outlet.0.queue.lock().is_writing {
            std::thread::yield_now();
        }
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..=ENOUGH / line.len() {
            sink.line(line.as_bytes());
        }
        sink.line(b"last\n");
        drop(may);
        let mut said = std::iter::from_fn(|| heard.recv_timeout(Duration::from_secs(10)).ok());
        assert!(
            said.any(|text| text.ends_with("last\n")),
            "nobody wrote the last line"
        );
    }
}
