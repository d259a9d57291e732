//! Which candidates a request may go to, in which order. `explain` prints the same plan.

use std::sync::Arc;

use llm_dialect::Api;
use llm_dialect::wire_error::ErrorKind;

use super::affinity;
use super::ask::Ask;
use super::failure::Failure;
use super::fit;
use crate::base::{Class, clock};
use crate::health::{Gate, Sole, Target};
use crate::prices::Price;
use crate::routing::{self, Signals};
use crate::state::{Alias, BackendKey, Context, Live, Pin, Route, Snapshot, Tier};

/// One place to send a request to: a backend, one of its keys, one of its models.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The alias whose route it is: the one that was asked for, or one of its fallbacks.
    pub alias: Arc<Alias>,
    /// The route.
    pub route: Arc<Route>,
    /// Which of the backend's keys.
    pub key: usize,
    /// The call that the backend gets: another one than the client's where its dialect is another.
    pub api: Api,
    /// The backend's model.
    pub model: Arc<str>,
    /// Under which identities health knows it.
    pub target: Target,
}

impl Candidate {
    /// The name of its key in records; the backend's own where it has none.
    pub fn key_name(&self) -> Arc<str> {
        let backend = &self.route.backend;
        self.key()
            .map_or_else(|| Arc::clone(&backend.name), |key| Arc::clone(&key.name))
    }

    /// What a response of it is remembered by.
    pub fn pin(&self) -> Pin {
        Pin {
            backend: self.target.backend,
            key: self.target.key,
        }
    }

    /// What its model costs; none where nobody knows.
    pub fn price(&self, snapshot: &Snapshot) -> Option<Arc<Price>> {
        snapshot.price(&self.route, &self.alias, &self.model)
    }

    /// Its key.
    pub fn key(&self) -> Option<&BackendKey> {
        self.route.backend.keys.get(self.key)
    }
}

/// Candidates in order, and how strictly they are bound.
#[derive(Debug)]
pub(super) struct Plan {
    /// The alias that was asked for.
    pub alias: Arc<Alias>,
    /// Where to go, the first choice first.
    pub candidates: Vec<Candidate>,
    /// Whether the request goes on from something that only its maker knows.
    pub bound: Bound,
    /// The one candidate that there is for the time being, since its conversation is with it. All others are drawn, in
    /// order, when it turns out to be of no use ([`anew`]): whoever stays takes no turn of anybody's.
    pub home: Option<Target>,
    /// Whether there is anywhere else to go at all.
    pub sole: Sole,
}

/// Whether a request may go to another backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// It may.
    No,
    /// What it goes on from is known to one backend alone, and nobody remembers to which: no fallback.
    Untraced,
    /// It goes to the maker of what it goes on from, and nowhere else.
    ToMaker,
}

/// A call and the model that it names.
type Asked<'a> = (Api, &'a str);

/// Draws the plan of a request.
///
/// # Errors
/// No such model; the key may not use it; no backend speaks this call.
pub(super) fn draw(ctx: &mut Context, ask: &Ask) -> Result<Plan, Failure> {
    let alias = ctx.snapshot.alias(&ask.model).filter(|alias| alias.enabled);
    let alias = Arc::clone(alias.ok_or_else(|| unknown(&ask.model))?);
    if !ctx.may_use(&alias.name) {
        return Err(forbidden(&ask.model));
    }
    // Only now: a name that is no alias must not become a label of anything.
    ctx.entry.record.alias = Some(Arc::clone(&alias.meters));
    ctx.entry.record.asked = (*alias.name != *ask.model).then(|| Arc::from(ask.model.as_str()));
    let (bound, maker) = bound(ctx, ask);
    let (mut candidates, home) = match bound {
        Bound::ToMaker => (listed(ctx, ask, &alias), None),
        Bound::No | Bound::Untraced => free(ctx, ask, &alias),
    };
    if candidates.is_empty() && !may_be_estimated(&alias.tiers, ask.api) {
        return Err(nobody(&alias, ask));
    }
    // Counted before anything narrows it: what a bound or a large request meets is told to health like anything else.
    let sole = sole(&candidates);
    if let Some(maker) = maker {
        candidates.retain(|candidate| candidate.pin() == maker);
        if candidates.is_empty() {
            return Err(gone(ask));
        }
    }
    fit::narrow(ask, &mut candidates);
    if let Some(stays) = home {
        candidates.retain(|candidate| candidate.target == stays);
    }
    let home = home.filter(|_| !candidates.is_empty());
    if candidates.is_empty() && maker.is_none() {
        // Where the conversation is, the request does not fit any longer.
        candidates = anew(ctx, ask, &alias);
    }
    Ok(Plan {
        alias,
        candidates,
        bound,
        home,
        sole,
    })
}

