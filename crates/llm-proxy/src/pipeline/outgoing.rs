//! A request in the terms of one backend: its headers, its path, its body, converted where the dialects differ.
//!
//! Each attempt works on the client's own bytes: nothing of an earlier attempt is left.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use llm_dialect::edit::{self, Edit};
use llm_dialect::envelope::Envelope;
use llm_dialect::strip::{self, Which};
use llm_dialect::{Api, Dialect};

use super::ask::{Ask, Shape};
use super::cross::{self, Crossing};
use super::failure::Failure;
use super::headers;
use super::plan::Candidate;
use crate::state::{BackendKey, Context};
use crate::upstream::{Chain, Lines, UpstreamRequest};

/// The version of the Messages API that a client gets which names none.
const OLDEST_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// What is sent, and how its answer comes back.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The body in the backend's dialect, where that is another than the client's.
    converted: Option<Bytes>,
    /// The way between the dialects, where they differ.
    pub crossing: Option<Box<Crossing>>,
    /// Whether we ask for the usage of a stream whose client did not.
    pub wants_usage: bool,
    /// Whether sealed reasoning is left out.
    repaired: bool,
}

/// Puts the request into this candidate's terms. With `repaired`, sealed reasoning is left out of it.
///
/// # Errors
/// The candidate's dialect cannot express it.
pub(super) fn draw(
    ctx: &Context,
    ask: &Ask,
    candidate: &Candidate,
    repaired: bool,
) -> Result<Outgoing, Failure> {
    if cross::is_needed(ask, candidate) {
        let (body, crossing) = cross::request(ctx, ask, candidate, repaired)?;
        return Ok(Outgoing {
            converted: Some(body),
            crossing: Some(Box::new(crossing)),
            wants_usage: false,
            repaired,
        });
    }
    Ok(Outgoing {
        converted: None,
        crossing: None,
        wants_usage: wants_usage(ctx, ask, candidate),
        repaired,
    })
}

impl Outgoing {
    /// The request, made anew each time that it is sent.
    pub(super) fn request(
        &self,
        ctx: &Context,
        ask: &Ask,
        candidate: &Candidate,
        (target, key): (&PathAndQuery, &BackendKey),
    ) -> UpstreamRequest {
        let backend = &candidate.route.backend;
        let body = match &self.converted {
            Some(body) => vec![body.clone()],
            None => same_dialect(ctx, ask, candidate, self.repaired),
        };
        UpstreamRequest {
            scheme: backend.scheme.clone(),
            authority: backend.authority.clone(),
            target: target.clone(),
            headers: all_headers(ctx, ask, candidate, key),
            body: Chain::new(body),
        }
    }

    /// The backend's path for this call, with what followed it in the client's; none if they make no valid one. Of the
    /// client's query only the Anthropic SDKs' `beta=true` goes on: anything else might be a credential.
    pub(super) fn target(&self, ctx: &Context, ask: &Ask, candidate: &Candidate) -> Option<PathAndQuery> {
        let target = candidate.route.backend.targets.get(&candidate.api)?;
        let beta = self.crossing.is_none()
            && ctx
                .query
                .as_deref()
                .is_some_and(|query| query.split('&').any(|pair| pair == "beta=true"));
        if ask.rest.is_empty() && !beta {
            return Some(target.clone());
        }
        longer(target, &ask.rest, beta)
    }
}

/// A backend's path with what followed the call's own in the client's, and the query that goes on.
#[inline(never)]
fn longer(target: &PathAndQuery, rest: &str, beta: bool) -> Option<PathAndQuery> {
    let query = match (target.query(), beta) {
        (Some(query), true) => format!("?{query}&beta=true"),
        (Some(query), false) => format!("?{query}"),
        (None, true) => "?beta=true".to_owned(),
        (None, false) => String::new(),
    };
    PathAndQuery::try_from(format!("{}{rest}{query}", target.path())).ok()
}

