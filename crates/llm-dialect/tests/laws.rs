//! Laws of conversion, for answers that nobody recorded and for streams that no sane backend sends.
#![cfg(test)]

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use llm_dialect::canon::{
    Block, Decode, Delta, Encode, Gather, JsonStr, Losses, Reasoning, Response, Seal, Stop, StopReason,
    Terms, ToolCall, ToolInput, WireEvent,
};
use llm_dialect::grammar::{self, State, Transcript};
use llm_dialect::transcode::{Bounds, Passing, Transcoder};
use llm_dialect::usage::Usage;
use llm_dialect::{Dialect, chat, messages, responses};
use proptest::prelude::*;

const BOUNDS: Bounds = Bounds {
    event: 1 << 20,
    kept: 1 << 20,
};

fn terms() -> Arc<Terms> {
    Arc::new(Terms {
        model: "alias".to_owned(),
        stream: true,
        include_usage: true,
        family: "host".to_owned(),
        backend_model: "real".to_owned(),
        now: 1_700_000_000,
        request_id: "req-1".to_owned(),
        ..Terms::default()
    })
}

fn words() -> impl Strategy<Value = JsonStr<'static>> {
    ".{1,12}".prop_map(|text| JsonStr::of(&text).into_owned())
}

fn call() -> impl Strategy<Value = Block<'static>> {
    ("[a-z]{1,6}", any::<u32>(), prop::option::of(".{0,8}")).prop_map(|(name, id, text)| {
        let arguments = text.map_or("{}".to_owned(), |text| {
            serde_json::json!({ "a": text }).to_string()
        });
        Block::ToolCall(ToolCall {
            id: JsonStr::spelled_so(format!("call_{id}")),
            name: Cow::Owned(name),
            namespace: None,
            input: ToolInput::Arguments(JsonStr::of(&arguments).into_owned()),
        })
    })
}

fn thought() -> impl Strategy<Value = Block<'static>> {
    (prop::collection::vec(words(), 1..3), any::<bool>()).prop_map(|(parts, plain)| {
        let encrypted = Seal::Encrypted {
            id: JsonStr::spelled_so("rs_1"),
            data: JsonStr::spelled_so("sealed"),
        };
        Block::Reasoning(Reasoning {
            parts,
            summary: !plain,
            seal: Some(if plain { Seal::Plain } else { encrypted }),
            family: None,
        })
    })
}

/// An answer as chat tells it: reasoning, words, calls.
fn response() -> impl Strategy<Value = Response<'static>> {
    let blocks = (
        prop::collection::vec(thought(), 0..2),
        prop::option::of(words()),
        prop::collection::vec(call(), 0..4),
    );
    (blocks, 0..1_000_u64, 1..1_000_u64).prop_map(|((thoughts, text, calls), input, output)| {
        let reason = if calls.is_empty() {
            StopReason::End
        } else {
            StopReason::ToolCalls
        };
        let mut blocks = thoughts;
        blocks.extend(text.map(Block::text));
        blocks.extend(calls);
        Response {
            id: "id1".into(),
            model: "real".into(),
            created: Some(1_700_000_000),
            blocks,
            stop: Stop::because(reason),
            usage: Usage {
                input: Some(input),
                output: Some(output),
                ..Usage::default()
            },
            service_tier: None,
        }
    })
}

fn encoder(to: Dialect) -> Box<dyn Encode> {
    match to {
        Dialect::Chat => Box::new(chat::StreamOut::new(terms())),
        Dialect::Messages => Box::new(messages::StreamOut::new(terms())),
        Dialect::Responses => Box::new(responses::StreamOut::new(terms())),
    }
}

