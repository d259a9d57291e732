//! Reads what a backend says went wrong, whatever shape it says it in.
//!
//! The shapes come from recordings: the envelopes of `OpenAI`, Anthropic and Gemini (also as an array),
//! vLLM's flat object, `FastAPI`'s `detail`, a bare string, HTML pages of proxies in between, nothing at all.
//! Reading never fails: what has no structure becomes the message.

use serde_json::{Map, Value};

use crate::dialect::Dialect;

/// Longest message kept, in bytes.
const MAX_MESSAGE: usize = 4096;

/// What a backend said about its error. Fields are empty where it said nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendError {
    /// The HTTP status that the body itself names (400 to 599), as hosts do under a 200.
    pub status: Option<u16>,
    /// The error's class: `error.type`, or Gemini's `error.status`.
    pub kind: String,
    /// The error's code; numbers as text.
    pub code: String,
    /// The text for humans, at most 4 KiB, not yet cleared of secrets.
    pub message: String,
}

/// Reads an error body of any shape.
pub fn read(body: &[u8]) -> BackendError {
    let mut fault = serde_json::from_slice(body).map_or_else(|_| from_text(body), |json| from_json(&json));
    truncate(&mut fault.message);
    fault
}

/// Reads a body that should be an answer, if it is an error all the same.
///
/// Only an unmistakable error counts: a filled `error` member, or a type that names one.
pub fn in_answer(body: &[u8]) -> Option<BackendError> {
    let json: Value = serde_json::from_slice(body).ok()?;
    is_error(&json).then(|| {
        let mut fault = from_json(&json);
        truncate(&mut fault.message);
        fault
    })
}

/// Whether a body is an error in the envelope of that dialect, as its SDKs expect it.
pub fn is_enveloped(dialect: Dialect, body: &[u8]) -> bool {
    let Ok(Value::Object(map)) = serde_json::from_slice(body) else {
        return false;
    };
    let typed = dialect != Dialect::Messages || map.get("type").and_then(Value::as_str) == Some("error");
    typed && map.get("error").is_some_and(Value::is_object)
}

fn is_error(json: &Value) -> bool {
    match json {
        Value::Array(items) => items.first().is_some_and(is_error),
        Value::Object(map) => {
            let says = |key: &str, value: &str| map.get(key).and_then(Value::as_str) == Some(value);
            map.get("error").is_some_and(is_truthy)
                || says("type", "error")
                || says("type", "response.failed")
                || says("object", "error")
                || (says("object", "response") && says("status", "failed"))
        }
        _ => false,
    }
}

/// What the official SDKs take for an error: they test the member as their language tests a truth value.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn from_json(json: &Value) -> BackendError {
    match json {
        Value::Object(map) => from_object(map),
        Value::Array(items) => items.first().map(from_json).unwrap_or_default(),
        Value::String(text) => message(text),
        _ => BackendError::default(),
    }
}

/// The error proper may be a member (`error`, or that of a failed `response`) or the object itself.
/// What the inner object leaves out is taken from the outer one.
fn from_object(map: &Map<String, Value>) -> BackendError {
    let outer = fields(map);
    let response = map.get("response").and_then(Value::as_object);
    let nested = [
        map.get("error"),
        response.and_then(|response| response.get("error")),
    ];
    match nested.into_iter().flatten().find(|error| is_truthy(error)) {
        Some(Value::Object(inner)) => fields(inner).or(outer),
        Some(Value::String(text)) => message(text).or(outer),
        _ => outer,
    }
}

impl BackendError {
    fn or(self, other: Self) -> Self {
        let first = |one: String, two: String| if one.is_empty() { two } else { one };
        Self {
            status: self.status.or(other.status),
            kind: first(self.kind, other.kind),
            code: first(self.code, other.code),
            message: first(self.message, other.message),
        }
    }
}

