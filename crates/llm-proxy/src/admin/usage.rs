//! `GET /api/usage`: what requests used and cost, by key, model, backend or day.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::base::{Day, clock};
use crate::observe::ledger::{self, By, State, Sum, total};
use crate::state::Live;

/// How many days are told of where the query says nothing; today is one of them.
const USUAL_DAYS: u32 = 7;
/// The most that may be asked for: as long as a ledger keeps its days.
const MAX_DAYS: u32 = 400;

/// How long a ledger may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    by: By,
    days: u32,
}

impl Asked {
    /// Reads a query.
    ///
    /// # Errors
    /// A sentence on the parameter that is wrong.
    pub(super) fn read(query: &str) -> Result<Self, &'static str> {
        let mut asked = Self {
            by: By::Key,
            days: USUAL_DAYS,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("by", name) => {
                    let by = By::from_name(name);
                    asked.by = by.ok_or("`by` is one of key, model, backend and day.")?;
                }
                ("days", number) => {
                    let days = number.parse().ok().filter(|days| (1..=MAX_DAYS).contains(days));
                    asked.days = days.ok_or("`days` is a whole number from 1 to 400.")?;
                }
                _ => return Err("The parameters of this path are `by` and `days`."),
            }
        }
        Ok(asked)
    }
}

/// The answer: from the ledger, else from what this process remembers since its start.
pub(super) async fn usage(live: &Live, asked: Asked) -> Value {
    let today = Day::of(clock::wall());
    let since = today.before(asked.days - 1);
    let ledger = live.access.ledger();
    let read = match ledger.at() {
        Some(at) => Some(ledger::read_apart(at, (since, today), PATIENCE).await),
        None => None,
    };
    let (source, rows, begins, error) = match read {
        Some(Ok(sums)) => ("ledger", sums.table(asked.by, since), since.begins(), None),
        unread => {
            let started = SystemTime::UNIX_EPOCH + Duration::from_secs(live.reloads.started);
            let rows = live.access.recent().table(asked.by, since);
            (
                "memory",
                rows,
                since.begins().max(started),
                unread.and_then(Result::err),
            )
        }
    };
    let mut state = standing(&ledger.state());
    if let (Some(error), Some(state)) = (error, state.as_object_mut()) {
        state.insert("error".to_owned(), Value::from(error));
    }
    let whole = one(&total(&rows));
    let rows: Vec<Value> = rows.iter().map(named).collect();
    json!({
        "source": source,
        "since": clock::utc(begins),
        "by": asked.by.name(),
        "rows": rows,
        "total": whole,
        "ledger": state,
    })
}

/// How the ledger stands. What went wrong may be in the words of a database.
pub(super) fn standing(state: &State) -> Value {
    json!({
        "url": state.kind.unwrap_or("off"),
        "pending": state.pending,
        "dropped": state.dropped,
        "error": state.error.as_deref(),
    })
}

fn named((name, sum): &(String, Sum)) -> Value {
    let mut row = one(sum);
    if let Some(members) = row.as_object_mut() {
        members.insert("name".to_owned(), Value::from(name.as_str()));
    }
    row
}

fn one(sum: &Sum) -> Value {
    json!({
        "requests": sum.requests,
        "errors": sum.errors,
        "input_tokens": sum.input,
        "cached_tokens": sum.cached,
        "output_tokens": sum.output,
        "cost_usd": sum.cost(),
        "unpriced": sum.unpriced,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_by_what_and_for_how_long() {
        let asked = |by, days| Ok(Asked { by, days });
        let by = Err("`by` is one of key, model, backend and day.");
        let days = Err("`days` is a whole number from 1 to 400.");
        for (query, expected) in [
            ("", asked(By::Key, 7)),
            ("by=model", asked(By::Model, 7)),
            ("days=30&by=day", asked(By::Day, 30)),
            ("by=backend&days=1&", asked(By::Backend, 1)),
            ("by=alias", by),
            ("by=", by),
            ("by", by),
            ("days=0", days),
            ("days=401", days),
            ("days=-1", days),
            ("days=7d", days),
            ("since=7", Err("The parameters of this path are `by` and `days`.")),
        ] {
            assert_eq!(Asked::read(query), expected, "{query}");
        }
    }
}
