//! Every recorded case through every conversion: what becomes of it is a snapshot that a person has read, and the laws of
//! conversion hold for it.
//!
//! `UPDATE=1 cargo test -p llm-dialect --test corpus` writes the snapshots; read what `git diff` shows of them.
#![cfg(test)]

mod case;
mod shown;
mod target;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use llm_dialect::Dialect;
use llm_dialect::canon::{Losses, Terms, Tool, ToolKind};
use llm_dialect::estimate;
use llm_dialect::grammar::{self, State};
use llm_dialect::transcode::{self, Bounds, Passing, Transcoder};

use case::{Case, cases};
use target::target;

/// What a stream may take of the memory in tests.
const BOUNDS: Bounds = Bounds {
    event: 8 << 20,
    kept: 8 << 20,
};

/// Terms of a plain request, which offered tools under their own names.
fn terms(case: &Case) -> Arc<Terms> {
    Arc::new(Terms {
        now: 1_700_000_000,
        request_id: "req-1".to_owned(),
        model: "alias".to_owned(),
        include_usage: true,
        stream: case.stream().is_some(),
        family: case.family().to_owned(),
        backend_model: "m".to_owned(),
        ..Terms::default()
    })
}

fn others(from: Dialect) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |to| *to != from)
}

/// Compares with a snapshot, or writes it.
fn snapshot(name: &str, text: &str, stale: &mut Vec<String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    if std::fs::read_to_string(&path).unwrap_or_default() != text {
        stale.push(name.to_owned());
    }
}

#[test]
fn requests_become_what_was_read_and_approved() {
    let mut stale = Vec::new();
    for case in cases() {
        let Some(body) = &case.request else { continue };
        for to in others(case.dialect) {
            let text = converted_request(&case, body, to);
            snapshot(
                &format!("{}/{}.request.{to}.txt", case.dialect, case.name),
                &text,
                &mut stale,
            );
        }
    }
    assert!(stale.is_empty(), "not as approved: {stale:#?}");
}

fn converted_request(case: &Case, body: &str, to: Dialect) -> String {
    let mut losses = Losses::default();
    let done = transcode::request(case.dialect, body, &target(to), Terms::default(), &mut losses);
    let again = transcode::request(
        case.dialect,
        body,
        &target(to),
        Terms::default(),
        &mut Losses::default(),
    );
    let told = losses.names().collect::<Vec<_>>().join(", ");
    match (done, again) {
        (Ok(one), Ok(two)) => {
            assert_eq!(
                one.body, two.body,
                "{}: the same input gives the same bytes",
                case.name
            );
            format!(
                "lost: {told}\n{}",
                shown::json(std::str::from_utf8(&one.body).unwrap())
            )
        }
        (Err(refusal), _) => format!("refused: {refusal:#?}\n"),
        (Ok(_), Err(_)) => panic!("{}: not always", case.name),
    }
}

#[test]
fn answers_become_what_was_read_and_approved() {
    let mut stale = Vec::new();
    for case in cases().iter().filter(|case| case.is_answer()) {
        for to in others(case.dialect) {
            let terms = terms(case);
            let text = match (case.stream(), &case.json) {
                (Some(bytes), _) => shown::events(&convert(case, &bytes, to, &terms).0),
                (None, Some(json)) => answer(case, json, to, &terms),
                (None, None) => continue,
            };
            snapshot(
                &format!("{}/{}.answer.{to}.txt", case.dialect, case.name),
                &text,
                &mut stale,
            );
        }
    }
    assert!(stale.is_empty(), "not as approved: {stale:#?}");
}

fn answer(case: &Case, json: &str, to: Dialect, terms: &Arc<Terms>) -> String {
    let mut losses = Losses::default();
    match transcode::answer(case.dialect, to, json, terms, &mut losses) {
        Ok(body) => {
            let body = String::from_utf8(body).unwrap();
            let whole = grammar::answer(to, &body)
                .unwrap_or_else(|fault| panic!("{} to {to}: {fault}\n{body}", case.name));
            let streamed = transcode::replayed(case.dialect, to, json, terms).unwrap();
            let streamed = grammar::stream(to, &streamed).unwrap_or_else(|fault| {
                panic!(
                    "{} to {to}, replayed: {fault}\n{}",
                    case.name,
                    String::from_utf8_lossy(&streamed)
                )
            });
            assert_eq!(
                plain(whole),
                plain(streamed),
                "{} to {to}: a stream says what the whole says",
                case.name
            );
            let told = losses.names().collect::<Vec<_>>().join(", ");
            format!("lost: {told}\n{}", shown::json(&body))
        }
        Err(fault) => format!("no answer: {fault:?}\n"),
    }
}

