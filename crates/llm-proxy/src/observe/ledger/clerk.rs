//! The thread that writes the ledger: what it holds, when it tries again, and what it says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::queue::{Queue, Task};
use super::store::{Batch, Hope, Store, Trouble, writer};
use crate::base::{Day, clock};
use crate::config::types::Ledger as Settings;

/// The first pause after a failure. Each further one is twice as long, up to
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// this.
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// How often old rows are looked for.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// For how long the sums of a day are kept.
const DAYS_KEPT: u32 = 400;
/// While nothing can be written, how often is said how many rows were dropped.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// Writes what comes through the queue, for as long as the program runs.
pub(super) struct Clerk {
    queue: Arc<Queue>,
    settings: Option<Settings>,
    store: Option<Box<dyn Store>>,
    /// What is being written; kept until it is.
    batch: Option<Batch>,
    writer: i64,
    number: i64,
    /// The pause after the last failure; none: all went well.
    pause: Option<Duration>,
    retry: Option<Instant>,
    prune_at: Instant,
    /// How many dropped rows have been told, and when.
    told: (u64, Instant),
}

impl Clerk {
    /// It writes into `store`, where that is open already.
    pub(super) fn new(queue: Arc<Queue>, store: Option<Box<dyn Store>>) -> Self {
        let now = clock::now();
        Self {
            queue,
            settings: None,
            store,
            batch: None,
            writer: fastrand::i64(1..),
            number: 0,
            pause: None,
            retry: None,
            prune_at: now,
            told: (0, now),
        }
    }

    /// Works for as long as the program runs.
    pub(super) fn run(mut self) -> ! {
        loop {
            match self.queue.next(self.retry, self.prune_at) {
                Task::Adopt(Some(settings)) => self.adopt(settings),
                Task::Adopt(None) => self.let_go(),
                Task::Write => self.write(),
                Task::Idle => self.prune(),
            }
        }
    }

    /// Goes by other settings. What waits for another database is written there, if that can be done at once; else into
    /// the new one.
    fn adopt(&mut self, settings: Settings) {
        let moves = self.settings.as_ref().is_some_and(|own| own.at != settings.at);
        if moves {
            self.write_all();
            self.store = None;
            (self.pause, self.retry) = (None, None);
        }
        self.settings = Some(settings);
        self.prune_at = clock::now();
        // Whether it can be written at all is known before the first row comes.
        let ready = self.store().and_then(|store| store.ready());
        if let Err(trouble) = ready {
            self.failed(trouble);
        }
    }

    /// There is no ledger any longer: what can be written at once is.
    fn let_go(&mut self) {
        self.write_all();
        self.store = None;
        (self.batch, self.settings, self.pause, self.retry) = (None, None, None, None);
        let lost = self.queue.closed();
        if lost > 0 {
            tracing::warn!("the ledger ends, and {lost} rows of it could not be written");
        }
        self.told = (self.queue.dropped(), clock::now());
    }

    fn store(&mut self) -> Result<&mut Box<dyn Store>, Trouble> {
        let Some(settings) = &self.settings else {
            return Err(Trouble::later("there is no ledger"));
        };
        Ok(self.store.get_or_insert_with(|| writer(&settings.at)))
    }

    /// Writes until nothing is left, or until it fails.
    fn write_all(&mut self) {
        while self.queue.state().pending > 0 && self.settings.is_some() {
            self.write();
            if self.pause.is_some() {
                return;
            }
        }
    }

    fn write(&mut self) {
        let batch = self.batch.take().unwrap_or_else(|| {
            self.number += 1;
            Batch {
                writer: self.writer,
                number: self.number,
                rows: self.queue.batch(),
            }
        });
        match self.store().and_then(|store| store.write(&batch)) {
            Ok(()) => self.settled(),
            Err(trouble) if trouble.hope == Hope::NotThese => {
                self.queue.lose(batch.rows.len() as u64);
                tracing::error!(
                    "the ledger does not take {} rows, which are dropped: {}",
                    batch.rows.len(),
                    trouble.why
                );
                self.settled();
            }
            Err(trouble) => {
                self.batch = Some(batch);
                self.failed(trouble);
            }
        }
        self.tell_dropped();
    }

    fn settled(&mut self) {
        self.queue.settled();
        self.retry = None;
        if self.pause.take().is_some() {
            tracing::info!("the ledger is written again");
        }
    }

    /// It is said once; all tries that follow are silent.
    fn failed(&mut self, trouble: Trouble) {
        let pause = match self.pause {
            None => {
                tracing::error!(
                    "the ledger cannot be written, rows wait and no request does: {}",
                    trouble.why
                );
                FIRST_PAUSE
            }
            Some(last) => LAST_PAUSE.min(last * 2),
        };
        self.queue.failed(&trouble.why);
        self.pause = Some(pause);
        self.retry = Some(clock::now() + pause);
        // A file that was opened is opened anew: it may have been put right, or replaced.
        self.store = None;
    }

    /// Says how many rows were dropped, now and then.
    fn tell_dropped(&mut self) {
        let (told, at) = self.told;
        let (dropped, now) = (self.queue.dropped(), clock::now());
        let due = self.pause.is_none() || now.saturating_duration_since(at) >= TOLD_EVERY;
        if dropped > told && due {
            tracing::warn!(
                "{} rows of the ledger were dropped: too many waited",
                dropped - told
            );
            self.told = (dropped, now);
        }
    }

    /// Deletes some of what has had its time, and comes back soon if there is more.
    fn prune(&mut self) {
        let now = clock::now();
        self.prune_at = now + PRUNE_EVERY;
        if self.pause.is_some() || self.settings.is_none() {
            return;
        }
        let wall = clock::wall();
        let retention = self.settings.as_ref().and_then(|settings| settings.retention);
        let rows = retention.and_then(|retention| wall.checked_sub(retention));
        let days = Day::of(wall).before(DAYS_KEPT);
        match self.store().and_then(|store| store.prune(rows, days)) {
            Ok(true) => self.prune_at = now,
            Ok(false) => {}
            Err(trouble) => self.failed(trouble),
        }
    }
}
