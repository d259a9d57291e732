//! Leaves out the candidates that cannot hold a request, before one of them costs a refusal.

use std::cell::OnceCell;

use llm_dialect::needs::{self, Feature};
use llm_dialect::{Api, estimate};

use super::ask::{Ask, Shape};
use super::cross::LIMITS;
use super::plan::Candidate;
use crate::routing::{self, Load};
use crate::state::Alias;

/// Leaves out what cannot hold the request. Nothing is looked at where no route says what it can hold.
pub(super) fn narrow(ask: &Ask, candidates: &mut Vec<Candidate>) {
    let is_counting = ask.api == Api::CountTokens;
    let bounded = candidates
        .iter()
        .any(|candidate| candidate.route.room.is_bounded());
    if !bounded || is_counting || candidates.len() < 2 {
        return;
    }
    let size = OnceCell::new();
    let judge = |candidate: &Candidate| {
        let load = Weighed {
            ask,
            alias: &candidate.alias,
            size: &size,
        };
        let misfit = candidate.route.room.misfit(&load)?;
        tracing::debug!(
            backend = &*candidate.route.backend.name,
            model = &*candidate.model,
            why = misfit.name(),
            "cannot hold the request"
        );
        Some(misfit)
    };
    routing::fitting(candidates, judge, |candidate| candidate.route.room.context);
}

/// The longest answer that a request asks for, with what its alias sets.
pub(super) fn longest_answer(ask: &Ask, alias: &Alias) -> Option<f64> {
    let Shape::Json(envelope) = &ask.shape else {
        return None;
    };
    let set = |fields: &[(String, bytes::Bytes)]| {
        let mut fields = fields.iter();
        fields.find_map(|(name, value)| number(value).filter(|_| LIMITS.contains(&name.as_str())))
    };
    let asked = || {
        LIMITS
            .iter()
            .find_map(|name| number(envelope.member(&ask.body, name)?.of(&ask.body)))
    };
    set(&alias.overrides)
        .or_else(asked)
        .or_else(|| set(&alias.defaults))
}

fn number(raw: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(raw).ok()?.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// A request as a candidate's alias makes it.
struct Weighed<'a> {
    ask: &'a Ask,
    alias: &'a Alias,
    /// Its tokens, counted once for all candidates.
    size: &'a OnceCell<u64>,
}

impl Load for Weighed<'_> {
    fn input(&self) -> u64 {
        *self.size.get_or_init(|| match self.ask.shape {
            Shape::Json(_) => estimate::of_bytes(&self.ask.body),
            Shape::Form(_) => 0,
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what is wanted"
    )]
    fn answer(&self) -> Option<u64> {
        longest_answer(self.ask, self.alias).map(|tokens| tokens as u64)
    }

    fn needs(&self, feature: Feature) -> bool {
        match &self.ask.shape {
            Shape::Json(envelope) => needs::needs(feature, self.ask.reads, (&self.ask.body, envelope)),
            Shape::Form(_) => false,
        }
    }
}
