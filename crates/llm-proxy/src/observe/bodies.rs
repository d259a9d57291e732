//! Bodies for debugging (`logging.bodies`): what a client sent and what it was sent, a file for each request.
//!
//! They are bounded in everything: the length of a body, the number of files, their size in all, and what waits to be
//! written. Their names are ours, so no client names a file.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::escape;
use super::mask::Mask;
use super::sink::SharedMask;
use crate::base::clock;

/// What is kept of one body, in bytes.
const MOST_OF_A_BODY: usize = 256 * 1024;
/// What a mask cannot see at a cut is no longer than this: it is left out.
const UNSURE: usize = 512;
/// How many files are kept.
const MOST_FILES: usize = 1_000;
/// Their size in all, in bytes.
const MOST_IN_ALL: u64 = 256 * 1024 * 1024;
/// How many requests may wait for their files; beyond that they are left out and counted.
const MOST_WAITING: usize = 64;
const ENDING: &str = ".json";

/// The bodies of one request as they go by.
#[derive(Debug)]
pub struct Bodies {
    dir: PathBuf,
    /// Only a request that fails leaves a file.
    only_errors: bool,
    request: Body,
    answer: Body,
}

/// The beginning of a body.
#[derive(Debug, Default)]
struct Body {
    bytes: u64,
    beginning: Vec<u8>,
}

impl Bodies {
    /// Nothing has come yet of a request whose file would be in `dir`.
    pub fn new(dir: &Path, only_errors: bool) -> Self {
        Self {
            dir: dir.to_owned(),
            only_errors,
            request: Body::default(),
            answer: Body::default(),
        }
    }

    /// Notes what the client sends.
    pub fn asked(&mut self, bytes: &[u8]) {
        self.request.take(bytes);
    }

    /// Notes what the client is sent.
    pub fn answered(&mut self, bytes: &[u8]) {
        self.answer.take(bytes);
    }
}

impl Body {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = MOST_OF_A_BODY.saturating_sub(self.beginning.len());
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.beginning.extend_from_slice(kept);
    }

    /// The body as text, masked; what stands at a cut is left out, since half a key looks like none.
    fn shown(&self, mask: Option<&Mask>) -> Value {
        let masked = match mask {
            Some(mask) => mask.apply(&self.beginning),
            None => return Value::Null,
        };
        let is_cut = self.bytes > self.beginning.len() as u64;
        let sure = masked.len().saturating_sub(if is_cut { UNSURE } else { 0 });
        let text = String::from_utf8_lossy(masked.get(..sure).unwrap_or_default());
        json!({"bytes": self.bytes, "cut": is_cut, "text": text})
    }
}

/// A request that is over, with its bodies.
#[derive(Debug)]
struct Job {
    bodies: Bodies,
    about: Value,
    at: SystemTime,
}

/// What the writing thread is told.
#[derive(Debug)]
enum Work {
    Keep(Box<Job>),
    /// To say when all before it is written.
    Tell(SyncSender<()>),
}

/// Who writes them.
#[derive(Debug)]
pub(super) struct BodyLog {
    work: OnceLock<SyncSender<Work>>,
    dropped: Arc<AtomicU64>,
    mask: SharedMask,
}

impl BodyLog {
    /// Nobody has asked for any yet.
    pub(super) fn new(mask: SharedMask) -> Self {
        Self {
            work: OnceLock::new(),
            dropped: Arc::default(),
            mask,
        }
    }

    /// Takes the bodies of a request that is over, if they are wanted and there is room.
    #[cold]
    pub(super) fn take(&self, bodies: Bodies, about: impl FnOnce() -> Value, failed: bool) {
        if bodies.only_errors && !failed {
            return;
        }
        let job = Job {
            about: about(),
            at: clock::wall(),
            bodies,
        };
        let work = self.work.get_or_init(|| self.start());
        if work.try_send(Work::Keep(Box::new(job))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn start(&self) -> SyncSender<Work> {
        let (work, told) = sync_channel(MOST_WAITING);
        let mut keeper = Keeper {
            mask: Arc::clone(&self.mask),
            dropped: Arc::clone(&self.dropped),
            folder: Folder::default(),
            told: false,
        };
        // Without a thread the bodies are dropped and counted, and the proxy serves on.
        let _ = std::thread::Builder::new()
            .name("bodies".to_owned())
            .spawn(move || keeper.keep(&told));
        work
    }

    /// Waits until all are written, but not longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let Some(work) = self.work.get() else { return };
        let (tell, told) = sync_channel(1);
        if work.try_send(Work::Tell(tell)).is_ok() {
            let _ = told.recv_timeout(limit);
        }
    }

    /// How many requests' bodies were lost.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The writing thread.
struct Keeper {
    mask: SharedMask,
    dropped: Arc<AtomicU64>,
    folder: Folder,
    /// It has been said that they cannot be written.
    told: bool,
}

impl Keeper {
    fn keep(&mut self, told: &Receiver<Work>) {
        while let Ok(work) = told.recv() {
            match work {
                Work::Keep(job) => self.one(&job),
                Work::Tell(tell) => {
                    let _ = tell.try_send(());
                }
            }
        }
    }

    fn one(&mut self, job: &Job) {
        match self.folder.add(&job.bodies.dir, job.at, &self.text(job)) {
            Ok(()) => self.told = false,
            Err(error) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut self.told, true) {
                    let dir = job.bodies.dir.display();
                    tracing::error!("bodies cannot be written to {dir}: {error}; they are lost and counted");
                }
            }
        }
    }

