//! A ledger in PostgreSQL: several nodes write into one.
//!
//! A connection can break while a commit is under way, and nobody knows then whether it took place. So each process
//! notes the number of its last batch in the same transaction, and a batch that was written already is not written twice.

use std::error::Error as _;
use std::future::Future;
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Transaction};

use super::columns::{Columns, Days};
use super::encrypted::Encrypted;
use super::row::millis;
use super::store::{Batch, Hope, Store, Trouble, VERSION};
use super::sums::{Named, Sum, Sums};
use crate::base::{Day, Secret};
use crate::config::database;

/// How long a connection may take to be made, and any one thing to be done.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many rows are deleted at once.
const PRUNED: i64 = 1_000;
/// The lock that programs take which make the tables: one of them makes them ("llmp").
const LOCK: i64 = 0x6c6c_6d70;

/// Version 1.
const FIRST: &str = "
CREATE TABLE llm_proxy_requests (
  time BIGINT NOT NULL, request_id TEXT NOT NULL, key TEXT, alias TEXT, backend TEXT, model TEXT,
  dialect TEXT NOT NULL, status INTEGER NOT NULL, class TEXT, attempts INTEGER NOT NULL,
  input_tokens BIGINT, output_tokens BIGINT, cached_tokens BIGINT, cache_write_tokens BIGINT,
  reasoning_tokens BIGINT, cost_nano_usd BIGINT, first_byte_ms DOUBLE PRECISION, duration_ms DOUBLE PRECISION NOT NULL,
  cancelled BOOLEAN NOT NULL, generation BIGINT NOT NULL, node TEXT NOT NULL);
CREATE INDEX llm_proxy_requests_time ON llm_proxy_requests (time);
CREATE TABLE llm_proxy_days (
  day TEXT NOT NULL, key TEXT NOT NULL, backend TEXT NOT NULL, model TEXT NOT NULL,
  requests BIGINT NOT NULL, errors BIGINT NOT NULL, input_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL, cost_nano_usd BIGINT NOT NULL, priced BIGINT NOT NULL, unpriced BIGINT NOT NULL,
  PRIMARY KEY (day, key, backend, model));
CREATE TABLE llm_proxy_writers (writer BIGINT PRIMARY KEY, batch BIGINT NOT NULL, time BIGINT NOT NULL);
CREATE TABLE llm_proxy_schema (version BIGINT NOT NULL);
INSERT INTO llm_proxy_schema VALUES (1);
";

/// Nothing is changed where the batch, or a later one, is there already.
const MARK: &str = "INSERT INTO llm_proxy_writers AS own VALUES ($1, $2, $3) ON CONFLICT (writer) DO UPDATE
  SET batch = excluded.batch, time = excluded.time WHERE own.batch < excluded.batch";

const INSERT: &str = "INSERT INTO llm_proxy_requests SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[],
  $5::text[], $6::text[], $7::text[], $8::integer[], $9::text[], $10::integer[], $11::bigint[], $12::bigint[],
  $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::double precision[], $18::double precision[],
  $19::boolean[], $20::bigint[], $21::text[])";

/// In one order on all nodes: they never wait for each other in a circle.
const ADD: &str = "INSERT INTO llm_proxy_days AS own SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[],
  $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
  ORDER BY 1, 2, 3, 4
ON CONFLICT (day, key, backend, model) DO UPDATE SET
  requests = own.requests + excluded.requests, errors = own.errors + excluded.errors,
  input_tokens = own.input_tokens + excluded.input_tokens, cached_tokens = own.cached_tokens + excluded.cached_tokens,
  output_tokens = own.output_tokens + excluded.output_tokens,
  cost_nano_usd = own.cost_nano_usd + excluded.cost_nano_usd,
  priced = own.priced + excluded.priced, unpriced = own.unpriced + excluded.unpriced";

const SUMS: &str =
    "SELECT day, key, backend, model, requests, errors, input_tokens, cached_tokens, output_tokens,
  cost_nano_usd, priced, unpriced FROM llm_proxy_days WHERE day BETWEEN $1 AND $2";

