//! What a response object repeats of its request.

use std::fmt::Write as _;

use crate::canon::Request;

/// Members that typed SDKs require, with what stands there where the request says nothing.
const REQUIRED: [(&str, &str); 9] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "null"),
];

/// The members that an answer repeats, as `"name":value` joined by commas.
pub fn echo(request: &Request<'_>) -> String {
    let mut all = String::new();
    for (name, value) in &request.echo {
        let required = REQUIRED
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| *value);
        let value = if value.get() == "null" {
            required.unwrap_or("null")
        } else {
            value.get()
        };
        add(&mut all, name, value);
    }
    for (name, value) in REQUIRED {
        if !request.echo.iter().any(|(own, _)| *own == name) {
            add(&mut all, name, value);
        }
    }
    add(&mut all, "previous_response_id", "null");
    all
}

fn add(all: &mut String, name: &str, value: &str) {
    let comma = if all.is_empty() { "" } else { "," };
    let _infallible = write!(all, "{comma}\"{name}\":{value}");
}
