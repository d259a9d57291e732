//! Which answer a request gets: the next one in the queue, else what the standing rule says.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::answer::Answer;
use crate::seen::Seen;

/// A function from a request to its answer.
pub(crate) type Rule = Arc<dyn Fn(&Seen) -> Answer + Send + Sync>;

/// The script of one simulated backend.
#[derive(Default)]
pub(crate) struct Script(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    queue: VecDeque<Answer>,
    rule: Option<Rule>,
}

impl Script {
    pub(crate) fn push(&self, answer: Answer) {
        self.lines().queue.push_back(answer);
    }

    pub(crate) fn rule(&self, rule: Rule) {
        self.lines().rule = Some(rule);
    }

    /// The scripted answer to this request; `None` where the script says nothing.
    pub(crate) fn answer(&self, seen: &Seen) -> Option<Answer> {
        let rule = {
            let mut lines = self.lines();
            if let Some(answer) = lines.queue.pop_front() {
                return Some(answer);
            }
            lines.rule.clone()
        };
        // Called outside the lock, so that a rule may itself change the script.
        rule.map(|rule| rule(seen))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("queued", &self.lines().queue.len())
            .finish_non_exhaustive()
    }
}
