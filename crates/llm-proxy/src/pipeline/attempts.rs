//! One candidate after the other, until one has something to say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::futures::Notified;
use tokio::time::timeout_at;

use super::ask::Ask;
use super::attempt::{self, Lost, Spoken};
use super::failure::Failure;
use super::plan::{Candidate, Plan};
use super::verdict;
use crate::base::{Class, clock};
use crate::config::types::WhenAllCooling;
use crate::health::{self, Gate, Probe, Sole, Spent, Target};
use crate::observe::Attempt;
use crate::state::{Context, InFlight, Live};

/// How long a request waits for a cooling backend to recover (contract 4, `when_all_cooling`).
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer of the backend that spoke first, with all that must be kept until its last byte.
#[derive(Debug)]
pub(super) struct Won {
    /// The answer.
    pub spoken: Spoken,
    /// Who gave it.
    pub candidate: Candidate,
    /// Whether there was anywhere else to go.
    pub sole: Sole,
    /// Its place at the backend.
    pub place: InFlight,
}

/// A candidate that may be tried now.
struct Chosen {
    candidate: Candidate,
    place: InFlight,
    probe: ProbeGuard,
    /// When it was chosen, which is when its attempt begins.
    at: Instant,
}

/// What the walk over the candidates found.
enum Walk {
    /// This one.
    Go(Chosen),
    /// Nothing is left.
    Exhausted,
    /// None that is left may be used, and some of them only because they have no place free.
    Full,
    /// All that are left are cooling.
    Cooling(Cooling),
}

/// The cooling candidate that recovers first.
#[derive(Clone, Copy)]
struct Cooling {
    at: usize,
    class: Class,
    /// When it may be probed; none while another request does.
    until: Option<Instant>,
}

/// Tries the plan's candidates in order.
///
/// # Errors
/// What the client is told: the most useful of all the failures.
pub(super) async fn first_to_speak(ctx: &mut Context, ask: &Ask, plan: Plan) -> Result<Won, Failure> {
    ctx.live.budget.lock().request();
    let mut walker = Walker {
        left: plan.candidates,
        sole: plan.sole,
        waiting_since: None,
    };
    let mut trail = Trail {
        lost: Vec::new(),
        pinned: plan.pinned,
        asked_again: false,
        goes_on: false,
    };
    let live = Arc::clone(&ctx.live);
    loop {
        // Asked for before the look around: a recovery in between must not be missed.
        let recovered = live.recovered.notified();
        let chosen = match walker.walk(ctx) {
            Walk::Go(chosen) => chosen,
            Walk::Exhausted => return Err(trail.told()),
            Walk::Full | Walk::Cooling(_) if !trail.lost.is_empty() => return Err(trail.told()),
            Walk::Full => return Err(verdict::all_full()),
            Walk::Cooling(soonest) => match walker.all_cooling(ctx, soonest, recovered).await? {
                Some(forced) => forced,
                None => continue,
            },
        };
        let began = chosen.at;
        if !trail.pay(ctx, began) {
            return Err(trail.told());
        }
        match attempt(ctx, ask, chosen, walker.sole).await {
            Ok(won) => return Ok(won),
            Err((candidate, lost)) => {
                let class = lost.verdict.class;
                match trail.after(ctx, &candidate, lost, began) {
                    health::Next::Another => walker.after(&candidate, class),
                    health::Next::Again => {
                        trail.asked_again = true;
                        walker.left.insert(0, candidate);
                    }
                    health::Next::Relay | health::Next::Repair | health::Next::Stop(_) => {
                        return Err(trail.told());
                    }
                }
            }
        }
    }
}

