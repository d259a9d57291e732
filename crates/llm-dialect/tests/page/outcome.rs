//! What becomes of a field: two requests, with it and without it, are converted and compared.

use std::collections::BTreeMap;

use llm_dialect::Dialect;
use llm_dialect::canon::{Losses, Refusal, Target, Terms};
use llm_dialect::traits::Traits;
use llm_dialect::transcode;
use serde_json::Value;

use super::rows::Row;

/// A converted request: its leaves by path, and what was lost.
struct Done {
    leaves: BTreeMap<String, String>,
    losses: Vec<String>,
}

/// The cell of a row.
pub(super) fn outcome(from: Dialect, to: Dialect, row: &Row) -> String {
    let without = converted(from, to, &row.base).expect("the base can be expressed everywhere");
    match converted(from, to, &row.with()) {
        Err(Refusal::Unsupported { param, .. }) => format!("**400** `{param}`"),
        Err(Refusal::Invalid { message, .. }) => panic!("{}: {message}", row.name),
        Ok(with) => told(row, &without, &with),
    }
}

fn told(row: &Row, without: &Done, with: &Done) -> String {
    let is_new = |(path, value): &(&String, &String)| without.leaves.get(*path) != Some(*value);
    let new: Vec<(&String, &String)> = with.leaves.iter().filter(is_new).collect();
    let named = with.losses.iter().any(|name| !without.losses.contains(name));
    let same = format!("{}: {}", row.name, row.sample);
    let shown: Vec<String> = new
        .iter()
        .map(|(path, value)| format!("{path}: {}", short(value)))
        .collect();
    match (shown.as_slice(), named) {
        ([], true) => "named".to_owned(),
        ([], false) => "-".to_owned(),
        ([one], false) if *one == same => "=".to_owned(),
        (several, named) => {
            let mut cell: Vec<String> = several.iter().take(4).map(|one| format!("`{one}`")).collect();
            if several.len() > 4 {
                cell.push("...".to_owned());
            }
            format!("{}{}", if named { "≠ " } else { "" }, cell.join(", "))
        }
    }
}

fn short(value: &str) -> String {
    let short: String = value.chars().take(40).collect();
    let short = if short.len() < value.len() {
        short + "…"
    } else {
        short
    };
    short.replace('|', "\\|").replace('`', "'")
}

fn converted(from: Dialect, to: Dialect, body: &Value) -> Result<Done, Refusal> {
    let model = if to == Dialect::Messages {
        "claude-sonnet-4-5"
    } else {
        "gpt-4.1"
    };
    let target = Target {
        dialect: to,
        model,
        family: if to == Dialect::Messages {
            "anthropic"
        } else {
            "openai"
        },
        openai: to != Dialect::Messages,
        max_tokens: None,
        traits: Traits::of(to, model),
    };
    let mut losses = Losses::default();
    let done = transcode::request(from, &body.to_string(), &target, Terms::default(), &mut losses)?;
    let json: Value = serde_json::from_slice(&done.body).expect("an encoder writes JSON");
    let mut leaves = BTreeMap::new();
    flatten(&json, String::new(), &mut leaves);
    Ok(Done {
        leaves,
        losses: losses.names().map(str::to_owned).collect(),
    })
}

/// Small values stand whole; positions in lists are left out where they are the first.
fn flatten(json: &Value, path: String, leaves: &mut BTreeMap<String, String>) {
    let text = json.to_string();
    match json {
        Value::Object(map) if path.is_empty() || text.len() > 40 => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(value, path, leaves);
            }
        }
        Value::Array(items) if text.len() > 40 => {
            for (at, item) in items.iter().enumerate() {
                flatten(item, format!("{path}[{at}]"), leaves);
            }
        }
        _ => {
            leaves.insert(path, text);
        }
    }
}