const PRUNE: &str = "DELETE FROM llm_proxy_requests WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM llm_proxy_requests WHERE time < $1 ORDER BY time LIMIT $2))";

/// The server, and the connection to it while there is one.
#[derive(Debug)]
pub(super) struct Postgres {
    url: Secret,
    node: String,
    open: Option<Open>,
}

/// A connection, and what drives it.
#[derive(Debug)]
struct Open {
    driver: Driver,
    client: Client,
}

/// A runtime of its own: whoever asks here has a thread to wait on.
#[derive(Debug)]
struct Driver(Option<Runtime>);

impl Driver {
    fn new() -> Result<Self, Trouble> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Trouble::later(error.to_string()))?;
        Ok(Self(Some(runtime)))
    }

    fn run<T>(&self, act: impl Future<Output = Result<T, Error>>) -> Result<T, Trouble> {
        let Some(runtime) = &self.0 else {
            return Err(Trouble::later("the connection is closed"));
        };
        match runtime.block_on(async { timeout(PATIENCE, act).await }) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(trouble(&error)),
            Err(_elapsed) => Err(Trouble::later(format!("no answer within {PATIENCE:?}"))),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Dropping it would wait for a look-up of a name, which can hang for minutes.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Postgres {
    /// Nothing is done before something is asked for.
    pub(super) fn new(url: &Secret) -> Self {
        Self {
            url: url.clone(),
            node: super::node(),
            open: None,
        }
    }

    /// Does something over the connection. One that has been idle may be broken by now, so it is replaced once.
    fn over<T>(&mut self, act: impl AsyncFn(&mut Client, &str) -> Result<T, Error>) -> Result<T, Trouble> {
        let was_open = self.open.is_some();
        match self.once(&act) {
            Err(trouble) if was_open && trouble.hope == Hope::Later => self.once(&act),
            done => done,
        }
    }

    /// A failure closes the connection: the next try begins with a new one.
    fn once<T>(&mut self, act: &impl AsyncFn(&mut Client, &str) -> Result<T, Error>) -> Result<T, Trouble> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => opened(&self.url)?,
        };
        let value = open.driver.run(act(&mut open.client, &self.node))?;
        self.open = Some(open);
        Ok(value)
    }
}

