//! Reads files of bounded size, and says in plain words why one cannot be read.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The bytes of a file of at most `max` bytes. It never reads more, whatever the file's size is said to be.
pub(crate) fn bytes(path: &Path, max: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut bytes));
    match read {
        Ok(read) if read as u64 > max => Err(format!("it is larger than {} KiB", max >> 10)),
        Ok(_) => Ok(bytes),
        Err(error) => Err(words(&error)),
    }
}

/// The same as text.
pub(crate) fn text(path: &Path, max: u64) -> Result<String, String> {
    String::from_utf8(bytes(path, max)?).map_err(|_invalid| "it is not UTF-8".to_owned())
}

/// Why it failed; the usual reasons read alike on every system.
fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
