//! Schemas as Anthropic takes them.

use serde_json::{Map, Value};

use crate::canon::Json;

/// The schema of a tool that takes nothing.
const NOTHING: &str = r#"{"type":"object","properties":{}}"#;
/// How deep a schema is looked into.
const DEPTH: usize = 32;

/// What a root of a schema must not have.
const BRANCHES: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// A tool's schema with a root that Anthropic takes: an object with properties. Whether its meaning was changed.
pub(super) fn of_tool(schema: Option<&Json<'_>>) -> (String, bool) {
    let Some(map) = schema.and_then(Json::read::<Map<String, Value>>) else {
        return (NOTHING.to_owned(), false);
    };
    let Some(schema) = schema.filter(|_| !map.is_empty()) else {
        return (NOTHING.to_owned(), false);
    };
    let branched = BRANCHES.iter().any(|name| map.contains_key(*name)) || map.contains_key("$ref");
    let properties = map.get("properties");
    let is_sound = map.get("type").and_then(Value::as_str) == Some("object")
        && properties.is_none_or(Value::is_object)
        && map.get("required").is_none_or(Value::is_array);
    if is_sound && !branched {
        return (schema.get().to_owned(), false);
    }
    (repaired(map), branched)
}

fn repaired(mut map: Map<String, Value>) -> String {
    resolve(&mut map);
    merge(&mut map);
    map.insert("type".to_owned(), Value::from("object"));
    if !map.get("properties").is_some_and(Value::is_object) {
        map.insert("properties".to_owned(), Value::Object(Map::new()));
    }
    if !map.get("required").is_none_or(Value::is_array) {
        map.remove("required");
    }
    Value::Object(map).to_string()
}

/// A root that only refers to a definition becomes that definition.
fn resolve(map: &mut Map<String, Value>) {
    let Some(Value::String(reference)) = map.remove("$ref") else {
        return;
    };
    let pointer = reference.trim_start_matches('#').to_owned();
    let found = Value::Object(map.clone()).pointer(&pointer).cloned();
    if let Some(Value::Object(definition)) = found {
        for (key, value) in definition {
            map.entry(key).or_insert(value);
        }
    }
}

/// Branches at the root become one object: it has the properties of all, and requires what all of them require.
fn merge(map: &mut Map<String, Value>) {
    for name in BRANCHES {
        let Some(Value::Array(branches)) = map.remove(name) else {
            continue;
        };
        let mut required: Option<Vec<Value>> = None;
        for branch in branches.iter().filter_map(Value::as_object) {
            let own = branch
                .get("required")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            required = Some(match required {
                None => own,
                Some(all) if name == "allOf" => all.into_iter().chain(own).collect(),
                Some(all) => all.into_iter().filter(|it| own.contains(it)).collect(),
            });
            let properties = branch.get("properties").and_then(Value::as_object);
            add(map, "properties", properties.into_iter().flatten());
        }
        require(map, required.unwrap_or_default());
    }
}

fn add<'p>(map: &mut Map<String, Value>, key: &str, more: impl Iterator<Item = (&'p String, &'p Value)>) {
    let entry = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(all) = entry {
        for (name, value) in more {
            all.entry(name).or_insert_with(|| value.clone());
        }
    }
}

fn require(map: &mut Map<String, Value>, more: Vec<Value>) {
    if more.is_empty() {
        return;
    }
    let entry = map.entry("required").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(all) = entry {
        for name in more {
            if !all.contains(&name) {
                all.push(name);
            }
        }
    }
}

/// The schema of an answer: every object closed, since Anthropic takes no other.
pub(super) fn of_answer(schema: &Json<'_>) -> String {
    let Some(mut value) = schema.read::<Value>() else {
        return schema.get().to_owned();
    };
    if close(&mut value, DEPTH) {
        value.to_string()
    } else {
        schema.get().to_owned()
    }
}

/// Closes the objects of a schema; whether any was open.
fn close(schema: &mut Value, depth: usize) -> bool {
    let Some(deeper) = depth.checked_sub(1) else {
        return false;
    };
    match schema {
        Value::Array(items) => each(items.iter_mut(), deeper),
        Value::Object(map) => {
            let mut any = each(map.values_mut(), deeper);
            let is_object =
                map.get("type").and_then(Value::as_str) == Some("object") && map.contains_key("properties");
            if is_object && map.get("additionalProperties") != Some(&Value::Bool(false)) {
                map.insert("additionalProperties".to_owned(), Value::Bool(false));
                any = true;
            }
            any
        }
        _ => false,
    }
}

/// Closes all of them; whether any was open.
fn each<'s>(schemas: impl Iterator<Item = &'s mut Value>, depth: usize) -> bool {
    let mut any = false;
    for schema in schemas {
        any |= close(schema, depth);
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_become_objects_and_sound_ones_keep_their_bytes() {
        for (schema, expected, changed) in [
            (
                r#"{"type":"object", "properties":{"b":{},"a":{}}}"#,
                r#"{"type":"object", "properties":{"b":{},"a":{}}}"#,
                false,
            ),
            (r#"{"type":"object"}"#, r#"{"type":"object"}"#, false),
            ("{}", NOTHING, false),
            ("null", NOTHING, false),
            (
                r#"{"properties":{"a":{}}}"#,
                r#"{"properties":{"a":{}},"type":"object"}"#,
                false,
            ),
            (
                r#"{"type":"object","properties":null,"required":null}"#,
                NOTHING_SORTED,
                false,
            ),
            (r#"{"type":"object","properties":[]}"#, NOTHING_SORTED, false),
            (
                r#"{"anyOf":[{"properties":{"a":{}},"required":["a","c"]},{"properties":{"b":{}},"required":["c"]}]}"#,
                r#"{"properties":{"a":{},"b":{}},"required":["c"],"type":"object"}"#,
                true,
            ),
            (
                r##"{"$ref":"#/$defs/x","$defs":{"x":{"type":"object","properties":{"a":{}}}}}"##,
                r#"{"$defs":{"x":{"properties":{"a":{}},"type":"object"}},"properties":{"a":{}},"type":"object"}"#,
                true,
            ),
        ] {
            assert_eq!(
                of_tool(Some(&Json::spelled_so(schema))),
                (expected.to_owned(), changed),
                "{schema}"
            );
        }
        assert_eq!(of_tool(None), (NOTHING.to_owned(), false));
    }

    const NOTHING_SORTED: &str = r#"{"properties":{},"type":"object"}"#;

    #[test]
    fn answers_have_closed_objects() {
        let open =
            Json::spelled_so(r#"{"type":"object","properties":{"a":{"type":"object","properties":{}}}}"#);
        assert_eq!(
            of_answer(&open),
            r#"{"additionalProperties":false,"properties":{"a":{"additionalProperties":false,"properties":{},"type":"object"}},"type":"object"}"#
        );
        let closed = Json::spelled_so(r#"{"type":"object", "properties":{},"additionalProperties":false}"#);
        assert_eq!(of_answer(&closed), closed.get());
    }
}
