//! What must be known of a JSON Schema that is otherwise only carried.

use serde_json::Value;

use super::json::Json;

/// How deep a schema is looked into.
const DEPTH: usize = 32;

/// Whether `OpenAI` takes a schema as a strict one: every object closed, every property required.
pub fn is_strict_legal(schema: &Json<'_>) -> bool {
    schema.read::<Value>().is_some_and(|schema| legal(&schema, DEPTH))
}

fn legal(schema: &Value, depth: usize) -> bool {
    let Some(deeper) = depth.checked_sub(1) else {
        return false;
    };
    match schema {
        Value::Array(items) => items.iter().all(|item| legal(item, deeper)),
        Value::Object(map) => {
            let Some(properties) = map.get("properties").and_then(Value::as_object) else {
                return map.get("type").and_then(Value::as_str) != Some("object")
                    && map.values().all(|value| legal(value, deeper));
            };
            let required: Vec<&str> = map
                .get("required")
                .and_then(Value::as_array)
                .map(|names| names.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            let closed = map.get("additionalProperties") == Some(&Value::Bool(false));
            closed
                && properties.keys().all(|name| required.contains(&name.as_str()))
                && properties.values().all(|value| legal(value, deeper))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strict_schema_leaves_nothing_open() {
        for (schema, strict) in [
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
                true,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}"#,
                false,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#,
                false,
            ),
            (r#"{"type":"object"}"#, false),
            (
                r#"{"type":"object","properties":{},"additionalProperties":false}"#,
                true,
            ),
            (r#"{"type":"string"}"#, true),
            ("5 5", false),
        ] {
            assert_eq!(is_strict_legal(&Json::spelled_so(schema)), strict, "{schema}");
        }
    }
}
