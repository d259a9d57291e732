//! A second attempt beside one that is silent (`timeout.hedge_after`): whoever has something to say first answers.
//!
//! Both are driven by the request's own task, so dropping it ends both. The one that was overtaken is dropped as if its
//! client had left: its connection is closed, and nothing is held against its backend.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::time::timeout_at;

use super::ask::Ask;
use super::attempt::{self, Lost, Spoken};
use super::attempts::{self, Trail, Won};
use super::outgoing::{self, Outgoing};
use super::pace::Pace;
use super::plan::Candidate;
use super::walk::{Chosen, Walker};
use crate::base::clock;
use crate::config::types::NEVER;
use crate::health::Sole;
use crate::state::Context;

/// How an attempt ended, and another beside it.
enum Race {
    /// None was begun.
    Alone(Result<Box<Spoken>, Box<Lost>>),
    /// One of the two decides.
    Decided(Box<Decided>),
}

struct Decided {
    /// What the one that decides came to.
    done: Result<Box<Spoken>, Box<Lost>>,
    /// Whether it is the first.
    by_first: bool,
    /// The second.
    second: Chosen,
    /// How the one that does not decide failed; none: it was overtaken.
    other: Option<Box<Lost>>,
}

/// How long an attempt may be silent before another is made beside it; none where there is none. A backend that is to be
/// read to its end is never cancelled for another.
pub(super) fn patience(ctx: &Context, chosen: &Chosen) -> Option<Duration> {
    let route = &chosen.candidate.route;
    let is_drained = ctx.alone.is_some() && route.backend.is_drained();
    let patience = route.timeouts.hedge_after;
    (patience != NEVER && !is_drained).then_some(patience)
}

/// One attempt, and another beside it if it is silent for too long.
///
/// # Errors
/// Both came to nothing: the candidate that failed last. The other's failure is on the trail.
pub(super) async fn two(
    ctx: &mut Context,
    ask: &Ask,
    (first, outgoing, pace): (Chosen, Outgoing, Option<Pace>),
    (walker, trail, sole): (&mut Walker, &mut Trail, Sole),
    patience: Duration,
) -> Result<Won, (Candidate, Box<Lost>)> {
    attempts::begin(ctx, &first.candidate, first.at);
    let draws = |now| {
        trail.beside(ctx, now, |repaired| {
            let chosen = walker.beside(ctx, ask, &first.candidate, now)?;
            let outgoing = outgoing::draw(ctx, ask, &chosen.candidate, repaired).ok()?;
            Some((chosen, outgoing))
        })
    };
    let Decided {
        done,
        by_first,
        second,
        other,
    } = match race(ctx, ask, (&first, outgoing, pace), patience, draws).await {
        Race::Alone(done) => return attempts::conclude(ctx, first, done, sole),
        Race::Decided(decided) => *decided,
    };
    let (decides, yields) = if by_first {
        (first, second)
    } else {
        (second, first)
    };
    // The one that decides is the last of the record: whose answer it is.
    let record = &mut ctx.entry.record;
    let own = by_first.then(|| record.attempts.pop()).flatten();
    if by_first {
        record.join();
    }
    let all = (walker, trail, sole);
    give_way(ctx, ask, all, yields, other);
    ctx.entry.record.join();
    ctx.entry.record.attempts.extend(own);
    attempts::conclude(ctx, decides, done, sole)
}

/// Runs the first, and, if it is silent for too long, what `draws` brings beside it.
async fn race(
    ctx: &Context,
    ask: &Ask,
    (first, outgoing, pace): (&Chosen, Outgoing, Option<Pace>),
    patience: Duration,
    draws: impl FnOnce(Instant) -> Option<(Chosen, Outgoing)>,
) -> Race {
    let deadline = attempt::deadline(ctx, &first.candidate, pace.as_ref(), first.at);
    let times = (first.at, deadline);
    let mut own = pin!(attempt::run(ctx, ask, (&first.candidate, outgoing), times, pace));
    if let Ok(done) = timeout_at((first.at + patience).into(), own.as_mut()).await {
        return Race::Alone(done);
    }
    let Some((second, outgoing)) = draws(clock::now()) else {
        return Race::Alone(own.await);
    };
    let begun = attempts::begun(ctx, &second.candidate, second.at);
    let _ = ctx.entry.record.beside.set(Box::new(begun));
    let deadline = attempt::deadline(ctx, &second.candidate, None, second.at);
    let times = (second.at, deadline);
    let (done, other, by_first) = {
        let beside = pin!(attempt::run(ctx, ask, (&second.candidate, outgoing), times, None));
        match select(own, beside).await {
            Either::Left((Err(lost), beside)) if lost.verdict.falls_back => (beside.await, Some(lost), false),
            Either::Right((Err(lost), own)) if lost.verdict.falls_back => (own.await, Some(lost), true),
            Either::Left((done, _)) => (done, None, true),
            Either::Right((done, _)) => (done, None, false),
        }
    };
    Race::Decided(Box::new(Decided {
        done,
        by_first,
        second,
        other,
    }))
}

/// The one that does not decide: it was overtaken, or it failed before.
fn give_way(
    ctx: &mut Context,
    ask: &Ask,
    (walker, trail, sole): (&mut Walker, &mut Trail, Sole),
    chosen: Chosen,
    failed: Option<Box<Lost>>,
) {
    let Some(lost) = failed else {
        return attempts::overtaken(ctx, &chosen);
    };
    let (class, began) = (lost.verdict.class, chosen.at);
    if let Err((candidate, lost)) = attempts::conclude(ctx, chosen, Err(lost), sole) {
        trail.after(ctx, (ask.api, &candidate), lost, began);
        walker.after(candidate, class);
    }
}
