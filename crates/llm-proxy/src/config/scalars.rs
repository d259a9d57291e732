//! Texts that stand for truth values, numbers, durations, sizes and JSON.

use std::time::Duration;

use serde_json::{Number, Value as Json};

use super::tree::{Node, Scalar, Value};
use crate::base::units;

/// Longer than anything that is meant; and short enough that no sum with a clock's time overflows.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// `true` or `false`.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A whole number.
pub(crate) fn int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A finite number.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A duration of at most a year.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    units::duration(text).filter(|time| *time <= LONGEST)
}

/// A size in bytes, below an exbibyte.
pub(crate) fn size(text: &str) -> Option<u64> {
    units::size(text).filter(|size| *size < 1 << 60)
}

/// A node as JSON, by YAML's core schema: what has quotes is a string.
pub(crate) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null | Value::Lost => Json::Null,
        Value::Scalar(scalar) => json_scalar(scalar),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            let members = entries.iter().map(|entry| (entry.key.clone(), json(&entry.node)));
            Json::Object(members.collect())
        }
    }
}

fn json_scalar(scalar: &Scalar) -> Json {
    let text = &scalar.text;
    if !scalar.plain {
        return Json::String(text.clone());
    }
    if let Some(truth) = truth(text) {
        return Json::Bool(truth);
    }
    let digits = text.trim_start_matches(['-', '+']);
    // Words such as `infinity` are numbers to Rust alone.
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let whole = text
        .parse::<i64>()
        .map(Number::from)
        .ok()
        .or_else(|| text.parse::<u64>().map(Number::from).ok());
    let found = whole.or_else(|| number(text).and_then(Number::from_f64));
    found
        .filter(|_| numeric)
        .map_or_else(|| Json::String(text.clone()), Json::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_follows_the_core_schema() {
        for (text, plain, expected) in [
            ("8192", true, "8192"),
            ("8192", false, "\"8192\""),
            ("0.5", true, "0.5"),
            ("-1", true, "-1"),
            ("18446744073709551615", true, "18446744073709551615"),
            ("1e400", true, "\"1e400\""),
            ("true", true, "true"),
            ("yes", true, "\"yes\""),
            ("inf", true, "\"inf\""),
            ("nan", true, "\"nan\""),
            ("1.2.3", true, "\"1.2.3\""),
        ] {
            let scalar = Scalar {
                text: text.to_owned(),
                plain,
            };
            assert_eq!(json_scalar(&scalar).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn nothing_that_would_overflow_a_clock_is_a_duration() {
        assert!(duration("365d").is_some());
        assert!(duration("366d").is_none());
        assert!(size("99999999999GiB").is_none());
    }
}
