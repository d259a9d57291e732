//! The first pass over the tree: unknown keys, missing keys, and values that are not what the tables say.
//!
//! It goes on after each error, so that all are told at once. What it lets through, `decode` can read.

use super::fields::{Default, Keys, Kind, Section};
use super::findings::Findings;
use super::formats::Format;
use super::scalars;
use super::tree::{Entry, Node, Value};

/// Checks all that stands in a file.
pub(crate) fn check(root: &Node, known: &'static Section, findings: &mut Findings<'_>) {
    section(root, known, "the file", findings);
}

/// Checks one value. `key` is what the messages call it.
fn value(node: &Node, kind: &Kind, key: &str, findings: &mut Findings<'_>) {
    match (kind, &node.value) {
        (_, Value::Null | Value::Lost) | (Kind::Json, _) => {}
        (Kind::Section(known), _) => section(node, known, key, findings),
        (Kind::List(item), _) => node
            .items()
            .iter()
            .for_each(|one| value(one, item, key, findings)),
        (Kind::Map(keys, values), Value::Map(entries)) => {
            for entry in entries {
                map_key(entry, keys, findings);
                value(&entry.node, values, &entry.key, findings);
            }
        }
        (Kind::Map(..), _) => {
            findings.hide_stray(node);
            findings.error(node.span, format!("`{key}` must be a map of keys and values"));
        }
        (_, Value::Scalar(scalar)) => text(node, &scalar.text, kind, key, findings),
        (_, Value::List(_)) => mismatch(node, kind, key, "a list", findings),
        (_, Value::Map(_)) => mismatch(node, kind, key, "a map", findings),
    }
}

fn section(node: &Node, known: &'static Section, key: &str, findings: &mut Findings<'_>) {
    let Value::Map(entries) = &node.value else {
        let some: Vec<String> = known
            .fields
            .iter()
            .take(3)
            .map(|field| format!("`{}`", field.key))
            .collect();
        let message = format!("`{key}` must be a map of keys such as {}", some.join(", "));
        findings.hide_stray(node);
        return findings.error(node.span, message);
    };
    for entry in entries {
        match known.field(&entry.key) {
            Some(field) => value(&entry.node, &field.kind, field.key, findings),
            None => unknown(entry, known, findings),
        }
    }
    for field in known
        .fields
        .iter()
        .filter(|field| matches!(field.default, Default::Required))
    {
        if node.get(field.key).is_none() {
            findings.error(
                node.span,
                format!("the key `{}` is missing in {}", field.key, place(known, key)),
            );
        }
    }
}

/// How a message calls a section.
fn place(known: &Section, key: &str) -> String {
    match known.name {
        "" => "the file".to_owned(),
        name if name.ends_with("[]") => format!("this item of `{key}`"),
        _ => format!("`{key}`"),
    }
}

fn unknown(entry: &Entry, known: &Section, findings: &mut Findings<'_>) {
    // A misspelt `api_key` has a key under it.
    findings.hide(&entry.node);
    let help = findings.did_you_mean(&entry.key, known.fields.iter().map(|field| field.key));
    findings.error_with(
        entry.key_span,
        format!("unknown key `{}`", shortened(&entry.key)),
        help,
    );
}

fn map_key(entry: &Entry, keys: &Keys, findings: &mut Findings<'_>) {
    let key = &entry.key;
    match keys {
        Keys::Of(format) if (format.fits)(key) => {}
        Keys::Of(format) => {
            findings.error(
                entry.key_span,
                format!("the key `{key}` must be {}", format.expects),
            );
        }
        Keys::Among(names) if names().contains(&key.as_str()) => {}
        Keys::Among(names) => {
            let help = findings.did_you_mean(key, names());
            findings.error_with(
                entry.key_span,
                format!("the key `{key}` must be {}", one_of(&names())),
                help,
            );
        }
    }
}

fn text(node: &Node, text: &str, kind: &Kind, key: &str, findings: &mut Findings<'_>) {
    match kind {
        Kind::Secret(format) => {
            findings.hide(node);
            if !findings.raw(node.span).contains("${") && !text.is_empty() {
                findings.expose(key);
            }
            hidden(node, text, format, key, findings);
        }
        Kind::Hidden(format) => {
            // Of a URL, only a password is worth hiding.
            if !text.contains("://") || text.contains('@') {
                findings.hide(node);
            }
            hidden(node, text, format, key, findings);
        }
        _ if fits(text, kind) => {}
        _ => mismatch(node, kind, key, &format!("`{}`", shortened(text)), findings),
    }
}

/// A text that no message may repeat.
fn hidden(node: &Node, text: &str, format: &Format, key: &str, findings: &mut Findings<'_>) {
    if !(format.fits)(text) {
        findings.error(node.span, format!("`{key}` must be {}", format.expects));
    }
}

