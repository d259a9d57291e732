//! The log file: lines behind one another, and a new file when the old one has had its time or its size.
//!
//! All of it happens on the log's own thread. The current file is always `llm-proxy.log`; one that is done is renamed
//! after the time of its last line, and compressed and counted by `observe/old.rs`. Others may move the file away and
//! have it opened anew (logrotate and SIGHUP), and two processes may share it while one takes over from the other:
//! lines are appended whole, and no file is rotated that is not at its place any more.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use super::old::{self, Housekeeper};
use super::sink::{Outlet, Sink};
use crate::base::clock;
use crate::config::types::{LogFile, Rotate};

/// The current file's name in its folder.
pub(super) const NAME: &str = "llm-proxy.log";

/// Which file is written to, if any; and its outlet, from the first one on.
#[derive(Debug)]
pub(super) struct Target {
    wanted: Arc<Wanted>,
    /// Where its lines come from: always JSON.
    sink: Sink,
    outlet: OnceLock<Outlet>,
}

/// What the writing thread is told.
#[derive(Debug, Default)]
struct Wanted {
    settings: Mutex<Option<LogFile>>,
    /// Whether there is a file at all.
    on: AtomicBool,
    /// The open file is no longer the one that is wanted.
    changed: AtomicBool,
}

impl Target {
    /// No file yet. Its lines will be those of this sink.
    pub(super) fn new(sink: Sink) -> Self {
        Self {
            wanted: Arc::default(),
            sink,
            outlet: OnceLock::new(),
        }
    }

    /// From now on this file, or none.
    pub(super) fn set(&self, settings: Option<LogFile>) {
        let on = settings.is_some();
        let mut wanted = self.wanted.settings.lock();
        if *wanted != settings {
            *wanted = settings;
            self.wanted.changed.store(true, Ordering::Release);
        }
        drop(wanted);
        if on {
            let writer = || Writer::new(Arc::clone(&self.wanted));
            self.outlet.get_or_init(|| self.sink.outlet(writer()));
        }
        if let Some(outlet) = self.outlet.get() {
            self.sink.set_open(outlet, on);
        }
        self.wanted.on.store(on, Ordering::Relaxed);
    }

    /// The file at that path may be another one by now.
    pub(super) fn reopen(&self) {
        self.wanted.changed.store(true, Ordering::Release);
    }

    /// Where lines go, if there is a file.
    pub(super) fn sink(&self) -> Option<&Sink> {
        self.wanted.on.load(Ordering::Relaxed).then_some(&self.sink)
    }

    /// Waits until all is written, but not longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        if let Some(outlet) = self.outlet.get() {
            self.sink.flush(outlet, limit);
        }
    }

    /// How many lines were lost.
    pub(super) fn dropped(&self) -> u64 {
        self.outlet.get().map_or(0, Outlet::dropped)
    }
}

/// The writing thread's side.
struct Writer {
    wanted: Arc<Wanted>,
    settings: Option<LogFile>,
    open: Option<Open>,
    housekeeper: Option<Housekeeper>,
    /// Why only a part of the last piece was written: the rest of it is lost.
    trouble: Option<io::Error>,
    /// It has been said that the file cannot be written.
    told: bool,
}

impl Writer {
    fn new(wanted: Arc<Wanted>) -> Self {
        Self {
            wanted,
            settings: None,
            open: None,
            housekeeper: None,
            trouble: None,
            told: false,
        }
    }

    /// Writes the first of these lines, or some of them.
    fn some(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.wanted.changed.swap(false, Ordering::AcqRel) {
            self.open = None;
            let wanted = self.wanted.settings.lock().clone();
            // What comes after the file was taken out of the config was said before, and still belongs into it.
            self.settings = wanted.or_else(|| self.settings.take());
        }
        let Some(settings) = &self.settings else {
            return Ok(lines.len());
        };
        let now = clock::wall();
        if let Some(open) = self.open.take_if(|open| open.is_done(settings, lines, now)) {
            open.rotate(settings)?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::at(settings, &mut self.housekeeper, now)?),
        };
        let piece = open.fitting(settings, lines);
        let (written, trouble) = open.append(piece);
        if trouble.is_some() {
            self.open = None;
        }
        match trouble {
            Some(error) if written == 0 => return Err(error),
            trouble => self.trouble = trouble,
        }
        Ok(written)
    }

    fn tell(&mut self, error: &io::Error) {
        let dir = self.settings.as_ref().map(|settings| settings.dir.join(NAME));
        let path = dir.unwrap_or_default();
        tracing::error!(
            "the log file {} cannot be written: {error}; lines for it are lost and counted",
            path.display()
        );
    }
}

