//! Walking over the candidates: which may be tried now, and what to do where all are cooling or full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::futures::Notified;
use tokio::time::timeout_at;

use super::affinity;
use super::ask::Ask;
use super::deadline;
use super::failure::Failure;
use super::plan::{self, Bound, Candidate, Plan};
use super::verdict;
use crate::base::{Class, clock};
use crate::config::types::WhenAllCooling;
use crate::health::{self, Gate, Probe, Sole, Target};
use crate::observe::{Obstacle, Skipped};
use crate::state::{Alias, Context, InFlight, Live};

/// How long a request waits for a cooling backend to recover (contract 4, `when_all_cooling`).
const PATIENCE: Duration = Duration::from_secs(2);

/// A candidate that may be tried now.
pub(super) struct Chosen {
    pub(super) candidate: Candidate,
    pub(super) place: InFlight,
    pub(super) probe: ProbeGuard,
    /// When it was chosen, which is when its attempt begins.
    pub(super) at: Instant,
}

/// What the walk over the candidates found.
pub(super) enum Walk {
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
pub(super) struct Cooling {
    at: usize,
    class: Class,
    /// When it may be probed; none while another request does.
    until: Option<Instant>,
}

impl Cooling {
    /// The same for the record.
    fn obstacle(&self, now: Instant) -> Obstacle {
        match self.until {
            Some(until) => Obstacle::Cooling(self.class, until.saturating_duration_since(now)),
            None => Obstacle::Probed(self.class),
        }
    }
}

/// The candidates that have not been tried.
pub(super) struct Walker {
    left: Vec<Candidate>,
    sole: Sole,
    bound: Bound,
    /// Where the conversation is, while that is all that is looked at.
    home: Option<Home>,
    /// The backend that was asked last.
    asked: Option<u64>,
    waiting_since: Option<Instant>,
    /// Whether this request was sent out as a probe before its time, because everything was cooling.
    probes_early: bool,
}

/// The candidate that a conversation stays with, and what is needed to draw all others.
struct Home {
    target: Target,
    alias: Arc<Alias>,
    /// What it failed with.
    lost: Option<(Candidate, Class)>,
}

impl Walker {
    /// All of the plan's candidates are left.
    pub(super) fn new(plan: Plan) -> Self {
        let alias = plan.alias;
        let home = plan.home.map(|target| Home {
            target,
            alias,
            lost: None,
        });
        Self {
            left: plan.candidates,
            sole: plan.sole,
            bound: plan.bound,
            home,
            asked: None,
            waiting_since: None,
            probes_early: false,
        }
    }

    /// The same candidate once more, before all others.
    pub(super) fn again(&mut self, candidate: Candidate) {
        self.left.insert(0, candidate);
    }

    /// The first candidate that may be tried now. A conversation whose own candidate is of no use begins at the top.
    pub(super) fn walk(&mut self, ctx: &mut Context, ask: &Ask) -> Walk {
        let found = self.look_around(ctx);
        if matches!(found, Walk::Go(_)) {
            return found;
        }
        let Some(home) = self.home.take() else {
            return found;
        };
        self.leave(home, &found, ctx, ask);
        self.look_around(ctx)
    }

    /// Draws all candidates, in order. One that is full or cools has its place among them like any other; one that was
    /// asked, or that cannot express the request, is left out.
    #[cold]
    fn leave(&mut self, home: Home, found: &Walk, ctx: &mut Context, ask: &Ask) {
        self.left = plan::anew(ctx, ask, &home.alias);
        match found {
            Walk::Full => affinity::away(ctx),
            Walk::Cooling(_) => affinity::loosen(&ctx.live, ctx.conversation.as_ref(), &home.target),
            Walk::Exhausted | Walk::Go(_) => self.left.retain(|candidate| candidate.target != home.target),
        }
        if let Some((failed, class)) = home.lost {
            self.after(failed, class);
        }
    }

    /// Whether there is another candidate that could be tried now: without one a slow answer is better than none.
    pub(super) fn has_another(&self, ctx: &Context, now: Instant) -> bool {
        let health = ctx.live.health.lock();
        let is_free = |candidate: &Candidate| {
            let gate = health.gate(&candidate.target, self.sole, now);
            matches!(gate, Gate::Open { .. } | Gate::Due) && candidate.route.backend.has_room()
        };
        // Whoever stays at home has all others still to draw.
        self.home.is_some() || self.left.iter().any(is_free)
    }

