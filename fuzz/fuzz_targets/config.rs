//! No text breaks the reader of the config: it is taken, or refused with errors that can be shown.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use llm_proxy::config;

fuzz_target!(|text: &str| {
    let known = |name: &str| (name == "SET").then(|| "a-value-of-some-length".to_owned());
    match config::parse(text, "fuzzed.yaml", Path::new("/nowhere"), &known) {
        Ok(loaded) => assert!(!loaded.config.backends.is_empty(), "a config has a backend"),
        Err(report) => {
            assert!(!report.0.is_empty(), "a refusal says why");
            assert!(!report.render(false).is_empty());
        }
    }
});
