//! The books: each request that was begun has one outcome and one access line, and the two agree.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::judge::Outcome;

/// More violations than these are counted, but not kept.
const KEPT: usize = 20;

/// What an access line says, as far as it can be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) nonce: u64,
    status: u64,
    failed: bool,
    cancelled: bool,
    attempts: usize,
}

impl Line {
    /// Reads a line of the log; `None` if it is no access line.
    pub(super) fn read(line: &Value) -> Option<Self> {
        if line.get("msg")? != "request" {
            return None;
        }
        Some(Self {
            nonce: u64::from_str_radix(line.get("request_id")?.as_str()?, 16).ok()?,
            status: line.get("status")?.as_u64()?,
            failed: !line.get("class")?.is_null(),
            cancelled: line.get("cancelled")?.as_bool()?,
            attempts: line.get("attempts")?.as_array()?.len(),
        })
    }

    /// What the log says otherwise than the client. Whoever leaves may have been told all without knowing it.
    fn contradiction(&self, outcome: Outcome) -> Option<String> {
        let Self {
            status,
            failed,
            cancelled,
            ..
        } = *self;
        let agrees = match outcome {
            Outcome::Whole => status == 200 && !failed && !cancelled,
            Outcome::Refused(heard) => status == u64::from(heard) && failed && !cancelled,
            Outcome::Broken => status == 200 && failed && !cancelled,
            Outcome::Left(_) => true,
        };
        (!agrees).then(|| format!("the client says {outcome:?}, the log {self:?}"))
    }
}

/// What is known of a request so far.
#[derive(Default)]
struct Page {
    outcome: Option<Outcome>,
    line: Option<Line>,
}

/// Figures of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    pub(super) begun: u64,
    pub(super) lines: u64,
    /// By what was asked and what it came to.
    pub(super) outcomes: BTreeMap<(&'static str, Outcome), u64>,
    /// Requests of more than one attempt.
    pub(super) fell_back: u64,
    /// Requests whose clients left before the proxy had read them.
    pub(super) unheard: u64,
    pub(super) violated: u64,
    pub(super) violations: Vec<String>,
}

#[derive(Default)]
struct Book {
    open: HashMap<u64, Page>,
    sums: Sums,
}

/// All requests of a run. Those that are settled leave nothing but sums.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Book>);

impl Ledger {
    /// A request is about to be sent.
    pub(super) fn begin(&self, nonce: u64) {
        let mut book = self.book();
        book.sums.begun += 1;
        book.open.insert(nonce, Page::default());
    }

    /// It has ended.
    pub(super) fn end(&self, nonce: u64, what: &'static str, outcome: Outcome) {
        let mut book = self.book();
        *book.sums.outcomes.entry((what, outcome)).or_default() += 1;
        if let Some(page) = book.open.get_mut(&nonce) {
            page.outcome = Some(outcome);
        }
        book.settle(nonce);
    }

    /// An access line was written.
    pub(super) fn line(&self, line: Line) {
        let mut book = self.book();
        let nonce = line.nonce;
        book.sums.lines += 1;
        book.sums.fell_back += u64::from(line.attempts > 1);
        match book.open.get_mut(&nonce) {
            Some(page) if page.line.is_none() => page.line = Some(line),
            _ => book.violate(format!("a second access line of {nonce:016x}, or one of nobody")),
        }
        book.settle(nonce);
    }

    /// Something is wrong. A request that ended wrongly has no outcome.
    pub(super) fn violate(&self, what: String) {
        self.book().violate(what);
    }

    /// How many requests still lack their outcome or their line. Who left without having heard anything may never get one.
    pub(super) fn unsettled(&self) -> usize {
        let book = self.book();
        let pages = book.open.values();
        pages
            .filter(|page| page.outcome != Some(Outcome::Left(false)))
            .count()
    }

    pub(super) fn violated(&self) -> u64 {
        self.book().sums.violated
    }

