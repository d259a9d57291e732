//! A ledger in a file of SQLite: the program writes, and any tool may read meanwhile.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, Statement, ToSql, Transaction, TransactionBehavior, params,
};

use super::row::{Row, millis};
use super::store::{Batch, Hope, Store, Trouble, VERSION, shown};
use super::sums::{Named, Sum, Sums};
use crate::base::Day;

/// How long a lock of another process is waited for.
const BUSY: Duration = Duration::from_secs(1);
/// How many rows are deleted at once: nobody waits long for the lock.
const PRUNED: i64 = 1_000;
/// The number by which a file says whose it is ("llmp").
const APPLICATION: i64 = 0x6c6c_6d70;

/// Version 1. Requests have no index: rows come in the order of their time, and what is asked for every day is in the sums.
const FIRST: &str = "
CREATE TABLE llm_proxy_requests (
  time INTEGER NOT NULL, request_id TEXT NOT NULL, key TEXT, alias TEXT, backend TEXT, model TEXT,
  dialect TEXT NOT NULL, status INTEGER NOT NULL, class TEXT, attempts INTEGER NOT NULL,
  input_tokens INTEGER, output_tokens INTEGER, cached_tokens INTEGER, cache_write_tokens INTEGER,
  reasoning_tokens INTEGER, cost_nano_usd INTEGER, first_byte_ms REAL, duration_ms REAL NOT NULL,
  cancelled INTEGER NOT NULL, generation INTEGER NOT NULL, node TEXT NOT NULL);
CREATE TABLE llm_proxy_days (
  day TEXT NOT NULL, key TEXT NOT NULL, backend TEXT NOT NULL, model TEXT NOT NULL,
  requests INTEGER NOT NULL, errors INTEGER NOT NULL, input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL, cost_nano_usd INTEGER NOT NULL, priced INTEGER NOT NULL, unpriced INTEGER NOT NULL,
  PRIMARY KEY (day, key, backend, model)) WITHOUT ROWID;
";

const INSERT: &str = "INSERT INTO llm_proxy_requests VALUES \
                      (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)";

/// The parameter that is the same in all rows of a program.
const NODE: usize = 21;

const ADD: &str = "INSERT INTO llm_proxy_days VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)
ON CONFLICT (day, key, backend, model) DO UPDATE SET
  requests = requests + excluded.requests, errors = errors + excluded.errors,
  input_tokens = input_tokens + excluded.input_tokens, cached_tokens = cached_tokens + excluded.cached_tokens,
  output_tokens = output_tokens + excluded.output_tokens, cost_nano_usd = cost_nano_usd + excluded.cost_nano_usd,
  priced = priced + excluded.priced, unpriced = unpriced + excluded.unpriced";

const SUMS: &str =
    "SELECT day, key, backend, model, requests, errors, input_tokens, cached_tokens, output_tokens,
  cost_nano_usd, priced, unpriced FROM llm_proxy_days WHERE day BETWEEN ?1 AND ?2";

/// The oldest rows come first in the file.
const PRUNE: &str = "DELETE FROM llm_proxy_requests WHERE time < ?1 AND rowid IN
  (SELECT rowid FROM llm_proxy_requests ORDER BY rowid LIMIT ?2)";

/// The file, opened when it is needed.
#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    writes: bool,
    node: String,
    open: Option<Connection>,
}

