//! The scanner takes what another parser takes, and nothing else: two readers of one body must not differ.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_dialect::scan::{self, DEEPEST, ScanError};
use serde::de::IgnoredAny;

fuzz_target!(|bytes: &[u8]| {
    let scanned = scan::document(bytes, DEEPEST);
    if matches!(scanned, Err(ScanError::TooDeep { .. })) {
        return; // where the other draws its line is its own affair
    }
    let accepted = std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    assert_eq!(scanned.is_ok(), accepted, "the scanner says {scanned:?}");
});