fn fits(text: &str, kind: &Kind) -> bool {
    match kind {
        Kind::Bool => scalars::truth(text).is_some(),
        Kind::Int(min, max) => scalars::int(text).is_some_and(|number| (*min..=*max).contains(&number)),
        Kind::Share => scalars::number(text).is_some_and(|number| (0.0..=1.0).contains(&number)),
        Kind::Positive => scalars::number(text).is_some_and(|number| number > 0.0),
        Kind::Amount => scalars::number(text).is_some_and(|number| number >= 0.0),
        Kind::Text(format) | Kind::Secret(format) | Kind::Hidden(format) => (format.fits)(text),
        Kind::Duration => scalars::duration(text).is_some(),
        Kind::Timeout => scalars::duration(text).is_some_and(|time| !time.is_zero()),
        Kind::TimeoutOrOff => text == "off" || fits(text, &Kind::Timeout),
        Kind::Size => scalars::size(text).is_some_and(|size| size > 0),
        Kind::Choice(names) => names().contains(&text),
        Kind::Json => true,
        Kind::List(_) | Kind::Map(..) | Kind::Section(_) => false,
    }
}

fn mismatch(node: &Node, kind: &Kind, key: &str, found: &str, findings: &mut Findings<'_>) {
    let help = match kind {
        Kind::Choice(names) => node.text().and_then(|text| findings.did_you_mean(text, names())),
        Kind::Secret(_) | Kind::Hidden(_) => {
            findings.hide(node);
            None
        }
        _ => None,
    };
    findings.error_with(
        node.span,
        format!("`{key}` must be {}, not {found}", expects(kind)),
        help,
    );
}

/// What a value must be, as it stands after "must be".
fn expects(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Int(i64::MIN, i64::MAX) => "a whole number".to_owned(),
        Kind::Int(min, i64::MAX) => format!("a whole number from {min}"),
        Kind::Int(min, max) => format!("a whole number from {min} to {max}"),
        Kind::Share => "a number from 0 to 1".to_owned(),
        Kind::Positive => "a number above 0".to_owned(),
        Kind::Amount => "a number from 0".to_owned(),
        Kind::Text(format) | Kind::Secret(format) | Kind::Hidden(format) => format.expects.to_owned(),
        Kind::Duration => "a duration such as `500ms`, `30s` or `15m`".to_owned(),
        Kind::Timeout => "a duration above 0, such as `500ms`, `30s` or `15m`".to_owned(),
        Kind::TimeoutOrOff => "a duration above 0, such as `15s`, or `off`".to_owned(),
        Kind::Size => "a size above 0, such as `64KiB` or `32MiB`".to_owned(),
        Kind::Choice(names) => one_of(&names()),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(..) | Kind::Section(_) => "a map".to_owned(),
        Kind::Json => "a value".to_owned(),
    }
}

fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, [first])) => format!("{first} or {last}"),
        Some((last, rest)) => format!("one of {} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fields::Field;
    use crate::config::fields::top::TOP;

    /// Every line of every table.
    fn each_field(section: &'static Section, visit: &mut dyn FnMut(&'static Section, &'static Field)) {
        for field in section.fields {
            visit(section, field);
            let mut kind = &field.kind;
            while let Kind::List(item) | Kind::Map(_, item) = kind {
                kind = item;
            }
            if let Kind::Section(inner) = kind {
                each_field(inner, visit);
            }
        }
    }

    #[test]
    fn every_key_that_the_tables_allow_is_read() {
        let text = include_str!("../../../../examples/full.yaml");
        let _ = crate::config::view::reads::taken();
        let env = |_: &str| Some("0123456789abcdefghij".to_owned());
        let _ = crate::config::parse(text, "full.yaml", std::path::Path::new(""), &env);
        let read = crate::config::view::reads::taken();
        each_field(&TOP, &mut |section, field| {
            let line = (section.name.to_owned(), field.key.to_owned());
            assert!(read.contains(&line), "nobody reads {line:?}");
        });
    }

    #[test]
    fn every_default_is_what_its_own_line_asks_for() {
        each_field(&TOP, &mut |_, field| match (field.default, &field.kind) {
            (Default::Value(text), kind) => assert!(fits(text, kind), "{}: {text}", field.key),
            (Default::List(items), Kind::List(item)) => {
                for text in items {
                    assert!(fits(text, item), "{}: {text}", field.key);
                }
            }
            (Default::List(_), _) => panic!("{} is no list", field.key),
            _ => {}
        });
    }

    #[test]
    fn every_section_and_key_has_a_meaning() {
        each_field(&TOP, &mut |section, field| {
            assert!(
                section.about.ends_with('.'),
                "{}: {}",
                section.name,
                section.about
            );
            assert!(
                field.about.ends_with(['.', ',']),
                "{}: {}",
                field.key,
                field.about
            );
        });
    }
}
