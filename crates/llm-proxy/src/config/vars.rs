//! `${VAR}`, `${VAR:-default}` and `${file:/path}` in strings (contract, section 4).
//!
//! They are expanded in scalars after parsing, never in the text, so no value can add keys. What comes out
//! is not expanded again. `$${` is a literal `${`.

use std::path::Path;

use super::findings::Findings;
use super::source;
use super::tree::{Node, Span, Value};

/// The largest file that `${file:..}` reads: a secret, not a book.
const FILE: u64 = 64 << 10;

/// Where values come from: the folder that paths are relative to, and the environment.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    /// The config file's folder.
    pub(crate) dir: &'a Path,
    /// The value of an environment variable.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
}

/// Expands every string below `root` but the texts of prompts, which have variables of their own (contract, 6).
pub(crate) fn expand(root: &mut Node, world: World<'_>, findings: &mut Findings<'_>) {
    let Value::Map(entries) = &mut root.value else {
        return;
    };
    for entry in entries {
        if entry.key == "system_prompts" {
            expand_prompts(&mut entry.node, world, findings);
        } else {
            expand_node(&mut entry.node, world, findings);
        }
    }
}

fn expand_prompts(node: &mut Node, world: World<'_>, findings: &mut Findings<'_>) {
    match &mut node.value {
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| expand_prompts(item, world, findings)),
        Value::Map(entries) => entries
            .iter_mut()
            .filter(|entry| entry.key != "text")
            .for_each(|entry| expand_node(&mut entry.node, world, findings)),
        _ => {}
    }
}

/// Expands every string below `node`.
pub(crate) fn expand_node(node: &mut Node, world: World<'_>, findings: &mut Findings<'_>) {
    match &mut node.value {
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| expand_node(item, world, findings)),
        Value::Map(entries) => {
            for entry in entries {
                expand_node(&mut entry.node, world, findings);
            }
        }
        Value::Scalar(scalar) if scalar.text.contains("${") => match expanded(&scalar.text, world) {
            Ok(text) => scalar.text = text,
            Err(wrong) => {
                for one in wrong {
                    report(one, node.span, findings);
                }
                node.value = Value::Lost;
            }
        },
        Value::Scalar(_) | Value::Null | Value::Lost => {}
    }
}

/// A variable that has no value.
pub(super) struct Wrong {
    /// The reference as the file has it, to find its place in a text of many lines.
    reference: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

fn report(wrong: Wrong, span: Span, findings: &mut Findings<'_>) {
    let span = findings.within(span, &wrong.reference, 0);
    findings.error_with(span, wrong.message, wrong.help);
}

/// `text` with its references replaced, or all that are wrong.
fn expanded(text: &str, world: World<'_>) -> Result<String, Vec<Wrong>> {
    let (mut out, mut wrong, mut rest) = (String::with_capacity(text.len()), Vec::new(), text);
    while let Some((head, tail)) = rest.split_once("${") {
        if let Some(literal) = head.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = tail;
            continue;
        }
        out.push_str(head);
        let Some((inner, after)) = tail.split_once('}') else {
            wrong.push(unclosed());
            rest = "";
            break;
        };
        match value(inner, world) {
            Ok(value) => out.push_str(&value),
            Err(one) => wrong.push(one),
        }
        rest = after;
    }
    out.push_str(rest);
    if wrong.is_empty() { Ok(out) } else { Err(wrong) }
}

fn unclosed() -> Wrong {
    Wrong {
        reference: "${".to_owned(),
        message: "`${` has no `}`".to_owned(),
        help: Some("write `$${` for a literal `${`".to_owned()),
    }
}

/// What stands for `${inner}`.
fn value(inner: &str, world: World<'_>) -> Result<String, Wrong> {
    let Some(path) = inner.strip_prefix("file:") else {
        return variable(inner, world.env);
    };
    file(&world.dir.join(path)).map_err(|why| {
        let message = format!("cannot read the file `{path}`: {why}");
        Wrong::new(inner, message, "the path is relative to the config file")
    })
}

/// What stands for `VAR` or `VAR:-default` between braces.
pub(super) fn variable(inner: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Wrong> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if !is_name(name) {
        let message = format!("`${{{inner}}}` does not name a variable");
        return Err(Wrong::new(inner, message, "write `$${` for a literal `${`"));
    }
    let found = env(name);
    match (
        found.filter(|value| default.is_none() || !value.is_empty()),
        default,
    ) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            let help = format!("set it, or give a default: `${{{name}:-...}}`");
            let message = format!("the environment variable `{name}` is not set");
            Err(Wrong::new(inner, message, &help))
        }
    }
}

impl Wrong {
    fn new(inner: &str, message: String, help: &str) -> Self {
        Self {
            reference: format!("${{{inner}}}"),
            message,
            help: Some(help.to_owned()),
        }
    }
}

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && name.starts_with(|c: char| word(c) && !c.is_ascii_digit())
}

/// A file's text without the newline that editors put at its end.
fn file(path: &Path) -> Result<String, String> {
    let text = source::text(path, FILE)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".to_owned()),
            "NESTED" => Some("${SET}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn references_become_their_values_once() {
        let world = World {
            dir: Path::new("."),
            env: &env,
        };
        for (text, expected) in [
            ("${SET}", Ok("value")),
            ("a-${SET}-${EMPTY}-b", Ok("a-value--b")),
            ("${NONE:-default}", Ok("default")),
            ("${NONE:-}", Ok("")),
            ("${EMPTY:-default}", Ok("default")),
            ("${SET:-default}", Ok("value")),
            ("${NESTED}", Ok("${SET}")),
            ("$${SET} costs $5", Ok("${SET} costs $5")),
            ("${NONE}", Err("the environment variable `NONE` is not set")),
            ("${}", Err("`${}` does not name a variable")),
            ("${1A}", Err("`${1A}` does not name a variable")),
            ("${SET", Err("`${` has no `}`")),
        ] {
            let found = expanded(text, world).map_err(|mut wrong| wrong.remove(0).message);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_file_loses_the_newline_at_its_end() {
        let dir = std::env::temp_dir().join(format!("llm-proxy-vars-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("key"), "  secret line\r\n").unwrap();
        let world = World { dir: &dir, env: &env };
        assert_eq!(
            expanded("${file:key}", world).ok().as_deref(),
            Some("  secret line")
        );
        std::fs::write(dir.join("big"), " ".repeat((64 << 10) + 1)).unwrap();
        let wrong = expanded("${file:big} ${file:absent}", world).map_err(|all| all.len());
        assert_eq!(wrong, Err(2), "both are told");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
