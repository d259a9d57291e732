//! What a provider in good health says, in each dialect. Pure: a request and a speech in, text out.
//!
//! The grammar of each stream is that of the recorded traffic: who parses it strictly must find nothing.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod lesser;
pub(crate) mod messages;
pub(crate) mod responses;
pub(crate) mod speech;

use bytes::Bytes;

use crate::api::{Api, Envelope};
use speech::Speech;

/// When all answers were made, in Unix seconds: the same request has the same answer on any day.
pub(crate) const CREATED: u64 = 1_767_225_600;

/// What an answer needs to know of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) api: Api,
    pub(crate) envelope: Envelope,
    pub(crate) path: String,
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// How many inputs an embedding or a moderation has, documents a rerank.
    pub(crate) inputs: usize,
    /// Embeddings as base64, which is what the official SDKs ask for.
    pub(crate) base64: bool,
    /// Reasoning is to come encrypted, so that the client can give it back.
    pub(crate) encrypted: bool,
    /// The request's number on this backend; part of the answer's id.
    pub(crate) serial: u64,
    pub(crate) input_tokens: u64,
}

/// The whole answer in one body, with its content type.
pub(crate) fn whole(ask: &Ask, speech: &Speech) -> (Bytes, &'static str) {
    let json = match ask.api {
        Api::Chat => chat::whole(ask, speech),
        Api::Responses => responses::whole(ask, speech),
        Api::Messages => messages::whole(ask, speech),
        Api::Completions => completions::whole(ask, speech),
        Api::Speech => return (Bytes::from_static(lesser::SOUND), "audio/mpeg"),
        _ => lesser::whole(ask, speech),
    };
    (Bytes::from(json.into_string()), "application/json")
}

/// The answer as events, where the API has streams.
pub(crate) fn events(ask: &Ask, speech: &Speech) -> Option<Vec<String>> {
    match ask.api {
        Api::Chat => Some(chat::events(ask, speech)),
        Api::Responses => Some(responses::events(ask, speech)),
        Api::Messages => Some(messages::events(ask, speech)),
        Api::Completions => Some(completions::events(ask, speech)),
        _ => None,
    }
}
