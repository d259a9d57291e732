//! Seeing that the config file has changed. The folder is watched, not the file: editors and Kubernetes replace it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// How long a file must rest before it is read: a writer may not be done.
pub(super) const SETTLE: Duration = Duration::from_millis(100);

/// Watches a file's folder for as long as it lives.
#[derive(Debug)]
pub(super) struct Watch {
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Notifies `changed` whenever the file's folder changes.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn start(file: &Path, changed: &Arc<Notify>) -> Result<Self, String> {
        let changed = Arc::clone(changed);
        let told = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                changed.notify_one();
            }
        };
        let folder = folder(file);
        let cannot = |error: notify::Error| format!("cannot watch {}: {error}", folder.display());
        let mut watcher = notify::recommended_watcher(told).map_err(cannot)?;
        watcher
            .watch(&folder, RecursiveMode::NonRecursive)
            .map_err(cannot)?;
        Ok(Self { _watcher: watcher })
    }
}

fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