/// Whether something binds the request, and to whom.
fn bound(ctx: &mut Context, ask: &Ask) -> (Bound, Option<Pin>) {
    ctx.origin = ask.origin;
    let maker = ask.origin.and_then(|origin| ctx.live.pins.find(origin));
    match (ask.origin, maker) {
        (None, _) => (Bound::No, None),
        (Some(_), None) => (Bound::Untraced, None),
        (Some(_), Some(maker)) => (Bound::ToMaker, Some(maker)),
    }
}

/// All candidates that can hold the request, in order, for one that stays nowhere after all.
pub(super) fn anew(ctx: &Context, ask: &Ask, alias: &Arc<Alias>) -> Vec<Candidate> {
    let mut candidates = ordered(ctx, ask, alias);
    fit::narrow(ask, &mut candidates);
    candidates
}

fn ordered(ctx: &Context, ask: &Ask, alias: &Arc<Alias>) -> Vec<Candidate> {
    let may_use = |alias: &str| ctx.may_use(alias);
    candidates(&ctx.live, &ctx.snapshot, alias, (ask.api, &ask.model), &may_use)
}

/// All candidates as the config lists them, for a request that knows which of them it wants.
fn listed(ctx: &Context, ask: &Ask, alias: &Arc<Alias>) -> Vec<Candidate> {
    let may_use = |alias: &str| ctx.may_use(alias);
    all(None, &ctx.snapshot, alias, (ask.api, &ask.model), &may_use)
}

/// Candidates of a request that nothing binds; and which of them its conversation is with, if that is one of them still.
fn free(ctx: &mut Context, ask: &Ask, alias: &Arc<Alias>) -> (Vec<Candidate>, Option<Target>) {
    if let Some(home) = affinity::home(ctx, ask, alias) {
        let listed = listed(ctx, ask, alias);
        if listed.iter().any(|candidate| candidate.target == home) {
            return (listed, Some(home));
        }
    }
    (ordered(ctx, ask, alias), None)
}

/// Whether nobody need be asked to count tokens: some backend of the model has conversations, whose tokens we can estimate.
fn may_be_estimated(tiers: &[Tier], api: Api) -> bool {
    let mut routes = tiers.iter().flat_map(|tier| &tier.routes);
    api == Api::CountTokens && routes.any(|route| route.backend.serves(Api::Messages).is_some())
}

fn sole(candidates: &[Candidate]) -> Sole {
    let mut all = candidates.iter().map(|candidate| candidate.target);
    let Some(first) = all.next() else {
        return Sole::No;
    };
    let rest = || all.clone();
    if rest().any(|other| other.backend != first.backend) {
        return Sole::No;
    }
    if rest().any(|other| other.model != first.model) {
        return Sole::Backend;
    }
    if rest().any(|other| other.key != first.key) {
        return Sole::Model;
    }
    Sole::Candidate
}

/// Candidates of the alias and of its fallbacks in order, as far as this client may use them; none of them twice.
pub fn candidates(
    live: &Live,
    snapshot: &Snapshot,
    alias: &Arc<Alias>,
    asked: Asked<'_>,
    may_use: &dyn Fn(&str) -> bool,
) -> Vec<Candidate> {
    all(Some(live), snapshot, alias, asked, may_use)
}

