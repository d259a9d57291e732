//! Any body that the envelope lets through is converted or refused, the same each time, and what is written is JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_dialect::Dialect;
use llm_dialect::canon::{Losses, Target, Terms};
use llm_dialect::envelope::Envelope;
use llm_dialect::traits::Traits;
use llm_dialect::transcode;

fuzz_target!(|input: (u8, u8, &str)| {
    let (from, to, body) = input;
    let dialect = |pick: u8| Dialect::ALL[usize::from(pick) % 3];
    let (from, to) = (dialect(from), dialect(to));
    if Envelope::read(body.as_bytes(), 128).is_err() {
        return;
    }
    let target = Target {
        dialect: to,
        model: "claude-sonnet-4-5",
        family: "anthropic",
        openai: false,
        max_tokens: None,
        traits: Traits::of(to, "claude-sonnet-4-5"),
    };
    let convert = || transcode::request(from, body, &target, Terms::default(), &mut Losses::default());
    let (one, two) = (convert(), convert());
    match (one, two) {
        (Ok(one), Ok(two)) => {
            assert_eq!(one.body, two.body, "the same input gives the same bytes");
            assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&one.body).is_ok(), "it is JSON");
        }
        (Err(one), Err(two)) => assert_eq!(one, two),
        _ => panic!("not the same each time"),
    }
});
