//! Whatever a client wrote and whatever is put in: the result is JSON, twice is once, and without pieces nothing changes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use llm_dialect::Dialect;
use llm_dialect::canon::JsonStr;
use llm_dialect::edit;
use llm_dialect::envelope::Envelope;
use llm_dialect::inject::{self, Piece, Position};

fuzz_target!(|input: (u8, Vec<(u8, &str, &str)>, &str)| {
    let (pick, pieces, body) = input;
    let dialect = Dialect::ALL[usize::from(pick) % 3];
    let spelled: Vec<_> = pieces.iter().map(|(_, text, _)| JsonStr::of(text)).collect();
    let pieces: Vec<_> = pieces
        .iter()
        .zip(&spelled)
        .take(6)
        .map(|((position, text, separator), spelled)| Piece {
            text,
            spelled: spelled.spelling(),
            position: [Position::Before, Position::After, Position::Replace][usize::from(*position) % 3],
            separator,
        })
        .collect();
    // The entries that are put in may be the deepest.
    let injected = |body: &Bytes, pieces: &[Piece<'_>]| {
        let envelope = Envelope::read(body, 128).ok()?;
        let edit = inject::system(dialect, body, &envelope, pieces).ok()?;
        Some(edit::apply(body, &envelope, edit.as_slice()).join())
    };
    let body = Bytes::copy_from_slice(body.as_bytes());
    if let Ok(envelope) = Envelope::read(&body, 128) {
        inject::opening(dialect, &body, &envelope, |_, words| assert!(words.len() <= body.len()));
    }
    let Some(once) = injected(&body, &pieces) else {
        return;
    };
    let twice = injected(&once, &pieces).expect("what came of a sound body is a sound body");
    assert_eq!(twice, once, "a second proxy changes nothing");
    assert_eq!(injected(&body, &[]), Some(body), "no pieces, no change");
});
