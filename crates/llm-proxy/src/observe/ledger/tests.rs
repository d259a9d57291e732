//! A ledger in a file, and the queue before it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use llm_dialect::usage::Usage;

use super::sqlite::Sqlite;
use super::store::Batch;
use super::*;
use crate::base::Cost;
use crate::observe::Record;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("llm-proxy-ledger-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join("ledger.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A row of that key, with these tokens of input.
fn row(key: &str, input: u64) -> Row {
    let record = Record {
        request_id: "r".repeat(40),
        key: Some(Arc::from(key)),
        status: Some(200),
        complete: true,
        usage: Usage {
            input: Some(input),
            ..Usage::default()
        },
        cost: Some(Cost::from_nanos(input)),
        ..Record::default()
    };
    let line = Line::of(&record, Duration::from_millis(5), SystemTime::UNIX_EPOCH);
    Row::of(&line)
}

fn batch(rows: Vec<Row>) -> Batch {
    Batch {
        writer: 1,
        number: 1,
        rows,
    }
}

/// All days that there can be.
const ALWAYS: (Day, Day) = (Day(0), Day(100_000));

#[test]
fn l22_a_full_disk_takes_all_of_a_batch_or_nothing_and_later_all_of_it() {
    let folder = Folder::new();
    let mut store = Sqlite::writer(&folder.file());
    store.write(&batch(vec![row("team", 1)])).unwrap();
    store.limit_pages(12);
    let many = batch((0..2_000).map(|_| row("team", 10)).collect());
    let trouble = store.write(&many).unwrap_err();
    assert_eq!(
        (trouble.why.as_str(), trouble.hope),
        ("the disk is full", Hope::Later)
    );
    let spent = |store: &mut Sqlite| store.sums(ALWAYS).unwrap().spent("team", Day(0));
    assert_eq!(spent(&mut Sqlite::reader(&folder.file())), Cost::from_nanos(1));
    // It was closed by the failure, and is opened anew: there is room now.
    store.write(&many).unwrap();
    assert_eq!(spent(&mut store), Cost::from_nanos(20_001));
}

#[test]
fn a_reader_makes_no_file_and_says_what_makes_one() {
    let folder = Folder::new();
    let why = read(&LedgerAt::Sqlite(folder.file()), ALWAYS).unwrap_err();
    assert!(why.contains("the proxy makes it when it starts"), "{why}");
    assert!(!folder.file().exists());
}

#[test]
fn numbers_that_no_request_has_do_not_reach_the_sums() {
    let folder = Folder::new();
    let mut store = Sqlite::writer(&folder.file());
    store
        .write(&batch(vec![row("team", u64::MAX), row("team", u64::MAX)]))
        .unwrap();
    let sums = store.sums(ALWAYS).unwrap();
    let (_, sum) = sums.iter().next().unwrap();
    assert_eq!((sum.input, sum.requests), (2_000_000_000_000, 2));
    assert_eq!(sum.cost, 2_000_000_000_000_000);
}

#[test]
fn what_waits_is_bounded_and_what_is_too_much_is_counted() {
    let queue = Queue::default();
    let settings = Settings {
        at: LedgerAt::Sqlite(PathBuf::from("nowhere")),
        retention: None,
    };
    assert!(!queue.is_on());
    queue.order(Some(settings));
    assert!(queue.is_on());
    for _ in 0..50_010 {
        queue.take(row("team", 1));
    }
    let state = queue.state();
    assert_eq!(
        (state.kind, state.pending, state.dropped),
        (Some("sqlite"), 50_000, 10)
    );
    // What is being written waits too, as long as it is not.
    assert_eq!(queue.batch().len(), 2_000);
    assert_eq!(queue.state().pending, 50_000);
    queue.settled();
    assert_eq!(queue.state().pending, 48_000);
    assert_eq!(queue.closed(), 48_000);
    assert_eq!((queue.state().pending, queue.dropped()), (0, 48_010));
}

/// All columns of all rows that are in that file, in their order.
fn table(folder: &Folder) -> Vec<Vec<rusqlite::types::Value>> {
    let file = rusqlite::Connection::open(folder.file()).unwrap();
    let mut query = file
        .prepare("SELECT * FROM llm_proxy_requests ORDER BY rowid")
        .unwrap();
    let columns = 0..query.column_count();
    let rows = query.query_map([], |row| columns.clone().map(|at| row.get(at)).collect());
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_row_is_the_same_whichever_rows_are_written_with_it() {
    let nothing = Row {
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
        key: None,
        request_id: "other".to_owned(),
        usage: Usage::default(),
        cost: None,
        ..row("team", 1)
    };
    let all = Row {
        alias: Some(Arc::from("alias")),
        backend: Some(Arc::from("backend")),
        model: Some(Arc::from("model")),
        dialect: llm_dialect::Dialect::Messages,
        status: 502,
        class: Some("server"),
        cancelled: true,
        attempts: 3,
        usage: Usage {
            input: Some(5),
            output: Some(4),
            cache_read: Some(3),
            cache_write: Some(2),
            cache_write_1h: None,
            reasoning: Some(1),
        },
        first_byte: Some(Duration::from_millis(7)),
        elapsed: Duration::from_millis(8),
        generation: 9,
        ..row("team", 1)
    };
    let rows = [&all, &nothing, &nothing, &all, &row("other", 2), &all].map(Clone::clone);
    let (together, alone) = (Folder::new(), Folder::new());
    let mut store = Sqlite::writer(&together.file());
    store.write(&batch(rows.to_vec())).unwrap();
    let mut store = Sqlite::writer(&alone.file());
    for row in rows {
        store.write(&batch(vec![row])).unwrap();
    }
    let rows = table(&together);
    assert_eq!(rows.len(), 6);
    assert!(rows[0].iter().all(|value| *value != rusqlite::types::Value::Null));
    assert_eq!(rows, table(&alone));
}
