//! Log files that are done: their names, how many are kept, and their compression, on a thread of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use crate::config::types::LogFile;

const BEFORE: &str = "llm-proxy.";
const BEHIND: &str = ".log";
const COMPRESSED: &str = ".gz";
/// What a compressed file is called until it is whole.
const UNFINISHED: &str = ".gz.part";
/// How much of a file is read at a time to compress it, in bytes.
const PIECE: usize = 128 * 1024;
/// The form of the time in a name: its length, and where it has what but digits.
const TIME: &str = "dddd-dd-ddTdd-dd-dd.ddd";

/// The name of a file whose last line was written at that time.
pub(super) fn name(last: SystemTime) -> String {
    let time = Timestamp::try_from(last).unwrap_or(Timestamp::UNIX_EPOCH);
    let time = format!("{time:.3}").replace(':', "-");
    format!("{BEFORE}{}{BEHIND}", time.trim_end_matches('Z'))
}

/// What a file is called once it is compressed.
pub(super) fn compressed(path: &Path) -> PathBuf {
    with(path, COMPRESSED)
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The time in an old file's name; none if it is no file of ours.
fn time(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(BEFORE)?;
    let rest = rest.strip_suffix(COMPRESSED).unwrap_or(rest);
    let time = rest.strip_suffix(BEHIND)?;
    let fits = |(have, want): (u8, u8)| match want {
        b'd' => have.is_ascii_digit(),
        other => have == other,
    };
    let alike = time.len() == TIME.len() && time.bytes().zip(TIME.bytes()).all(fits);
    alike.then_some(time)
}

/// Who compresses old files and removes the oldest.
#[derive(Debug)]
pub(super) struct Housekeeper(SyncSender<LogFile>);

impl Housekeeper {
    /// Waits for work.
    pub(super) fn start() -> Self {
        let (work, told) = sync_channel(1);
        // Without a thread old files pile up, and all else goes on.
        let _ = std::thread::Builder::new()
            .name("log files".to_owned())
            .spawn(move || keep_house(&told));
        Self(work)
    }

    /// Asks for a look at the old files of these settings. If one is due already, that will do.
    pub(super) fn look_at(&self, settings: &LogFile) {
        let _ = self.0.try_send(settings.clone());
    }
}

fn keep_house(told: &Receiver<LogFile>) {
    give_way();
    while let Ok(settings) = told.recv() {
        if let Err(error) = tidy(&settings) {
            tracing::warn!(
                "old log files in {} cannot be tidied: {error}",
                settings.dir.display()
            );
        }
    }
}

/// Whatever else the machine has to do comes first: an old file can wait to be compressed, a request cannot. On Linux a thread
/// has a niceness of its own; elsewhere it is the whole program's, and is left alone.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _as_important_as_the_rest = rustix::process::nice(19);
}

/// Removes all but the newest `max_files` old files, and compresses those that are left.
fn tidy(settings: &LogFile) -> io::Result<()> {
    let mut old = Vec::new();
    for entry in fs::read_dir(&settings.dir)? {
        let name = entry?.file_name();
        if let Some(name) = name.to_str().filter(|name| time(name).is_some()) {
            old.push(name.to_owned());
        }
    }
    old.sort_unstable_by(|a, b| time(b).cmp(&time(a)));
    // A crash while it was compressed may have left a file in both forms: they are one.
    let mut times: Vec<&str> = old.iter().filter_map(|name| time(name)).collect();
    times.dedup();
    let last = times.get(..settings.max_files as usize).and_then(<[&str]>::last);
    for name in &old {
        let path = settings.dir.join(name);
        if last.is_some_and(|last| time(name) < Some(*last)) {
            fs::remove_file(path)?;
        } else if settings.compress && !name.ends_with(COMPRESSED) {
            compress(&path)?;
        }
    }
    Ok(())
}

/// Compresses a file that nobody writes to any more. The compressed one appears at once and whole.
fn compress(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    if file.try_lock().is_err() {
        // Another process has yet to end with it; the next look will find it free.
        return Ok(());
    }
    let unfinished = with(path, UNFINISHED);
    let out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(file.metadata()?.mode() & 0o777)
        .open(&unfinished)?;
    // Lines repeat each other: the quickest level makes a thirteenth of them, in much less time than the usual one.
    let mut encoder = GzEncoder::new(out, Compression::fast());
    io::copy(&mut BufReader::with_capacity(PIECE, &file), &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(unfinished, compressed(path))?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::types::Rotate;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn names_sort_by_time_and_those_of_others_are_not_ours() {
        assert_eq!(name(at(1_800_000_000)), "llm-proxy.2027-01-15T08-00-00.000.log");
        assert!(time(&name(at(0))) < time(&name(at(1))));
        for (file, is_ours) in [
            ("llm-proxy.2027-01-15T08-00-00.000.log", true),
            ("llm-proxy.2027-01-15T08-00-00.000.log.gz", true),
            ("llm-proxy.log", false),
            ("llm-proxy.log.1", false),
            ("llm-proxy.2027-01-15T08-00-00.000.log.gz.part", false),
            ("llm-proxy.2027-01-15T08-00-00.00x.log", false),
            ("other.2027-01-15T08-00-00.000.log", false),
        ] {
            assert_eq!(time(file).is_some(), is_ours, "{file}");
        }
    }

    #[test]
    fn o05_a_file_that_somebody_still_writes_to_waits_and_the_oldest_go() {
        let dir = std::env::temp_dir().join(format!("llm-proxy-old-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let settings = LogFile {
            dir: dir.clone(),
            rotate: Rotate::Never,
            max_size: None,
            max_files: 2,
            compress: true,
        };
        let path = |seconds| dir.join(name(at(seconds)));
        for seconds in 1..=3 {
            fs::write(path(seconds), "x\n").unwrap();
        }
        // A crash has left the second in both forms.
        fs::write(compressed(&path(2)), "half").unwrap();
        let writer = File::open(path(3)).unwrap();
        writer.lock_shared().unwrap();
        tidy(&settings).unwrap();
        assert!(!path(1).exists() && !path(2).exists());
        assert!(fs::read(compressed(&path(2))).unwrap().starts_with(&[0x1f, 0x8b]));
        assert!(path(3).exists() && !compressed(&path(3)).exists());
        drop(writer);
        tidy(&settings).unwrap();
        assert!(!path(3).exists() && compressed(&path(3)).exists());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
        fs::remove_dir_all(dir).unwrap();
    }
}
