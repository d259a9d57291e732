//! The answer on its way to the client: its head, and a body that takes the request's record along.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use llm_dialect::Dialect;

use super::attempt::Spoken;
use super::attempts::Won;
use super::body::AnswerBody;
use super::commit::Committed;
use super::headers;
use super::stream::{Flow, Stream};
use crate::state::{Context, Pin};

/// Which backend answered.
pub(super) const BACKEND: HeaderName = HeaderName::from_static("x-llm-proxy-backend");
/// The backend's model.
pub(super) const MODEL: HeaderName = HeaderName::from_static("x-llm-proxy-model");
/// How many attempts it took.
pub(super) const ATTEMPTS: HeaderName = HeaderName::from_static("x-llm-proxy-attempts");
/// The backend's own id of the request.
pub(super) const UPSTREAM_ID: HeaderName = HeaderName::from_static("x-llm-proxy-upstream-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Builds the response. From here on one backend feeds it to its end.
pub(super) fn deliver(ctx: &mut Context, won: Won) -> Response<AnswerBody> {
    let Won {
        spoken,
        candidate,
        sole,
        place,
    } = won;
    let Spoken {
        status,
        headers: theirs,
        body,
    } = spoken;
    let mut out = headers::back(&theirs);
    exposed(ctx, &theirs, &candidate, &mut out);
    ctx.entry.record.status = Some(status.as_u16());
    ctx.entry.first_byte();
    let body = match body {
        Committed::Whole {
            body,
            usage,
            response_id,
        } => {
            remember(ctx, response_id.as_deref(), &candidate);
            ctx.entry.record.usage = usage;
            out.entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
            AnswerBody::whole(body)
        }
        Committed::Stream {
            watch,
            held,
            sight,
            rest,
        } => {
            out.entry(CACHE_CONTROL)
                .or_insert(HeaderValue::from_static("no-cache"));
            // A proxy in front of us must not gather the stream.
            out.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
            let flow = Flow::new(ctx, (candidate, sole, place), rest);
            AnswerBody::stream(Stream::new(flow, watch, held, sight))
        }
        Committed::Opaque { rest } => AnswerBody::opaque(Flow::new(ctx, (candidate, sole, place), rest)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = out;
    response
}

/// The headers that say where the answer comes from, unless the operator keeps that to himself.
fn exposed(ctx: &Context, theirs: &HeaderMap, candidate: &super::Candidate, out: &mut HeaderMap) {
    let upstream_id = headers::upstream_request_id(theirs);
    if ctx.entry.record.dialect == Dialect::Messages.name() {
        // Anthropic's SDKs read the id under this name: the backend's, else ours.
        let ours = HeaderValue::from_str(&ctx.entry.record.request_id).ok();
        if let Some(id) = upstream_id.cloned().or(ours) {
            out.insert(REQUEST_ID, id);
        }
    }
    if !ctx.snapshot.config.expose_headers {
        return;
    }
    out.insert(BACKEND, candidate.route.backend.label.clone());
    if let Ok(model) = HeaderValue::from_str(&candidate.model) {
        out.insert(MODEL, model);
    }
    out.insert(ATTEMPTS, count(ctx.entry.record.attempts.len()));
    if let Some(id) = upstream_id {
        out.insert(UPSTREAM_ID, id.clone());
    }
}

/// A number as a header. One is by far the commonest count of attempts, and need not be written down anew.
fn count(number: usize) -> HeaderValue {
    match number {
        1 => HeaderValue::from_static("1"),
        number => HeaderValue::from(number),
    }
}

/// A later request may go on from this response: only its maker can serve that.
pub(super) fn remember(ctx: &Context, response_id: Option<&str>, candidate: &super::Candidate) {
    if let Some(id) = response_id {
        ctx.live.pins.remember(
            id,
            Pin {
                backend: candidate.target.backend,
                key: candidate.target.key,
            },
        );
    }
}
