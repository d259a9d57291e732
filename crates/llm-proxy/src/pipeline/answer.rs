//! The answer on its way to the client: its head, and a body that takes the request's record along.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use llm_dialect::Dialect;
use llm_dialect::usage::Usage;

use super::Candidate;
use super::affinity;
use super::attempt::Spoken;
use super::attempts::Won;
use super::body::AnswerBody;
use super::commit::Committed;
use super::cross::Crossing;
use super::early;
use super::headers;
use super::own::Source;
use super::stream::{Flow, Stream};
use crate::state::Context;
use crate::upstream::Lines;

/// What a conversion could not carry.
const WARNINGS: HeaderName = HeaderName::from_static("x-llm-proxy-warnings");
/// The backend's own id of the request.
const UPSTREAM_ID: HeaderName = HeaderName::from_static("x-llm-proxy-upstream-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

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
        crossing,
    } = *spoken;
    let mut out = headers::back(&theirs);
    if ctx.entry.record.dialect == Dialect::Messages {
        named_for_anthropic(ctx, &theirs, candidate.api.dialect(), &mut out);
    }
    let source = exposed(ctx, &theirs, &candidate, &mut out);
    if let Some(crossing) = &crossing {
        crossed(ctx, crossing, &mut out);
        ctx.entry.record.warnings = crossing.losses.names().map(str::to_owned).collect();
    }
    let is_crossed = crossing.is_some();
    ctx.entry.record.status = Some(status.as_u16());
    ctx.entry.record.price = candidate.price(&ctx.snapshot);
    let mut body = match body {
        Committed::Whole {
            body,
            usage,
            response_id,
        } => {
            if let Some(id) = response_id {
                affinity::made(&ctx.live, &candidate, ctx.origin, &id);
            }
            known(ctx, &candidate, usage);
            as_json(&mut out);
            whole(ctx, (&candidate, is_crossed), body)
        }
        Committed::Gathered { body, usage } => {
            known(ctx, &candidate, usage);
            out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            AnswerBody::whole(body)
        }
        Committed::Stream {
            watch,
            held,
            sight,
            rest,
            transcoder,
        } => {
            early::head(&mut out);
            let flow = Flow::new(ctx, (candidate, sole, place), rest);
            AnswerBody::stream(Stream::new(flow, (watch, transcoder), held, sight))
        }
        Committed::Opaque { rest } => AnswerBody::opaque(Flow::new(ctx, (candidate, sole, place), rest)),
    };
    body.own().comes_from(source);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = out;
    response
}

/// An answer that is there to its end speaks for the backend's cache, and for where its conversation is.
fn known(ctx: &mut Context, candidate: &Candidate, usage: Usage) {
    ctx.entry.record.used(usage);
    affinity::read(candidate, &usage);
    affinity::answered(&ctx.live, ctx.conversation.as_ref(), candidate, &usage);
}

fn as_json(out: &mut HeaderMap) {
    out.entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
}

/// What was converted has become a stream already, where one was asked for.
fn whole(ctx: &Context, (candidate, is_crossed): (&Candidate, bool), body: Bytes) -> AnswerBody {
    if is_crossed {
        AnswerBody::whole(body)
    } else {
        early::as_begun(ctx, (candidate.api, &candidate.model), body)
    }
}

/// What a conversion changes in the head: the type of the body, and the names of what it could not carry.
fn crossed(ctx: &Context, crossing: &Crossing, out: &mut HeaderMap) {
    out.insert(CONTENT_TYPE, crossing.content_type());
    let warnings = crossing.warnings().filter(|_| ctx.snapshot.config.expose_headers);
    if let Some(warnings) = warnings {
        out.insert(WARNINGS, warnings);
    }
}

/// Anthropic's SDKs read the request's id under a name of their own: that of a backend of their dialect, else ours.
fn named_for_anthropic(ctx: &Context, theirs: &Lines, spoken: Dialect, out: &mut HeaderMap) {
    let ours = || HeaderValue::from_str(&ctx.entry.record.request_id).ok();
    let id = headers::upstream_request_id(theirs)
        .filter(|_| spoken == Dialect::Messages)
        .cloned();
    if let Some(id) = id.or_else(ours) {
        out.insert(REQUEST_ID, id);
    }
}

/// Where the answer comes from, and the backend's own id of it, unless the operator keeps that to himself.
fn exposed(ctx: &Context, theirs: &Lines, candidate: &Candidate, out: &mut HeaderMap) -> Option<Source> {
    if !ctx.snapshot.config.expose_headers {
        return None;
    }
    if let Some(id) = headers::upstream_request_id(theirs) {
        out.insert(UPSTREAM_ID, id.clone());
    }
    let ready = candidate.route.model.as_ref().map(|model| model.label.clone());
    Some(Source {
        backend: candidate.route.backend.label.clone(),
        model: ready.unwrap_or_else(|| HeaderValue::from_str(&candidate.model).ok()),
        attempts: ctx.entry.record.attempts.len(),
    })
}
