//! Keys that are read and checked, but have no effect in this version. Whoever brings the effect deletes the line.

use super::findings::Findings;
use super::tree::{Node, Span, Value};

/// Their paths; `*` stands for the items of a list or the entries of a map.
const LATER: [&[&str]; 13] = [
    &["rate_limit"],
    &["concurrency"],
    &["system_prompts"],
    &["ledger", "url"],
    &["cluster"],
    &["telemetry"],
    &["prices"],
    &["logging", "file"],
    &["logging", "bodies"],
    &["api_keys", "*", "rate_limit"],
    &["api_keys", "*", "max_concurrent"],
    &["api_keys", "*", "budget"],
    &["stream", "early_heartbeat_after"],
];

/// `affinity` is on by default, so only one who writes it down expects it.
const AFFINITY: &[&str] = &["models", "*", "affinity"];

/// Warns once of each such key that is set to anything but `off`.
pub(crate) fn warn(root: &Node, findings: &mut Findings<'_>) {
    for path in LATER.iter().copied().chain([AFFINITY]) {
        if let Some(span) = first(root, path, None) {
            let what = if path.len() == 1 { "section" } else { "key" };
            let name: Vec<&str> = path.iter().copied().filter(|step| *step != "*").collect();
            let name = name.join(".");
            findings.warn(
                span,
                format!("the {what} `{name}` is read and checked, but has no effect in this version"),
            );
        }
    }
}

/// The place of the first key at `path` that is on.
fn first(node: &Node, path: &[&str], key: Option<Span>) -> Option<Span> {
    let Some((step, rest)) = path.split_first() else {
        let on = !matches!(node.value, Value::Null) && node.text() != Some("off");
        return on.then_some(key.unwrap_or(node.span));
    };
    if let (Value::List(items), "*") = (&node.value, *step) {
        return items.iter().find_map(|item| first(item, rest, Some(item.span)));
    }
    let fits = |name: &str| *step == "*" || name == *step;
    let entries = node.entries().iter().filter(|entry| fits(&entry.key));
    entries
        .into_iter()
        .find_map(|entry| first(&entry.node, rest, Some(entry.key_span)))
}
