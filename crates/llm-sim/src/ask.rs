//! What an answer must know of its request, peeked at without building a tree of the body.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::{Api, Envelope, Speaks};
use crate::seen::Seen;
use crate::speak::Ask;

/// The few members of a body that shape an answer; all others are skipped unread.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Peek<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    input: Option<&'a RawValue>,
    documents: Option<&'a RawValue>,
    encoding_format: Option<Cow<'a, str>>,
    include: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// How many inputs a value is: a list of numbers is one input in the form of tokens.
fn count(value: &RawValue) -> usize {
    match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        Ok(list) if !list.first().is_some_and(|first| is_number(first)) => list.len(),
        _ => 1,
    }
}

fn is_number(value: &RawValue) -> bool {
    value.get().starts_with(|c: char| c.is_ascii_digit())
}

impl Ask {
    /// Reads what can be read; a body that is no such JSON leaves the defaults (to be strict is not the
    /// business of this function).
    pub(crate) fn of(seen: &Seen, api: Api, speaks: Speaks, serial: u64) -> Self {
        let peek: Peek<'_> = serde_json::from_slice(&seen.body).unwrap_or_default();
        let inputs = peek.input.or(peek.documents);
        Self {
            api,
            envelope: envelope(seen, Some(api), speaks),
            path: seen.path.clone(),
            model: peek.model.map_or_else(String::new, Cow::into_owned),
            stream: peek.stream == Some(true),
            include_usage: peek.stream_options.and_then(|options| options.include_usage) == Some(true),
            inputs: inputs.map_or(1, count),
            base64: peek.encoding_format.as_deref() == Some("base64"),
            encrypted: peek
                .include
                .is_some_and(|include| include.get().contains("reasoning.encrypted_content")),
            serial,
            input_tokens: seen.body.len().div_ceil(4) as u64,
        }
    }
}

/// Whose shape errors and listings have for this request.
pub(crate) fn envelope(seen: &Seen, api: Option<Api>, speaks: Speaks) -> Envelope {
    match api {
        Some(api) if api != Api::Models => api.envelope(),
        _ => speaks.envelope(seen.header("anthropic-version").is_some()),
    }
}
