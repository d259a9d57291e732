//! The reference of the config file, made from the tables of `fields`.

use std::fmt::Write;

use super::fields::prices::PRICE_LIST;
use super::fields::top::TOP;
use super::fields::{Default, Field, Keys, Kind, Section};
use super::formats::{self, Format};

const HEAD: &str = "# Config reference

Made from the program's own tables by a test (`UPDATE=1 cargo test -p llm-proxy` writes it anew); do not edit.

YAML. Unknown keys and keys that are there twice are errors. Durations: `500ms`, `30s`, `15m`, `2h`, `1d`.
Sizes: `64KiB`, `32MiB`, `1GiB`, or bytes. Paths are relative to the config file's folder.
`llm-proxy check` tells everything that is wrong with a file; `llm-proxy schema` prints its JSON Schema.
";

/// The reference as Markdown: a table for each section, in the file's order.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    let mut sections: Vec<&'static Section> = Vec::new();
    collect(&TOP, &mut sections);
    collect(&PRICE_LIST, &mut sections);
    for section in sections {
        let name = match section.name {
            "" => "The file".to_owned(),
            // Of a file of its own, whose sections have names and no keys.
            name if name.contains(' ') => name.to_owned(),
            name => format!("`{name}`"),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "\n## {name}\n\n{}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n",
            section.about
        );
        section.fields.iter().for_each(|field| out.push_str(&row(field)));
    }
    out
}

/// A section and those below it, each once.
fn collect(section: &'static Section, out: &mut Vec<&'static Section>) {
    if out.iter().any(|known| std::ptr::eq(*known, section)) {
        return;
    }
    out.push(section);
    for field in section.fields {
        if let Some(inner) = inner(&field.kind) {
            collect(inner, out);
        }
    }
}

fn inner(kind: &Kind) -> Option<&'static Section> {
    match kind {
        Kind::Section(section) => Some(section),
        Kind::List(item) | Kind::Map(_, item) => inner(item),
        _ => None,
    }
}

fn row(field: &Field) -> String {
    let default = match field.default {
        Default::Required => "required".to_owned(),
        Default::Nothing | Default::List([]) => String::new(),
        Default::Value("\n\n") => "a blank line".to_owned(),
        Default::Value(text) => format!("`{text}`"),
        Default::List(items) => format!("`[{}]`", items.join(", ")),
        Default::Depends(text) => text.to_owned(),
    };
    let cells = [
        format!("`{}`", field.key),
        value(&field.kind),
        default,
        field.about.to_owned(),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// What may stand under a key, in a few words.
fn value(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "`true`, `false`".to_owned(),
        Kind::Int(..) => "whole number".to_owned(),
        Kind::Share => "number from 0 to 1".to_owned(),
        Kind::Positive => "number above 0".to_owned(),
        Kind::Amount => "number from 0".to_owned(),
        Kind::Text(format) | Kind::Hidden(format) if !is_free(format) => format.expects.to_owned(),
        Kind::Text(_) | Kind::Hidden(_) => "text".to_owned(),
        Kind::Secret(_) => "secret".to_owned(),
        Kind::Duration | Kind::Timeout => "duration".to_owned(),
        Kind::TimeoutOrOff => "duration, or `off`".to_owned(),
        Kind::Size => "size".to_owned(),
        Kind::Choice(names) => quoted(&names()),
        Kind::List(item) => format!("list: {}", value(item)),
        Kind::Map(Keys::Of(_), values) => format!("map: {}", value(values)),
        Kind::Map(Keys::Among(names), values) => format!("map from {}: {}", quoted(&names()), value(values)),
        Kind::Section(section) if section.name.contains(' ') => {
            format!("see {}", section.name.to_lowercase())
        }
        Kind::Section(section) => format!("see `{}`", section.name),
        Kind::Json => "any value".to_owned(),
    }
}

/// Whether a text of that form is just a text.
fn is_free(format: &Format) -> bool {
    [&formats::TEXT, &formats::FILLED]
        .iter()
        .any(|free| free.expects == format.expects)
}

fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checked_in_reference_is_the_one_that_the_tables_make() {
        crate::config::stale::check("docs/reference/config.md", &super::reference());
    }
}
