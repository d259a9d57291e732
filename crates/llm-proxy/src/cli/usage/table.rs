//! Usage as a table for eyes: names to the left, numbers to the right, a sum below.

use std::fmt::Write as _;

use crate::base::Cost;
use crate::observe::ledger::{By, Sum, total};
use crate::observe::one_line;

const COLUMNS: usize = 8;
/// The longest name that is shown whole.
const WIDEST: usize = 48;

/// The table.
pub(super) fn of(rows: &[(String, Sum)], days: &str, by: By) -> String {
    if rows.is_empty() {
        return format!("No request is in the ledger for {days} (UTC).\n");
    }
    let all = total(rows);
    let head = [
        by.name(),
        "requests",
        "errors",
        "input",
        "cached",
        "cache hits",
        "output",
        "cost",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows.iter().map(|(name, sum)| cells(name, sum)));
    lines.push(cells("total", &all));
    let widths = widths(&lines);
    let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (COLUMNS - 1));
    let mut text = format!("Usage by {}, {days} (UTC)\n\n", by.name());
    for (at, line) in lines.iter().enumerate() {
        if at == 1 || at + 1 == lines.len() {
            text.push_str(&rule);
            text.push('\n');
        }
        text.push_str(&aligned(line, &widths));
    }
    if all.unpriced > 0 {
        let _ = write!(
            text,
            "\n{} used tokens of models whose price is not known: what they cost is not in the sums.\n",
            match all.unpriced {
                1 => "1 request".to_owned(),
                some => format!("{} requests", grouped(some)),
            }
        );
    }
    text
}

fn cells(name: &str, sum: &Sum) -> [String; COLUMNS] {
    [
        cut(&one_line(name)),
        grouped(sum.requests),
        grouped(sum.errors),
        grouped(sum.input),
        grouped(sum.cached),
        sum.hit_ratio()
            .map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0)),
        grouped(sum.output),
        sum.cost().map_or_else(|| "-".to_owned(), dollars),
    ]
}

/// Dollars to a hundredth of a cent: enough for a request, and short enough for a month.
fn dollars(cost: Cost) -> String {
    const UNIT: u64 = 100_000;
    let units = cost.nanos().div_ceil(UNIT);
    format!("${}.{:04}", grouped(units / 10_000), units % 10_000)
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn cut(name: &str) -> String {
    if name.chars().count() <= WIDEST {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(WIDEST - 1).collect();
    short.push('…');
    short
}

fn widths(lines: &[[String; COLUMNS]]) -> [usize; COLUMNS] {
    let mut widths = [0; COLUMNS];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    widths
}

fn aligned(line: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let mut text = String::new();
    for (at, (cell, width)) in line.iter().zip(widths).enumerate() {
        let _ = match at {
            0 => write!(text, "{cell:<width$}"),
            _ => write!(text, "  {cell:>width$}"),
        };
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
