//! Events hold every byte of a stream in order, and where the network cuts it does not matter.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use llm_dialect::sse::Decoder;

/// The name and the data of an event.
type Event = (Option<Vec<u8>>, Vec<u8>);

/// Far above what a fuzzer makes: no event is refused.
const MAX_EVENT: usize = 1 << 20;

/// The events of a stream that came in these pieces.
fn decode(pieces: &[&[u8]]) -> Vec<Event> {
    let mut decoder = Decoder::new(MAX_EVENT);
    let (mut raw, mut events) = (Vec::new(), Vec::new());
    for piece in pieces {
        let fed = decoder.feed(&Bytes::copy_from_slice(piece), &mut |event| {
            raw.extend_from_slice(event.raw);
            if !event.is_comment() {
                events.push((event.name().map(<[u8]>::to_vec), event.data().into_owned()));
            }
        });
        fed.expect("no event is over the bound");
    }
    raw.extend(decoder.finish().unwrap_or_default());
    assert_eq!(raw, pieces.concat(), "not a byte is lost or moved");
    events
}

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, stream) = input;
    let whole = decode(&[stream]);
    let (head, tail) = stream.split_at(usize::from(cut).min(stream.len()));
    assert_eq!(decode(&[head, tail]), whole, "cut at {cut}");
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode(&bytes), whole, "byte by byte");
});