    /// Another backend that may be asked now, beside one that is silent. Nobody is sent out to probe for that.
    #[cold]
    pub(super) fn beside(
        &mut self,
        ctx: &Context,
        ask: &Ask,
        silent: &Candidate,
        now: Instant,
    ) -> Option<Chosen> {
        if let Some(home) = self.home.take() {
            self.left = plan::anew(ctx, ask, &home.alias);
            self.left.retain(|candidate| candidate.target != home.target);
        }
        let is_free = |candidate: &Candidate| {
            let gate = ctx.live.health.lock().gate(&candidate.target, self.sole, now);
            let backend = &candidate.route.backend;
            let is_other = backend.id != silent.route.backend.id;
            is_other && !backend.is_drained() && backend.has_room() && matches!(gate, Gate::Open { .. })
        };
        let at = self.left.iter().position(is_free)?;
        self.take(at, ProbeGuard::none(), now)
    }

    fn look_around(&mut self, ctx: &mut Context) -> Walk {
        if self.left.is_empty() {
            return Walk::Exhausted;
        }
        let now = clock::now();
        let mut soonest: Option<Cooling> = None;
        let mut full = false;
        for at in 0..self.left.len() {
            match self.look(ctx, at, now) {
                Look::Free(probe) => {
                    if let Some(chosen) = self.take(at, probe, now) {
                        return Walk::Go(chosen);
                    }
                    full = true;
                    self.passed(ctx, at, Obstacle::Full);
                }
                Look::Cooling(cooling) => {
                    self.passed(ctx, at, cooling.obstacle(now));
                    soonest = Some(soonest.map_or(cooling, |best| sooner(best, cooling)));
                }
            }
        }
        soonest.filter(|_| !full).map_or(Walk::Full, Walk::Cooling)
    }

    /// Who looks for the reason afterwards finds it in the record.
    #[cold]
    fn passed(&self, ctx: &mut Context, at: usize, why: Obstacle) {
        if let Some(candidate) = self.left.get(at) {
            ctx.entry.record.skip(Skipped {
                backend: Arc::clone(&candidate.route.backend.meters),
                key: candidate.key_name(),
                model: Arc::clone(&candidate.model),
                why,
            });
        }
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
            Gate::Open { .. } => Look::Free(ProbeGuard::none()),
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
        let candidate = self.left.get(at)?;
        let backend = &candidate.route.backend;
        let place = backend.vitals.enter(backend.config.max_concurrent)?;
        // Once a request, however many of its keys are asked; who knows where to go takes no turn.
        let chooses = self.home.is_none() && self.bound != Bound::ToMaker;
        if chooses && self.asked.replace(backend.id) != Some(backend.id) {
            backend.vitals.asked_first(candidate.key);
        }
        Some(Chosen {
            candidate: self.left.remove(at),
            place,
            probe,
            at: now,
        })
    }

    /// Those that share what failed (the key, the model there, the backend) wait until all others have been asked.
    pub(super) fn after(&mut self, failed: Candidate, class: Class) {
        if let Some(home) = &mut self.home {
            home.lost = Some((failed, class));
            return;
        }
        let failed_target = &failed.target;
        self.left
            .sort_by_key(|candidate| candidate.target.shares(failed_target, class));
        if class == Class::ContextLength {
            let window = failed.route.room.context;
            let other = |target: &Target| {
                (target.backend, target.model) != (failed_target.backend, failed_target.model)
            };
            self.left
                .retain(|candidate| other(&candidate.target) && larger(candidate.route.room.context, window));
        }
    }