/// The same; without `live` as the config lists them, and no turn is taken.
fn all(
    live: Option<&Live>,
    snapshot: &Snapshot,
    alias: &Arc<Alias>,
    asked: Asked<'_>,
    may_use: &dyn Fn(&str) -> bool,
) -> Vec<Candidate> {
    let mut all = Vec::new();
    if alias.enabled && !alias.has_fallbacks {
        add_tiers(live, alias, asked, &mut all);
        return all;
    }
    for name in routing::chain(&snapshot.names, &snapshot.config.models, asked.1) {
        let next = if name == asked.1 {
            Some(alias)
        } else {
            snapshot.alias(name)
        };
        let Some(next) = next else { continue };
        // A fallback never widens what a key may use. The first one was checked by whoever asks.
        if !next.enabled || !(Arc::ptr_eq(next, alias) || may_use(&next.name)) {
            continue;
        }
        add_tiers(live, next, (asked.0, name), &mut all);
    }
    all
}

fn add_tiers(live: Option<&Live>, alias: &Arc<Alias>, asked: Asked<'_>, all: &mut Vec<Candidate>) {
    for tier in &alias.tiers {
        match (&tier.routes[..], live) {
            // By far the commonest, and nothing to put into an order.
            ([route], _) => add_route(alias, route, asked, all),
            (_, Some(live)) => add_tier(live, alias, tier, asked, all),
            (routes, None) => {
                for route in routes {
                    add_route(alias, route, asked, all);
                }
            }
        }
    }
}

/// The routes of a priority that serve this call: those that have it come before those that need a conversion, which
/// costs time and may lose something.
fn add_tier(live: &Live, alias: &Arc<Alias>, tier: &Tier, asked: Asked<'_>, all: &mut Vec<Candidate>) {
    let serving = tier
        .routes
        .iter()
        .filter(|route| route.backend.serves(asked.0).is_some());
    let (own, converting): (Vec<_>, Vec<_>) = serving.partition(|route| route.backend.speaks(asked.0));
    let (first, then) = if own.is_empty() {
        (converting, own)
    } else {
        (own, converting)
    };
    add_ordered(live, alias, (tier, &first), asked, all);
    for route in then {
        add_route(alias, route, asked, all);
    }
}

/// These routes of a priority in the strategy's order, each with its keys in turn. Those that cool or are full come last:
/// a round robin must not spend a turn on them.
fn add_ordered(
    live: &Live,
    alias: &Arc<Alias>,
    (tier, routes): (&Tier, &[&Arc<Route>]),
    asked: Asked<'_>,
    all: &mut Vec<Candidate>,
) {
    if let [route] = routes[..] {
        return add_route(alias, route, asked, all);
    }
    let view = View::new(live, routes, asked);
    let (open, out) = view.weighed();
    let random = &mut || fastrand::u64(..);
    let order = routing::order(alias.strategy, &open, &view, &mut tier.smooth.lock(), random);
    let last = out.into_iter().map(|candidate| candidate.route);
    for route in order.into_iter().chain(last).filter_map(|at| routes.get(at)) {
        add_route(alias, route, asked, all);
    }
}

/// A route with each key of its backend, the one whose turn it is first. Turns go on when a key is asked (`walk`): what
/// is only there in case others fail must not lose its turns to that.
fn add_route(alias: &Arc<Alias>, route: &Arc<Route>, asked: Asked<'_>, all: &mut Vec<Candidate>) {
    let backend = &route.backend;
    let Some(api) = backend.serves(asked.0) else {
        return;
    };
    let (model, model_id) = match &route.model {
        Some(model) => (Arc::clone(&model.name), model.id(asked.0)),
        None => (Arc::from(asked.1), Route::model_id(asked.1, asked.0)),
    };
    for key in routing::rotate(backend.keys.len(), backend.vitals.turn()) {
        let Some(id) = backend.keys.get(key).map(|key| key.id) else {
            continue;
        };
        let target = Target {
            backend: backend.id,
            key: id,
            model: model_id,
        };
        // A fallback alias may lead to where another alias has been already: who failed there fails again.
        if all.iter().any(|known| known.target == target) {
            continue;
        }
        all.push(Candidate {
            alias: Arc::clone(alias),
            route: Arc::clone(route),
            key,
            target,
            api,
            model: Arc::clone(&model),
        });
    }
}