    /// Closes the books: what is open now stays open.
    pub(super) fn close(&self) -> Sums {
        let mut book = self.book();
        for (nonce, page) in std::mem::take(&mut book.open) {
            match page.outcome {
                Some(Outcome::Left(false)) => book.sums.unheard += 1,
                Some(outcome) => book.violate(format!(
                    "{nonce:016x} ended as {outcome:?} without an access line"
                )),
                // That it ended wrongly has been told.
                None => {}
            }
        }
        book.sums.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn settle(&mut self, nonce: u64) {
        let Some(Page {
            outcome: Some(outcome),
            line: Some(line),
        }) = self.open.get(&nonce)
        else {
            return;
        };
        let contradiction = line.contradiction(*outcome);
        self.open.remove(&nonce);
        if let Some(what) = contradiction {
            self.violate(what);
        }
    }

    fn violate(&mut self, what: String) {
        self.sums.violated += 1;
        if self.sums.violations.len() < KEPT {
            self.sums.violations.push(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(nonce: u64, status: u16, class: Option<&str>) -> Line {
        let line = json!({
            "msg": "request", "request_id": format!("{nonce:016x}"), "status": status, "class": class,
            "cancelled": false, "attempts": [{}, {}],
        });
        Line::read(&line).expect("an access line")
    }

    #[test]
    fn a_request_with_one_outcome_and_one_line_leaves_sums_alone() {
        let ledger = Ledger::default();
        ledger.begin(1);
        ledger.begin(2);
        ledger.line(line(1, 200, None));
        ledger.end(1, "json", Outcome::Whole);
        ledger.end(2, "json", Outcome::Refused(502));
        assert_eq!(ledger.unsettled(), 1, "the second has no line yet");
        ledger.line(line(2, 502, Some("server")));
        let sums = ledger.close();
        assert_eq!(
            (sums.begun, sums.lines, sums.fell_back, sums.violated),
            (2, 2, 2, 0)
        );
        assert_eq!(sums.outcomes.get(&("json", Outcome::Whole)), Some(&1));
    }

    #[test]
    fn a_line_too_many_and_one_too_few_are_told() {
        let ledger = Ledger::default();
        for nonce in 1..=3 {
            ledger.begin(nonce);
            ledger.end(nonce, "json", Outcome::Whole);
        }
        ledger.line(line(1, 200, None));
        ledger.line(line(1, 200, None));
        ledger.line(line(9, 200, None));
        let sums = ledger.close();
        assert_eq!(sums.violated, 4, "{:?}", sums.violations);
    }

    #[test]
    fn a_line_that_says_otherwise_than_the_client_is_told() {
        for (outcome, status, class, agrees) in [
            (Outcome::Whole, 200, None, true),
            (Outcome::Whole, 200, Some("midstream"), false),
            (Outcome::Broken, 200, Some("midstream"), true),
            (Outcome::Broken, 200, None, false),
            (Outcome::Refused(502), 503, Some("server"), false),
            (Outcome::Left(true), 499, Some("client_gone"), true),
        ] {
            let ledger = Ledger::default();
            ledger.begin(1);
            ledger.end(1, "stream", outcome);
            ledger.line(line(1, status, class));
            assert_eq!(
                ledger.close().violated == 0,
                agrees,
                "{outcome:?}, {status}, {class:?}"
            );
        }
    }

    #[test]
    fn who_left_unheard_needs_no_line() {
        let ledger = Ledger::default();
        for (nonce, heard) in [(1, false), (2, true)] {
            ledger.begin(nonce);
            ledger.end(nonce, "json", Outcome::Left(heard));
        }
        let sums = ledger.close();
        assert_eq!((sums.unheard, sums.violated), (1, 1));
    }

    #[test]
    fn violations_are_counted_beyond_those_that_are_kept() {
        let ledger = Ledger::default();
        for _ in 0..KEPT + 5 {
            ledger.violate("x".to_owned());
        }
        let sums = ledger.close();
        assert_eq!((sums.violated, sums.violations.len()), (25, KEPT));
    }
}
