//! What a chat backend is asked, for tests: requests of a chat client that are written for another chat backend.
#![cfg(test)]

use serde_json::Value;

use super::{request_in, request_out};
use crate::canon::{Encoded, Losses, Refusal, Target};
use crate::dialect::Dialect;
use crate::traits::Traits;

/// A target by the name of its model; those of `OpenAI` itself are marked by `openai:`.
pub(super) fn target(name: &str) -> Target<'_> {
    let model = name.strip_prefix("openai:").unwrap_or(name);
    Target {
        dialect: Dialect::Chat,
        model,
        family: "here",
        openai: model != name,
        max_tokens: None,
        traits: Traits::of(Dialect::Chat, model),
    }
}

fn encode(name: &str, body: &str, losses: &mut Losses) -> Result<Encoded, Refusal> {
    let request =
        request_in(body, &mut Losses::default()).unwrap_or_else(|refusal| panic!("{refusal:?}: {body}"));
    request_out(&request, &target(name), losses)
}

fn with(members: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{members}}}"#)
}

/// The request that one with these members becomes.
pub(super) fn asked(name: &str, members: &str) -> Value {
    let encoded = encode(name, &with(members), &mut Losses::default()).unwrap();
    serde_json::from_slice(&encoded.body).unwrap()
}

/// What is lost of it.
pub(super) fn lost(name: &str, members: &str) -> String {
    let mut losses = Losses::default();
    encode(name, &with(members), &mut losses).unwrap();
    losses.names().collect::<Vec<_>>().join(",")
}

/// The field that such a request is refused for.
pub(super) fn refused(name: &str, members: &str) -> String {
    refusal(encode(name, &with(members), &mut Losses::default()))
}

/// The messages that these become.
pub(super) fn messages(name: &str, list: &str) -> Value {
    let body = format!(r#"{{"model":"m","messages":[{list}]}}"#);
    let encoded = encode(name, &body, &mut Losses::default()).unwrap();
    let json: Value = serde_json::from_slice(&encoded.body).unwrap();
    json["messages"].clone()
}

/// The field that they are refused for.
pub(super) fn refused_messages(name: &str, list: &str) -> String {
    let body = format!(r#"{{"model":"m","messages":[{list}]}}"#);
    refusal(encode(name, &body, &mut Losses::default()))
}

fn refusal(encoded: Result<Encoded, Refusal>) -> String {
    match encoded {
        Err(Refusal::Unsupported { param, .. }) => param,
        other => panic!("must be refused as unsupported: {other:?}"),
    }
}
