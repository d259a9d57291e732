//! What requests used and cost: the sums that the admin listener tells, and the rows of the ledger.

mod budgets;
mod config;
mod rows;
mod trouble;
mod usage;

use std::path::PathBuf;
use std::process::{Command, Output};

use llm_proxy::base::Cost;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::support::{Client, Proxy, until};

/// The answer to a query of `/api/usage`.
pub async fn usage(proxy: &Proxy, query: &str) -> Value {
    let reply = Client::plain(proxy.admin())
        .get(&format!("/api/usage{query}"))
        .await;
    reply.expect(200).json()
}

/// `llm-proxy usage` for the config of that proxy.
fn command(proxy: &Proxy, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_llm-proxy"))
        .arg("usage")
        .args(args)
        .arg("-c")
        .arg(proxy.dir().join("config.yaml"))
        .output()
        .unwrap()
}

/// A ledger in a file, read while the proxy writes it.
pub struct Book(PathBuf);

impl Book {
    /// That file in the folder of the proxy's config.
    pub fn of(proxy: &Proxy, file: &str) -> Self {
        Self(proxy.dir().join(file))
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        Connection::open_with_flags(&self.0, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Its rows in their order, each by the names of its columns.
    pub fn rows(&self) -> Vec<Value> {
        self.all("SELECT * FROM llm_proxy_requests ORDER BY rowid")
            .unwrap_or_default()
    }

    fn all(&self, query: &str) -> rusqlite::Result<Vec<Value>> {
        let connection = self.open()?;
        let mut query = connection.prepare(query)?;
        let names: Vec<String> = query.column_names().map(str::to_owned).collect();
        let row = |row: &rusqlite::Row<'_>| {
            let value = |at: usize| match row.get_ref(at).unwrap() {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => json!(number),
                ValueRef::Real(number) => json!(number),
                ValueRef::Text(text) => json!(std::str::from_utf8(text).unwrap()),
                ValueRef::Blob(bytes) => json!(bytes),
            };
            let members = names
                .iter()
                .enumerate()
                .map(|(at, name)| (name.clone(), value(at)));
            Ok(Value::Object(members.collect()))
        };
        query.query_map([], row)?.collect()
    }

    /// Waits until there are so many rows; no more may come.
    pub async fn filled(&self, count: usize) -> Vec<Value> {
        let rows = until(&format!("{count} rows"), async || {
            Some(self.rows()).filter(|rows| rows.len() >= count)
        })
        .await;
        assert_eq!(rows.len(), count);
        rows
    }

    /// The sum of a column over its days.
    pub fn sum(&self, column: &str) -> u64 {
        let query = format!("SELECT sum({column}) AS sum FROM llm_proxy_days");
        self.all(&query).unwrap()[0]["sum"].as_u64().unwrap()
    }

    /// Changes it behind the proxy's back.
    fn change(&self, statements: &str) {
        Connection::open(&self.0)
            .unwrap()
            .execute_batch(statements)
            .unwrap();
    }
}

/// The row that has to be there for an access record.
pub fn expected_row(record: &Value) -> Value {
    let mut row = record.clone();
    let members = row.as_object_mut().unwrap();
    for field in ["level", "msg", "ip", "queue_ms", "warnings", "skipped"] {
        members.remove(field);
    }
    let time: jiff::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
    let cost = members.remove("cost_usd").unwrap();
    let host = gethostname::gethostname().into_string().unwrap();
    let attempts = record["attempts"].as_array().unwrap().len();
    for (name, value) in [
        ("time", json!(time.as_millisecond())),
        ("attempts", json!(attempts)),
        ("cancelled", json!(i32::from(record["cancelled"] == true))),
        (
            "cost_nano_usd",
            cost.as_f64()
                .map_or(Value::Null, |cost| json!(Cost::from_dollars(cost).nanos())),
        ),
        ("cache_write_tokens", record["cache_write_tokens"].clone()),
        ("reasoning_tokens", record["reasoning_tokens"].clone()),
        ("node", json!(host)),
    ] {
        members.insert(name.to_owned(), value);
    }
    row
}