/// What the strategies may know of the routes, looked up once.
struct View {
    seen: Vec<Seen>,
}

struct Seen {
    weight: u32,
    in_flight: u32,
    latency: Option<f64>,
    /// Its share while it is open; none while it cools or is full.
    share: Option<f32>,
}

impl View {
    fn new(live: &Live, routes: &[&Arc<Route>], asked: Asked<'_>) -> Self {
        let health = live.health.lock();
        let now = clock::now();
        let see = |route: &&Arc<Route>| {
            let backend = &route.backend;
            let own = route.model.as_ref().map(|model| model.id(asked.0));
            let model = own.unwrap_or_else(|| Route::model_id(asked.1, asked.0));
            let gates = backend.keys.iter().map(|key| {
                let target = Target {
                    backend: backend.id,
                    key: key.id,
                    model,
                };
                health.gate(&target, Sole::No, now)
            });
            let shares = gates.filter_map(|gate| match gate {
                Gate::Open { share } => Some(share),
                // It may be asked again: whoever comes first probes it.
                Gate::Due => Some(1.0),
                Gate::Probing { .. } | Gate::Cooling { .. } => None,
            });
            Seen {
                weight: route.weight,
                in_flight: backend.vitals.in_flight(),
                latency: backend.vitals.latency(model, now),
                share: shares.reduce(f32::max).filter(|_| backend.has_room()),
            }
        };
        Self {
            seen: routes.iter().map(see).collect(),
        }
    }

    /// Routes that are open and those that are not, with their weights.
    fn weighed(&self) -> (Vec<routing::Candidate>, Vec<routing::Candidate>) {
        let all = self.seen.iter().enumerate();
        let all = all.map(|(route, seen)| routing::Candidate {
            route,
            weight: seen.weight,
        });
        all.partition(|candidate| {
            self.seen
                .get(candidate.route)
                .is_some_and(|seen| seen.share.is_some())
        })
    }
}

impl Signals for View {
    fn in_flight(&self, at: usize) -> u32 {
        self.seen.get(at).map_or(0, |seen| seen.in_flight)
    }

    fn latency_ms(&self, at: usize) -> Option<f64> {
        self.seen.get(at)?.latency
    }

    fn share(&self, at: usize) -> f32 {
        self.seen.get(at).and_then(|seen| seen.share).unwrap_or(1.0)
    }
}

/// A model's name as an error may repeat it: a client's own text, shortened.
fn quoted(model: &str) -> String {
    model.chars().take(100).collect()
}

#[cold]
fn unknown(model: &str) -> Failure {
    let message = format!(
        "The model `{}` does not exist here; GET /v1/models lists the ones that do.",
        quoted(model)
    );
    Failure::local(ErrorKind::ModelNotFound, message).about("model")
}

#[cold]
fn forbidden(model: &str) -> Failure {
    let message = format!("This API key may not use the model `{}`.", quoted(model));
    Failure::local(ErrorKind::ModelNotAllowed, message).about("model")
}

/// Why there is no candidate: the backends that there are have been switched off, or none has such a call.
#[cold]
fn nobody(alias: &Alias, ask: &Ask) -> Failure {
    let mut routes = alias.tiers.iter().flat_map(|tier| &tier.routes);
    if routes.any(|route| !route.backend.is_on()) {
        let model = quoted(&ask.model);
        let message =
            format!("The operator has switched off what serves the model `{model}`; try again later.");
        return Failure::ours(Class::Unavailable, ErrorKind::UpstreamCooling, message);
    }
    unspoken(&ask.model, ask.api)
}

#[cold]
fn unspoken(model: &str, api: Api) -> Failure {
    let model = quoted(model);
    let message =
        format!("No backend of the model `{model}` has the `{api}` call; ask for another model or call.");
    Failure::local(ErrorKind::ModelNotFound, message).about("model")
}

#[cold]
fn gone(ask: &Ask) -> Failure {
    let message = "The backend that keeps what this request goes on from is no longer there; send the whole conversation.";
    Failure::ours(Class::Unavailable, ErrorKind::UpstreamCooling, message).about(ask.origin_field())
}
