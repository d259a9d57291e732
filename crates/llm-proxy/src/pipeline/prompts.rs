//! The operator's system prompts, put into a request before any candidate sees it.
//!
//! A conversation keeps the texts that its first request was given: prompts that change under it would cost its prompt
//! cache, and its signed thinking would be refused.

use std::cell::LazyCell;
use std::sync::Arc;

use llm_dialect::Api;
use llm_dialect::envelope::Envelope;
use llm_dialect::inject::{self, Piece, Position};

use super::ask::{Ask, Shape, invalid};
use super::failure::Failure;
use super::plan::Plan;
use crate::base::clock;
use crate::config::types::PromptPosition;
use crate::prompts::{ConversationId, Rendered, Values, Whose, render};
use crate::state::Context;

/// Puts the prompts that count for this request into it, as an edit that each attempt applies with its own.
///
/// # Errors
/// The field that they belong to is of the wrong type.
pub(super) fn put(ctx: &mut Context, ask: &mut Ask, plan: &Plan) -> Result<(), Failure> {
    let converses = ask.api.is_generation() && ask.api != Api::Completions || ask.api == Api::CountTokens;
    let Shape::Json(envelope) = &ask.shape else {
        return Ok(());
    };
    if !converses || is_nothing_to_do(ctx) {
        return Ok(());
    }
    let texts = told(ctx, ask, envelope, plan);
    let pieces: Vec<Piece<'_>> = texts.iter().map(piece).collect();
    let change = inject::system(ask.reads, &ask.body, envelope, &pieces).map_err(invalid)?;
    if change.is_some() {
        ask.prompts = change;
        ctx.told = Some(texts);
    }
    Ok(())
}

/// Without prompts, and without a conversation that began when there were some, a request costs nothing here.
fn is_nothing_to_do(ctx: &Context) -> bool {
    ctx.snapshot.prompts.is_empty() && ctx.live.told.is_empty()
}

/// What this conversation is told: what it was told first, else what the prompts say now.
fn told(ctx: &Context, ask: &Ask, envelope: &Envelope, plan: &Plan) -> Arc<[Rendered]> {
    let id = conversation(ctx, ask, envelope);
    let now = clock::now();
    if let Some(known) = ctx.live.told.recall(id, now) {
        return known;
    }
    let rendered = said_now(ctx, ask, plan);
    ctx.live.told.keep(id, rendered, now)
}

fn conversation(ctx: &Context, ask: &Ask, envelope: &Envelope) -> ConversationId {
    let whose = Whose {
        key: ctx.client.as_ref().map(|client| &*client.name),
        model: &ask.model,
    };
    ConversationId::of_session(whose, &ctx.headers).unwrap_or_else(|| {
        ConversationId::of_opening(whose, |tell| {
            inject::opening(ask.reads, &ask.body, envelope, tell);
        })
    })
}

/// The texts as they are for this request. The backend is the one that the plan begins with.
fn said_now(ctx: &Context, ask: &Ask, plan: &Plan) -> Vec<Rendered> {
    let key = ctx.client.as_ref().map(|client| &*client.name);
    let first = plan.candidates.first();
    let record = &ctx.entry.record;
    let values = Values {
        now: &LazyCell::new(clock::local),
        model: &ask.model,
        backend: first.map_or("", |candidate| &*candidate.route.backend.name),
        backend_model: first.map_or("", |candidate| &*candidate.model),
        key_name: key.unwrap_or_default(),
        client_ip: &record.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        request_id: &record.request_id,
        dialect: record.dialect.name(),
    };
    render(ctx.snapshot.prompts.for_request(&ask.model, key), &values)
}

fn piece(rendered: &Rendered) -> Piece<'_> {
    Piece {
        text: &rendered.text,
        spelled: &rendered.spelled,
        position: match rendered.position {
            PromptPosition::Before => Position::Before,
            PromptPosition::After => Position::After,
            PromptPosition::Replace => Position::Replace,
        },
        separator: &rendered.separator,
    }
}
