//! Functions that stand in for custom tools where a backend has none.

use serde::Deserialize;

use super::block::{ToolCall, ToolInput};
use super::json::Json;
use super::text::JsonStr;

/// The arguments of the function: one text.
pub const PARAMETERS: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// The grammar of a custom tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Grammar<'a> {
    /// `lark` or `regex`.
    pub syntax: JsonStr<'a>,
    /// The grammar itself.
    pub definition: JsonStr<'a>,
}

/// A tool's `format`, in the nested form of chat or the flat one of responses.
#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow)]
    grammar: Option<Flat<'a>>,
    #[serde(borrow)]
    syntax: Option<JsonStr<'a>>,
    #[serde(borrow)]
    definition: Option<JsonStr<'a>>,
}

#[derive(Deserialize)]
struct Flat<'a> {
    #[serde(borrow)]
    syntax: Option<JsonStr<'a>>,
    #[serde(borrow)]
    definition: Option<JsonStr<'a>>,
}

impl<'a> Grammar<'a> {
    /// The grammar in a `format`, if it has one.
    pub fn of(format: &'a Json<'_>) -> Option<Self> {
        let format: Format<'a> = format.read()?;
        let (syntax, definition) = match format.grammar {
            Some(nested) => (nested.syntax, nested.definition),
            None => (format.syntax, format.definition),
        };
        Some(Self {
            syntax: syntax?,
            definition: definition?,
        })
    }
}

/// What a model is told of the function: what the tool is for, and what to put where.
pub fn description(own: Option<&JsonStr<'_>>, format: Option<&Json<'_>>) -> JsonStr<'static> {
    let mut all = own.cloned().map(JsonStr::into_owned).unwrap_or_default();
    if !all.is_empty() {
        all.push(&JsonStr::of("\n\n"));
    }
    all.push(&JsonStr::of("Put the raw text in `input`."));
    if let Some(grammar) = format.and_then(Grammar::of) {
        all.push(&JsonStr::of(" It must obey this grammar ("));
        all.push(&grammar.syntax);
        all.push(&JsonStr::of("):\n"));
        all.push(&grammar.definition);
    }
    all
}

/// The value that the function is called with in place of a free text.
pub fn wrapped(text: &JsonStr<'_>) -> Json<'static> {
    Json::spelled_so(format!(r#"{{"input":"{}"}}"#, text.spelling()))
}

impl ToolCall<'_> {
    /// What it is called with as a function: JSON in a string.
    pub fn arguments(&self) -> JsonStr<'_> {
        match &self.input {
            ToolInput::Custom(text) => JsonStr::of(wrapped(text).get()).into_owned(),
            input => input.spelled(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grammar_is_found_in_both_forms() {
        let nested =
            Json::spelled_so(r#"{"type":"grammar","grammar":{"syntax":"lark","definition":"start: \"a\""}}"#);
        let flat = Json::spelled_so(r#"{"type":"grammar","syntax":"lark","definition":"start: \"a\""}"#);
        assert_eq!(Grammar::of(&nested), Grammar::of(&flat));
        let told = description(Some(&JsonStr::of("Patches.")), Some(&flat));
        assert_eq!(
            told.read(),
            "Patches.\n\nPut the raw text in `input`. It must obey this grammar (lark):\nstart: \"a\""
        );
        assert_eq!(Grammar::of(&Json::spelled_so(r#"{"type":"text"}"#)), None);
    }
}