    /// Everything is cooling: wait, force a probe, or give up (contract 4, `when_all_cooling`). `None`: look again.
    pub(super) async fn all_cooling(
        &mut self,
        ctx: &Context,
        soonest: Cooling,
        recovered: Notified<'_>,
    ) -> Result<Option<Chosen>, Failure> {
        let now = clock::now();
        let to_maker = self.bound == Bound::ToMaker;
        let refused = || {
            let says = if to_maker {
                verdict::maker_cools
            } else {
                verdict::all_cooling
            };
            says(soonest.class, soonest.until, now)
        };
        let is_hard = health::is_hard(soonest.class);
        match ctx.snapshot.config.fallback.when_all_cooling {
            WhenAllCooling::AlwaysTry => self.force(ctx, soonest.at, now).map(Some),
            // The only backend is never refused for a soft fault, whatever the setting.
            _ if self.sole != Sole::No && !is_hard => self.force(ctx, soonest.at, now).map(Some),
            WhenAllCooling::Fail => Err(refused()),
            // Nothing that a wait or a probe would mend; only a probe that is under way may know better.
            WhenAllCooling::Probe if is_hard && soonest.until.is_some() => Err(refused()),
            WhenAllCooling::Probe if self.wait(ctx, soonest, now, recovered).await => Ok(None),
            // There are others for everybody else: it is not this request that has to find out.
            WhenAllCooling::Probe if to_maker => Err(refused()),
            WhenAllCooling::Probe => self.probe(ctx, soonest, now).map(Some),
        }
    }

    /// Waits for the recovery, if it comes soon enough. Says whether to look again.
    async fn wait(&mut self, ctx: &Context, soonest: Cooling, now: Instant, recovered: Notified<'_>) -> bool {
        let patience = *self.waiting_since.get_or_insert(now) + PATIENCE;
        let candidate = self.left.get(soonest.at);
        let end = candidate.map_or(patience, |candidate| deadline::end(ctx, &candidate.route));
        let patience = patience.min(end);
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

    /// What comes after a probe before its time that failed: the next that cools for a soft fault, as its probe. Whoever
    /// is sent out to look keeps the right to fall back, and what has recovered is found although something else that
    /// is still down would be due before it.
    #[cold]
    pub(super) fn look_on(&mut self, ctx: &Context) -> Option<Chosen> {
        if !self.probes_early {
            return None;
        }
        let now = clock::now();
        (0..self.left.len()).find_map(|at| {
            let Look::Cooling(cooling) = self.look(ctx, at, now) else {
                return None;
            };
            let probe = self
                .early_probe(ctx, at, now)
                .filter(|_| !health::is_hard(cooling.class))?;
            self.take(at, probe, now)
        })
    }

    /// Sends this request as the one probe; all others are told when to come back.
    fn probe(&mut self, ctx: &Context, soonest: Cooling, now: Instant) -> Result<Chosen, Failure> {
        let refused = || verdict::all_cooling(soonest.class, soonest.until, now);
        let probe = self.early_probe(ctx, soonest.at, now).ok_or_else(refused)?;
        self.probes_early = true;
        self.take(soonest.at, probe, now).ok_or_else(verdict::all_full)
    }

    /// Sends this request whoever else is sent; it is the probe if there is none.
    fn force(&mut self, ctx: &Context, at: usize, now: Instant) -> Result<Chosen, Failure> {
        let probe = self.early_probe(ctx, at, now).unwrap_or_default();
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

/// A probe that is given back without a verdict unless there was one.
#[derive(Default)]
pub(super) struct ProbeGuard(Option<(Arc<Live>, Probe)>);

impl ProbeGuard {
    /// That of a request which is no probe.
    fn none() -> Self {
        Self::default()
    }

    fn new(live: &Arc<Live>, probe: Probe) -> Self {
        Self(Some((Arc::clone(live), probe)))
    }

    pub(super) fn succeeded(&mut self, live: &Live, candidate: &Candidate, now: Instant) {
        let probe = self.spent();
        let probed = probe.is_some();
        live.health.lock().success(&candidate.target, probe, now);
        if probed {
            tracing::info!(
                backend = &*candidate.route.backend.name,
                model = &*candidate.model,
                "recovered"
            );
            live.recovered.notify_waiters();
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.0.is_some()
    }

    /// The probe, for a verdict that somebody else gives.
    pub(super) fn spent(&mut self) -> Option<Probe> {
        self.0.take().map(|(_, probe)| probe)
    }
}

impl Drop for ProbeGuard {
    fn drop(&mut self) {
        if let Some((live, probe)) = self.0.take() {
            live.health.lock().release(probe);
            live.recovered.notify_waiters();
        }
    }
}
