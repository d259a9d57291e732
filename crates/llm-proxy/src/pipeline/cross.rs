//! The crossing between two dialects: a request into the backend's, its answer back into the client's.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use llm_dialect::Dialect;
use llm_dialect::answer::AnswerFault;
use llm_dialect::canon::{Block, Losses, Refusal, Request, Target, Terms};
use llm_dialect::edit;
use llm_dialect::envelope::Envelope;
use llm_dialect::fault::BackendError;
use llm_dialect::traits::Traits;
use llm_dialect::transcode::{self, Bounds, Passing, Transcoder};
use llm_dialect::watch::Sight;
use llm_dialect::wire_error::ErrorKind;

use super::ask::Ask;
use super::commit::{Committed, Unfit};
use super::failure::Failure;
use super::outgoing;
use super::plan::Candidate;
use crate::base::clock;
use crate::state::Context;

/// What a request lends its answer.
#[derive(Debug)]
pub(super) struct Crossing {
    /// The backend's dialect.
    pub from: Dialect,
    /// The client's.
    pub to: Dialect,
    /// What the answer has to keep to.
    pub terms: Arc<Terms>,
    /// What could not be carried.
    pub losses: Losses,
    /// What a stream of the backend's may take of the memory.
    bounds: Bounds,
}

/// Names under which a request or an alias may set the most tokens of an answer: each dialect spells that differently, so
/// the encoder writes it.
pub(super) const LIMITS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

/// Whether the request, as its client wrote it, is not in the dialect that the candidate is spoken to in.
pub(super) fn is_needed(ask: &Ask, candidate: &Candidate) -> bool {
    let theirs = candidate.api.dialect();
    ask.api.dialect() != theirs || ask.reads != theirs
}

/// The request in the candidate's dialect.
///
/// # Errors
/// It is not sound, or that dialect cannot express it.
pub(super) fn request(
    ctx: &Context,
    ask: &Ask,
    candidate: &Candidate,
    repaired: bool,
) -> Result<(Bytes, Crossing), Failure> {
    let mut losses = Losses::default();
    let body = ask.told();
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let mut request = transcode::read(ask.reads, text, &mut losses).map_err(refused)?;
    if repaired {
        unsealed(&mut request);
    }
    request.model = ask.model.as_str().into();
    if ask.prompts.is_some() && !request.echo.is_empty() {
        // What the operator says is the model's alone: an answer repeats what its client has said.
        let own = std::str::from_utf8(&ask.body).unwrap_or_default();
        let own = transcode::read(ask.reads, own, &mut Losses::default());
        request.echo = own.map_err(refused)?.echo;
    }
    let terms = Terms {
        now: clock::unix_seconds(),
        request_id: ctx.entry.record.request_id.clone(),
        ..Terms::default()
    };
    let target = target(candidate);
    let converted = transcode::write(&request, &target, terms, &mut losses).map_err(refused)?;
    let body = settled(ctx, candidate, converted.body.into());
    let limits = &ctx.snapshot.config.limits;
    let crossing = Crossing {
        from: target.dialect,
        to: ask.api.dialect(),
        terms: Arc::new(converted.terms),
        losses,
        bounds: Bounds {
            event: limits.max_event,
            kept: limits.max_response,
        },
    };
    Ok((body, crossing))
}

/// Takes all reasoning out of a conversation.
fn unsealed(request: &mut Request<'_>) {
    for turn in &mut request.turns {
        turn.blocks.retain(|block| !matches!(block, Block::Reasoning(_)));
    }
    request.turns.retain(|turn| !turn.blocks.is_empty());
}

/// Who it is encoded for.
pub(super) fn target(candidate: &Candidate) -> Target<'_> {
    let backend = &candidate.route.backend;
    let dialect = candidate.api.dialect();
    let limit = candidate
        .alias
        .defaults
        .iter()
        .find(|(name, _)| LIMITS.contains(&name.as_str()));
    Target {
        dialect,
        model: &candidate.model,
        family: &backend.family,
        openai: backend.is_openai,
        max_tokens: limit.and_then(|(_, value)| serde_json::from_slice(value).ok()),
        traits: Traits::of(dialect, &candidate.model),
    }
}

