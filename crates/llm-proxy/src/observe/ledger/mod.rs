//! What requests used and cost: in sums by day, and, where the config names a ledger, a row for each in a database.
//!
//! A request hands its row to a bounded queue when it is over (`queue`). One thread (`clerk`) writes what gathers there, in
//! batches, and adds each batch to the sums of its days in the same transaction; when the database cannot take it, rows
//! wait, and above their bound are dropped and counted. No request waits for it.

mod clerk;
mod columns;
mod encrypted;
mod postgres;
mod queue;
mod row;
mod sqlite;
mod store;
mod sums;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

pub use queue::State;
pub use store::read;
pub use sums::{By, Named, Sum, Sums, Whose, total};

use self::clerk::Clerk;
use self::queue::Queue;
use self::row::Row;
use self::store::{Hope, Store, writer};
use super::line::Line;
use crate::base::Day;
use crate::config::types::{Ledger as Settings, LedgerAt};

/// How long the last try may take, before the program ends.
const LAST_TRY: Duration = Duration::from_secs(1);

/// The ledger of this process, on or off. Off, it costs a request a look at a flag, and has no thread.
#[derive(Debug, Default)]
pub struct Ledger {
    queue: Arc<Queue>,
    has_thread: AtomicBool,
}

/// Settings whose database has been looked at.
#[derive(Debug)]
pub struct Prepared {
    settings: Option<Settings>,
    store: Option<Box<dyn Store>>,
}

impl Ledger {
    /// Looks at what a config names, as far as that takes no time: a file is opened and made, a server is not asked.
    ///
    /// # Errors
    /// A sentence: somebody has to do something about it.
    pub fn prepare(&self, settings: Option<&Settings>) -> Result<Prepared, String> {
        let settings = settings.cloned();
        let mut prepared = Prepared {
            settings,
            store: None,
        };
        let Some(Settings { at, .. }) = &prepared.settings else {
            return Ok(prepared);
        };
        let runs = self.queue.settings().is_some_and(|running| running.at == *at);
        if let (LedgerAt::Sqlite(path), false) = (at, runs) {
            let mut store = writer(at);
            match store.ready() {
                Ok(()) => prepared.store = Some(store),
                Err(trouble) if trouble.hope == Hope::Later => {}
                Err(trouble) => {
                    return Err(format!(
                        "cannot use the ledger `{}`: {}",
                        path.display(),
                        trouble.why
                    ));
                }
            }
        }
        Ok(prepared)
    }

    /// Puts settings in force.
    pub fn configure(&self, prepared: Prepared) {
        let running = self.queue.settings();
        if running == prepared.settings {
            return;
        }
        self.queue.order(prepared.settings);
        if !self.has_thread.swap(true, Ordering::AcqRel) {
            let clerk = Clerk::new(Arc::clone(&self.queue), prepared.store);
            let thread = std::thread::Builder::new().name("ledger".to_owned());
            if let Err(error) = thread.spawn(|| clerk.run()) {
                // Nobody empties the queue: it stays off.
                self.queue.order(None);
                tracing::error!("there is no ledger, for want of a thread: {error}");
            }
        }
    }

    /// Whether rows are wanted.
    pub(super) fn is_on(&self) -> bool {
        self.queue.is_on()
    }

    /// Takes the row of a request that is over.
    #[inline(never)]
    pub(super) fn take(&self, line: &Line<'_>) {
        self.queue.take(Row::of(line));
    }

    /// Writes what can be written within `limit`, and lets go of the database.
    pub fn close(&self, limit: Duration) {
        if self.queue.is_on() {
            self.queue.flush(limit);
            self.queue.close(LAST_TRY);
        }
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.queue.state()
    }

    /// Where it is; none: off.
    pub fn at(&self) -> Option<LedgerAt> {
        self.queue.settings().map(|settings| settings.at)
    }
}

/// Reads the sums of these days on a thread that may wait for them, while whoever asks waits for `patience` at most.
///
/// # Errors
/// A sentence without its full stop: the ledger cannot be read, or takes too long.
pub async fn read_apart(at: LedgerAt, days: (Day, Day), patience: Duration) -> Result<Sums, String> {
    /// Each takes a thread.
    static READERS: Semaphore = Semaphore::const_new(2);
    let reading = async {
        let place = READERS.acquire().await.map_err(|error| error.to_string())?;
        let read = tokio::task::spawn_blocking(move || {
            // The place is given back when the thread is done, not when nobody waits for it any longer.
            let _place = place;
            read(&at, days)
        });
        read.await.map_err(|error| error.to_string())?
    };
    let read = tokio::time::timeout(patience, reading).await;
    read.unwrap_or_else(|_elapsed| Err(format!("no answer within {patience:?}")))
}

/// Which of several nodes wrote a row.
fn node() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}