/// One attempt with its bookkeeping. The record says `client_gone` until it is known better: if the client leaves,
/// this future is dropped, and that is what remains.
async fn attempt(ctx: &mut Context, ask: &Ask, chosen: Chosen, sole: Sole) -> Result<Won, (Candidate, Lost)> {
    let Chosen {
        candidate,
        place,
        mut probe,
        at: started,
    } = chosen;
    begin(ctx, &candidate);
    let deadline = attempt::deadline(ctx, &candidate, started);
    let done = attempt::run(ctx, ask, &candidate, deadline).await;
    let now = clock::now();
    let took = now.duration_since(started);
    match done {
        Ok(spoken) => {
            finish(ctx, "ok", Some(spoken.status.as_u16()), took);
            // A stream has yet to prove itself to its end; a probe is answered by its beginning.
            if spoken.body.is_whole() || probe.is_held() {
                probe.succeeded(&candidate, now);
            } else {
                ctx.live.health.lock().began(&candidate.target, now);
            }
            candidate
                .route
                .backend
                .vitals
                .note_latency(candidate.target.model, took, now);
            Ok(Won {
                spoken,
                candidate,
                sole,
                place,
            })
        }
        Err(mut lost) => {
            let status = lost.status.map(|status| status.as_u16());
            finish(ctx, lost.verdict.class.name(), status, took);
            let probe = probe.spent();
            let probed = probe.is_some();
            lost.rests = verdict::report(ctx, (&candidate, probe), &lost, sole, now);
            if probed {
                ctx.live.recovered.notify_waiters();
            }
            Err((candidate, lost))
        }
    }
}

fn begin(ctx: &mut Context, candidate: &Candidate) {
    let backend = &candidate.route.backend;
    let record = &mut ctx.entry.record;
    record.backend = Some(Arc::clone(&backend.name));
    record.model = Some(Arc::clone(&candidate.model));
    record.attempts.push(Attempt {
        backend: Arc::clone(&backend.name),
        key: candidate
            .key()
            .map_or_else(|| Arc::clone(&backend.name), |key| Arc::clone(&key.name)),
        model: Arc::clone(&candidate.model),
        class: Class::ClientGone.name(),
        status: None,
        took: Duration::ZERO,
    });
}

fn finish(ctx: &mut Context, class: &'static str, status: Option<u16>, took: Duration) {
    if let Some(last) = ctx.entry.record.attempts.last_mut() {
        last.class = class;
        last.status = status;
        last.took = took;
    }
}

/// The candidates that have not been tried.
struct Walker {
    left: Vec<Candidate>,
    sole: Sole,
    waiting_since: Option<Instant>,
}

impl Walker {
    /// The first candidate that may be tried now.
    fn walk(&mut self, ctx: &Context) -> Walk {
        if self.left.is_empty() {
            return Walk::Exhausted;
        }
        let now = clock::now();
        let mut soonest: Option<Cooling> = None;
        let mut full = false;
        for at in 0..self.left.len() {
            match self.look(ctx, at, now) {
                Look::Free(probe) => match self.take(at, probe, now) {
                    Some(chosen) => return Walk::Go(chosen),
                    None => full = true,
                },
                Look::Cooling(cooling) => {
                    soonest = Some(soonest.map_or(cooling, |best| sooner(best, cooling)));
                }
            }
        }
        soonest.filter(|_| !full).map_or(Walk::Full, Walk::Cooling)
    }

    fn look(&self, ctx: &Context, at: usize, now: Instant) -> Look {
        let probed = |class| {
            Look::Cooling(Cooling {
                at,
                class,
                until: None,
            })
        };
        let Some(candidate) = self.left.get(at) else {
            return probed(Class::Unavailable);
        };
        let mut health = ctx.live.health.lock();
        match health.gate(&candidate.target, self.sole, now) {
            Gate::Open { .. } => Look::Free(ProbeGuard::none(&ctx.live)),
            Gate::Probing { class } => probed(class),
            Gate::Cooling { until, class } => Look::Cooling(Cooling {
                at,
                class,
                until: Some(until),
            }),
            Gate::Due => match health.take_probe(&candidate.target, self.sole, now, lease(candidate)) {
                Some(probe) => Look::Free(ProbeGuard::new(&ctx.live, probe)),
                None => probed(Class::Unavailable),
            },
        }
    }