impl Sqlite {
    pub(super) fn writer(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            writes: true,
            node: super::node(),
            open: None,
        }
    }

    /// It never changes the file, and makes none.
    pub(super) fn reader(path: &Path) -> Self {
        Self {
            writes: false,
            ..Self::writer(path)
        }
    }

    /// Leaves no room for more pages.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: i64) {
        let open = self.open.as_ref().unwrap();
        open.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .unwrap();
    }

    fn connection(&mut self) -> Result<&mut Connection, Trouble> {
        let open = match self.open.take() {
            Some(open) => open,
            None if self.writes => opened_to_write(&self.path)?,
            None => opened_to_read(&self.path)?,
        };
        Ok(self.open.insert(open))
    }

    /// Does something in a transaction that may write. A failure closes the file: the next try opens it anew.
    fn change<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>, &str) -> rusqlite::Result<T>,
    ) -> Result<T, Trouble> {
        let node = std::mem::take(&mut self.node);
        let done = self.connection().and_then(|connection| {
            let changed = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .and_then(|transaction| {
                    let value = change(&transaction, &node)?;
                    transaction.commit()?;
                    Ok(value)
                });
            changed.map_err(|error| trouble(&error))
        });
        self.node = node;
        if done.is_err() {
            self.open = None;
        }
        done
    }
}

impl Store for Sqlite {
    fn ready(&mut self) -> Result<(), Trouble> {
        self.connection().map(|_| ())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Trouble> {
        self.change(|transaction, node| {
            let mut insert = transaction.prepare_cached(INSERT)?;
            insert.raw_bind_parameter(NODE, node)?;
            let mut last = None;
            for row in &batch.rows {
                add_row(&mut insert, row, last)?;
                last = Some(row);
            }
            let mut add = transaction.prepare_cached(ADD)?;
            for (whose, sum) in batch.sums().iter() {
                let day = whose.day.to_string();
                let [requests, errors, input, cached, output, cost, priced, unpriced] = sum.numbers();
                let names = (day, &*whose.key, &*whose.backend, &*whose.model);
                let (day, key, backend, model) = names;
                add.execute(params![
                    day, key, backend, model, requests, errors, input, cached, output, cost, priced, unpriced
                ])?;
            }
            Ok(())
        })
    }

    fn prune(&mut self, rows: Option<SystemTime>, days: Day) -> Result<bool, Trouble> {
        self.change(|transaction, _| {
            transaction.execute("DELETE FROM llm_proxy_days WHERE day < ?1", [days.to_string()])?;
            let Some(before) = rows else { return Ok(false) };
            let deleted = transaction.execute(PRUNE, params![millis(before), PRUNED])?;
            Ok(deleted > 0)
        })
    }

    fn sums(&mut self, (from, to): (Day, Day)) -> Result<Sums, Trouble> {
        let connection = self.connection()?;
        let read = || {
            let mut query = connection.prepare(SUMS)?;
            let mut rows = query.query([from.to_string(), to.to_string()])?;
            let mut sums = Sums::default();
            while let Some(row) = rows.next()? {
                let text = |at: usize| row.get::<_, String>(at);
                let Some(day) = Day::read(&text(0)?) else { continue };
                let (key, backend, model) = (text(1)?, text(2)?, text(3)?);
                let mut numbers = [0_i64; 8];
                for (at, number) in (4..).zip(&mut numbers) {
                    *number = row.get(at)?;
                }
                sums.add(
                    Named::new(day, [&key, &backend, &model]),
                    &Sum::from_numbers(numbers),
                );
            }
            Ok(sums)
        };
        read().map_err(|error| trouble(&error))
    }
}

/// Inserts a row behind that one.
fn add_row(insert: &mut Statement<'_>, row: &Row, last: Option<&Row>) -> rusqlite::Result<()> {
    let count = |number: Option<u64>| number.map(u64::cast_signed);
    insert.raw_bind_parameter(1, row.millis())?;
    insert.raw_bind_parameter(2, &row.request_id)?;
    let mut bind = Bind { insert, row, last };
    bind.changed(3, |row| row.key.as_deref())?;
    bind.changed(4, |row| row.alias.as_deref())?;
    bind.changed(5, |row| row.backend.as_deref())?;
    bind.changed(6, |row| row.model.as_deref())?;
    bind.changed(7, |row| row.dialect.name())?;
    bind.changed(8, |row| row.status)?;
    bind.changed(9, |row| row.class)?;
    bind.changed(10, |row| i64::try_from(row.attempts).unwrap_or(i64::MAX))?;
    bind.changed(11, |row| count(row.usage.input))?;
    bind.changed(12, |row| count(row.usage.output))?;
    bind.changed(13, |row| count(row.usage.cache_read))?;
    bind.changed(14, |row| count(row.usage.cache_write))?;
    bind.changed(15, |row| count(row.usage.reasoning))?;
    bind.changed(16, |row| count(row.cost.map(crate::base::Cost::nanos)))?;
    bind.changed(17, |row| row.first_byte.map(super::row::milliseconds))?;
    bind.changed(18, |row| super::row::milliseconds(row.elapsed))?;
    bind.changed(19, |row| row.cancelled)?;
    bind.changed(20, |row| row.generation.cast_signed())?;
    insert.raw_execute()?;
    Ok(())
}

/// Binds a row's columns. Rows of a batch have most of them in common, and SQLite keeps what is bound: only the others are
/// bound anew.
struct Bind<'a, 's, 'c> {
    insert: &'a mut Statement<'s>,
    row: &'c Row,
    last: Option<&'c Row>,
}

