//! Names of APIs: whatever is read as one is written back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_dialect::Api;

fuzz_target!(|name: &str| {
    if let Some(api) = Api::from_name(name) {
        assert_eq!(api.name(), name, "a config that we write out must read in again");
    }
});
