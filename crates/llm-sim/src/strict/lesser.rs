//! The rules of the APIs that are only passed through: that the field is there which gives them meaning.

use super::field::{At, Checked};
use crate::api::Api;
use crate::fault::Fault;
use crate::seen::Seen;

pub(super) fn check(body: &At<'_>, api: Api) -> Checked {
    match api {
        Api::Embeddings => {
            if let Some(format) = body.get("encoding_format") {
                format.one_of(&["float", "base64"])?;
            }
            body.need("input").map(drop)
        }
        Api::Moderations => body.need("input").map(drop),
        Api::Speech => {
            body.need("voice")?;
            body.need("input")?.text().map(drop)
        }
        Api::Images => body.need("prompt")?.text().map(drop),
        Api::Rerank => {
            body.need("query")?;
            body.need("documents")?.items().map(drop)
        }
        _ => {
            body.bools(&["stream"])?;
            body.need("prompt").map(drop)
        }
    }
}

/// A multipart form with a model and a file. Its parts are looked for, not parsed.
pub(super) fn form(seen: &Seen) -> Result<(), Fault> {
    let boundary = seen
        .header("content-type")
        .and_then(|value| value.split_once("boundary="));
    let Some((_, boundary)) = boundary else {
        return Err(Fault::new(400, "a multipart form without a boundary"));
    };
    let body = String::from_utf8_lossy(&seen.body);
    if !body
        .trim_end()
        .ends_with(&format!("--{}--", boundary.trim_matches('"')))
    {
        return Err(Fault::new(400, "a multipart form without its end"));
    }
    for name in ["model", "file"] {
        if !body.contains(&format!("name=\"{name}\"")) {
            return Err(Fault::new(400, format!("Missing required parameter: '{name}'.")).param(name));
        }
    }
    Ok(())
}