impl Write for Writer {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let done = match self.trouble.take() {
            Some(trouble) => Err(trouble),
            None => self.some(lines),
        };
        match &done {
            Ok(_) => self.told = false,
            Err(error) if !self.told => {
                self.told = true;
                self.tell(error);
            }
            Err(_) => {}
        }
        done
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The file that is being written.
struct Open {
    file: File,
    path: PathBuf,
    size: u64,
    /// The day or hour of its lines.
    period: u64,
    /// It ends within a line: the disk was full, or its writer was killed.
    torn: bool,
}

impl Open {
    /// The current file of these settings, made if it is not there; one whose time is over is left behind at once.
    fn at(settings: &LogFile, housekeeper: &mut Option<Housekeeper>, now: SystemTime) -> io::Result<Self> {
        let mut open = Self::file(settings, now)?;
        if open.size > 0 && open.period != period(settings.rotate, now) {
            open.rotate(settings)?;
            open = Self::file(settings, now)?;
        }
        housekeeper
            .get_or_insert_with(Housekeeper::start)
            .look_at(settings);
        Ok(open)
    }

    fn file(settings: &LogFile, now: SystemTime) -> io::Result<Self> {
        if !settings.dir.is_dir() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&settings.dir)?;
        }
        let path = settings.dir.join(NAME);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)?;
        // Whoever compresses old files leaves those alone that somebody still writes to. Where a file system has no locks
        // there is but this process.
        let _ = file.try_lock_shared();
        let about = file.metadata()?;
        let last = if about.len() > 0 { about.modified()? } else { now };
        let mut end = [b'\n'];
        if about.len() > 0 {
            file.read_at(&mut end, about.len() - 1)?;
        }
        Ok(Self {
            file,
            path,
            size: about.len(),
            period: period(settings.rotate, last),
            torn: end != *b"\n",
        })
    }

    /// As many whole lines of `lines` as there is room for: none if the file is full, at least one if it is empty.
    fn fitting<'a>(&self, settings: &LogFile, lines: &'a [u8]) -> &'a [u8] {
        let room = settings.max_size.unwrap_or(u64::MAX).saturating_sub(self.size);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let Some(within) = lines.get(..room) else {
            return lines;
        };
        let end = match memchr::memrchr(b'\n', within) {
            Some(last) => last + 1,
            None if self.size > 0 => 0,
            None => memchr::memchr(b'\n', lines).map_or(lines.len(), |first| first + 1),
        };
        lines.get(..end).unwrap_or(lines)
    }

    /// Gives the file the name of an old one, unless it has been moved away already.
    fn rotate(&self, settings: &LogFile) -> io::Result<()> {
        let own = self.file.metadata()?;
        let there = fs::symlink_metadata(&self.path).ok();
        if there.is_some_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())) {
            fs::rename(&self.path, free(&settings.dir, own.modified()?))?;
        }
        Ok(())
    }

    /// Whether another file has to begin before the next of these lines.
    fn is_done(&self, settings: &LogFile, lines: &[u8], now: SystemTime) -> bool {
        self.period != period(settings.rotate, now) || self.fitting(settings, lines).is_empty()
    }

    /// Appends these lines: how much of them could be written, and why no more.
    fn append(&mut self, lines: &[u8]) -> (usize, Option<io::Error>) {
        if self.torn {
            // What is left of the broken line stays a line of its own.
            if let Err(error) = self.file.write_all(b"\n") {
                return (0, Some(error));
            }
            self.size += 1;
            self.torn = false;
        }
        let mut written = 0;
        let mut trouble = None;
        while let Some(left) = lines.get(written..).filter(|left| !left.is_empty()) {
            match self.file.write(left) {
                Ok(0) => trouble = Some(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => trouble = Some(error),
            }
            if trouble.is_some() {
                break;
            }
        }
        self.size += written as u64;
        (written, trouble)
    }
}