fn all_headers(ctx: &Context, ask: &Ask, candidate: &Candidate, key: &BackendKey) -> Lines {
    let backend = &candidate.route.backend;
    let same = ask.api.dialect() == candidate.api.dialect();
    let mut headers = headers::onwards(&ctx.headers, backend, key, same);
    if let Some(parent) = ctx.entry.record.traceparent() {
        headers.insert(headers::TRACEPARENT, parent);
    }
    if candidate.api.dialect() == Dialect::Messages {
        headers.insert_if_missing(ANTHROPIC_VERSION, OLDEST_VERSION);
    }
    if matches!(ask.shape, Shape::Json(_)) {
        headers.insert_if_missing(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    headers
}

/// The client's body with what the config changes in it: the operator's prompts before all else.
fn same_dialect(ctx: &Context, ask: &Ask, candidate: &Candidate, repaired: bool) -> Vec<Bytes> {
    let model = candidate.route.model.as_ref();
    match &ask.shape {
        Shape::Json(envelope) => {
            let mut edits = edits(ctx, ask, candidate);
            if let Some((told, envelope)) = stripped(ctx, ask, repaired) {
                return edit::apply(&told, &envelope, &edits).parts;
            }
            if let Some(prompts) = &ask.prompts {
                edits.insert(0, prompts.clone());
            }
            edit::apply(&ask.body, envelope, &edits).parts
        }
        Shape::Form(span) => match model {
            Some(model) => {
                let name = Bytes::copy_from_slice(model.name.as_bytes());
                edit::replace(&ask.body, *span, name).parts
            }
            None => vec![ask.body.clone()],
        },
    }
}

/// The body with its prompts and without reasoning that this backend would refuse: what another dialect's provider has sealed, and, for a
/// request under repair, all of it.
fn stripped(ctx: &Context, ask: &Ask, repaired: bool) -> Option<(Bytes, Envelope)> {
    let which = if repaired { Which::All } else { Which::Enveloped };
    let worth_a_look = repaired
        || (ctx.snapshot.converts && ask.api.is_generation() && strip::may_hold_envelopes(&ask.body));
    if worth_a_look {
        without_reasoning(ctx, ask, which)
    } else {
        None
    }
}

#[cold]
fn without_reasoning(ctx: &Context, ask: &Ask, which: Which) -> Option<(Bytes, Envelope)> {
    let body = ask.told();
    let body = std::str::from_utf8(&body).ok()?;
    let body = strip::without_reasoning(ask.api.dialect(), body, which)?;
    let envelope = Envelope::read(body.as_bytes(), ctx.snapshot.config.limits.max_json_depth).ok()?;
    Some((body.into(), envelope))
}

/// What the config changes in the body: the model's name, the alias' defaults and overrides, the asking for usage.
fn edits<'a>(ctx: &Context, ask: &Ask, candidate: &'a Candidate) -> Vec<Edit<'a>> {
    let mut edits = Vec::new();
    if let Some(value) = model_value(ask, candidate) {
        edits.push(Edit::Set { name: "model", value });
    }
    edits.extend(of_alias(candidate, |_| true));
    if wants_usage(ctx, ask, candidate) {
        let value = Bytes::from_static(b"true");
        edits.push(Edit::SetNested {
            name: "stream_options",
            key: "include_usage",
            value,
        });
    }
    edits
}

/// The alias' defaults, as far as they are `wanted`, and its overrides.
pub(super) fn of_alias(
    candidate: &Candidate,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Edit<'_>> {
    let Candidate { alias, .. } = candidate;
    let defaults = alias.defaults.iter().filter(move |(name, _)| wanted(name));
    let defaults = defaults.map(|(name, value)| Edit::Default {
        name,
        value: value.clone(),
    });
    defaults.chain(alias.overrides.iter().map(|(name, value)| Edit::Set {
        name,
        value: value.clone(),
    }))
}

/// The backend's model, where it is not the one that the client named.
fn model_value(ask: &Ask, candidate: &Candidate) -> Option<Bytes> {
    if *candidate.model == *ask.model && !ask.suffixed {
        return None;
    }
    let ready = candidate.route.model.as_ref().map(|model| model.raw.clone());
    Some(ready.unwrap_or_else(|| edit::json_string(&candidate.model)))
}

/// Whether we ask for the usage of a stream whose client did not.
fn wants_usage(ctx: &Context, ask: &Ask, candidate: &Candidate) -> bool {
    let unasked = matches!(&ask.shape, Shape::Json(envelope) if !envelope.include_usage());
    let for_its_key = || ctx.client.as_ref().is_some_and(|client| client.needs_usage);
    let needed = ctx.snapshot.needs_usage || for_its_key() || candidate.route.backend.is_drained();
    needed && ask.api == Api::Chat && ask.stream && unasked
}