/// A transcript without the arguments of a call that was cut off: a whole Messages answer needs an object there, where a
/// stream tells them as they came.
fn plain(mut transcript: grammar::Transcript) -> grammar::Transcript {
    if transcript.stop == "max_tokens"
        && let Some(grammar::Block::Call(call)) = transcript.blocks.last_mut()
    {
        call.arguments.clear();
    }
    transcript
}

fn convert(case: &Case, bytes: &[u8], to: Dialect, terms: &Arc<Terms>) -> (Vec<u8>, Passing) {
    let mut transcoder = Transcoder::new(case.dialect, to, terms, BOUNDS);
    let mut out = Vec::new();
    transcoder.feed(Bytes::copy_from_slice(bytes), &mut out);
    let passing = transcoder.finish(&mut out);
    (out, passing)
}

#[test]
fn every_stream_that_is_written_obeys_its_grammar() {
    let mut faults = Vec::new();
    for case in cases() {
        let Some(bytes) = case.stream() else { continue };
        for to in others(case.dialect) {
            let (out, passing) = convert(&case, &bytes, to, &terms(&case));
            let verdict = match passing {
                Passing::Ended => grammar::stream(to, &out).map(|_| ()),
                Passing::Going | Passing::Fault(_) => match grammar::beginning(to, &out) {
                    Ok(State::Whole) => panic!("{} to {to}: a broken answer looks whole", case.name),
                    Ok(_) => Ok(()),
                    Err(fault) => Err(fault),
                },
            };
            if let Err(fault) = verdict {
                faults.push(format!("{}/{} to {to}: {fault}", case.dialect, case.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_cut_changes_what_is_written() {
    for case in cases() {
        let Some(bytes) = case.stream() else { continue };
        for to in others(case.dialect) {
            let terms = terms(&case);
            let (whole, _) = convert(&case, &bytes, to, &terms);
            // A prime, so that cuts fall everywhere; and each byte alone for streams that are short.
            let sizes: &[usize] = if bytes.len() < 20_000 {
                &[1, 7, 997]
            } else {
                &[997]
            };
            for size in sizes {
                let mut transcoder = Transcoder::new(case.dialect, to, &terms, BOUNDS);
                let mut out = Vec::new();
                for piece in bytes.chunks(*size) {
                    transcoder.feed(Bytes::copy_from_slice(piece), &mut out);
                }
                transcoder.finish(&mut out);
                assert!(out == whole, "{} to {to} in pieces of {size}", case.name);
            }
        }
    }
}

#[test]
fn a_stream_that_breaks_off_never_looks_whole() {
    for case in cases() {
        let Some(bytes) = case.stream() else { continue };
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        let events: Vec<&str> = text.split_inclusive("\n\n").collect();
        let step = (events.len() / 40).max(1);
        for to in others(case.dialect) {
            for cut in (0..events.len()).step_by(step) {
                let head = events[..cut].concat();
                let (out, passing) = convert(&case, head.as_bytes(), to, &terms(&case));
                match passing {
                    // The answer had come to its end: chat hosts may leave out `[DONE]`.
                    Passing::Ended => {
                        let whole = grammar::stream(to, &out);
                        assert!(
                            whole.is_ok() || case.is_odd(),
                            "{} to {to}, cut at {cut}: {whole:?}",
                            case.name
                        );
                    }
                    Passing::Fault(_) => {
                        let state = grammar::beginning(to, &out);
                        assert!(state != Ok(State::Whole), "{} to {to}, cut at {cut}", case.name);
                    }
                    Passing::Going => panic!("{} to {to}: `finish` decides", case.name),
                }
            }
        }
    }
}

#[test]
fn an_estimate_is_never_too_low_by_more_than_a_tenth() {
    let mut judged = 0;
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.is_answer() && !case.shortened) {
        let (Some(body), Some(actual)) = (&case.request, case.input_tokens()) else {
            continue;
        };
        let Ok(request) = transcode::read(case.dialect, body, &mut Losses::default()) else {
            continue;
        };
        let of_the_provider =
            |tool: &Tool<'_>| matches!(tool.kind, ToolKind::WebSearch { .. } | ToolKind::Hosted);
        if request.tools.iter().any(of_the_provider) || case.counts_oddly() {
            continue;
        }
        judged += 1;
        let estimated = estimate::input_tokens(&request);
        if estimated * 10 < actual * 9 {
            wrong.push(format!(
                "{}/{}: {estimated} for {actual}",
                case.dialect, case.name
            ));
        }
    }
    assert!(judged > 25, "only {judged} cases were judged");
    assert!(wrong.is_empty(), "too low: {wrong:#?}");
}
