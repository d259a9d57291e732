//! The APIs that are only ever passed through: small, valid answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::speech::Speech;
use super::{Ask, CREATED};
use crate::api::{Api, Envelope};
use crate::json::{Json, object};

/// The head of an MPEG audio frame and some silence.
pub(crate) const SOUND: &[u8] = b"\xff\xfb\x90\x64\0\0\0\0\0\0\0\0\0\0\0\0";
/// A PNG of one pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
const VECTOR: [f32; 4] = [0.5, -0.5, 0.25, 0.125];
/// The models that a listing has, in both dialects.
const MODELS: [&str; 3] = ["sim-small", "sim-burst-100", "claude-sim"];

pub(crate) fn whole(ask: &Ask, speech: &Speech) -> Json {
    match ask.api {
        Api::CountTokens => object! {"input_tokens": speech.usage(ask).input},
        Api::Embeddings => embeddings(ask),
        Api::Moderations => moderations(ask),
        Api::Images => object! {"created": CREATED, "data": [object! {"b64_json": PIXEL}]},
        Api::Transcriptions => object! {"text": speech.text()},
        Api::Rerank => rerank(ask),
        _ => models(ask),
    }
}

fn embeddings(ask: &Ask) -> Json {
    let entry = |index| {
        let entry = object! {"object": "embedding", "index": index};
        if ask.base64 {
            let bytes: Vec<u8> = VECTOR.iter().flat_map(|f| f.to_le_bytes()).collect();
            entry.with("embedding", STANDARD.encode(bytes))
        } else {
            entry.with("embedding", serde_json::json!(VECTOR))
        }
    };
    let usage = object! {"prompt_tokens": ask.input_tokens, "total_tokens": ask.input_tokens};
    let data: Vec<Json> = (0..ask.inputs).map(entry).collect();
    object! {"object": "list", "data": data, "model": ask.model, "usage": usage}
}

fn moderations(ask: &Ask) -> Json {
    let result = || {
        object! {
            "flagged": false,
            "categories": object! {"violence": false},
            "category_scores": object! {"violence": 0_u64},
        }
    };
    let results: Vec<Json> = (0..ask.inputs).map(|_| result()).collect();
    object! {"id": format!("modr-sim{}", ask.serial), "model": ask.model, "results": results}
}

fn rerank(ask: &Ask) -> Json {
    let score = |i: usize| serde_json::json!(1.0 / f64::from(u32::try_from(i + 1).unwrap_or(u32::MAX)));
    let results: Vec<Json> = (0..ask.inputs)
        .map(|i| object! {"index": i, "relevance_score": score(i)})
        .collect();
    object! {"id": format!("rerank-sim{}", ask.serial), "model": ask.model, "results": results}
}

fn models(ask: &Ask) -> Json {
    let entry = |id: &str| match ask.envelope {
        Envelope::OpenAi => object! {"id": id, "object": "model", "created": CREATED, "owned_by": "sim"},
        Envelope::Anthropic => object! {
            "type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z",
        },
    };
    if let Some(id) = ask.path.strip_prefix("/v1/models/") {
        return entry(id);
    }
    let data: Vec<Json> = MODELS.iter().map(|id| entry(id)).collect();
    match ask.envelope {
        Envelope::OpenAi => object! {"object": "list", "data": data},
        Envelope::Anthropic => object! {
            "data": data, "has_more": false, "first_id": MODELS.first(), "last_id": MODELS.last(),
        },
    }
}
