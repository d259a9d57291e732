//! Rate limits: asked before anything is done for a request, settled when its last byte is out.

use std::sync::Arc;
use std::time::Duration;

use llm_dialect::wire_error::ErrorKind;
use llm_dialect::{Api, estimate};

use super::ask::{Ask, Shape};
use super::budget;
use super::failure::Failure;
use super::fit;
use super::standing::Standings;
use crate::base::{Address, clock};
use crate::limits::{Nanos, Unit};
use crate::observe::Record;
use crate::state::{self, Alias, Context, Counter, Held, Level, Over, Rated};

/// What an answer is taken to be long where nobody says how long it may be.
pub(super) const USUAL_ANSWER: f64 = 1_000.0;
/// How many levels of limits may count for one request.
const LEVELS: usize = 4;
const ONE: (Unit, f64) = (Unit::Requests, 1.0);

/// Counts a request where it comes from, and in all: before anybody knows whose it is, so that it slows guessers down.
///
/// The address comes first: what it has used up must not be taken from everybody else.
///
/// # Errors
/// Its address or the proxy has had enough.
pub fn enter(ctx: &Context) -> Result<(), Failure> {
    let snapshot = &ctx.snapshot;
    if snapshot.address_rates.is_none() && snapshot.global_rates.is_none() {
        return Ok(());
    }
    let now = clock::nanos(ctx.entry.started());
    // One by one: neither gives back what the other refuses.
    for counter in at_the_door(ctx, Unit::Requests) {
        state::take(&[counter], ONE, now).map_err(|over| refused(ctx, over))?;
    }
    Ok(())
}

/// Counts a request for its key and its model, and takes the tokens that it may use from every limit of tokens.
///
/// # Errors
/// One of them has not enough. What the others gave is given back.
pub(super) fn reserve(ctx: &mut Context, ask: &Ask, alias: &Arc<Alias>) -> Result<(), Failure> {
    let mut counters = Vec::with_capacity(LEVELS);
    counters.extend(own(ctx, alias));
    let counted = counters.len();
    counters.extend(at_the_door(ctx, Unit::Tokens));
    if counters.is_empty() {
        return Ok(());
    }
    let now = now();
    let own = counters.get(..counted).unwrap_or_default();
    state::take(own, ONE, now).map_err(|over| refused(ctx, over))?;
    let has_tokens = counters.iter().any(|(_, counter)| counter.counts(Unit::Tokens));
    let (input, output) = if has_tokens && ask.api != Api::CountTokens {
        expected(ask, alias)
    } else {
        (0.0, 0.0)
    };
    let taken = input + output;
    if let Err(over) = state::take(&counters, (Unit::Tokens, taken), now) {
        state::settle(own, Unit::Requests, (1.0, 0.0), || now);
        return Err(refused(ctx, over));
    }
    ctx.held.rated = Some(Rated::new(counters, taken, input));
    Ok(())
}

/// How its key and its model stand, for a client to be told with its answer; none where neither has a limit.
pub fn standings(ctx: &Context) -> Option<Standings> {
    let rated = ctx.held.rated.as_ref()?;
    let own = rated.counters().iter();
    let own = own.filter(|(level, _)| matches!(level, Level::Key | Level::Model));
    // As it stood when the answer began, which is now: the clock has just been read for that.
    let began = ctx.entry.record.first_byte.unwrap_or_default();
    let now = clock::nanos(ctx.entry.started() + began);
    let scarcest = |unit| {
        let standings = own.clone().filter_map(|(_, counter)| counter.standing(unit, now));
        standings.min_by_key(|standing| standing.remaining)
    };
    let (requests, tokens) = (scarcest(Unit::Requests), scarcest(Unit::Tokens));
    Some(Standings::new(ctx.entry.record.dialect, requests, tokens))
}

/// Settles what a request holds of limits and budgets, when it is over.
pub(super) fn settle(held: &mut Held, record: &Record) {
    budget::settle(held, record);
    let Some(mut rated) = held.rated.take() else {
        return;
    };
    let usage = &record.usage;
    let answered = record.first_byte.is_some() && record.status.is_some_and(|status| status < 400);
    match (usage.input, usage.output) {
        (None, None) if !answered => rated.settle(Some(0)),
        (None, None) => rated.settle(None),
        (input, output) => rated.settle(Some(input.unwrap_or(0) + output.unwrap_or(0))),
    }
}

/// The limits of its address and of everybody, as far as they count that unit.
fn at_the_door(ctx: &Context, unit: Unit) -> impl Iterator<Item = (Level, Counter)> {
    let addresses = ctx.snapshot.address_rates.as_ref();
    let addresses = addresses.filter(|addresses| addresses.counts(unit));
    let address = addresses.zip(ctx.entry.record.ip).map(|(addresses, ip)| {
        let counter = Counter::Of(Arc::clone(addresses), Address::of(ip));
        (Level::Address, counter)
    });
    let global = ctx.snapshot.global_rates.as_ref();
    let global = global.filter(|buckets| buckets.counts(unit));
    let global = global.map(|buckets| (Level::Global, Counter::Shared(Arc::clone(buckets))));
    address.into_iter().chain(global)
}

/// The limits of its key and of its model.
fn own(ctx: &Context, alias: &Alias) -> impl Iterator<Item = (Level, Counter)> {
    let key = ctx.client.as_ref().and_then(|client| client.rates.as_ref());
    let of = |level, buckets| (level, Counter::Shared(Arc::clone(buckets)));
    let key = key.map(|buckets| of(Level::Key, buckets));
    let model = alias.rates.as_ref().map(|buckets| of(Level::Model, buckets));
    key.into_iter().chain(model)
}

/// The tokens that a request may cost: what it says, and what may be answered.
fn expected(ask: &Ask, alias: &Alias) -> (f64, f64) {
    if matches!(ask.shape, Shape::Form(_)) {
        return (0.0, USUAL_ANSWER);
    }
    #[expect(clippy::cast_precision_loss, reason = "nobody says 2^53 tokens")]
    let said = estimate::of_bytes(&ask.body) as f64;
    (said, fit::longest_answer(ask, alias).unwrap_or(USUAL_ANSWER))
}

#[cold]
fn refused(ctx: &Context, over: Over) -> Failure {
    let what = match over.unit {
        Unit::Requests => "requests",
        Unit::Tokens => "tokens",
    };
    let message = format!(
        "The limit of {what} for {} is reached; try again in {}.",
        over.level.whose(),
        in_words(over.wait)
    );
    let mut headers = http::HeaderMap::new();
    if let Some(standing) = over.standing {
        Standings::of_one(ctx.entry.record.dialect, over.unit, standing).insert_into(&mut headers);
    }
    Failure::local(ErrorKind::RateLimited, message)
        .with_headers(headers)
        .after(Some(over.wait))
}

/// Whole seconds, rounded up, as in `retry-after`.
fn in_words(wait: Duration) -> String {
    match wait.as_millis().div_ceil(1_000) {
        0 | 1 => "a second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

fn now() -> Nanos {
    clock::nanos(clock::now())
}
