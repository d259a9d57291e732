//! One candidate after the other, until one has something to say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use llm_dialect::Api;

use super::affinity;
use super::ask::Ask;
use super::attempt::{self, Lost, Spoken};
use super::deadline;
use super::failure::Failure;
use super::hedge;
use super::outgoing::{self, Outgoing};
use super::pace::Pace;
use super::plan::{Bound, Candidate, Plan};
use super::verdict;
use super::walk::{Chosen, Walk, Walker};
use crate::base::trace::SpanId;
use crate::base::{Class, clock};
use crate::health::{self, Sole, Spent};
use crate::observe::Attempt;
use crate::state::{Alias, Context, InFlight};

/// The answer of the backend that spoke first, with all that must be kept until its last byte.
#[derive(Debug)]
pub(super) struct Won {
    /// The answer.
    pub spoken: Box<Spoken>,
    /// Who gave it.
    pub candidate: Candidate,
    /// Whether there was anywhere else to go.
    pub sole: Sole,
    /// Its place at the backend.
    pub place: InFlight,
}

/// Tries the plan's candidates in order. What few requests need is boxed: its code and its room are apart from those of an
/// attempt that succeeds.
///
/// # Errors
/// What the client is told: the most useful of all the failures.
pub(super) async fn first_to_speak(ctx: &mut Context, ask: &Ask, plan: Plan) -> Result<Won, Failure> {
    plan.alias.budget.lock().request();
    let sole = plan.sole;
    let mut trail = Trail::new(Arc::clone(&plan.alias), plan.bound != Bound::No);
    let mut walker = Walker::new(plan);
    let live = Arc::clone(&ctx.live);
    loop {
        // Asked for before the look around: a recovery in between must not be missed.
        let recovered = live.recovered.notified();
        let chosen = match walker.walk(ctx, ask) {
            Walk::Go(chosen) => chosen,
            Walk::Exhausted => return Err(trail.told()),
            Walk::Full | Walk::Cooling(_) if !trail.lost.is_empty() => match walker.look_on(ctx) {
                Some(next) => next,
                None => return Err(trail.told()),
            },
            Walk::Full => return Err(verdict::all_full()),
            Walk::Cooling(soonest) => match walker.all_cooling(ctx, soonest, recovered).boxed().await? {
                Some(forced) => forced,
                None => continue,
            },
        };
        let outgoing = match outgoing::draw(ctx, ask, &chosen.candidate, trail.repaired) {
            Ok(outgoing) => outgoing,
            Err(failure) => {
                // Another dialect may be able to say it.
                trail.unfit.get_or_insert(failure);
                continue;
            }
        };
        let began = chosen.at;
        if !trail.pay(began) {
            return Err(trail.told());
        }
        let pace = Pace::of(&chosen.candidate.route.timeouts)
            .filter(|_| trail.may_go_on(ctx, began) && walker.has_another(ctx, began));
        let begins = (chosen, outgoing, pace);
        let done = match hedge::patience(ctx, &begins.0) {
            None => attempt(ctx, ask, begins, sole).await,
            Some(patience) => {
                let others = (&mut walker, &mut trail, sole);
                hedge::two(ctx, ask, begins, others, patience).boxed().await
            }
        };
        let failed = match done {
            Ok(won) => return Ok(won),
            Err(failed) => failed,
        };
        let follows = trail.follow(ctx, ask, &mut walker, (failed, began));
        if !follows.boxed().await {
            return Err(trail.told());
        }
    }
}

