//! Keys that are read and checked, but have no effect in this version. Whoever brings the effect deletes the line.

use super::findings::Findings;
use super::tree::{Node, Span, Value};

/// Whole sections of the file.
const SECTIONS: [&[&str]; 1] = [&["cluster"]];
/// Single keys; `*` stands for the items of a list or the entries of a map. Only what the file says is warned of.
const KEYS: [&[&str]; 1] = [&["ledger", "url"]];
/// Values that ask for nothing: so it is without the key's effect.
const NOTHING: [&str; 2] = ["off", "0"];

/// Warns once of each such key that asks for something.
pub(crate) fn warn(root: &Node, findings: &mut Findings<'_>) {
    let sections = SECTIONS.iter().map(|path| ("section", *path));
    for (what, path) in sections.chain(KEYS.iter().map(|path| ("key", *path))) {
        if let Some(span) = first(root, path, None) {
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
        return asks(node).then_some(key.unwrap_or(node.span));
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

fn asks(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::List(items) => !items.is_empty(),
        _ => !node.text().is_some_and(|text| NOTHING.contains(&text)),
    }
}
