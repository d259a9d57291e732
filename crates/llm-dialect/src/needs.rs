//! What a request needs of its model, told by its top-level members and by the kinds of its content: no tree is built.

use memchr::memmem;

use crate::Dialect;
use crate::envelope::Envelope;
use crate::scan::{self, DEEPEST, Span};

/// Something that not every model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Looking at pictures.
    Vision,
    /// Calling tools.
    Tools,
    /// Thinking before it answers, where a request asks for it.
    Thinking,
    /// Answers by a JSON schema.
    JsonSchema,
}

impl Feature {
    /// The name in configs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Tools => "tools",
            Self::Thinking => "thinking",
            Self::JsonSchema => "json_schema",
        }
    }
}

/// Whether the request needs that of its model. `body` is the one that `envelope` was read from, and `dialect` the one
/// that it is written in.
pub fn needs(feature: Feature, dialect: Dialect, (body, envelope): (&[u8], &Envelope)) -> bool {
    let body = Body {
        bytes: body,
        envelope,
    };
    match feature {
        Feature::Vision => body.shows_pictures(dialect),
        Feature::Tools => body.has_items("tools") || body.has_items("functions"),
        Feature::Thinking => body.asks_for_thinking(),
        Feature::JsonSchema => body.asks_for_schema(dialect),
    }
}

struct Body<'a> {
    bytes: &'a [u8],
    envelope: &'a Envelope,
}

impl<'a> Body<'a> {
    fn member(&self, name: &str) -> Option<&'a [u8]> {
        self.envelope
            .member(self.bytes, name)
            .map(|span| span.of(self.bytes))
    }

    fn has_items(&self, name: &str) -> bool {
        self.member(name).is_some_and(|value| {
            let whole = Span {
                start: 0,
                end: value.len(),
            };
            scan::items(value, whole).next().is_some()
        })
    }

    /// Anthropic's `thinking`, which some hosts of chat have too; `reasoning_effort` of chat; `reasoning` of Responses.
    fn asks_for_thinking(&self) -> bool {
        let kind = self.member("thinking").and_then(|value| nested(value, &["type"]));
        let effort = |value: &[u8]| value.starts_with(b"\"") && value != b"\"none\"";
        kind.is_some_and(|kind| kind == b"\"enabled\"" || kind == b"\"adaptive\"")
            || self.member("reasoning_effort").is_some_and(effort)
            || self
                .member("reasoning")
                .and_then(|value| nested(value, &["effort"]))
                .is_some_and(effort)
    }

    fn asks_for_schema(&self, dialect: Dialect) -> bool {
        let at = |name: &str, path: &[&str]| self.member(name).and_then(|value| nested(value, path));
        let kinds = match dialect {
            Dialect::Chat => [at("response_format", &["type"]), None],
            Dialect::Responses => [at("text", &["format", "type"]), None],
            Dialect::Messages => [
                at("output_format", &["type"]),
                at("output_config", &["format", "type"]),
            ],
        };
        kinds.into_iter().flatten().any(|kind| kind == b"\"json_schema\"")
    }

    /// Looks for content of the kind of a picture, wherever it stands in the conversation: in results of tools too.
    fn shows_pictures(&self, dialect: Dialect) -> bool {
        let (member, kind) = match dialect {
            Dialect::Chat => ("messages", &b"\"image_url\""[..]),
            Dialect::Responses => ("input", &b"\"input_image\""[..]),
            Dialect::Messages => ("messages", &b"\"image\""[..]),
        };
        self.member(member).is_some_and(|conversation| {
            memmem::find_iter(conversation, kind)
                .any(|at| is_a_type(conversation.get(..at).unwrap_or_default()))
        })
    }
}

/// Whether what follows `before` is the value of a `type`. Quotes within a text are escaped, so no text looks like it.
fn is_a_type(before: &[u8]) -> bool {
    let key = before.trim_ascii_end().strip_suffix(b":");
    key.is_some_and(|key| key.trim_ascii_end().ends_with(b"\"type\""))
}

