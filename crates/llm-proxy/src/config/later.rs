//! Sections that are read and checked, but have no effect in this version. Whoever brings the effect deletes the line.

use super::findings::Findings;
use super::tree::{Node, Value};

/// Sections of the file. Only what the file says is warned of.
const SECTIONS: [&str; 1] = ["cluster"];
/// Values that ask for nothing: so it is without the section's effect.
const NOTHING: [&str; 2] = ["off", "0"];

/// Warns once of each such section that asks for something.
pub(crate) fn warn(root: &Node, findings: &mut Findings<'_>) {
    let asking = root.entries().iter().filter(|entry| asks(&entry.node));
    for entry in asking.filter(|entry| SECTIONS.contains(&&*entry.key)) {
        let name = &entry.key;
        findings.warn(
            entry.key_span,
            format!("the section `{name}` is read and checked, but has no effect in this version"),
        );
    }
}

fn asks(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::List(items) => !items.is_empty(),
        _ => !node.text().is_some_and(|text| NOTHING.contains(&text)),
    }
}
