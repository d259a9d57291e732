//! Events of an `OpenAI` Responses stream.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::reading::{Notes, Word, type_of, unknown};
use crate::fault;
use crate::lenient::{Count, Filled, Substance, Text};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: Text,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    item: Option<Item>,
    part: Substance,
    delta: Filled,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response<'a> {
    id: Text,
    model: Text,
    created_at: Count,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    #[serde(rename = "type")]
    kind: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Numbered {
    sequence_number: Count,
}

pub(crate) fn read(name: Option<&[u8]>, data: &[u8], notes: &mut Notes) -> Word {
    let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
        return Word::Opaque;
    };
    let kind = type_of(&event.kind.0, name);
    if let Some(response) = &event.response {
        response.note(notes);
    }
    match kind {
        "response.created" | "response.in_progress" | "response.queued" => Word::Lifecycle,
        "ping" | "keepalive" => Word::Quiet,
        "response.output_item.added" => spoken(event.item.is_some_and(|item| item.speaks())),
        "response.content_part.added" | "response.reasoning_summary_part.added" => spoken(event.part.0),
        "response.completed" | "response.incomplete" | "response.cancelled" => Word::TerminalAnswer,
        "response.failed" | "error" => Word::Fault(fault::read(data)),
        kind if kind.strip_suffix(".delta").is_some() => spoken(event.delta.0),
        _ => unknown(data),
    }
}

/// The `sequence_number` that an event carries.
pub(crate) fn sequence_number(data: &[u8]) -> Option<u64> {
    let numbered: Numbered = serde_json::from_slice(data).ok()?;
    numbered.sequence_number.0
}

impl Response<'_> {
    fn note(&self, notes: &mut Notes) {
        notes.usage(self.usage);
        if !self.id.0.is_empty() {
            notes.head.response_id = Some(self.id.0.clone());
        }
        if !self.model.0.is_empty() {
            notes.head.model.clone_from(&self.model.0);
        }
        notes.head.created_at = self.created_at.0.unwrap_or(notes.head.created_at);
    }
}

impl Item {
    /// Messages and reasoning are added empty; calls are something in themselves.
    fn speaks(&self) -> bool {
        !matches!(self.kind.0.as_str(), "message" | "reasoning")
    }
}

fn spoken(content: bool) -> Word {
    if content { Word::Content } else { Word::Lifecycle }
}

/// Deltas make up nearly all of a stream, and say nothing that the proxy needs.
pub(crate) fn is_dull(name: Option<&[u8]>, data: &[u8]) -> bool {
    match name {
        Some(name) => name.ends_with(b".delta"),
        None => data.starts_with(br#"{"type":"response.output_text.delta""#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_point_is_the_first_thing_said() {
        #[rustfmt::skip]
        let table = [
            (r#"{"type":"response.created","response":{"id":"r","error":null}}"#, Word::Lifecycle),
            (r#"{"type":"response.in_progress","response":{}}"#, Word::Lifecycle),
            (r#"{"type":"response.queued"}"#, Word::Lifecycle),
            (r#"{"type":"keepalive","sequence_number":3}"#, Word::Quiet),
            (r#"{"type":"response.output_item.added","item":{"type":"message","id":"m"}}"#, Word::Lifecycle),
            (r#"{"type":"response.output_item.added","item":{"type":"reasoning","id":"m"}}"#, Word::Lifecycle),
            (r#"{"type":"response.output_item.added","item":{"type":"function_call"}}"#, Word::Content),
            (r#"{"type":"response.output_item.added","item":{"type":"custom_tool_call"}}"#, Word::Content),
            (r#"{"type":"response.content_part.added","part":{"type":"output_text","text":"","annotations":[]}}"#, Word::Lifecycle),
            (r#"{"type":"response.output_text.delta","delta":"a"}"#, Word::Content),
            (r#"{"type":"response.output_text.delta","delta":""}"#, Word::Lifecycle),
            (r#"{"type":"response.reasoning_summary_text.delta","delta":"a"}"#, Word::Content),
            (r#"{"type":"response.refusal.delta","delta":"a"}"#, Word::Content),
            (r#"{"type":"response.completed","response":{"status":"completed","error":null}}"#, Word::TerminalAnswer),
            (r#"{"type":"response.incomplete","response":{}}"#, Word::TerminalAnswer),
            (r#"{"type":"response.new_thing"}"#, Word::Content),
            ("{", Word::Opaque),
        ];
        for (data, expected) in table {
            assert_eq!(
                read(None, data.as_bytes(), &mut Notes::default()),
                expected,
                "{data}"
            );
        }
    }

    #[test]
    fn both_forms_of_an_error_are_known() {
        for data in [
            r#"{"type":"error","code":"insufficient_quota","message":"m","sequence_number":2}"#,
            r#"{"type":"error","error":{"code":"insufficient_quota","message":"m"}}"#,
            r#"{"type":"response.failed","response":{"error":{"code":"insufficient_quota","message":"m"}}}"#,
        ] {
            let Word::Fault(error) = read(None, data.as_bytes(), &mut Notes::default()) else {
                panic!("{data}")
            };
            assert_eq!(
                (error.code.as_str(), error.message.as_str()),
                ("insufficient_quota", "m")
            );
        }
    }

    #[test]
    fn an_event_is_known_by_its_name_if_its_data_has_no_type() {
        let word = read(
            Some(b"response.completed"),
            br#"{"response":{"id":"r"}}"#,
            &mut Notes::default(),
        );
        assert_eq!(word, Word::TerminalAnswer);
    }
}