/// A name for a file that is done at this time, which no other has.
fn free(dir: &Path, mut at: SystemTime) -> PathBuf {
    loop {
        let path = dir.join(old::name(at));
        if !path.exists() && !old::compressed(&path).exists() {
            return path;
        }
        at += Duration::from_millis(1);
    }
}

/// Which day or hour a moment is in.
fn period(rotate: Rotate, at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    match rotate {
        Rotate::Daily => since.as_secs() / 86_400,
        Rotate::Hourly => since.as_secs() / 3_600,
        Rotate::Never => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(name: &str, max_size: u64) -> LogFile {
        let dir = std::env::temp_dir().join(format!("llm-proxy-file-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        LogFile {
            dir,
            rotate: Rotate::Hourly,
            max_size: Some(max_size),
            max_files: 10,
            compress: false,
        }
    }

    fn lines(settings: &LogFile) -> Vec<String> {
        let mut names: Vec<PathBuf> = fs::read_dir(&settings.dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        // The current one has no time in its name, and sorts behind those that have.
        names.sort_unstable();
        names
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }

    #[test]
    fn o05_a_day_and_an_hour_end_by_the_clock_of_utc() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (rotate, last, first) in [(Rotate::Daily, 86_399, 86_400), (Rotate::Hourly, 3_599, 3_600)] {
            assert_ne!(period(rotate, at(last)), period(rotate, at(first)));
            assert_eq!(period(rotate, at(last)), period(rotate, at(last - 3_000)));
        }
        assert_eq!(
            period(Rotate::Never, at(0)),
            period(Rotate::Never, at(u64::from(u32::MAX)))
        );
    }

    #[test]
    fn o05_a_file_is_done_when_its_hour_is_or_the_next_line_has_no_room() {
        let settings = settings("done", 10);
        let open = Open::file(&settings, clock::wall()).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(3_600 * open.period);
        assert_eq!(open.fitting(&settings, b"1234\n5678\n90\n"), b"1234\n5678\n");
        assert_eq!(
            open.fitting(&settings, b"longer than a file\nx\n"),
            b"longer than a file\n",
            "a file has at least one line"
        );
        let begun = Open { size: 6, ..open };
        assert_eq!(begun.fitting(&settings, b"1234\n"), b"");
        assert!(begun.is_done(&settings, b"1234\n", now));
        assert!(!begun.is_done(&settings, b"123\n", now));
        assert!(begun.is_done(&settings, b"123\n", now + Duration::from_hours(1)));
        fs::remove_dir_all(settings.dir).unwrap();
    }

    #[test]
    fn o05_a_file_that_ends_within_a_line_is_gone_on_with_behind_a_line_end() {
        let settings = settings("torn", 1_000);
        fs::create_dir_all(&settings.dir).unwrap();
        fs::write(settings.dir.join(NAME), "{\"half\":").unwrap();
        let mut open = Open::file(&settings, clock::wall()).unwrap();
        assert_eq!(open.append(b"{}\n").0, 3);
        assert_eq!(lines(&settings), ["{\"half\":\n{}\n"]);
        fs::remove_dir_all(settings.dir).unwrap();
    }

    #[test]
    fn o05_of_two_processes_only_the_first_rotates_and_the_second_follows() {
        let settings = settings("shared", 1_000);
        let [mut first, mut second] = [1, 2].map(|_| Open::file(&settings, clock::wall()).unwrap());
        first.append(b"first\n");
        first.rotate(&settings).unwrap();
        let mut third = Open::file(&settings, clock::wall()).unwrap();
        third.append(b"third\n");
        second.append(b"second\n");
        second.rotate(&settings).unwrap();
        assert_eq!(lines(&settings), ["first\nsecond\n", "third\n"]);
        fs::remove_dir_all(settings.dir).unwrap();
    }
}
