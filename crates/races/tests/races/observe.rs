//! What is counted of requests as they end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use llm_dialect::Api;
use loom::future::block_on;
use loom::thread;
use races::base::Class;
use races::observe::access::Record;
use races::observe::finished::Finished;
use races::observe::lately::Lately;
use races::observe::outbox::Outbox;
use races::observe::{Attempt, BackendMeters, note, put};

use super::in_every_order;

fn attempt(class: Option<Class>) -> Attempt {
    Attempt {
        backend: Arc::new(BackendMeters::new("a")),
        key: Arc::from("a#1"),
        model: Arc::from("m"),
        api: Api::Chat,
        span: None,
        after: Duration::ZERO,
        class,
        kind: None,
        status: None,
        took: Duration::ZERO,
        cooldown: None,
    }
}

#[test]
fn each_attempt_is_in_one_cell_whenever_a_cell_is_closed() {
    in_every_order(|| {
        let lately = Arc::new(Lately::default());
        let noting = [None, Some(Class::Server)].map(|class| {
            let lately = Arc::clone(&lately);
            thread::spawn(move || note(&lately, &attempt(class), SystemTime::UNIX_EPOCH))
        });
        lately.close();
        for noted in noting {
            noted.join().unwrap();
        }
        let cells = lately.view().cells;
        let sums = (
            cells.iter().map(|cell| cell.answered).sum::<u32>(),
            cells.iter().map(|cell| cell.failed).sum::<u32>(),
        );
        assert_eq!(sums, (1, 1));
    });
}

#[test]
fn a_row_of_failures_is_as_long_as_there_were_failures() {
    in_every_order(|| {
        let lately = Arc::new(Lately::default());
        let other = Arc::clone(&lately);
        let other =
            thread::spawn(move || note(&other, &attempt(Some(Class::Server)), SystemTime::UNIX_EPOCH));
        note(&lately, &attempt(Some(Class::Server)), SystemTime::UNIX_EPOCH);
        other.join().unwrap();
        assert_eq!(lately.view().in_a_row, 2);
    });
}

fn finished() -> Finished {
    Finished {
        record: Record::default(),
        status: 200,
        class: None,
        failed: false,
        elapsed: Duration::ZERO,
        at: SystemTime::UNIX_EPOCH,
    }
}

#[test]
fn whoever_takes_what_waits_hears_of_all_of_it() {
    in_every_order(|| {
        let outbox = Arc::new(Outbox::default());
        outbox.set_open(true);
        for _ in 0..2 {
            let outbox = Arc::clone(&outbox);
            thread::spawn(move || put(&outbox, finished()));
        }
        let mut taken = 0;
        while taken < 2 {
            block_on(outbox.arrived());
            taken += outbox.take().len();
        }
    });
}
