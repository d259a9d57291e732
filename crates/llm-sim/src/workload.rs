//! Answers chosen by the model's name, for the `sim` command and for benchmarks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::answer::{Answer, Cut};
use crate::api::Api;
use crate::plan::Plan;
use crate::speak::Ask;

/// Names come from outside: no more plans than this are kept.
const MAX_KEPT: usize = 256;
/// More deltas than this in one answer is a typing error.
const MAX_DELTAS: usize = 1_000_000;

/// The answer that a model's name asks for; `None` if it is no workload's name.
pub(crate) fn answer(model: &str) -> Option<Answer> {
    let mut words = model.strip_prefix("sim-")?.split('-');
    let (name, first, second) = (words.next()?, words.next(), words.next());
    if words.next().is_some() {
        return None;
    }
    let n = || first?.parse::<usize>().ok().filter(|n| *n <= MAX_DELTAS);
    let healthy = Answer::healthy();
    match (name, first, second) {
        ("small", None, None) => Some(healthy.text(small())),
        ("hang", None, None) => Some(Answer::hang()),
        ("burst", Some(_), None) => Some(streamed(n()?).one_write()),
        ("paced", Some(_), None) => Some(streamed(n()?)),
        ("slow", Some(_), Some(ms)) => Some(streamed(n()?).delay(Duration::from_millis(ms.parse().ok()?))),
        ("cut", Some(_), None) => Some(streamed(n()? + 1).after_deltas(n()?, Cut::Rst)),
        ("fail", Some(status), None) => status
            .parse()
            .ok()
            .filter(|s| (400..600).contains(s))
            .map(Answer::status),
        _ => None,
    }
}

/// A text that makes the JSON answer about 1 KiB.
fn small() -> String {
    "All happy proxies are alike. ".repeat(18)
}

/// Deltas about as long as a token.
fn streamed(deltas: usize) -> Answer {
    Answer::healthy().text("token ".repeat(deltas)).deltas(deltas)
}

/// Workloads' plans, made once for each name, API and form.
#[derive(Debug, Default)]
pub(crate) struct Plans(Mutex<HashMap<Key, Arc<Plan>>>);

type Key = (Api, String, bool, bool);

impl Plans {
    /// The plan for this request, if its model's name is a workload's. Serial numbers and token counts of
    /// the first asker stand in it, which no benchmark minds.
    pub(crate) fn get(&self, ask: &Ask) -> Option<Arc<Plan>> {
        if !ask.model.starts_with("sim-") {
            return None;
        }
        if !ask.api.converses() {
            // What these answer depends on more than the key holds.
            return answer(&ask.model).map(|answer| Arc::new(Plan::of(&answer, ask)));
        }
        let key = (ask.api, ask.model.clone(), ask.stream, ask.include_usage);
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(&key) {
            return Some(Arc::clone(plan));
        }
        let plan = Arc::new(Plan::of(&answer(&ask.model)?, ask));
        if plans.len() < MAX_KEPT {
            plans.insert(key, Arc::clone(&plan));
        }
        Some(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_named_to_the_letter() {
        for name in [
            "sim-small",
            "sim-burst-100",
            "sim-paced-7",
            "sim-slow-3-50",
            "sim-fail-529",
            "sim-hang",
            "sim-cut-2",
        ] {
            assert!(answer(name).is_some(), "{name}");
        }
        for name in [
            "gpt-5",
            "sim-",
            "sim-small-1",
            "sim-burst",
            "sim-burst-x",
            "sim-slow-3",
            "sim-fail-200",
            "sim-cut-2-3-4",
            "sim-burst-99999999",
        ] {
            assert!(answer(name).is_none(), "{name}");
        }
    }
}