/// The converted body with the alias' further defaults and overrides, which are in the backend's terms.
fn settled(ctx: &Context, candidate: &Candidate, body: Bytes) -> Bytes {
    let alias = &candidate.alias;
    if alias.overrides.is_empty()
        && alias
            .defaults
            .iter()
            .all(|(name, _)| LIMITS.contains(&name.as_str()))
    {
        return body;
    }
    let Ok(envelope) = Envelope::read(&body, ctx.snapshot.config.limits.max_json_depth) else {
        return body;
    };
    let edits: Vec<_> = outgoing::of_alias(candidate, |name| !LIMITS.contains(&name)).collect();
    edit::apply(&body, &envelope, &edits).parts.concat().into()
}

#[cold]
pub(super) fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Invalid { param, message } => {
            let failure = Failure::local(ErrorKind::InvalidBody, message);
            match param {
                Some(param) => failure.about(param),
                None => failure,
            }
        }
        Refusal::Unsupported { param, message } => {
            Failure::local(ErrorKind::UnsupportedParameter, message).about(param)
        }
    }
}

impl Crossing {
    /// What came up to the commit point, in the client's dialect.
    ///
    /// # Errors
    /// It is no answer after all.
    pub(super) fn carry(&mut self, body: Committed) -> Result<Committed, Unfit> {
        match body {
            Committed::Whole { body, usage, .. } => Ok(Committed::Whole {
                body: self.whole(&body)?,
                usage,
                response_id: None,
            }),
            Committed::Stream {
                watch,
                held,
                sight,
                rest,
                ..
            } => {
                let mut transcoder = Box::new(Transcoder::new(self.from, self.to, &self.terms, self.bounds));
                let mut out = Vec::new();
                for piece in held {
                    check(transcoder.feed(piece, &mut out), &sight)?;
                }
                Ok(Committed::Stream {
                    watch,
                    held: if out.is_empty() {
                        Vec::new()
                    } else {
                        vec![out.into()]
                    },
                    sight,
                    rest,
                    transcoder: Some(transcoder),
                })
            }
            done @ (Committed::Gathered { .. } | Committed::Opaque { .. }) => Ok(done),
        }
    }

    fn whole(&mut self, body: &Bytes) -> Result<Bytes, Unfit> {
        let text = std::str::from_utf8(body).map_err(|_why| unfit(AnswerFault::NotJson, body))?;
        let done = if self.terms.stream {
            transcode::replayed(self.from, self.to, text, &self.terms)
        } else {
            transcode::answer(self.from, self.to, text, &self.terms, &mut self.losses)
        };
        done.map(Bytes::from).map_err(|fault| unfit(fault, body))
    }

    /// The type of what the client gets.
    pub(super) fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(if self.terms.stream {
            "text/event-stream"
        } else {
            "application/json"
        })
    }

    /// What could not be carried, as a header; none if all was.
    pub(super) fn warnings(&self) -> Option<HeaderValue> {
        let names: Vec<&str> = self.losses.names().collect();
        // A header holds plain ASCII alone, and one odd name must not hide the others.
        let plain = names.join(", ").replace(|c: char| !matches!(c, ' '..='~'), "?");
        let told = HeaderValue::from_str(&plain).ok();
        told.filter(|_| !names.is_empty())
    }
}

/// A stream whose first words cannot be converted is no answer. A fault that the watch has seen too is its to tell.
fn check(passing: Passing, sight: &Sight) -> Result<(), Unfit> {
    match passing {
        Passing::Fault(error) if !matches!(sight, Sight::Fault(..)) => Err(unfit_error(error)),
        _ => Ok(()),
    }
}

#[cold]
fn unfit_error(error: BackendError) -> Unfit {
    Unfit::Error(Box::new(error), Bytes::new())
}

#[cold]
fn unfit(fault: AnswerFault, body: &Bytes) -> Unfit {
    match fault {
        AnswerFault::Error(error) => Unfit::Error(Box::new(error), body.clone()),
        AnswerFault::NotJson => Unfit::Bad("no JSON", body.clone()),
        AnswerFault::Empty => Unfit::Bad("an answer without content", body.clone()),
    }
}