fn streamed(to: Dialect, deltas: &[Delta<'static>]) -> Vec<u8> {
    let (mut encode, mut out) = (encoder(to), Vec::new());
    for delta in deltas {
        encode.delta(delta, &mut out);
    }
    out
}

fn whole(to: Dialect, response: &Response<'_>) -> String {
    let mut losses = Losses::default();
    let body = match to {
        Dialect::Chat => chat::answer_out(response, &terms(), &mut losses),
        Dialect::Messages => messages::answer_out(response, &terms(), &mut losses),
        Dialect::Responses => responses::answer_out(response, &terms(), &mut losses),
    };
    String::from_utf8(body).unwrap()
}

/// The deltas of an answer, each independent of it.
fn deltas(response: &Response<'_>) -> Vec<Delta<'static>> {
    let mut all = Vec::new();
    response.replay(&mut |delta| all.push(owned(delta)));
    all
}

fn owned(delta: Delta<'_>) -> Delta<'static> {
    use llm_dialect::canon::{Head, Piece};
    match delta {
        Delta::Start { id, model, created } => Delta::Start {
            id: Cow::Owned(id.into_owned()),
            model: Cow::Owned(model.into_owned()),
            created,
        },
        Delta::Open { at, head } => Delta::Open {
            at,
            head: match head {
                Head::Text => Head::Text,
                Head::Refusal => Head::Refusal,
                Head::Reasoning { summary } => Head::Reasoning { summary },
                Head::ToolCall {
                    id,
                    name,
                    namespace,
                    custom,
                } => Head::ToolCall {
                    id: id.into_owned(),
                    name: Cow::Owned(name.into_owned()),
                    namespace: namespace.map(|it| Cow::Owned(it.into_owned())),
                    custom,
                },
                Head::WebSearch(search) => Head::WebSearch(search.into_owned()),
            },
        },
        Delta::More { at, piece } => Delta::More {
            at,
            piece: match piece {
                Piece::Words(words) => Piece::Words(words.into_owned()),
                Piece::NextPart => Piece::NextPart,
                Piece::Seal(seal) => Piece::Seal(seal.into_owned()),
                Piece::Citation(citation) => Piece::Citation(citation.into_owned()),
                Piece::Logprobs(items) => Piece::Logprobs(Cow::Owned(items.into_owned())),
            },
        },
        Delta::Close { at } => Delta::Close { at },
        Delta::Usage(usage) => Delta::Usage(usage),
        Delta::Stop(stop) => Delta::Stop(stop.into_owned()),
        Delta::End => Delta::End,
        Delta::Fault(error) => Delta::Fault(error),
        Delta::Lost(kind) => Delta::Lost(Cow::Owned(kind.into_owned())),
    }
}

/// The same answer with its calls told at once, a piece of each in turn.
fn interleaved(deltas: Vec<Delta<'static>>) -> Vec<Delta<'static>> {
    use llm_dialect::canon::Head;
    let is_call = |at: u32, all: &[Delta<'static>]| {
        all.iter()
            .any(|it| matches!(it, Delta::Open { at: own, head: Head::ToolCall { .. } } if *own == at))
    };
    let (mut opens, mut rest, mut closes, mut others) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for delta in &deltas {
        match delta {
            Delta::Open { at, .. } if is_call(*at, &deltas) => opens.push(delta.clone()),
            Delta::More { at, .. } if is_call(*at, &deltas) => rest.push(delta.clone()),
            Delta::Close { at } if is_call(*at, &deltas) => closes.push(delta.clone()),
            other => others.push(other.clone()),
        }
    }
    rest.reverse();
    let end = others
        .iter()
        .position(|it| matches!(it, Delta::Usage(_) | Delta::Stop(_)))
        .unwrap_or(0);
    let tail = others.split_off(end);
    [others, opens, rest, closes, tail].concat()
}

/// What a client has, without the seals, whose envelopes hold what each dialect can give back.
fn heard(mut transcript: Transcript) -> Transcript {
    for block in &mut transcript.blocks {
        if let grammar::Block::Reasoning { seal, .. } = block {
            seal.clear();
        }
    }
    transcript
}

proptest! {
    #[test]
    fn whatever_is_said_obeys_the_grammar_and_a_stream_says_what_the_whole_says(response in response()) {
        let deltas = deltas(&response);
        for to in Dialect::ALL {
            let stream = streamed(to, &deltas);
            let told = grammar::stream(to, &stream).map_err(|fault| {
                TestCaseError::fail(format!("{to}: {fault}\n{}", String::from_utf8_lossy(&stream)))
            })?;
            let body = whole(to, &response);
            let answer = grammar::answer(to, &body).map_err(|fault| TestCaseError::fail(format!("{to}: {fault}\n{body}")))?;
            prop_assert_eq!(told, answer);
        }
    }

    #[test]
    fn calls_that_arrive_at_once_are_told_as_if_they_came_one_by_one(response in response()) {
        let one_by_one = deltas(&response);
        let at_once = interleaved(one_by_one.clone());
        for to in Dialect::ALL {
            let stream = streamed(to, &at_once);
            let told = grammar::stream(to, &stream).map_err(|fault| {
                TestCaseError::fail(format!("{to}: {fault}\n{}", String::from_utf8_lossy(&stream)))
            })?;
            let expected = grammar::stream(to, &streamed(to, &one_by_one)).unwrap();
            prop_assert_eq!(told, expected, "{}", to);
        }
    }

    #[test]
    fn what_is_written_is_read_back(response in response()) {
        for dialect in Dialect::ALL {
            let body = whole(dialect, &response);
            let read = match dialect {
                Dialect::Chat => chat::answer_in(&body),
                Dialect::Messages => messages::answer_in(&body),
                Dialect::Responses => responses::answer_in(&body),
            };
            let again = whole(dialect, &read.unwrap());
            let (one, two) = (grammar::answer(dialect, &body).unwrap(), grammar::answer(dialect, &again).unwrap());
            prop_assert_eq!(heard(one), heard(two), "{}", dialect);
        }
    }

    #[test]
    fn a_stream_is_gathered_into_the_answer_that_it_tells(response in response()) {
        let mut gather = Gather::default();
        for delta in deltas(&response) {
            gather.delta(&delta);
        }
        prop_assert_eq!(gather.finish().0, response);
    }

    #[test]
    fn events_lost_repeated_and_out_of_order_never_make_a_broken_answer_look_whole(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8), 1..6),
    ) {
        let all = recorded();
        let (from, events) = &all[pick.index(all.len())];
        let mut events = events.clone();
        for (place, change) in changes {
            let at = place.index(events.len().max(1));
            match change {
                _ if events.is_empty() => {}
                0 => drop(events.remove(at)),
                1 => events.insert(at, events[at].clone()),
                2 => { let other = events.len() - 1; events.swap(at, other); }
                _ => events[at] = events[at].replace(':', "\\"),
            }
        }
        for to in Dialect::ALL.into_iter().filter(|to| to != from) {
            let mut transcoder = Transcoder::new(*from, to, &terms(), BOUNDS);
            let mut out = Vec::new();
            transcoder.feed(Bytes::from(events.concat()), &mut out);
            let passing = transcoder.finish(&mut out);
            let state = grammar::beginning(to, &out);
            match passing {
                // Arguments that a backend has garbled are told as they came.
                Passing::Ended => if let Err(fault) = state {
                    let fault = fault.to_string();
                    let of_the_backend = fault.contains("arguments") || fault.contains("input of a call");
                    prop_assert!(of_the_backend, "{} to {}: {}\n{}", from, to, fault, String::from_utf8_lossy(&out));
                },
                _ => prop_assert!(state != Ok(State::Whole), "{} to {}: looks whole", from, to),
            }
        }
    }
}

/// Events of streams, with a place for words or for anything else.
const EVENTS: [(Dialect, &str); 18] = [
    (
        Dialect::Chat,
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"~"},"finish_reason":null}],"obfuscation":"~"}"#,
    ),
    (
        Dialect::Chat,
        r#"{"id":"c","choices":[{"index":0,"delta":{"role":"~","content":"a","refusal":null}}],"created":5}"#,
    ),
    (
        Dialect::Chat,
        r#"{"choices":[{"index":0,"delta":{"content":"","reasoning_content":"~"}}],"usage":null}"#,
    ),
    (
        Dialect::Chat,
        r#"{"choices":[{"delta":{"reasoning":"~","reasoning_details":[{"type":"reasoning.text","text":"~"}]}}]}"#,
    ),
    (
        Dialect::Chat,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"~","function":{"name":"f","arguments":""}}]}}]}"#,
    ),
    (
        Dialect::Chat,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"~"}}]}}]}"#,
    ),
    (
        Dialect::Chat,
        r#"{"choices":[{"delta":{"content":"~"},"finish_reason":"~"}]}"#,
    ),
    (
        Dialect::Chat,
        r#"{"choices":[{"delta":{"content":"~"}}],"usage":{"prompt_tokens":1}}"#,
    ),
    (
        Dialect::Messages,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"~"}}"#,
    ),
    (
        Dialect::Messages,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"~","name":"f","input":{}}}"#,
    ),
    (
        Dialect::Messages,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"~"}}"#,
    ),
    (
        Dialect::Messages,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"~"}}"#,
    ),
    (Dialect::Messages, r#"{"type":"content_block_stop","index":0}"#),
    (
        Dialect::Responses,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"~","name":"f","arguments":""}}"#,
    ),
    (
        Dialect::Responses,
        r#"{"type":"response.output_text.delta","sequence_number":7,"output_index":0,"delta":"~","logprobs":[],"obfuscation":"~"}"#,
    ),
    (
        Dialect::Responses,
        r#"{"type":"response.function_call_arguments.delta","sequence_number":~,"output_index":1,"delta":"~"}"#,
    ),
    (
        Dialect::Responses,
        r#"{"type":"response.reasoning_summary_text.delta","summary_index":0,"output_index":2,"delta":"~"}"#,
    ),
    (
        Dialect::Responses,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[]}}"#,
    ),
];

