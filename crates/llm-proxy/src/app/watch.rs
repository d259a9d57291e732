//! Seeing that the config file has changed, or a prompt, or the file of prices. Folders are watched, not files: editors and Kubernetes replace
//! those.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::config::types::FileSource;

/// How long a file must rest before it is read: a writer may not be done.
pub(super) const SETTLE: Duration = Duration::from_millis(100);

/// Watches folders for as long as it lives.
#[derive(Debug)]
pub(super) struct Watch {
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Notifies `changed` whenever the config file's folder changes, or one of the others that it names.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn start(file: &Path, others: &[FileSource], changed: &Arc<Notify>) -> Result<Self, String> {
        let changed = Arc::clone(changed);
        let told = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                changed.notify_one();
            }
        };
        let mut watcher = notify::recommended_watcher(told)
            .map_err(|error| format!("cannot watch {}: {error}", file.display()))?;
        let own = file.parent().unwrap_or(Path::new(""));
        let folders = others.iter().map(FileSource::folder).chain([own]);
        for folder in folders.map(openable).collect::<BTreeSet<PathBuf>>() {
            watcher
                .watch(&folder, RecursiveMode::NonRecursive)
                .map_err(|error| format!("cannot watch {}: {error}", folder.display()))?;
        }
        Ok(Self { _watcher: watcher })
    }
}

/// A folder under a name that the system knows: to it, nothing is not the folder that we are in.
fn openable(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        folder.to_owned()
    }
}
