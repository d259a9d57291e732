//! An edited body is the body with that edit: valid, changed where it was meant to be, and nowhere else.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use llm_dialect::edit::{self, Edit};
use llm_dialect::envelope::Envelope;
use llm_dialect::scan::DEEPEST;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let body = Bytes::copy_from_slice(bytes);
    let Ok(envelope) = Envelope::read(&body, DEEPEST) else {
        return;
    };
    // Numbers and strings that only pass through may be beyond this parser; then there is nothing to compare.
    let Ok(Value::Object(mut expected)) = serde_json::from_slice(&body) else {
        return;
    };
    let model = edit::json_string("other");
    let edits = [
        Edit::Set {
            name: "model",
            value: model,
        },
        Edit::Remove { name: "stream" },
    ];
    let edited = edit::apply(&body, &envelope, &edits);
    let length = edited.len;
    let edited = edited.join();
    assert_eq!(edited.len(), length, "the length is told beforehand, in a header");
    expected.insert("model".to_owned(), "other".into());
    expected.remove("stream");
    let found: Value = serde_json::from_slice(&edited).expect("an edited body is a valid one");
    assert_eq!(found, Value::Object(expected));
});
