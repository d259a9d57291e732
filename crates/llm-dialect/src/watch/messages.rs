//! Events of an Anthropic Messages stream.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::reading::{Notes, Word, type_of, unknown};
use crate::fault;
use crate::lenient::{Filled, Substance, Text};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: Text,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    content_block: Block,
    delta: Delta,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block {
    #[serde(rename = "type")]
    kind: Text,
    text: Filled,
    thinking: Filled,
    signature: Filled,
}

/// A delta's substance: any text in it but its type. For `message_delta` that is the stop reason.
type Delta = Substance;

pub(crate) fn read(name: Option<&[u8]>, data: &[u8], notes: &mut Notes) -> Word {
    let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
        return Word::Opaque;
    };
    match type_of(&event.kind.0, name) {
        "message_start" => {
            notes.usage(event.message.and_then(|message| message.usage));
            Word::Lifecycle
        }
        "ping" => Word::Quiet,
        "content_block_start" => spoken(event.content_block.speaks()),
        "content_block_delta" => spoken(event.delta.0),
        "content_block_stop" => Word::Lifecycle,
        "message_delta" => {
            notes.usage(event.usage);
            spoken(event.delta.0)
        }
        "message_stop" => Word::Terminal,
        "error" => Word::Fault(fault::read(data)),
        _ => unknown(data),
    }
}

impl Block {
    /// Text and thinking begin empty; every other block is something in itself.
    fn speaks(&self) -> bool {
        match self.kind.0.as_str() {
            "text" | "thinking" => self.text.0 || self.thinking.0 || self.signature.0,
            _ => true,
        }
    }
}

fn spoken(content: bool) -> Word {
    if content { Word::Content } else { Word::Lifecycle }
}

/// The events that make up nearly all of a stream, by name or by the head of their JSON.
pub(crate) fn is_dull(name: Option<&[u8]>, data: &[u8]) -> bool {
    match name {
        Some(name) => matches!(name, b"content_block_delta" | b"content_block_stop"),
        None => data.starts_with(br#"{"type":"content_block_delta""#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn the_commit_point_is_the_first_thing_said() {
        #[rustfmt::skip]
        let table = [
            (r#"{"type":"message_start","message":{"usage":{"input_tokens":1}}}"#, Word::Lifecycle),
            (r#"{"type": "ping"}"#, Word::Quiet),
            (r#"{"type":"content_block_start","content_block":{"type":"text","text":""}}"#, Word::Lifecycle),
            (r#"{"type":"content_block_start","content_block":{"type":"thinking","thinking":"","signature":""}}"#, Word::Lifecycle),
            (r#"{"type":"content_block_start","content_block":{"type":"text","text":"a"}}"#, Word::Content),
            (r#"{"type":"content_block_start","content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}"#, Word::Content),
            (r#"{"type":"content_block_start","content_block":{"type":"redacted_thinking","data":"x"}}"#, Word::Content),
            (r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":""}}"#, Word::Lifecycle),
            (r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#, Word::Content),
            (r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"a","estimated_tokens":1}}"#, Word::Content),
            (r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"","estimated_tokens":1}}"#, Word::Lifecycle),
            (r#"{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"a"}}"#, Word::Content),
            (r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{"}}"#, Word::Content),
            (r#"{"type":"content_block_stop","index":0  }"#, Word::Lifecycle),
            (r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":0}}"#, Word::Content),
            (r#"{"type":"message_delta","delta":{"stop_reason":null}}"#, Word::Lifecycle),
            (r#"{"type":"message_stop"   }"#, Word::Terminal),
            (r#"{"type":"something_new"}"#, Word::Content),
            ("[DONE]", Word::Opaque),
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
    fn errors_are_known_with_and_without_their_type() {
        for (name, data) in [
            (
                None,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            ),
            (
                Some(&b"error"[..]),
                r#"{"error":{"type":"overloaded_error","message":"m"}}"#,
            ),
            (None, r#"{"error":{"type":"overloaded_error","message":"m"}}"#),
        ] {
            let Word::Fault(error) = read(name, data.as_bytes(), &mut Notes::default()) else {
                panic!("{data}")
            };
            assert_eq!(error.kind, "overloaded_error");
        }
    }

    #[test]
    fn usage_is_gathered_from_both_ends() {
        let mut notes = Notes::default();
        read(None, br#"{"type":"message_start","message":{"usage":{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}}}"#, &mut notes);
        read(
            None,
            br#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#,
            &mut notes,
        );
        let usage = notes.usage.usage(Dialect::Messages);
        assert_eq!((usage.input, usage.output), (Some(7), Some(9)));
    }
}