fn fields(map: &Map<String, Value>) -> BackendError {
    let text = |key: &str| map.get(key).map(scalar).unwrap_or_default();
    let named = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = [named("type"), named("status")]
        .into_iter()
        .find(|kind| !matches!(*kind, "" | "error" | "response.failed"));
    let detail = map
        .get("details")
        .and_then(|details| details.get("error_code"))
        .map(scalar);
    let code = Some(text("code")).filter(|code| !code.is_empty()).or(detail);
    let status = ["code", "status", "status_code"]
        .into_iter()
        .find_map(|key| map.get(key).and_then(status));
    let message = ["message", "msg", "detail"]
        .into_iter()
        .filter_map(|key| map.get(key));
    BackendError {
        status,
        kind: kind.unwrap_or_default().to_owned(),
        code: code.unwrap_or_default(),
        message: message
            .map(prose)
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
    }
}

/// A number, or a string that is one, that can be the status of an error.
fn status(value: &Value) -> Option<u16> {
    let number = match value {
        Value::Number(number) => number.as_u64()?.try_into().ok()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    (400..600).contains(&number).then_some(number)
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The text of a message: a string, an object that has one, or `FastAPI`'s list of `{loc, msg}`.
fn prose(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(items) => items.iter().map(complaint).collect::<Vec<_>>().join("; "),
        Value::Object(map) => from_object(map).message,
        _ => String::new(),
    }
}

fn complaint(item: &Value) -> String {
    let place = item.get("loc").and_then(Value::as_array);
    let place = place.map(|parts| parts.iter().map(scalar).collect::<Vec<_>>().join("."));
    match place {
        Some(place) => format!("{place}: {}", prose(item)),
        None => prose(item),
    }
}

/// Text that is no JSON: the title of an HTML page (the rest is markup), else the text itself.
fn from_text(body: &[u8]) -> BackendError {
    // Anything further cannot become part of the message.
    let head = body.get(..4 * MAX_MESSAGE).unwrap_or(body);
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('<') {
        message(title(text).unwrap_or("an HTML page"))
    } else {
        message(text)
    }
}

fn title(page: &str) -> Option<&str> {
    // Lower case in ASCII only, so that positions stay the same.
    let lower = page.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower.get(open..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find('<')?;
    page.get(start..end)
        .map(str::trim)
        .filter(|title| !title.is_empty())
}

fn message(text: &str) -> BackendError {
    BackendError {
        message: text.trim().to_owned(),
        ..BackendError::default()
    }
}

fn truncate(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_MESSAGE));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(status: Option<u16>, kind: &str, code: &str, message: &str) -> BackendError {
        BackendError {
            status,
            kind: kind.to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn every_shape_is_understood() {
        #[rustfmt::skip]
        let table = [
            ("OpenAI", r#"{"error":{"message":"Too fast","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#, fault(None, "tokens", "rate_limit_exceeded", "Too fast")),
            ("Anthropic", r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#, fault(None, "overloaded_error", "", "Overloaded")),
            ("Anthropic with details", r#"{"type":"error","error":{"type":"invalid_request_error","message":"m","details":{"error_code":"tool_name_conflict"}}}"#, fault(None, "invalid_request_error", "tool_name_conflict", "m")),
            ("OpenRouter", r#"{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"x"}}}"#, fault(Some(429), "", "429", "Provider returned error")),
            ("Gemini in an array", r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]"#, fault(Some(429), "RESOURCE_EXHAUSTED", "429", "Quota")),
            ("vLLM, flat", r#"{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}"#, fault(Some(400), "BadRequestError", "400", "too long")),
            ("xAI, a string", r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided"}"#, fault(None, "", "Client specified an invalid argument", "Incorrect API key provided")),
            ("Mistral", r#"{"message":"No","request_id":"r"}"#, fault(None, "", "", "No")),
            ("FastAPI, a string", r#"{"detail":"Unauthorized"}"#, fault(None, "", "", "Unauthorized")),
            ("FastAPI, a list", r#"{"detail":[{"loc":["body","model"],"msg":"field required","type":"missing"},{"msg":"b"}]}"#, fault(None, "", "", "body.model: field required; b")),
            ("a Responses stream, as specified", r#"{"type":"error","code":"server_error","message":"m","param":null,"sequence_number":3}"#, fault(None, "", "server_error", "m")),
            ("a Responses stream, as sent", r#"{"type":"error","sequence_number":2,"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"m"}}"#, fault(None, "insufficient_quota", "insufficient_quota", "m")),
            ("a failed response", r#"{"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"rate_limit_exceeded","message":"m"}}}"#, fault(None, "", "rate_limit_exceeded", "m")),
            ("a code as text", r#"{"error":{"code":"503","message":"m"}}"#, fault(Some(503), "", "503", "m")),
            ("a code that is no status", r#"{"error":{"code":1302,"message":"m"}}"#, fault(None, "", "1302", "m")),
            ("relays", r#"{"code":500,"msg":"无可用渠道"}"#, fault(Some(500), "", "500", "无可用渠道")),
            ("a JSON string", r#""no""#, fault(None, "", "", "no")),
            ("HTML", "<!DOCTYPE html><html><head><TITLE>502 Bad\nGateway</title></head>", fault(None, "", "", "502 Bad\nGateway")),
            ("HTML without title", "<h1>no</h1>", fault(None, "", "", "an HTML page")),
            ("plain text", " upstream connect error \n", fault(None, "", "", "upstream connect error")),
            ("cut JSON", r#"{"error":{"mess"#, fault(None, "", "", r#"{"error":{"mess"#)),
            ("nothing", "", BackendError::default()),
            ("an empty object", "{}", BackendError::default()),
            ("a number", "5", BackendError::default()),
        ];
        for (case, body, expected) in table {
            assert_eq!(read(body.as_bytes()), expected, "{case}");
        }
    }

    #[test]
    fn only_an_error_object_is_an_error_in_an_answer() {
        for (body, error) in [
            (r#"{"error":{"message":"m"}}"#, true),
            (r#"{"error":"m"}"#, true),
            (r#"{"error":{"code":400},"choices":[{"delta":{}}]}"#, true),
            (r#"[{"error":{"code":400}}]"#, true),
            (r#"{"type":"error","message":"m"}"#, true),
            (r#"{"object":"error"}"#, true),
            (r#"{"object":"response","status":"failed","error":null}"#, true),
            (r#"{"error":null,"choices":[]}"#, false),
            (r#"{"error":{}}"#, false),
            (r#"{"error":""}"#, false),
            (r#"{"error":false}"#, false),
            (r#"{"detail":"x"}"#, false),
            (r#"{"choices":[{"message":{"content":"{\"error\":1}"}}]}"#, false),
            ("error", false),
            ("[]", false),
        ] {
            assert_eq!(in_answer(body.as_bytes()).is_some(), error, "{body}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let text = "é".repeat(3000);
        let body = serde_json::json!({ "error": { "message": format!("a{text}") } }).to_string();
        assert_eq!(read(body.as_bytes()).message.len(), 4095);
        assert_eq!(read(&vec![b'x'; 100_000]).message.len(), 4096);
    }

    proptest! {
        #[test]
        fn reading_is_total(body in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&body).message.len() <= MAX_MESSAGE);
            let _ = in_answer(&body);
        }
    }

    #[test]
    fn an_envelope_is_told_from_other_bodies() {
        let openai: &[u8] = br#"{"error":{"message":"no"}}"#;
        let anthropic: &[u8] = br#"{"type":"error","error":{"type":"x","message":"no"}}"#;
        for (dialect, body, expected) in [
            (Dialect::Chat, openai, true),
            (Dialect::Responses, openai, true),
            (Dialect::Messages, openai, false),
            (Dialect::Messages, anthropic, true),
            (Dialect::Chat, br#"{"error":"no"}"#, false),
            (Dialect::Chat, br#"{"detail":"no"}"#, false),
            (Dialect::Chat, b"<html></html>", false),
            (Dialect::Chat, b"", false),
        ] {
            let text = String::from_utf8_lossy(body);
            assert_eq!(is_enveloped(dialect, body), expected, "{dialect:?}: {text}");
        }
    }
}
