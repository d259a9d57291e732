//! The envelope says of a body what a full parser says of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_dialect::Api;
use llm_dialect::envelope::Envelope;
use llm_dialect::scan::DEEPEST;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let Ok(envelope) = Envelope::read(body, DEEPEST) else {
        return;
    };
    for api in Api::ALL {
        let _ = envelope.require(body, api);
    }
    // What the parser cannot read (a huge number, half a surrogate pair) only passes through.
    let Ok(Value::Object(parsed)) = serde_json::from_slice(body) else {
        return;
    };
    assert_eq!(envelope.model(), parsed.get("model").and_then(Value::as_str));
    assert_eq!(envelope.stream(), parsed.get("stream") == Some(&Value::Bool(true)));
    let previous = parsed.get("previous_response_id").and_then(Value::as_str);
    assert_eq!(envelope.previous_response_id(), previous);
    if envelope.require(body, Api::Chat).is_ok() {
        let list = parsed.get("messages").is_some_and(Value::is_array);
        assert!(list || parsed.contains_key("input"), "a chat has messages");
    }
});