impl Store for Postgres {
    fn ready(&mut self) -> Result<(), Trouble> {
        self.over(async |client, _| client.batch_execute("SELECT 1").await)
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Trouble> {
        let days = Days::of(&batch.sums());
        self.over(async |client, node| {
            let transaction = client.transaction().await?;
            if is_new(&transaction, batch).await? {
                let rows = Columns::of(&batch.rows, node);
                transaction.execute_typed(INSERT, &rows.parameters()).await?;
                transaction.execute_typed(ADD, &days.parameters()).await?;
            }
            transaction.commit().await
        })
    }

    fn prune(&mut self, rows: Option<SystemTime>, days: Day) -> Result<bool, Trouble> {
        let first_day = days.to_string();
        let oldest = millis(days.begins());
        self.over(async |client, _| {
            let day: &[(&(dyn ToSql + Sync), Type)] = &[(&first_day, Type::TEXT)];
            client
                .execute_typed("DELETE FROM llm_proxy_days WHERE day < $1", day)
                .await?;
            let idle: &[(&(dyn ToSql + Sync), Type)] = &[(&oldest, Type::INT8)];
            client
                .execute_typed("DELETE FROM llm_proxy_writers WHERE time < $1", idle)
                .await?;
            let Some(before) = rows.map(millis) else {
                return Ok(false);
            };
            let oldest: &[(&(dyn ToSql + Sync), Type)] = &[(&before, Type::INT8), (&PRUNED, Type::INT8)];
            Ok(client.execute_typed(PRUNE, oldest).await? > 0)
        })
    }

    fn sums(&mut self, (from, to): (Day, Day)) -> Result<Sums, Trouble> {
        let days = (from.to_string(), to.to_string());
        let rows = self.over(async |client, _| {
            let days: &[(&(dyn ToSql + Sync), Type)] = &[(&days.0, Type::TEXT), (&days.1, Type::TEXT)];
            client.query_typed(SUMS, days).await
        })?;
        let mut sums = Sums::default();
        for row in rows {
            let (whose, sum) = sum_of(&row).map_err(|error| trouble(&error))?;
            if let Some(day) = Day::read(&whose[0]) {
                sums.add(Named::new(day, [&whose[1], &whose[2], &whose[3]]), &sum);
            }
        }
        Ok(sums)
    }
}

/// Notes that a batch is being written; not, if it was written before.
async fn is_new(transaction: &Transaction<'_>, batch: &Batch) -> Result<bool, Error> {
    let now = batch.rows.last().map_or(0, super::row::Row::millis);
    let mark: &[(&(dyn ToSql + Sync), Type)] = &[
        (&batch.writer, Type::INT8),
        (&batch.number, Type::INT8),
        (&now, Type::INT8),
    ];
    Ok(transaction.execute_typed(MARK, mark).await? > 0)
}

fn sum_of(row: &tokio_postgres::Row) -> Result<([String; 4], Sum), Error> {
    let mut names: [String; 4] = Default::default();
    for (at, name) in names.iter_mut().enumerate() {
        *name = row.try_get(at)?;
    }
    let mut numbers = [0_i64; 8];
    for (at, number) in (names.len()..).zip(&mut numbers) {
        *number = row.try_get(at)?;
    }
    Ok((names, Sum::from_numbers(numbers)))
}

/// Connects, and brings the database to the schema of this program.
fn opened(url: &Secret) -> Result<Open, Trouble> {
    let Some(at) = database::postgres(url.expose()) else {
        return Err(Trouble::not_here("the URL cannot be read"));
    };
    let encrypted = Encrypted::new(at.trust.as_ref()).map_err(Trouble::later)?;
    let mut config = at.config;
    config.application_name("llm-proxy");
    let driver = Driver::new()?;
    let mut client = driver.run(async {
        let (client, connection) = config.connect(encrypted).await?;
        // It ends with the client; why it broke, the client's next call says.
        tokio::spawn(connection);
        Ok(client)
    })?;
    let version = driver.run(migrated(&mut client))?;
    if version > VERSION {
        return Err(Trouble::newer(version));
    }
    Ok(Open { driver, client })
}

/// Makes the tables where there are none. The version of the schema that is there then.
async fn migrated(client: &mut Client) -> Result<i64, Error> {
    let transaction = client.transaction().await?;
    let lock: &[(&(dyn ToSql + Sync), Type)] = &[(&LOCK, Type::INT8)];
    transaction
        .query_typed("SELECT pg_advisory_xact_lock($1)", lock)
        .await?;
    let there = "SELECT to_regclass('llm_proxy_schema') IS NOT NULL";
    if !transaction
        .query_typed_one(there, &[])
        .await?
        .try_get::<_, bool>(0)?
    {
        transaction.batch_execute(FIRST).await?;
    }
    let version = "SELECT max(version) FROM llm_proxy_schema";
    let version = transaction
        .query_typed_one(version, &[])
        .await?
        .try_get::<_, Option<i64>>(0)?;
    transaction.commit().await?;
    Ok(version.unwrap_or(VERSION))
}

/// What went wrong, in the server's words where it has some. A URL is in none of them.
fn trouble(error: &Error) -> Trouble {
    let Some(said) = error.as_db_error() else {
        let cause = error.source().map(ToString::to_string);
        let why = error.to_string();
        let why = cause
            .filter(|cause| !why.contains(cause.as_str()))
            .map_or(why.clone(), |cause| format!("{why}: {cause}"));
        return Trouble::later(why);
    };
    // Classes 22 and 23 of SQLSTATE: the data are at fault.
    let data = ["22", "23"]
        .iter()
        .any(|class| said.code().code().starts_with(class));
    Trouble {
        why: said.message().to_owned(),
        hope: if data { Hope::NotThese } else { Hope::Later },
    }
}
