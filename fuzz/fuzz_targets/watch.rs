//! A watched stream goes on as it came, up to where the watch stops it; cuts change neither that place nor the verdict,
//! and no more is dropped of it than signs of life that are too many to be held back.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use llm_dialect::Api;
use llm_dialect::watch::{End, Watch, WatchLimits};

/// Far above what a fuzzer makes: no event is refused.
const MAX_EVENT: usize = 1 << 20;

/// So few events are held back that a fuzzer finds out what comes then.
const FEW: usize = 4;

/// What went on to the client, unless nothing did because the stream never committed, and how it ended.
fn watch(api: Api, held: usize, pieces: &[&[u8]]) -> (Option<Vec<u8>>, End) {
    let limits = WatchLimits {
        max_event: MAX_EVENT,
        hold_events: held,
        hold_bytes: held.saturating_mul(32),
    };
    let mut watch = Watch::new(api, limits, false);
    let mut out = Vec::new();
    for piece in pieces {
        let _told_again_at_the_end = watch.feed(Bytes::copy_from_slice(piece), &mut out);
    }
    let end = watch.finish(&mut out);
    (watch.committed().then(|| out.concat()), end)
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (api, cut, stream) = input;
    let api = [Api::Chat, Api::Responses, Api::Messages, Api::Completions][usize::from(api % 4)];
    let (sent, _) = watch(api, usize::MAX, &[stream]);
    assert!(stream.starts_with(&sent.unwrap_or_default()), "what goes on is what came");
    let (head, tail) = stream.split_at(usize::from(cut).min(stream.len()));
    for held in [FEW, usize::MAX] {
        let whole = watch(api, held, &[stream]);
        assert_eq!(watch(api, held, &[head, tail]), whole, "cut at {cut}");
    }
});
