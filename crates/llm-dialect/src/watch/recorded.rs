//! The recorded traffic. Every stream, cut at every place: the bytes, the verdict and the counts never change.

use bytes::Bytes;
use serde_json::Value;

use super::{End, Sight, Watch, WatchLimits};
use crate::answer::{self, AnswerFault};
use crate::dialect::Api;
use crate::fault;
use crate::usage::Usage;

/// Streams shorter than this are cut at every byte, longer ones at some.
const SHORT: usize = 8 * 1024;
const SOME: usize = 200;

struct Case {
    name: String,
    api: Api,
    bytes: Bytes,
}

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Outcome {
    pushed: Vec<u8>,
    committed: bool,
    ended: bool,
    fault: Option<String>,
    end: End,
    usage: Usage,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is how a test finds the recordings"
)]
fn recordings() -> std::path::PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var("LLM_PROXY_SHARED").unwrap_or_else(|_| beside.to_owned());
    std::path::PathBuf::from(shared).join("fixtures")
}

/// Every file of the dialects that the proxy speaks: its name and its content.
fn files() -> Vec<(String, Value)> {
    let folders = ["chat", "messages", "responses"].map(|dialect| recordings().join(dialect));
    let files = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("the recordings are there"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (
            name,
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap(),
        )
    };
    files.map(|file| read(file.unwrap().path())).collect()
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = files()
        .iter()
        .filter_map(|(name, json)| case(name, json))
        .collect();
    cases.sort_by(|one, two| one.name.cmp(&two.name));
    assert!(cases.len() > 40, "only {} streams found", cases.len());
    cases
}

fn case(name: &str, json: &Value) -> Option<Case> {
    let response = &json["response"];
    let api = Api::from_name(json["dialect"].as_str()?)?;
    let text = match (response["sse"].as_str(), response["data_lines"].as_array()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(lines)) => framed(api, lines),
        (None, None) => return None,
    };
    Some(Case {
        name: format!("{api}/{name}"),
        api,
        bytes: Bytes::from(text),
    })
}

/// Recordings of bare data lines get back the frame that their dialect has.
fn framed(api: Api, lines: &[Value]) -> String {
    let frame = |line: &Value| {
        let data = line.as_str().unwrap();
        let json: Value = serde_json::from_str(data).unwrap_or_default();
        match (api, json["type"].as_str()) {
            (Api::Messages | Api::Responses, Some(name)) => format!("event: {name}\ndata: {data}\n\n"),
            _ => format!("data: {data}\n\n"),
        }
    };
    lines.iter().map(frame).collect()
}

fn run(api: Api, chunks: impl Iterator<Item = Bytes>) -> Outcome {
    let mut watch = Watch::new(api, WatchLimits::new(1 << 20), false);
    let (mut out, mut fault) = (Vec::new(), None);
    for chunk in chunks {
        if let Sight::Fault(error, _) = watch.feed(chunk, &mut out) {
            fault = Some(error.message);
        }
    }
    let (committed, ended, usage) = (watch.committed(), watch.terminal(), watch.usage());
    let end = watch.finish(&mut out);
    Outcome {
        pushed: out.concat(),
        committed,
        ended,
        fault,
        end,
        usage,
    }
}

fn cut(bytes: &Bytes, at: usize) -> impl Iterator<Item = Bytes> {
    [bytes.slice(..at), bytes.slice(at..)].into_iter()
}

#[test]
fn whole_streams_pass_unchanged_and_complete() {
    for Case { name, api, bytes } in cases() {
        let outcome = run(api, std::iter::once(bytes.clone()));
        match name.as_str() {
            // Content, a reason to finish, and then an error in a chunk.
            "chat/openrouter-error-in-200-openrouter-1" => {
                assert_eq!(outcome.fault.as_deref(), Some("Token limit reached"));
                assert!(outcome.committed);
            }
            // An error before any content: another backend may still answer.
            "responses/error-midstream-openai" => {
                assert!(
                    outcome
                        .fault
                        .unwrap()
                        .starts_with("You exceeded your current quota")
                );
                assert!(!outcome.committed);
            }
            _ => {
                assert_eq!(outcome.pushed, bytes, "{name}");
                assert_eq!((outcome.end, outcome.fault), (End::Complete, None), "{name}");
                assert!(outcome.committed, "{name}");
            }
        }
    }
}