/// Waits so long, if it is any time at all.
async fn rest(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

/// One attempt with its bookkeeping. The record says `client_gone` until it is known better: if the client leaves,
/// this future is dropped, and that is what remains.
async fn attempt(
    ctx: &mut Context,
    ask: &Ask,
    (chosen, outgoing, pace): (Chosen, Outgoing, Option<Pace>),
    sole: Sole,
) -> Result<Won, (Candidate, Box<Lost>)> {
    let (candidate, started) = (&chosen.candidate, chosen.at);
    begin(ctx, candidate, started);
    let deadline = attempt::deadline(ctx, candidate, pace.as_ref(), started);
    let alone = ctx.alone.clone().filter(|_| candidate.route.backend.is_drained());
    if let Some(alone) = &alone {
        alone.begin(ctx.held.place.take());
    }
    let done = attempt::run(ctx, ask, (candidate, outgoing), (started, deadline), pace).await;
    if let Some(alone) = &alone {
        ctx.held.place = alone.end();
    }
    conclude(ctx, chosen, done, sole)
}

/// What an attempt came to: for the record, for health, and for whoever asked for it.
pub(super) fn conclude(
    ctx: &mut Context,
    chosen: Chosen,
    done: Result<Box<Spoken>, Box<Lost>>,
    sole: Sole,
) -> Result<Won, (Candidate, Box<Lost>)> {
    let Chosen {
        candidate,
        place,
        mut probe,
        at: started,
    } = chosen;
    let now = clock::now();
    let took = now.duration_since(started);
    match done {
        Ok(spoken) => {
            finish(ctx, None, Some(spoken.status.as_u16()), took);
            ctx.entry.first_byte(now);
            // A stream has yet to prove itself to its end; a probe is answered by its beginning.
            if spoken.body.is_whole() || probe.is_held() {
                probe.succeeded(&ctx.live, &candidate, now);
            } else {
                ctx.live.health.lock().began(&candidate.target, now);
            }
            note_latency(&candidate, took, now);
            Ok(Won {
                spoken,
                candidate,
                sole,
                place,
            })
        }
        Err(mut lost) => {
            let status = lost.status.map(|status| status.as_u16());
            finish(ctx, Some(lost.verdict.class), status, took);
            let probe = probe.spent();
            let probed = probe.is_some();
            let cooled = verdict::report(ctx, (&candidate, probe), &lost, sole, now);
            if let Some(last) = ctx.entry.record.attempts.last_mut() {
                last.cooldown = cooled;
                last.kind = lost.verdict.kind.map(health::QuotaKind::name);
            }
            lost.rests = cooled.map(|(_, rest)| rest);
            if probed {
                ctx.live.recovered.notify_waiters();
            }
            Err((candidate, lost))
        }
    }
}

/// Another attempt answered before this one: that says nothing of its backend but that it takes longer.
#[cold]
pub(super) fn overtaken(ctx: &mut Context, chosen: &Chosen) {
    let now = clock::now();
    let took = now.duration_since(chosen.at);
    finish(ctx, Some(Class::Overtaken), None, took);
    note_latency(&chosen.candidate, took, now);
}

fn note_latency(candidate: &Candidate, took: Duration, now: Instant) {
    let vitals = &candidate.route.backend.vitals;
    vitals.note_latency(candidate.target.model, took, now);
}

/// An attempt begins: what the record says of it until it is known what it came to.
pub(super) fn begun(ctx: &Context, candidate: &Candidate, started: Instant) -> Attempt {
    let record = &ctx.entry.record;
    let span = record.trace.as_ref().map(|_| SpanId::of(fastrand::u64(..)));
    Attempt {
        backend: Arc::clone(&candidate.route.backend.meters),
        key: candidate.key_name(),
        model: Arc::clone(&candidate.model),
        api: candidate.api,
        span,
        after: started.saturating_duration_since(ctx.entry.started()),
        class: Some(Class::ClientGone),
        kind: None,
        status: None,
        took: Duration::ZERO,
        cooldown: None,
    }
}

pub(super) fn begin(ctx: &mut Context, candidate: &Candidate, started: Instant) {
    let begun = begun(ctx, candidate, started);
    ctx.entry.record.attempt(begun);
}

fn finish(ctx: &mut Context, class: Option<Class>, status: Option<u16>, took: Duration) {
    if let Some(last) = ctx.entry.record.attempts.last_mut() {
        last.class = class;
        last.status = status;
        last.took = took;
    }
}

/// The failures of a request so far.
pub(super) struct Trail {
    lost: Vec<(health::Tried, Box<Lost>)>,
    /// Why a candidate could not even be asked: its dialect cannot express the request.
    unfit: Option<Failure>,
    /// The alias that was asked for, whose budget pays for all but the first.
    alias: Arc<Alias>,
    pinned: bool,
    asked_again: bool,
    /// Whether sealed reasoning has been taken out.
    repaired: bool,
    /// Whether the next attempt is one more, for the retry budget to pay.
    goes_on: bool,
}

impl Trail {
    fn new(alias: Arc<Alias>, pinned: bool) -> Self {
        Self {
            lost: Vec::new(),
            unfit: None,
            alias,
            pinned,
            asked_again: false,
            repaired: false,
            goes_on: false,
        }
    }

    /// Notes a failure and decides what this request does next.
    pub(super) fn after(
        &mut self,
        ctx: &Context,
        (asked, candidate): (Api, &Candidate),
        lost: Box<Lost>,
        began: Instant,
    ) -> health::Next {
        let verdict = lost.verdict;
        tracing::debug!(
            backend = &*candidate.route.backend.name,
            class = verdict.class.name(),
            detail = lost.detail,
            request_id = ctx.entry.record.request_id,
            "attempt failed"
        );
        let tried = health::Tried {
            class: verdict.class,
            converted: candidate.api != asked,
            first_choice: self.lost.is_empty(),
            reset: verdict.reset,
        };
        self.lost.push((tried, lost));
        let now = clock::now();
        let took = now.duration_since(began);
        let spent = Spent {
            attempts: u32::try_from(self.lost.len()).unwrap_or(u32::MAX),
            max_attempts: ctx.snapshot.config.fallback.max_attempts,
            elapsed: took,
            slow_failure_cutoff: ctx.snapshot.config.fallback.slow_failure_cutoff,
            time: deadline::time(ctx, &candidate.route, now),
            pinned: self.pinned,
            asked_again: self.asked_again,
            repaired: self.repaired,
            budget_left: self.alias.budget.lock().has_left(now),
        };
        let next = health::next(&verdict, &spent);
        if matches!(next, health::Next::Another | health::Next::Stop(_)) {
            affinity::loosen(&ctx.live, ctx.conversation.as_ref(), &candidate.target);
        }
        self.goes_on = next == health::Next::Another;
        if let health::Next::Stop(reason) = next {
            tracing::debug!(
                reason = reason.name(),
                request_id = ctx.entry.record.request_id,
                "no further attempt"
            );
        }
        next
    }

    /// What follows a failure: `false`: nothing does.
    async fn follow(
        &mut self,
        ctx: &Context,
        ask: &Ask,
        walker: &mut Walker,
        ((candidate, lost), began): ((Candidate, Box<Lost>), Instant),
    ) -> bool {
        let class = lost.verdict.class;
        match self.after(ctx, (ask.api, &candidate), lost, began) {
            _ if ctx.has_left() => return false,
            health::Next::Another => walker.after(candidate, class),
            health::Next::Again => {
                self.asked_again = true;
                walker.again(candidate);
                rest(health::pause(class, fastrand::f64())).await;
            }
            health::Next::Repair => {
                self.repaired = true;
                walker.again(candidate);
            }
            health::Next::Relay | health::Next::Stop(_) => return false,
        }
        true
    }

    /// Whether there may be another attempt after the one that begins now, should it fail.
    fn may_go_on(&self, ctx: &Context, now: Instant) -> bool {
        let attempts = u32::try_from(self.lost.len() + 1).unwrap_or(u32::MAX);
        let left = attempts < ctx.snapshot.config.fallback.max_attempts;
        left && !self.pinned && self.alias.budget.lock().has_left(now)
    }

    /// Another attempt begins beside one that is under way: what it is drawn with, if there may be one and it can be
    /// paid for.
    pub(super) fn beside(
        &self,
        ctx: &Context,
        now: Instant,
        draw: impl FnOnce(bool) -> Option<(Chosen, Outgoing)>,
    ) -> Option<(Chosen, Outgoing)> {
        // Asked before it is drawn: what is drawn is no longer there to fall back to.
        if !self.may_go_on(ctx, now) {
            return None;
        }
        let drawn = draw(self.repaired)?;
        self.alias.budget.lock().take(now).then_some(drawn)
    }

    /// An attempt begins. Only one that is made is paid for: where nothing is left to try, nothing is spent.
    /// `false`: others were quicker, and the budget is spent.
    fn pay(&mut self, now: Instant) -> bool {
        !std::mem::take(&mut self.goes_on) || self.alias.budget.lock().take(now)
    }

    /// The failure that tells the client most.
    #[cold]
    fn told(self) -> Failure {
        let tried: Vec<health::Tried> = self.lost.iter().map(|(tried, _)| *tried).collect();
        let resets: Vec<Option<Duration>> = tried.iter().map(|tried| tried.reset).collect();
        let all_unknown = tried.iter().all(|tried| tried.class == Class::NotFound);
        match health::choose(&tried).and_then(|at| self.lost.into_iter().nth(at)) {
            Some((tried, lost)) => verdict::told(&tried, *lost, &resets, all_unknown),
            None => self.unfit.unwrap_or_else(verdict::all_full),
        }
    }
}
