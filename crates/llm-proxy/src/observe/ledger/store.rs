//! A database that holds a ledger: what it is asked to do, and how it fails.

use std::path::Path;
use std::time::SystemTime;

use super::postgres::Postgres;
use super::row::Row;
use super::sqlite::Sqlite;
use super::sums::Sums;
use crate::base::Day;
use crate::config::types::LedgerAt;

/// The version of the schema that this program writes. One that is newer belongs to a newer program.
pub(super) const VERSION: i64 = 1;

/// Rows that are written together, or not at all.
#[derive(Debug)]
pub(super) struct Batch {
    /// The process that writes it: a number drawn at random.
    pub writer: i64,
    /// Which one of that process it is. A batch of this number that is there already is not written again.
    pub number: i64,
    pub rows: Vec<Row>,
}

impl Batch {
    /// What its rows add to the sums of their days.
    pub(super) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for row in &self.rows {
            sums.add(row.whose(), &row.sum);
        }
        sums
    }
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// For a person, without a secret, and without a full stop.
    pub why: String,
    /// What may come of trying it again.
    pub hope: Hope,
}

/// What may come of trying something again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hope {
    /// It may go well: a lock, a full disk, a server that is away.
    Later,
    /// Not with this database: it is another program's, or a newer one's.
    NotHere,
    /// Not with these rows: the database does not take them.
    NotThese,
}

impl Trouble {
    /// It may go well later.
    pub(super) fn later(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            hope: Hope::Later,
        }
    }

    /// Somebody has to do something.
    pub(super) fn not_here(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            hope: Hope::NotHere,
        }
    }

    /// What is said of a schema that is newer than this program.
    pub(super) fn newer(version: i64) -> Self {
        Self::not_here(format!(
            "its schema has version {version}, and this program knows {VERSION}: a newer llm-proxy has written it, and \
             this one leaves it alone"
        ))
    }
}

/// A database.
pub(super) trait Store: Send + std::fmt::Debug {
    /// Makes sure that it is there and can be written.
    fn ready(&mut self) -> Result<(), Trouble>;

    /// Writes a batch, all of it or nothing.
    fn write(&mut self, batch: &Batch) -> Result<(), Trouble>;

    /// Deletes some rows of requests that ended before `rows`, and sums of days before `days`. Whether there may be more.
    fn prune(&mut self, rows: Option<SystemTime>, days: Day) -> Result<bool, Trouble>;

    /// The sums of these days, the last one included.
    fn sums(&mut self, days: (Day, Day)) -> Result<Sums, Trouble>;
}

/// A database to write to; a file is made where there is none.
pub(super) fn writer(at: &LedgerAt) -> Box<dyn Store> {
    match at {
        LedgerAt::Sqlite(path) => Box::new(Sqlite::writer(path)),
        LedgerAt::Postgres(url) => Box::new(Postgres::new(url)),
    }
}

/// Reads the sums of these days from a ledger that others may be writing. It waits for the database: some seconds at most.
///
/// # Errors
/// A sentence without its full stop: there is none, or it cannot be read.
pub fn read(at: &LedgerAt, days: (Day, Day)) -> Result<Sums, String> {
    let read = match at {
        LedgerAt::Sqlite(path) => Sqlite::reader(path).sums(days),
        LedgerAt::Postgres(url) => Postgres::new(url).sums(days),
    };
    read.map_err(|trouble| trouble.why)
}

/// A path as a person is told it.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