#[test]
fn no_cut_changes_anything() {
    for Case { name, api, bytes } in cases() {
        let whole = run(api, std::iter::once(bytes.clone()));
        let step = if bytes.len() < SHORT {
            1
        } else {
            bytes.len() / SOME
        };
        for at in (0..bytes.len()).step_by(step) {
            assert_eq!(run(api, cut(&bytes, at)), whole, "{name} cut at {at}");
        }
        let single = (0..bytes.len()).map(|at| bytes.slice(at..=at));
        assert_eq!(run(api, single), whole, "{name} byte by byte");
    }
}

#[test]
fn other_line_ends_change_nothing_but_themselves() {
    for Case { name, api, bytes } in cases() {
        let text = std::str::from_utf8(&bytes).unwrap();
        let whole = run(api, std::iter::once(bytes.clone()));
        for line_end in ["\r\n", "\r"] {
            let other = Bytes::from(text.replace('\n', line_end));
            let single = (0..other.len()).map(|at| other.slice(at..=at));
            let outcome = run(api, single);
            assert_eq!(
                outcome.pushed,
                String::from_utf8_lossy(&whole.pushed)
                    .replace('\n', line_end)
                    .as_bytes(),
                "{name}"
            );
            assert_eq!(
                (outcome.usage, outcome.end),
                (whole.usage, whole.end.clone()),
                "{name}"
            );
        }
    }
}

/// The counts as the dialect's manual says, worked out from the events' JSON without the code under test.
fn counts(api: Api, text: &str) -> (Option<u64>, Option<u64>) {
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let mut counts = (None, None);
    for event in events {
        let usage = match api {
            Api::Messages if event["type"] == "message_start" => &event["message"]["usage"],
            Api::Responses => &event["response"]["usage"],
            _ => &event["usage"],
        };
        let count = |key: &str| usage[key].as_u64();
        let found = match api {
            Api::Messages => {
                let cache = count("cache_read_input_tokens").unwrap_or(0)
                    + count("cache_creation_input_tokens").unwrap_or(0);
                (
                    count("input_tokens").map(|input| input + cache),
                    count("output_tokens"),
                )
            }
            Api::Responses => (count("input_tokens"), count("output_tokens")),
            _ => (count("prompt_tokens"), count("completion_tokens")),
        };
        counts = (found.0.or(counts.0), found.1.or(counts.1));
    }
    counts
}

#[test]
fn the_counts_are_those_of_the_stream() {
    for Case { name, api, bytes } in cases() {
        let usage = run(api, std::iter::once(bytes.clone())).usage;
        let expected = match name.as_str() {
            // Reasoning stands beside the completion here: 68 + 136.
            "chat/parallel-tools-stream-xai-1" => (Some(432), Some(204)),
            // The error that carries these counts is not part of the answer.
            "chat/openrouter-error-in-200-openrouter-1" => (None, None),
            // A compaction read 55,096 tokens from the cache before the answer that the end reports.
            "messages/cache-read-stream-anthropic-1" => (Some(181 + 55096), Some(8)),
            _ => counts(api, std::str::from_utf8(&bytes).unwrap()),
        };
        assert_eq!((usage.input, usage.output), expected, "{name}");
    }
}

#[test]
fn whole_answers_are_answers_and_errors_are_errors() {
    let mut seen = (0, 0);
    for (name, json) in files() {
        let (status, body) = (&json["response"]["status"], &json["response"]["json"]);
        let api = json["dialect"].as_str().and_then(Api::from_name);
        let (Some(api), Some(_)) = (api, body.as_object()) else {
            continue;
        };
        let bytes = serde_json::to_vec(body).unwrap();
        let verdict = answer::inspect(api, &bytes);
        if status == 200 {
            let usage = verdict.unwrap_or_else(|fault| panic!("{api}/{name}: {fault:?}"));
            let reports = body.get("usage").is_some_and(Value::is_object);
            assert_eq!(!usage.is_unknown(), reports, "{api}/{name}");
            seen.0 += 1;
        } else {
            assert!(
                matches!(verdict, Err(AnswerFault::Error(_))),
                "{api}/{name}: {verdict:?}"
            );
            let message = body["error"]["message"].as_str().unwrap();
            assert_eq!(fault::read(&bytes).message, message, "{api}/{name}");
            seen.1 += 1;
        }
    }
    assert!(seen.0 > 30 && seen.1 > 9, "too few recordings: {seen:?}");
}
