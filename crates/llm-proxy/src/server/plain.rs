//! Requests that need no backend: health, probes, the list of models.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use llm_dialect::path::Health;
use llm_dialect::wire_error::ErrorKind;
use llm_dialect::{Dialect, models};

use crate::pipeline::{AnswerBody, Failure};
use crate::state::{Context, Phase};

/// `/health`, `/healthz`: alive. `/readyz`: serving, not draining. After a hand-over another program serves the address:
/// who asks over a connection that has stayed here is told so.
pub(super) fn health(what: Health, phase: Phase) -> Response<AnswerBody> {
    let draining = phase >= Phase::Draining;
    let (status, body) = match what {
        Health::Ready if draining => (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#),
        Health::Ready => (StatusCode::OK, r#"{"status":"ready"}"#),
        Health::Alive => (StatusCode::OK, r#"{"status":"ok"}"#),
    };
    json(status, body.to_owned().into_bytes())
}

/// `HEAD /` and `HEAD /api/hello`: clients ask whether anybody is there.
pub(super) fn hello() -> Response<AnswerBody> {
    Response::new(AnswerBody::whole(bytes::Bytes::new()))
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The aliases that the caller's key may use, in the caller's dialect. Globs name no model, so they are not listed.
pub(super) fn list(ctx: &Context, dialect: Dialect) -> Response<AnswerBody> {
    let snapshot = &ctx.snapshot;
    let usable = |(name, alias): (&String, &std::sync::Arc<crate::state::Alias>)| {
        let listed = alias.enabled && !name.contains('*') && ctx.may_use(name);
        (listed && alias.tiers.iter().any(|tier| !tier.routes.is_empty())).then(|| name.clone())
    };
    let mut names: Vec<String> = snapshot.aliases.iter().filter_map(usable).collect();
    names.sort();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    json(StatusCode::OK, page(ctx, dialect, &names))
}

/// Anthropic's list comes in pages; `OpenAI`'s does not.
fn page(ctx: &Context, dialect: Dialect, names: &[&str]) -> Vec<u8> {
    let query = ctx.query.as_deref().unwrap_or_default();
    if dialect != Dialect::Messages {
        return models::list(dialect, names);
    }
    let limit = parameter(query, "limit").and_then(|limit| limit.parse().ok());
    let after = parameter(query, "after_id");
    let before = parameter(query, "before_id");
    models::list_page(names, limit, after.as_deref(), before.as_deref())
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .into_iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.replace("%2F", "/").replace("%2f", "/"))
}

/// One model, if the caller may use it.
pub(super) fn one(ctx: &Context, dialect: Dialect, id: &str) -> Result<Response<AnswerBody>, Failure> {
    let known = ctx.snapshot.alias(id);
    if known.is_some_and(|alias| alias.enabled && ctx.may_use(&alias.name)) {
        return Ok(json(StatusCode::OK, models::one(dialect, id)));
    }
    let message = "That model does not exist here; GET /v1/models lists the ones that do.";
    Err(Failure::local(ErrorKind::ModelNotFound, message).about("model"))
}
