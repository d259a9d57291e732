//! Converted bodies and streams as a person can read them, without the prose of the recordings.

use llm_dialect::names::digest;
use serde_json::Value;

/// Strings up to this length are shown whole.
const SHORT: usize = 60;
/// So much is shown of longer ones.
const HEAD: usize = 24;

/// JSON, indented.
pub(super) fn json(text: &str) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    shorten(&mut value);
    serde_json::to_string_pretty(&value).unwrap() + "\n"
}

/// A stream, a line an event. Runs of the same kind of delta are one line.
pub(super) fn events(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let mut all = String::new();
    for event in text.split_terminator("\n\n") {
        for line in event.lines() {
            match line.strip_prefix("data: ") {
                Some("[DONE]") => all.push_str("[DONE]\n"),
                Some(data) => {
                    let mut value: Value = serde_json::from_str(data).unwrap();
                    shorten(&mut value);
                    all.push_str(&value.to_string());
                    all.push('\n');
                }
                None => {}
            }
        }
    }
    all
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().count() > SHORT => {
            let head: String = text.chars().take(HEAD).collect();
            *text = format!(
                "{head}… ({} characters, {})",
                text.chars().count(),
                digest(text, 8)
            );
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(map) => map.values_mut().for_each(shorten),
        _ => {}
    }
}