    fn text(&self, job: &Job) -> String {
        let mask = self.mask.load();
        let mask = mask.as_deref();
        let text = json!({
            "about": &job.about,
            "request": job.bodies.request.shown(mask),
            "answer": job.bodies.answer.shown(mask),
        });
        let mut text = escape::json(text.to_string());
        text.push('\n');
        text
    }
}

/// A folder of bodies, and what is in it.
#[derive(Debug, Default)]
struct Folder {
    dir: PathBuf,
    /// Names and sizes, the oldest first.
    files: VecDeque<(String, u64)>,
    size: u64,
}

impl Folder {
    /// Writes a file, and removes the oldest where there are too many.
    fn add(&mut self, dir: &Path, at: SystemTime, text: &str) -> io::Result<()> {
        if self.dir != dir {
            *self = Self::found(dir)?;
        }
        let (name, mut file) = self.create(at)?;
        let size = text.len() as u64;
        // Before it is written: a part of it is there even if the disk is full.
        self.files.push_back((name, size));
        self.size += size;
        let written = file.write_all(text.as_bytes());
        while self.files.len() > MOST_FILES || (self.size > MOST_IN_ALL && self.files.len() > 1) {
            let Some((name, size)) = self.files.pop_front() else {
                break;
            };
            self.size -= size;
            let _ = fs::remove_file(self.dir.join(name));
        }
        written
    }

    /// The folder as it is, made if it is not there.
    fn found(dir: &Path) -> io::Result<Self> {
        if !dir.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().into_string();
            if let Ok(name) = name
                && is_ours(&name)
            {
                files.push((name, entry.metadata()?.len()));
            }
        }
        files.sort_unstable();
        Ok(Self {
            dir: dir.to_owned(),
            size: files.iter().map(|(_, size)| size).sum(),
            files: files.into(),
        })
    }

    /// A new file, named after its time.
    fn create(&self, mut at: SystemTime) -> io::Result<(String, fs::File)> {
        loop {
            let name = name(at);
            let path = self.dir.join(&name);
            let made = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path);
            match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => at += Duration::from_micros(1),
                made => return Ok((name, made?)),
            }
        }
    }
}

fn name(at: SystemTime) -> String {
    let time = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.6}").replace(':', "-").replace('Z', ENDING)
}

/// Whether a file may be removed: its name has the form of ours.
fn is_ours(name: &str) -> bool {
    let alike = |(have, want): (u8, u8)| have == want || (have.is_ascii_digit() && want.is_ascii_digit());
    let example = self::name(SystemTime::UNIX_EPOCH);
    name.len() == example.len() && name.bytes().zip(example.bytes()).all(alike)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    fn fresh(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("llm-proxy-bodies-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_folder_keeps_so_many_files_and_never_touches_those_of_others() {
        let dir = fresh("many");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("notes.json"), "mine").unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let mut folder = Folder::default();
        for n in 0..MOST_FILES + 5 {
            // Pairs of one moment.
            let at = at + Duration::from_millis(n as u64 / 2);
            folder.add(&dir, at, &format!("{n}")).unwrap();
        }
        let mut again = Folder::default();
        again.add(&dir, at + Duration::from_secs(10), "last").unwrap();
        let names = names(&dir);
        assert_eq!(names.len(), MOST_FILES + 1, "and the notes");
        assert_eq!(
            fs::read_to_string(dir.join(&names[0])).unwrap(),
            "6",
            "the oldest went"
        );
        assert!(names.contains(&"notes.json".to_owned()));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn their_size_in_all_is_bounded_too() {
        let dir = fresh("large");
        let at = SystemTime::UNIX_EPOCH;
        let mut folder = Folder::default();
        folder.add(&dir, at, "first").unwrap();
        folder.size += MOST_IN_ALL;
        folder.files[0].1 += MOST_IN_ALL;
        folder.add(&dir, at, "second").unwrap();
        assert_eq!(names(&dir).len(), 1);
        assert_eq!(folder.size, "second".len() as u64);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_long_body_is_cut_and_half_a_key_at_the_cut_is_not_shown() {
        let mask = Mask::new(&[Secret::new("relay-key-0123456789")], false).unwrap();
        let mut body = Body::default();
        body.take(b"first relay-key-0123456789 ");
        body.take(&vec![b'x'; MOST_OF_A_BODY - 27 - 9]);
        body.take(b"relay-key-0123456789");
        assert_eq!(body.beginning.len(), MOST_OF_A_BODY);
        let shown = body.shown(Some(&mask));
        let text = shown["text"].as_str().unwrap();
        assert_eq!(
            (&shown["cut"], &shown["bytes"]),
            (&json!(true), &json!(MOST_OF_A_BODY + 11))
        );
        assert!(
            text.starts_with("first *** xx") && text.ends_with('x'),
            "{}",
            &text[..40]
        );
    }
}