/// What stands in such a place.
const FILLS: [&str; 14] = [
    "a",
    "b c",
    "",
    "1",
    "20",
    "01",
    "-1",
    "\\n",
    "\\u00e9",
    "\\ud800",
    "\\x",
    "é",
    "\"",
    "\",\"x\":\"",
];

/// What a decoder says of events; `quick` takes what it can without a parse.
fn decoded(from: Dialect, events: &[String], quick: bool) -> Vec<Delta<'static>> {
    let mut decode: Box<dyn Decode> = match from {
        Dialect::Chat => Box::new(chat::StreamIn::default()),
        Dialect::Messages => Box::new(messages::StreamIn::default()),
        Dialect::Responses => Box::new(responses::StreamIn::default()),
    };
    let mut all = Vec::new();
    for data in events {
        let out = &mut |delta: Delta<'_>| all.push(owned(delta));
        if !(quick && decode.again(data.as_bytes(), out)) {
            decode.event(WireEvent { name: None, data }, out);
        }
    }
    decode.end(&mut |delta| all.push(owned(delta)));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_taken_without_a_parse_is_what_a_parse_would_say(
        from in prop::sample::select(&Dialect::ALL[..]),
        picks in prop::collection::vec((any::<prop::sample::Index>(), 1..4_usize, prop::collection::vec(prop::sample::select(&FILLS[..]), 8)), 1..6),
    ) {
        let own: Vec<&str> = EVENTS.iter().filter(|(of, _)| *of == from).map(|(_, event)| *event).collect();
        let mut events = Vec::new();
        for (pick, times, fills) in picks {
            let mut fills = fills.iter().cycle();
            for _ in 0..times {
                let parts: Vec<&str> = own[pick.index(own.len())].split('~').collect();
                let mut event = parts[0].to_owned();
                for part in &parts[1..] {
                    event.push_str(fills.next().unwrap());
                    event.push_str(part);
                }
                events.push(event);
            }
        }
        prop_assert_eq!(decoded(from, &events, true), decoded(from, &events, false), "{:?}", events);
    }
}

/// The events of recorded streams.
fn recorded() -> Vec<(Dialect, Vec<String>)> {
    let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into();
    let root = PathBuf::from(std::env::var_os("LLM_PROXY_SHARED").unwrap_or_else(beside)).join("fixtures");
    let of = |dialect: Dialect, name: &str| {
        let text = std::fs::read_to_string(root.join(dialect.name()).join(name)).unwrap();
        let case: serde_json::Value = serde_json::from_str(&text).unwrap();
        let sse = case["response"]["sse"].as_str().unwrap().replace("\r\n", "\n");
        (dialect, sse.split_inclusive("\n\n").map(str::to_owned).collect())
    };
    vec![
        of(Dialect::Chat, "parallel-tools-stream-openai-3.json"),
        of(Dialect::Chat, "groq-tool-stream-groq-1.json"),
        of(Dialect::Messages, "thinking-tool-stream-anthropic-1.json"),
        of(Dialect::Messages, "web-search-stream-anthropic-2.json"),
        of(Dialect::Responses, "parallel-tools-stream-openai-1.json"),
        of(Dialect::Responses, "reasoning-summary-stream-azure-1.json"),
    ]
}