    /// Takes a candidate out, if its backend has a place.
    fn take(&mut self, at: usize, probe: ProbeGuard, now: Instant) -> Option<Chosen> {
        let backend = &self.left.get(at)?.route.backend;
        let place = backend.vitals.enter(backend.config.max_concurrent)?;
        Some(Chosen {
            candidate: self.left.remove(at),
            place,
            probe,
            at: now,
        })
    }

    /// Those that share what failed (the key, the model there, the backend) wait until all others have been asked.
    fn after(&mut self, failed: &Candidate, class: Class) {
        let failed_target = &failed.target;
        self.left
            .sort_by_key(|candidate| candidate.target.shares(failed_target, class));
        if class == Class::ContextLength {
            let window = failed.route.context;
            let other = |target: &Target| {
                (target.backend, target.model) != (failed_target.backend, failed_target.model)
            };
            self.left
                .retain(|candidate| other(&candidate.target) && larger(candidate.route.context, window));
        }
    }

    /// Everything is cooling: wait, force a probe, or give up (contract 4, `when_all_cooling`). `None`: look again.
    async fn all_cooling(
        &mut self,
        ctx: &Context,
        soonest: Cooling,
        recovered: Notified<'_>,
    ) -> Result<Option<Chosen>, Failure> {
        let now = clock::now();
        let refused = || verdict::all_cooling(soonest.class, soonest.until, now);
        let is_hard = health::is_hard(soonest.class);
        match ctx.snapshot.config.fallback.when_all_cooling {
            WhenAllCooling::AlwaysTry => self.force(ctx, soonest.at, now).map(Some),
            // The only backend is never refused for a soft fault, whatever the setting.
            _ if self.sole != Sole::No && !is_hard => self.force(ctx, soonest.at, now).map(Some),
            WhenAllCooling::Fail => Err(refused()),
            // Nothing that a wait or a probe would mend; only a probe that is under way may know better.
            WhenAllCooling::Probe if is_hard && soonest.until.is_some() => Err(refused()),
            WhenAllCooling::Probe if self.wait(soonest, now, recovered).await => Ok(None),
            WhenAllCooling::Probe => self.probe(ctx, soonest, now).map(Some),
        }
    }

    /// Waits for the recovery, if it comes soon enough. Says whether to look again.
    async fn wait(&mut self, soonest: Cooling, now: Instant, recovered: Notified<'_>) -> bool {
        let patience = *self.waiting_since.get_or_insert(now) + PATIENCE;
        match soonest.until {
            Some(until) if until > patience => false,
            None if now >= patience => false,
            until => {
                // Either it recovers by the clock, or a probe's success says so earlier.
                let _ = timeout_at(until.unwrap_or(patience).into(), recovered).await;
                true
            }
        }
    }

    /// Sends this request as the one probe; all others are told when to come back.
    fn probe(&mut self, ctx: &Context, soonest: Cooling, now: Instant) -> Result<Chosen, Failure> {
        let refused = || verdict::all_cooling(soonest.class, soonest.until, now);
        let probe = self.early_probe(ctx, soonest.at, now).ok_or_else(refused)?;
        self.take(soonest.at, probe, now).ok_or_else(verdict::all_full)
    }

    /// Sends this request whoever else is sent; it is the probe if there is none.
    fn force(&mut self, ctx: &Context, at: usize, now: Instant) -> Result<Chosen, Failure> {
        let probe = self.early_probe(ctx, at, now);
        let probe = probe.unwrap_or_else(|| ProbeGuard::none(&ctx.live));
        self.take(at, probe, now).ok_or_else(verdict::all_full)
    }

    /// The probe of a candidate before its time; none while another request holds it.
    fn early_probe(&self, ctx: &Context, at: usize, now: Instant) -> Option<ProbeGuard> {
        let candidate = self.left.get(at)?;
        let mut health = ctx.live.health.lock();
        let probe = health.force_probe(&candidate.target, now, lease(candidate))?;
        Some(ProbeGuard::new(&ctx.live, probe))
    }
}

