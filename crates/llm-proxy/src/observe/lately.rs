//! How a backend did in the last quarter of an hour: for whoever looks whether it is well.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::access::Attempt;
use super::series::{KEPT, STEP};
use crate::base::Class;
use crate::base::atomic::{AtomicU32, Ordering};
use crate::health::Scope;

/// So many points of the [series](super::series) make one cell: half a minute.
pub const POINTS: usize = 6;
/// How many cells are kept: as long as the series is.
pub const CELLS: usize = KEPT / POINTS;
/// How long a cell is, in seconds.
pub const SECONDS: u64 = STEP.as_secs() * POINTS as u64;

/// What is kept of a backend.
#[derive(Debug, Default)]
pub struct Lately {
    answered: AtomicU32,
    failed: AtomicU32,
    /// Failures since the last answer.
    in_a_row: AtomicU32,
    rest: Mutex<Rest>,
}

#[derive(Debug, Default)]
struct Rest {
    closed: VecDeque<Cell>,
    last: Option<Loss>,
}

/// The attempts of half a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Those that the backend answered.
    pub answered: u32,
    /// Those that failed by its fault.
    pub failed: u32,
}

/// An attempt that failed by the backend's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What it came to.
    pub class: Class,
    /// What is used up, where that is told.
    pub kind: Option<&'static str>,
    /// The backend's status, where one came.
    pub status: Option<u16>,
    /// The backend's model.
    pub model: Arc<str>,
    /// The name of the key.
    pub key: Arc<str>,
    /// When its request ended.
    pub at: SystemTime,
}

/// What is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatelyView {
    /// Half minutes, the oldest first; the last has not ended.
    pub cells: Vec<Cell>,
    /// Failures since the last answer.
    pub in_a_row: u32,
    /// The last failure.
    pub last: Option<Loss>,
}

impl Lately {
    /// An attempt whose request ended at `at`. What is nobody's fault over there counts as neither.
    pub(super) fn attempt(&self, attempt: &Attempt, at: SystemTime) {
        let Some(class) = attempt.class else {
            self.answered.fetch_add(1, Ordering::Relaxed);
            if self.in_a_row.load(Ordering::Relaxed) > 0 {
                self.in_a_row.store(0, Ordering::Relaxed);
            }
            return;
        };
        if Scope::of(class).is_none() {
            return;
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.in_a_row.fetch_add(1, Ordering::Relaxed);
        self.rest.lock().last = Some(Loss {
            class,
            kind: attempt.kind,
            status: attempt.status,
            model: Arc::clone(&attempt.model),
            key: Arc::clone(&attempt.key),
            at,
        });
    }

    /// The operator has forgiven it what was.
    pub fn forgive(&self) {
        self.in_a_row.store(0, Ordering::Relaxed);
    }

    /// Half a minute is over.
    pub fn close(&self) {
        let cell = Cell {
            answered: self.answered.swap(0, Ordering::Relaxed),
            failed: self.failed.swap(0, Ordering::Relaxed),
        };
        let closed = &mut self.rest.lock().closed;
        if closed.len() >= CELLS {
            closed.pop_front();
        }
        closed.push_back(cell);
    }

    /// What is known now.
    pub fn view(&self) -> LatelyView {
        let rest = self.rest.lock();
        let open = Cell {
            answered: self.answered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        };
        LatelyView {
            cells: rest.closed.iter().copied().chain([open]).collect(),
            in_a_row: self.in_a_row.load(Ordering::Relaxed),
            last: rest.last.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use llm_dialect::Api;

    use std::time::Duration;

    use super::*;
    use crate::observe::BackendMeters;

    fn attempt(class: Option<Class>, status: u16) -> Attempt {
        Attempt {
            backend: Arc::new(BackendMeters::new("a")),
            key: Arc::from("a#1"),
            model: Arc::from("m"),
            api: Api::Chat,
            span: None,
            after: Duration::ZERO,
            class,
            kind: None,
            status: Some(status),
            took: Duration::ZERO,
            cooldown: None,
        }
    }

    #[test]
    fn an_answer_ends_a_row_of_failures_and_the_last_of_them_stays_known() {
        let lately = Lately::default();
        let at = SystemTime::UNIX_EPOCH;
        lately.attempt(&attempt(Some(Class::Server), 500), at);
        lately.attempt(&attempt(Some(Class::Unavailable), 503), at);
        let view = lately.view();
        assert_eq!(view.in_a_row, 2);
        assert_eq!(
            view.last.map(|loss| (loss.class, loss.status)),
            Some((Class::Unavailable, Some(503)))
        );
        lately.attempt(&attempt(None, 200), at);
        let view = lately.view();
        assert_eq!((view.in_a_row, view.last.is_some()), (0, true));
        assert_eq!(
            view.cells,
            [Cell {
                answered: 1,
                failed: 2
            }]
        );
        lately.attempt(&attempt(Some(Class::Server), 500), at);
        lately.forgive();
        assert_eq!(lately.view().in_a_row, 0);
    }

    #[test]
    fn what_is_nobodys_fault_over_there_counts_as_neither() {
        let lately = Lately::default();
        for class in [
            Class::Client,
            Class::ClientGone,
            Class::Local,
            Class::ContextLength,
        ] {
            lately.attempt(&attempt(Some(class), 400), SystemTime::UNIX_EPOCH);
        }
        let view = lately.view();
        assert_eq!(
            (view.cells, view.in_a_row, view.last),
            (vec![Cell::default()], 0, None)
        );
    }

    #[test]
    fn so_many_half_minutes_are_kept_and_the_one_that_runs() {
        let lately = Lately::default();
        for _ in 0..CELLS + 5 {
            lately.attempt(&attempt(None, 200), SystemTime::UNIX_EPOCH);
            lately.close();
        }
        let cells = lately.view().cells;
        assert_eq!(cells.len(), CELLS + 1);
        assert_eq!((cells[0].answered, cells[CELLS].answered), (1, 0));
    }
}
