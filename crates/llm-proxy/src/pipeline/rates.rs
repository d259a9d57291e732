//! Rate limits: asked before anything is done for a request, settled when its last byte is out.

use std::slice;
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
use crate::limits::{Buckets, Nanos, Standing, Unit};
use crate::observe::Record;
use crate::state::{self, Addresses, Alias, Context, Counted, Counter, Held, Level, Over, Rated};

/// What an answer is taken to be long where nobody says how long it may be.
pub(super) const USUAL_ANSWER: f64 = 1_000.0;
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
    let address = of_address(ctx).map(|(all, address)| (Level::Address, Counter::Of(all, address)));
    let global = snapshot.global_rates.as_deref();
    let global = global.map(|buckets| (Level::Global, Counter::Shared(buckets)));
    // One by one: neither gives back what the other refuses.
    for counting in &[address, global] {
        state::take(slice::from_ref(counting), ONE, now).map_err(|over| refused(ctx, over))?;
    }
    Ok(())
}

/// Counts a request for its key and its model, and takes the tokens that it may use from every limit of tokens.
///
/// # Errors
/// One of them has not enough. What the others gave is given back.
pub(super) fn reserve(ctx: &mut Context, ask: &Ask, alias: &Arc<Alias>) -> Result<(), Failure> {
    let Some(limits) = limits(ctx, alias) else {
        return Ok(());
    };
    let arrived = clock::nanos(ctx.entry.started());
    let now = whole_at(ctx, ask, arrived);
    let (own, all) = (limits.own(), limits.all());
    state::take(&own, ONE, now).map_err(|over| refused(ctx, over))?;
    let mut counters = all.iter().flatten();
    let has_tokens = counters.any(|(_, counter)| counter.counts(Unit::Tokens));
    let (input, output) = if has_tokens && ask.api != Api::CountTokens {
        expected(ask, alias)
    } else {
        (0.0, 0.0)
    };
    let taken = input + output;
    if let Err(over) = state::take(&all, (Unit::Tokens, taken), now) {
        state::give_back(&own, ONE, now);
        return Err(refused(ctx, over));
    }
    ctx.held.rated = Some(Rated {
        limits,
        arrived,
        taken,
        input,
    });
    Ok(())
}

/// When a request had come whole and had its place. What had come at once waited for nothing else: no clock is asked.
fn whole_at(ctx: &Context, ask: &Ask, arrived: Nanos) -> Nanos {
    if ask.came_at_once {
        clock::later(arrived, ctx.entry.record.queued.unwrap_or_default())
    } else {
        clock::nanos(clock::now())
    }
}

/// How its key and its model stand, for a client to be told with its answer; none where neither has a limit.
pub fn standings(ctx: &Context) -> Option<Standings> {
    let rated = ctx.held.rated.as_ref()?;
    // As it stood when the answer began, which is now: the clock has just been read for that.
    let began = ctx.entry.record.first_byte.unwrap_or_default();
    let now = clock::later(rated.arrived, began);
    let Counted { key, model, .. } = &rated.limits;
    let scarcer = |unit| {
        let standing = |buckets: &Option<Arc<Buckets>>| buckets.as_ref()?.standing(unit, now);
        Standing::scarcer(standing(key), standing(model))
    };
    let (requests, tokens) = (scarcer(Unit::Requests), scarcer(Unit::Tokens));
    Some(Standings::new(ctx.entry.record.dialect, requests, tokens))
}

/// Settles what a request holds of limits and budgets, when it is over.
pub(super) fn settle(held: &mut Held, record: &Record) {
    budget::settle(held, record);
    let Some(rated) = held.rated.take() else {
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

/// The limits of its address; none where addresses have none, or it has no address.
fn of_address(ctx: &Context) -> Option<(&Arc<Addresses>, Address)> {
    let ip = ctx.entry.record.ip?;
    Some((ctx.snapshot.address_rates.as_ref()?, Address::of(ip)))
}

/// The limits that count for it by now; none where there are none.
fn limits(ctx: &Context, alias: &Alias) -> Option<Counted> {
    let key = ctx.client.as_ref().and_then(|client| client.rates.as_ref());
    let model = alias.rates.as_ref();
    let address = of_address(ctx).filter(|(all, _)| all.counts(Unit::Tokens));
    let global = ctx.snapshot.global_rates.as_ref();
    let global = global.filter(|buckets| buckets.counts(Unit::Tokens));
    if key.is_none() && model.is_none() && address.is_none() && global.is_none() {
        return None;
    }
    Some(Counted {
        key: key.cloned(),
        model: model.cloned(),
        address: address.map(|(all, address)| (Arc::clone(all), address)),
        global: global.cloned(),
    })
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