impl<'c> Bind<'_, '_, 'c> {
    fn changed<T: ToSql + PartialEq>(
        &mut self,
        at: usize,
        of: impl Fn(&'c Row) -> T,
    ) -> rusqlite::Result<()> {
        let value = of(self.row);
        if self.last.is_some_and(|last| of(last) == value) {
            return Ok(());
        }
        self.insert.raw_bind_parameter(at, value)
    }
}

/// Opens the file to write: made where it is not there, for its owner's eyes alone, and brought to the schema of this
/// program.
fn opened_to_write(path: &Path) -> Result<Connection, Trouble> {
    make_private(path).map_err(|error| Trouble::not_here(format!("{}: {error}", shown(path))))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        // A reader never waits for the writer, nor the writer for it; what was committed outlives the process, and all
        // but the last moments a power cut.
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        let version = migrated(&mut connection)?;
        Ok((connection, version))
    };
    let (connection, version) = open().map_err(|error| trouble(&error))?;
    is_ours(&connection, version)?;
    Ok(connection)
}

fn opened_to_read(path: &Path) -> Result<Connection, Trouble> {
    if !path.exists() {
        let why = format!(
            "there is no file `{}` yet: the proxy makes it when it starts with this config",
            shown(path)
        );
        return Err(Trouble::later(why));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        let version = version(&connection)?;
        Ok((connection, version))
    };
    let (connection, version) = open().map_err(|error| trouble(&error))?;
    is_ours(&connection, version)?;
    Ok(connection)
}

/// Makes the file where there is none, and its folder.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    options.open(path).map(|_| ())
}

/// Brings a file that is empty to the schema of this program. The version that it has then.
fn migrated(connection: &mut Connection) -> rusqlite::Result<i64> {
    if version(connection)? != 0 {
        return version(connection);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been quicker.
    if version(&transaction)? == 0 && is_empty(&transaction)? {
        transaction.execute_batch(FIRST)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    version(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// A file of another program is left alone, and so is one of a newer version of this.
fn is_ours(connection: &Connection, version: i64) -> Result<(), Trouble> {
    let application = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0));
    match application {
        Ok(APPLICATION) if version <= VERSION => Ok(()),
        Ok(APPLICATION) => Err(Trouble::newer(version)),
        Ok(_) => Err(Trouble::not_here("the file is a database of another program")),
        Err(error) => Err(trouble(&error)),
    }
}

fn trouble(error: &rusqlite::Error) -> Trouble {
    let (why, hope) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            ("another process holds the database".to_owned(), Hope::Later)
        }
        Some(ErrorCode::DiskFull) => ("the disk is full".to_owned(), Hope::Later),
        Some(ErrorCode::NotADatabase) => ("the file is no database".to_owned(), Hope::NotHere),
        Some(ErrorCode::ReadOnly) => ("the file may not be written".to_owned(), Hope::Later),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            (error.to_string(), Hope::NotThese)
        }
        _ => (error.to_string(), Hope::Later),
    };
    Trouble { why, hope }
}
