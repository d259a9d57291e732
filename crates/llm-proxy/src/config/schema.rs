//! The JSON Schema of the config file, for editors: made from the tables of `fields`.

use serde_json::{Map, Value, json};

use super::fields::prices::PRICE_LIST;
use super::fields::top::TOP;
use super::fields::{Default, Field, Keys, Kind, Section};

/// The schema as pretty JSON with a newline at its end (draft 2020-12).
pub fn schema() -> String {
    of_file(&TOP, "llm-proxy config")
}

/// The same of the file that `prices.file` names.
pub fn prices_schema() -> String {
    of_file(&PRICE_LIST, "llm-proxy prices")
}

fn of_file(known: &Section, title: &str) -> String {
    let mut root = section(known);
    if let Value::Object(members) = &mut root {
        members.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        members.insert("title".to_owned(), json!(title));
    }
    format!("{root:#}\n")
}

fn section(section: &Section) -> Value {
    let properties: Map<String, Value> = section
        .fields
        .iter()
        .map(|field| (field.key.to_owned(), described(field)))
        .collect();
    let required: Vec<&str> = section
        .fields
        .iter()
        .filter(|field| matches!(field.default, Default::Required))
        .map(|field| field.key)
        .collect();
    let mut schema = json!({
        "type": "object",
        "description": section.about,
        "properties": properties,
        "additionalProperties": false,
    });
    if let (Value::Object(members), false) = (&mut schema, required.is_empty()) {
        members.insert("required".to_owned(), json!(required));
    }
    schema
}

fn described(field: &Field) -> Value {
    let mut schema = of_kind(&field.kind);
    if let Value::Object(members) = &mut schema {
        members.insert("description".to_owned(), json!(field.about));
        if let Some(default) = default(field) {
            members.insert("default".to_owned(), default);
        }
    }
    schema
}

/// A default as JSON of the type that the schema gives it.
fn default(field: &Field) -> Option<Value> {
    match field.default {
        Default::Value(text) => Some(match field.kind {
            Kind::Bool | Kind::Int(..) | Kind::Share | Kind::Positive | Kind::Amount => text.parse().ok()?,
            _ => json!(text),
        }),
        Default::List(items) => Some(json!(items)),
        Default::Required | Default::Nothing | Default::Depends(_) => None,
    }
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => or_variable(&json!({"type": "boolean"})),
        Kind::Int(min, max) => or_variable(&whole(*min, *max)),
        Kind::Share => or_variable(&json!({"type": "number", "minimum": 0, "maximum": 1})),
        Kind::Positive => or_variable(&json!({"type": "number", "exclusiveMinimum": 0})),
        Kind::Amount => or_variable(&json!({"type": "number", "minimum": 0})),
        Kind::Text(_) | Kind::Secret(_) | Kind::Hidden(_) => json!({"type": ["string", "number", "boolean"]}),
        Kind::Duration => {
            or_variable(&json!({"anyOf": [{"const": 0}, {"type": "string", "pattern": DURATION}]}))
        }
        Kind::Timeout => or_variable(&json!({"type": "string", "pattern": DURATION})),
        Kind::TimeoutOrOff => or_variable(&json!({"type": "string", "pattern": format!("{DURATION}|^off$")})),
        Kind::Size => or_variable(&json!({"type": ["string", "integer"], "pattern": SIZE})),
        Kind::Choice(names) => or_variable(&json!({"enum": spelled(&names())})),
        Kind::List(item) => {
            let item = of_kind(item);
            json!({"anyOf": [{"type": "array", "items": item}, item]})
        }
        Kind::Map(keys, values) => map(keys, values),
        Kind::Section(known) => section(known),
        Kind::Json => json!({}),
    }
}

const DURATION: &str = r"^0$|^[0-9.]+ *(ms|s|m|h|d)$";
const SIZE: &str = r"^[0-9.]+ *(KiB|MiB|GiB|KB|MB|GB|B)?$";

/// A whole number; bounds that are only those of the type are left out.
fn whole(min: i64, max: i64) -> Value {
    let mut schema = json!({"type": "integer"});
    if let Value::Object(members) = &mut schema {
        if min > i64::from(i32::MIN) {
            members.insert("minimum".to_owned(), json!(min));
        }
        if max < i64::from(i32::MAX) {
            members.insert("maximum".to_owned(), json!(max));
        }
    }
    schema
}

/// Names; those that YAML reads as numbers as numbers too.
fn spelled(names: &[&str]) -> Vec<Value> {
    let numbers = names
        .iter()
        .filter_map(|name| name.parse::<i64>().ok())
        .map(Value::from);
    names.iter().map(|name| json!(name)).chain(numbers).collect()
}

fn map(keys: &Keys, values: &Kind) -> Value {
    let values = of_kind(values);
    match keys {
        Keys::Of(_) => json!({"type": "object", "additionalProperties": values}),
        Keys::Among(names) => {
            json!({"type": "object", "additionalProperties": values, "propertyNames": {"enum": names()}})
        }
    }
}

/// Whatever is not a text anyway may come from a variable.
fn or_variable(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "string", "pattern": r"\$\{"}]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::stale;

    #[test]
    fn the_checked_in_schema_is_the_one_that_the_tables_make() {
        stale::check("schema/config.schema.json", &schema());
        stale::check("schema/prices.schema.json", &prices_schema());
    }

    /// Every pair of a section's name and a key in the tables.
    fn in_tables(section: &Section, out: &mut Vec<String>) {
        for field in section.fields {
            out.push(field.key.to_owned());
            inner(&field.kind, &mut |section| in_tables(section, out));
        }
    }

    fn inner(kind: &Kind, visit: &mut dyn FnMut(&Section)) {
        match kind {
            Kind::Section(section) => visit(section),
            Kind::List(item) | Kind::Map(_, item) => inner(item, visit),
            _ => {}
        }
    }

    /// Every property of the schema; the items of a list stand there twice, so one of them is enough.
    fn in_schema(schema: &Value, out: &mut Vec<String>) {
        let schema = schema
            .pointer("/anyOf/1")
            .filter(|one| one.get("type").is_some())
            .unwrap_or(schema);
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (key, value) in properties {
                assert!(value.get("description").is_some(), "`{key}` has a description");
                out.push(key.clone());
                in_schema(value, out);
            }
        }
        if let Some(values) = schema
            .get("additionalProperties")
            .filter(|values| values.is_object())
        {
            in_schema(values, out);
        }
    }

    #[test]
    fn the_schema_knows_exactly_the_keys_that_the_reader_takes() {
        let (mut tables, mut schemas) = (Vec::new(), Vec::new());
        in_tables(&TOP, &mut tables);
        in_schema(&serde_json::from_str(&schema()).unwrap(), &mut schemas);
        tables.sort();
        schemas.sort();
        assert_eq!(tables, schemas);
        assert!(tables.len() > 100, "{}", tables.len());
    }
}