/// The value at that path of names in an object.
fn nested<'a>(value: &'a [u8], path: &[&str]) -> Option<&'a [u8]> {
    let mut value = value;
    for name in path {
        let object = scan::object(value, DEEPEST).ok()??;
        value = object.value(value, name)?.of(value);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use Feature::{JsonSchema, Thinking, Tools, Vision};

    use super::*;

    const ALL: [Feature; 4] = [Vision, Tools, Thinking, JsonSchema];

    fn of(dialect: Dialect, body: &str) -> Vec<Feature> {
        let envelope = Envelope::read(body.as_bytes(), 64).unwrap();
        let all = ALL.into_iter();
        all.filter(|feature| needs(*feature, dialect, (body.as_bytes(), &envelope)))
            .collect()
    }

    fn check(dialect: Dialect, cases: &[(&str, &[Feature])]) {
        for (body, expected) in cases {
            assert_eq!(of(dialect, body), *expected, "{body}");
        }
    }

    #[test]
    fn what_chat_says_of_its_needs() {
        #[rustfmt::skip]
        check(Dialect::Chat, &[
            (r#"{"messages":[{"role":"user","content":"hello"}]}"#, &[]),
            (r#"{"messages":[{"content":[{"type" : "image_url","image_url":{"url":"u"}}]}]}"#, &[Vision]),
            (r#"{"tools":[{"type":"function"}]}"#, &[Tools]),
            (r#"{"tools":[ ]}"#, &[]),
            (r#"{"tools":null}"#, &[]),
            (r#"{"functions":[{}]}"#, &[Tools]),
            (r#"{"reasoning_effort":"low"}"#, &[Thinking]),
            (r#"{"reasoning_effort":"none"}"#, &[]),
            (r#"{"reasoning_effort":null}"#, &[]),
            (r#"{"thinking":{"type":"enabled"}}"#, &[Thinking]),
            (r#"{"response_format":{"type":"json_schema","json_schema":{}}}"#, &[JsonSchema]),
            (r#"{"response_format":{"type":"json_object"}}"#, &[]),
        ]);
    }

    #[test]
    fn what_responses_says_of_its_needs() {
        #[rustfmt::skip]
        check(Dialect::Responses, &[
            (r#"{"input":[{"content":[{"type":"input_image","image_url":"u"}]}]}"#, &[Vision]),
            (r#"{"reasoning":{"effort":"high","summary":"auto"}}"#, &[Thinking]),
            (r#"{"reasoning":{"effort":"none"}}"#, &[]),
            (r#"{"reasoning":{"summary":"auto"}}"#, &[]),
            (r#"{"text":{"format":{"type":"json_schema"}}}"#, &[JsonSchema]),
            (r#"{"text":{"verbosity":"low"}}"#, &[]),
        ]);
    }

    #[test]
    fn what_messages_says_of_its_needs() {
        #[rustfmt::skip]
        check(Dialect::Messages, &[
            (r#"{"messages":[{"content":[{"type":"tool_result","content":[{"source":{},"type":"image"}]}]}]}"#, &[Vision]),
            (r#"{"thinking":{"type":"adaptive"}}"#, &[Thinking]),
            (r#"{"thinking":{"type":"disabled"}}"#, &[]),
            (r#"{"output_format":{"type":"json_schema"}}"#, &[JsonSchema]),
            (r#"{"output_config":{"effort":"low","format":{"type":"json_schema"}}}"#, &[JsonSchema]),
        ]);
    }

    #[test]
    fn words_are_no_pictures() {
        for text in [
            r#"{"type":"image"}"#,
            r#""type":"image""#,
            "image",
            r#"the "type" : "image"#,
            r#"\"type\":\"image\""#,
        ] {
            let body =
                serde_json::json!({"messages": [{"role": "user", "content": text}], "x": {"type": "image"}});
            assert_eq!(of(Dialect::Messages, &body.to_string()), [], "{text}");
        }
    }
}
