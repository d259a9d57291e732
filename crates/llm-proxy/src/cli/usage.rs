//! `llm-proxy usage`: what requests used and cost, from the ledger.

mod table;

use std::fmt::Write as _;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::Outcome;
use super::args::UsageOf;
use crate::base::{Cost, Day, clock, units};
use crate::config;
use crate::observe::ledger::{self, By, Sum, total};

/// Exit code: a failure of the moment.
const FAILED: u8 = 1;
/// Exit code: a wrong config or usage.
const WRONG: u8 = 2;
/// Where nothing is said, the days that are told of begin so many days ago.
const USUAL: &str = "7d";
/// Seconds of a day.
const DAY: u64 = 86_400;
/// How many days a ledger keeps its sums.
const MOST_DAYS: u64 = 400;

/// The days that are told of, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Days {
    from: Day,
    to: Day,
}

/// Prints the usage of some days.
pub(super) fn run(asked: &UsageOf, colour: bool) -> Outcome {
    let loaded = match config::load(&asked.at.path()) {
        Ok(loaded) => loaded,
        Err(report) => return Outcome::failed(report.render(colour) + "\n", WRONG),
    };
    let days = match Days::of(asked, clock::wall()) {
        Ok(days) => days,
        Err(sentence) => return Outcome::failed(sentence + "\n", WRONG),
    };
    let Some(ledger) = loaded.config.ledger else {
        let path = asked.at.path();
        let sentence = format!(
            "The ledger is off, so no usage was kept: put `ledger: {{url: \"sqlite:llm-proxy.db\"}}` into {} and reload.\n",
            path.display()
        );
        return Outcome::failed(sentence, WRONG);
    };
    match ledger::read(&ledger.at, (days.from, days.to)) {
        Ok(sums) => Outcome::fine(told(&sums.table(asked.by, days.from), days, asked)),
        Err(why) => Outcome::failed(format!("Cannot read the ledger: {why}.\n"), FAILED),
    }
}

fn told(rows: &[(String, Sum)], days: Days, asked: &UsageOf) -> String {
    if asked.csv {
        csv(rows, asked.by)
    } else if asked.json {
        json(rows, days, asked.by).to_string() + "\n"
    } else {
        table::of(rows, &days.to_string(), asked.by)
    }
}

impl Days {
    /// Those that are asked for.
    fn of(asked: &UsageOf, now: SystemTime) -> Result<Self, String> {
        let today = Day::of(now);
        let since = asked.since.as_deref().unwrap_or(USUAL);
        let from = day(since, today).ok_or_else(|| {
            format!(
                "`--since` is a number of days such as `30d`, or a date such as `2026-11-26`, not `{since}`."
            )
        })?;
        let to = match asked.until.as_deref() {
            None => today,
            Some(until) => Day::read(until)
                .ok_or_else(|| format!("`--until` is a date such as `2026-11-26`, not `{until}`."))?,
        };
        if to < from {
            return Err(format!("`--until` ({to}) lies before `--since` ({from})."));
        }
        Ok(Self { from, to })
    }
}

/// A date, or so many days of which today is one.
fn day(text: &str, today: Day) -> Option<Day> {
    if let Some(day) = Day::read(text) {
        return Some(day);
    }
    let span = units::duration(text)?.as_secs();
    let days = Some(span / DAY).filter(|days| span % DAY == 0 && (1..=MOST_DAYS).contains(days))?;
    Some(today.before(u32::try_from(days - 1).ok()?))
}

impl std::fmt::Display for Days {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.from == self.to {
            write!(f, "{}", self.from)
        } else {
            write!(f, "{} to {}", self.from, self.to)
        }
    }
}

/// A line a row, for other programs: without a sum at the end.
fn csv(rows: &[(String, Sum)], by: By) -> String {
    let mut text = format!(
        "{},requests,errors,input_tokens,cached_tokens,output_tokens,cost_usd,unpriced\n",
        by.name()
    );
    for (name, sum) in rows {
        let cost = sum.cost().map(|cost| cost.to_string()).unwrap_or_default();
        let Sum {
            requests,
            errors,
            input,
            cached,
            output,
            unpriced,
            ..
        } = sum;
        let name = quoted(name);
        let _ = writeln!(
            text,
            "{name},{requests},{errors},{input},{cached},{output},{cost},{unpriced}"
        );
    }
    text
}

/// A field of CSV (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn json(rows: &[(String, Sum)], days: Days, by: By) -> Value {
    let named: Vec<Value> = rows.iter().map(|(name, sum)| member(Some(name), sum)).collect();
    json!({
        "since": days.from.to_string(),
        "until": days.to.to_string(),
        "by": by.name(),
        "rows": named,
        "total": member(None, &total(rows)),
    })
}

fn member(name: Option<&str>, sum: &Sum) -> Value {
    let mut row = json!({
        "requests": sum.requests,
        "errors": sum.errors,
        "input_tokens": sum.input,
        "cached_tokens": sum.cached,
        "output_tokens": sum.output,
        "cost_usd": sum.cost().map(Cost::dollars),
        "unpriced": sum.unpriced,
    });
    if let (Some(name), Some(members)) = (name, row.as_object_mut()) {
        members.insert("name".to_owned(), Value::from(name));
    }
    row
}

#[cfg(test)]
mod tests;
