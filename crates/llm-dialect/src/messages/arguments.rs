//! Arguments of a call: JSON in a string elsewhere, a JSON object here. A model may have broken off within them.

use crate::canon::{Json, JsonStr, ToolCall, ToolInput, shim};

/// The object that a call is made with; whether something had to be made up for it.
pub(super) fn of_call<'c>(call: &'c ToolCall<'_>) -> (Json<'c>, bool) {
    match &call.input {
        ToolInput::Json(value) if value.is_object() => (value.borrowed(), false),
        ToolInput::Json(value) => (wrapped(value.get()), true),
        ToolInput::Custom(text) => (shim::wrapped(text), false),
        ToolInput::Arguments(text) => object(text),
    }
}

/// The object that a string of arguments means: nothing is `{}`, another value stands under `input`, what was cut off is
/// closed, and what is no JSON at all stands under `input` as the text that it is.
pub fn object(arguments: &JsonStr<'_>) -> (Json<'static>, bool) {
    let plain = arguments.read();
    let text = plain.trim();
    if text.is_empty() {
        return (Json::spelled_so("{}"), false);
    }
    if let Some(value) = Json::parse(text) {
        return if value.is_object() {
            (value.into_owned(), false)
        } else {
            (wrapped(text), true)
        };
    }
    if let Some(object) = closed(text) {
        (Json::spelled_so(object), true)
    } else {
        let text = JsonStr::of(&plain);
        (
            Json::spelled_so(format!(r#"{{"input":"{}"}}"#, text.spelling())),
            true,
        )
    }
}

fn wrapped(value: &str) -> Json<'static> {
    Json::spelled_so(format!(r#"{{"input":{value}}}"#))
}

/// An object that was cut off, closed: its open strings and brackets end, and what was only begun is dropped.
fn closed(text: &str) -> Option<String> {
    if !text.starts_with('{') {
        return None;
    }
    // Each place at which a value was whole, or a string was open, is a place to close at; the last that makes JSON wins.
    let mut candidates = vec![text.len()];
    candidates.extend(
        text.char_indices()
            .rev()
            .filter(|(_, it)| matches!(it, ',' | '{' | '['))
            .map(|(at, it)| at + usize::from(it != ',')),
    );
    candidates.into_iter().take(64).find_map(|end| {
        let head = text.get(..end)?;
        let whole = format!("{head}{}", ends(head));
        Json::parse(&whole).filter(Json::is_object)?;
        Some(whole)
    })
}

/// What closes all that is open at the end of a text.
fn ends(text: &str) -> String {
    let mut open = Vec::new();
    let (mut inside, mut escaped) = (false, false);
    for character in text.chars() {
        match (inside, character) {
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => inside = !inside,
            (false, '{') => open.push('}'),
            (false, '[') => open.push(']'),
            (false, '}' | ']') => {
                open.pop();
            }
            _ => {}
        }
    }
    let mut ends = String::new();
    if escaped {
        // A lone backslash cannot stand before the quote.
        ends.push('\\');
    }
    if inside {
        ends.push('"');
    }
    ends.extend(open.into_iter().rev());
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arguments_of_every_kind_become_an_object() {
        for (arguments, expected, changed) in [
            ("", "{}", false),
            ("  ", "{}", false),
            ("{}", "{}", false),
            (r#"{"a": 1.0}"#, r#"{"a": 1.0}"#, false),
            ("5", r#"{"input":5}"#, true),
            (r#"["a"]"#, r#"{"input":["a"]}"#, true),
            (
                r#"{"path":"/tmp/x","content":"hel"#,
                r#"{"path":"/tmp/x","content":"hel"}"#,
                true,
            ),
            (r#"{"a":[1,{"b":"c"#, r#"{"a":[1,{"b":"c"}]}"#, true),
            (r#"{"a":1,"b"#, r#"{"a":1}"#, true),
            (r#"{"a":1,"b":tr"#, r#"{"a":1}"#, true),
            (r#"{"a":"x\"#, r#"{"a":"x\\"}"#, true),
            ("{", "{}", true),
            ("rm -rf \"x\"", r#"{"input":"rm -rf \"x\""}"#, true),
        ] {
            let (object, was_changed) = object(&JsonStr::of(arguments));
            assert_eq!((object.get(), was_changed), (expected, changed), "{arguments}");
        }
    }

    proptest! {
        #[test]
        fn a_cut_object_is_an_object_all_the_same(key in "[a-z\"\\\\é]{0,6}", text in ".{0,12}", cut in any::<prop::sample::Index>()) {
            let whole = serde_json::json!({ key: [text, 1.5, null] }).to_string();
            let borders: Vec<usize> = whole.char_indices().map(|(at, _)| at).chain([whole.len()]).collect();
            let cut = &whole[..borders[cut.index(borders.len())]];
            let (object, _) = object(&JsonStr::of(cut));
            prop_assert!(object.read::<serde_json::Map<String, serde_json::Value>>().is_some(), "{}", object.get());
        }
    }
}