enum Look {
    Free(ProbeGuard),
    Cooling(Cooling),
}

/// The one that recovers first; one that is being probed counts as recovering now. Soft faults go before hard ones.
fn sooner(a: Cooling, b: Cooling) -> Cooling {
    let key = |cooling: &Cooling| {
        (
            health::is_hard(cooling.class),
            cooling.until.is_some(),
            cooling.until,
        )
    };
    if key(&b) < key(&a) { b } else { a }
}

/// A probe that says nothing for this long is given to the next request.
fn lease(candidate: &Candidate) -> Duration {
    candidate.route.timeouts.first_byte
}

/// Whether a window of `next` tokens may hold what one of `failed` did not.
fn larger(next: Option<u64>, failed: Option<u64>) -> bool {
    match (next, failed) {
        (Some(next), Some(failed)) => next > failed,
        _ => true,
    }
}

/// The failures of a request so far.
struct Trail {
    lost: Vec<(health::Tried, Lost)>,
    pinned: bool,
    asked_again: bool,
    /// Whether the next attempt is one more, for the retry budget to pay.
    goes_on: bool,
}

impl Trail {
    /// Notes a failure and decides what this request does next.
    fn after(&mut self, ctx: &Context, candidate: &Candidate, lost: Lost, began: Instant) -> health::Next {
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
            converted: false,
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
            slow_failure_cutoff: health::next::SLOW_FAILURE,
            deadline_left: None,
            pinned: self.pinned,
            asked_again: self.asked_again,
            repaired: true,
            budget_left: ctx.live.budget.lock().has_left(now),
        };
        let next = health::next(&verdict, &spent);
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

    /// An attempt begins. Only one that is made is paid for: where nothing is left to try, nothing is spent.
    /// `false`: others were quicker, and the budget is spent.
    fn pay(&mut self, ctx: &Context, now: Instant) -> bool {
        !std::mem::take(&mut self.goes_on) || ctx.live.budget.lock().take(now)
    }

    /// The failure that tells the client most.
    fn told(self) -> Failure {
        let tried: Vec<health::Tried> = self.lost.iter().map(|(tried, _)| *tried).collect();
        let resets: Vec<Option<Duration>> = tried.iter().map(|tried| tried.reset).collect();
        let all_unknown = tried.iter().all(|tried| tried.class == Class::NotFound);
        match health::choose(&tried).and_then(|at| self.lost.into_iter().nth(at)) {
            Some((tried, lost)) => verdict::told(&tried, lost, &resets, all_unknown),
            None => verdict::all_full(),
        }
    }
}

/// A probe that is given back without a verdict unless there was one.
struct ProbeGuard {
    live: Arc<Live>,
    probe: Option<Probe>,
}

impl ProbeGuard {
    fn none(live: &Arc<Live>) -> Self {
        Self {
            live: Arc::clone(live),
            probe: None,
        }
    }

    fn new(live: &Arc<Live>, probe: Probe) -> Self {
        Self {
            live: Arc::clone(live),
            probe: Some(probe),
        }
    }

    fn succeeded(&mut self, candidate: &Candidate, now: Instant) {
        let probe = self.probe.take();
        let probed = probe.is_some();
        self.live.health.lock().success(&candidate.target, probe, now);
        if probed {
            tracing::info!(
                backend = &*candidate.route.backend.name,
                model = &*candidate.model,
                "recovered"
            );
            self.live.recovered.notify_waiters();
        }
    }

    fn is_held(&self) -> bool {
        self.probe.is_some()
    }

    /// The probe, for a verdict that somebody else gives.
    fn spent(&mut self) -> Option<Probe> {
        self.probe.take()
    }
}

impl Drop for ProbeGuard {
    fn drop(&mut self) {
        if let Some(probe) = self.probe.take() {
            self.live.health.lock().release(probe);
            self.live.recovered.notify_waiters();
        }
    }
}
