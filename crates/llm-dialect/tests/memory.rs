//! What a stream on its way between two dialects keeps in memory, however long it is.
#![cfg(test)]

use std::sync::Arc;

use bytes::Bytes;
use llm_dialect::Dialect;
use llm_dialect::canon::Terms;
use llm_dialect::grammar::{self, State};
use llm_dialect::transcode::{Bounds, Passing, Transcoder};
use serde_json::{Value, json};

const KIB: usize = 1 << 10;

/// Far below what the streams of these tests hold.
const BOUNDS: Bounds = Bounds {
    event: 64 * KIB,
    kept: 256 * KIB,
};

/// What a stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Words,
    Thoughts,
    Arguments,
    Calls,
    Sources,
    Probabilities,
    /// Arguments of a call that never gets a name; details of reasoning; a search whose query never ends.
    Odd,
}

const KINDS: [Kind; 7] = [
    Kind::Words,
    Kind::Thoughts,
    Kind::Arguments,
    Kind::Calls,
    Kind::Sources,
    Kind::Probabilities,
    Kind::Odd,
];

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn opening(from: Dialect, kind: Kind) -> String {
    match from {
        Dialect::Chat => match kind {
            Kind::Arguments => chat(
                &json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{\"a\":\""}}]}),
            ),
            Kind::Sources => chat(&json!({"content": "a"})),
            _ => chat(&json!({"role": "assistant"})),
        },
        Dialect::Messages => {
            let block = match kind {
                Kind::Thoughts => json!({"type": "thinking", "thinking": ""}),
                Kind::Arguments => json!({"type": "tool_use", "id": "c", "name": "f", "input": {}}),
                Kind::Odd => json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
                _ => json!({"type": "text", "text": "a"}),
            };
            event(&json!({"type": "message_start", "message": {"id": "m"}}))
                + &event(&json!({"type": "content_block_start", "index": 0, "content_block": block}))
        }
        Dialect::Responses => {
            let item = match kind {
                Kind::Thoughts => json!({"type": "reasoning"}),
                Kind::Arguments => json!({"type": "function_call", "call_id": "c", "name": "f"}),
                _ => json!({"type": "message"}),
            };
            let begun = event(&json!({"type": "response.created", "response": {"id": "r"}}));
            let text = json!({"type": "response.output_text.delta", "output_index": 0, "delta": "a"});
            let said = if kind == Kind::Sources {
                event(&text)
            } else {
                String::new()
            };
            let added = json!({"type": "response.output_item.added", "output_index": 0, "item": item});
            begun + &event(&added) + &said
        }
    }
}

fn chat(delta: &Value) -> String {
    event(&json!({"id": "i", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}))
}

/// The `n`th piece of such a stream.
fn piece(from: Dialect, kind: Kind, n: usize) -> String {
    let words = "w".repeat(KIB);
    match from {
        Dialect::Chat => chat_piece(kind, n, &words),
        Dialect::Messages => messages_piece(kind, n, &words),
        Dialect::Responses => responses_piece(kind, n, &words),
    }
}

fn chat_piece(kind: Kind, n: usize, words: &str) -> String {
    let delta = match kind {
        Kind::Words => json!({"content": words}),
        Kind::Thoughts => json!({"reasoning_content": words}),
        Kind::Arguments => json!({"tool_calls": [{"index": 0, "function": {"arguments": words}}]}),
        Kind::Calls => {
            json!({"tool_calls": [{"index": n, "id": format!("call_{n}"), "function": {"name": "f", "arguments": "{}"}}]})
        }
        Kind::Sources => {
            json!({"annotations": [{"type": "url_citation", "url_citation": {"url": words, "title": "t"}}]})
        }
        Kind::Probabilities => {
            let said = json!({"delta": {"content": "a"}, "logprobs": {"content": [{"token": words, "top_logprobs": []}]}});
            return event(&json!({"id": "i", "choices": [said]}));
        }
        Kind::Odd if n.is_multiple_of(2) => {
            json!({"tool_calls": [{"index": 0, "function": {"arguments": words}}]})
        }
        Kind::Odd => json!({"reasoning_details": [{"type": "reasoning.text", "text": words, "index": n}]}),
    };
    chat(&delta)
}

fn messages_piece(kind: Kind, n: usize, words: &str) -> String {
    let delta = match kind {
        Kind::Words | Kind::Probabilities => json!({"type": "text_delta", "text": words}),
        Kind::Thoughts => json!({"type": "thinking_delta", "thinking": words}),
        Kind::Arguments | Kind::Odd => json!({"type": "input_json_delta", "partial_json": words}),
        // Never closed.
        Kind::Calls => {
            let call = json!({"type": "tool_use", "id": format!("c{n}"), "name": "f", "input": {}});
            return event(&json!({"type": "content_block_start", "index": n + 1, "content_block": call}));
        }
        Kind::Sources => {
            json!({"type": "citations_delta", "citation": {"type": "web_search_result_location", "url": words, "title": "t", "cited_text": "c"}})
        }
    };
    event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
}

