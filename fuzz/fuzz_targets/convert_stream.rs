//! Any bytes as a backend's stream: what the client is told obeys its grammar, never looks whole when it is not, and is the
//! same however the bytes are cut.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use llm_dialect::Dialect;
use llm_dialect::canon::Terms;
use llm_dialect::grammar::{self, State};
use llm_dialect::transcode::{Bounds, Passing, Transcoder};

fn convert(from: Dialect, to: Dialect, pieces: &[&[u8]]) -> (Vec<u8>, Passing) {
    // So little that some streams run into it: where, no cut may decide.
    let bounds = Bounds {
        event: 1 << 20,
        kept: 1 << 10,
    };
    let mut transcoder = Transcoder::new(from, to, &Arc::new(Terms::default()), bounds);
    let mut out = Vec::new();
    for piece in pieces {
        transcoder.feed(Bytes::copy_from_slice(piece), &mut out);
    }
    let passing = transcoder.finish(&mut out);
    (out, passing)
}

fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (from, to, cut, stream) = input;
    let dialect = |pick: u8| Dialect::ALL[usize::from(pick) % 3];
    let (from, to) = (dialect(from), dialect(to));
    if from == to {
        return;
    }
    let (out, passing) = convert(from, to, &[stream]);
    if !matches!(passing, Passing::Ended) {
        assert_ne!(grammar::beginning(to, &out), Ok(State::Whole), "a broken answer looks whole");
    }
    let (head, tail) = stream.split_at(usize::from(cut).min(stream.len()));
    assert_eq!(convert(from, to, &[head, tail]).0, out, "cut at {cut}");
});
