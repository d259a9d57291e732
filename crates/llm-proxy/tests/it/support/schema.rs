//! JSON Schema, as much of it as the schema of the access record uses: an unknown word is an error of the test.

use std::collections::HashMap;
use std::sync::Mutex;

use regex::Regex;
use serde_json::Value;

/// Patterns that have been compiled: one takes longer than all the rest of a check.
static PATTERNS: Mutex<Option<HashMap<String, Regex>>> = Mutex::new(None);

fn matches(pattern: &str, text: &str) -> bool {
    let mut known = PATTERNS.lock().unwrap();
    let known = known.get_or_insert_default();
    if !known.contains_key(pattern) {
        known.insert(pattern.to_owned(), Regex::new(pattern).unwrap());
    }
    known[pattern].is_match(text)
}

/// What is wrong with `value`, if anything.
pub fn fault(root: &Value, value: &Value) -> Option<String> {
    check(root, root, value, "$")
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let words = schema.as_object().unwrap();
    words
        .iter()
        .find_map(|(word, wanted)| one(root, (word, wanted, schema), value, at))
}

fn one(
    root: &Value,
    (word, wanted, schema): (&str, &Value, &Value),
    value: &Value,
    at: &str,
) -> Option<String> {
    let fits =
        match word {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                return check(root, root.pointer(pointer).unwrap(), value, at);
            }
            "anyOf" => {
                let mut ways = wanted.as_array().unwrap().iter();
                ways.any(|way| check(root, way, value, at).is_none())
            }
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|one| is(one, value)),
                one => is(one, value),
            },
            "pattern" => {
                let pattern = wanted.as_str().unwrap();
                value.as_str().is_none_or(|text| matches(pattern, text))
            }
            "minimum" => value
                .as_f64()
                .is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value
                .as_f64()
                .is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "maxItems" => {
                let most = usize::try_from(wanted.as_u64().unwrap()).unwrap();
                value.as_array().is_none_or(|items| items.len() <= most)
            }
            "required" => {
                let mut names = wanted.as_array().unwrap().iter();
                names.all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "additionalProperties" => {
                assert_eq!(wanted, false, "{at}");
                let known = schema["properties"].as_object().unwrap();
                let members = value.as_object();
                members.is_none_or(|members| members.keys().all(|name| known.contains_key(name)))
            }
            "properties" => {
                return wanted.as_object().unwrap().iter().find_map(|(name, schema)| {
                    check(root, schema, value.get(name)?, &format!("{at}.{name}"))
                });
            }
            "items" => {
                let items = value.as_array().into_iter().flatten();
                return items
                    .enumerate()
                    .find_map(|(n, item)| check(root, wanted, item, &format!("{at}[{n}]")));
            }
            word => panic!("this judge does not know `{word}`"),
        };
    (!fits).then(|| format!("{at}: {value} against {word}: {wanted}"))
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        kind => panic!("this judge does not know the type `{kind}`"),
    }
}