fn responses_piece(kind: Kind, n: usize, words: &str) -> String {
    let (name, member) = match kind {
        Kind::Words => ("output_text.delta", json!({"delta": words})),
        Kind::Probabilities => (
            "output_text.delta",
            json!({"delta": "a", "logprobs": [{"token": words, "top_logprobs": []}]}),
        ),
        Kind::Thoughts => (
            "reasoning_summary_text.delta",
            json!({"delta": words, "summary_index": n / 9}),
        ),
        Kind::Arguments => ("function_call_arguments.delta", json!({"delta": words})),
        Kind::Calls | Kind::Odd => {
            let call = json!({"type": "function_call", "call_id": format!("c{n}"), "name": "f"});
            ("output_item.added", json!({"output_index": n + 1, "item": call}))
        }
        Kind::Sources => (
            "output_text.annotation.added",
            json!({"annotation": {"type": "url_citation", "url": words, "title": "t"}}),
        ),
    };
    let mut data = member;
    data["type"] = format!("response.{name}").into();
    if data.get("output_index").is_none() {
        data["output_index"] = 0.into();
    }
    event(&data)
}

/// Pieces of the kind up to so many; what has been written, the most that was kept, and how the stream stands.
fn passed(from: Dialect, to: Dialect, kind: Kind, pieces: usize) -> (Vec<u8>, usize, Passing) {
    let mut transcoder = Transcoder::new(from, to, &Arc::new(Terms::default()), BOUNDS);
    let (mut out, mut most) = (Vec::new(), 0);
    let mut passing = transcoder.feed(Bytes::from(opening(from, kind)), &mut out);
    for n in 0..pieces {
        if passing != Passing::Going {
            break;
        }
        passing = transcoder.feed(Bytes::from(piece(from, kind, n)), &mut out);
        most = most.max(transcoder.held());
    }
    (out, most, passing)
}

fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    let all = Dialect::ALL.into_iter();
    all.flat_map(|from| Dialect::ALL.into_iter().map(move |to| (from, to)))
        .filter(|(from, to)| from != to)
}

/// A mebibyte and more of each kind.
const PIECES: usize = 1200;

#[test]
fn words_and_arguments_pass_without_being_kept() {
    for (from, to) in pairs().filter(|(_, to)| *to != Dialect::Responses) {
        for kind in [Kind::Words, Kind::Arguments, Kind::Probabilities] {
            let (out, most, passing) = passed(from, to, kind, PIECES);
            assert_eq!(passing, Passing::Going, "{from} to {to}, {kind:?}");
            assert!(most < 4 * KIB, "{from} to {to}, {kind:?}: {most} bytes are kept");
            assert!(out.len() > KIB, "{from} to {to}, {kind:?}: nothing was told");
        }
    }
}

#[test]
fn thoughts_for_a_messages_client_are_not_kept() {
    for from in [Dialect::Chat, Dialect::Responses] {
        let (_, most, passing) = passed(from, Dialect::Messages, Kind::Thoughts, PIECES);
        assert_eq!(passing, Passing::Going, "{from}");
        assert!(most < 4 * KIB, "{from}: {most} bytes are kept");
    }
}

#[test]
fn whatever_has_to_be_kept_is_bounded_and_beyond_it_the_stream_breaks() {
    for (from, to) in pairs() {
        for kind in KINDS {
            let (out, most, passing) = passed(from, to, kind, 20 * PIECES);
            let a_piece = 2 * KIB;
            assert!(
                most <= BOUNDS.kept + a_piece,
                "{from} to {to}, {kind:?}: {most} bytes are kept"
            );
            if let Passing::Fault(error) = passing {
                assert!(most > BOUNDS.kept, "{from} to {to}, {kind:?}: {}", error.message);
                assert!(error.message.contains("max_response"), "{}", error.message);
            }
            let state = grammar::beginning(to, &out);
            assert_ne!(state, Ok(State::Whole), "{from} to {to}, {kind:?}");
        }
    }
}

#[test]
fn a_responses_client_is_told_the_whole_again_so_all_of_it_counts() {
    for from in [Dialect::Chat, Dialect::Messages] {
        for kind in [Kind::Words, Kind::Thoughts, Kind::Arguments, Kind::Sources] {
            let (_, _, passing) = passed(from, Dialect::Responses, kind, PIECES);
            assert!(
                matches!(passing, Passing::Fault(_)),
                "{from}, {kind:?}: {passing:?}"
            );
        }
    }
}
