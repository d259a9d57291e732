//! A watched stream goes on as it came, up to where the watch stops it; cuts change neither that place nor the verdict.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use llm_dialect::Api;
use llm_dialect::watch::{End, Watch, WatchLimits};

/// Far above what a fuzzer makes: no event is refused.
const MAX_EVENT: usize = 1 << 20;

/// What went on to the client, unless nothing did because the stream never committed, and how it ended.
fn watch(api: Api, pieces: &[&[u8]]) -> (Option<Vec<u8>>, End) {
    let mut watch = Watch::new(api, WatchLimits::new(MAX_EVENT), false);
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
    let whole = watch(api, &[stream]);
    let sent = whole.0.as_deref().unwrap_or_default();
    assert!(stream.starts_with(sent), "what goes on is what came");
    let (head, tail) = stream.split_at(usize::from(cut).min(stream.len()));
    assert_eq!(watch(api, &[head, tail]), whole, "cut at {cut}");
});
