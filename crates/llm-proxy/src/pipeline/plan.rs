//! Which candidates a request may go to, in which order. `explain` prints the same plan.

use std::sync::Arc;

use llm_dialect::Api;
use llm_dialect::wire_error::ErrorKind;

use super::ask::Ask;
use super::failure::Failure;
use crate::base::{Class, clock};
use crate::health::{Gate, Target};
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
    /// The backend's model.
    pub model: Arc<str>,
    /// Under which identities health knows it.
    pub target: Target,
}

impl Candidate {
    /// Its key.
    pub fn key(&self) -> Option<&BackendKey> {
        self.route.backend.keys.get(self.key)
    }
}

/// Candidates in order, and how strictly they are bound.
#[derive(Debug)]
pub struct Plan {
    /// Where to go, the first choice first.
    pub candidates: Vec<Candidate>,
    /// The request goes on from an earlier response, which no other backend knows: no fallback.
    pub pinned: bool,
    /// Only one backend can serve it at all.
    pub sole: bool,
}

/// Draws the plan of a request.
///
/// # Errors
/// No such model; the key may not use it; no backend speaks this call.
pub fn draw(ctx: &mut Context, ask: &Ask) -> Result<Plan, Failure> {
    let snapshot = Arc::clone(&ctx.snapshot);
    let alias = routing::resolve(&snapshot.aliases, &ask.model).filter(|alias| alias.enabled);
    let alias = Arc::clone(alias.ok_or_else(|| unknown(&ask.model))?);
    if !ctx.may_use(&alias.name) {
        return Err(forbidden(&ask.model));
    }
    // Only now: a name that is no alias must not become a label of anything.
    ctx.entry.record.alias = Some(Arc::from(ask.model.as_str()));
    let mut candidates = candidates(ctx, &snapshot, &alias, ask.api, &ask.model);
    if candidates.is_empty() {
        return Err(unspoken(&ask.model, ask.api));
    }
    let pinned = ask.previous.is_some();
    if let Some(pin) = ask.previous.as_deref().and_then(|id| ctx.live.pins.find(id)) {
        candidates.retain(|candidate| pins(pin, candidate));
        if candidates.is_empty() {
            return Err(gone());
        }
    }
    let first = candidates.first().map(|candidate| candidate.target.backend);
    let sole = candidates.iter().all(|candidate| Some(candidate.target.backend) == first);
    Ok(Plan { candidates, pinned, sole })
}

/// Candidates of the alias and of its fallbacks, as far as this client may use them.
fn candidates(
    ctx: &Context,
    snapshot: &Snapshot,
    alias: &Arc<Alias>,
    api: Api,
    asked: &str,
) -> Vec<Candidate> {
    let mut all = Vec::new();
    for name in routing::chain(&alias.name, |name| fallbacks(snapshot, name)) {
        let Some(next) = routing::resolve(&snapshot.aliases, &name) else { continue };
        // A fallback never widens what a key may use.
        if !next.enabled || !ctx.may_use(&next.name) {
            continue;
        }
        // The first one gets the name that was asked for; a fallback is asked for by its own.
        let asked = if Arc::ptr_eq(next, alias) { asked } else { &name };
        for tier in &next.tiers {
            add_tier(&ctx.live, next, tier, (api, asked), &mut all);
        }
    }
    all
}

fn fallbacks<'a>(snapshot: &'a Snapshot, name: &str) -> &'a [String] {
    routing::resolve(&snapshot.aliases, name).map_or(&[], |alias| &alias.fallback)
}

/// The routes of a priority that speak this call, in the strategy's order, each with its keys in turn.
fn add_tier(live: &Live, alias: &Arc<Alias>, tier: &Tier, (api, asked): (Api, &str), all: &mut Vec<Candidate>) {
    let speaks = |route: &&Arc<Route>| route.backend.speaks(api);
    let routes: Vec<&Arc<Route>> = tier.routes.iter().filter(speaks).collect();
    if let [route] = routes[..] {
        return add_route(alias, route, asked, all);
    }
    let view = View { live, routes: &routes, asked };
    let weights: Vec<u32> = routes.iter().map(|route| route.weight).collect();
    let order = routing::order(alias.strategy, &weights, &view, &mut tier.smooth.lock(), &mut || fastrand::u64(..));
    for route in order.into_iter().filter_map(|at| routes.get(at)) {
        add_route(alias, route, asked, all);
    }
}

fn add_route(alias: &Arc<Alias>, route: &Arc<Route>, asked: &str, all: &mut Vec<Candidate>) {
    let backend = &route.backend;
    let model: Arc<str> = route.model.as_ref().map_or_else(|| Arc::from(asked), |(model, _)| Arc::clone(model));
    let turn = if backend.keys.len() > 1 { backend.vitals.next_turn() } else { 0 };
    for key in routing::rotate(backend.keys.len(), turn) {
        let Some(id) = backend.keys.get(key).map(|key| key.id) else { continue };
        all.push(Candidate {
            alias: Arc::clone(alias),
            route: Arc::clone(route),
            key,
            target: Target { backend: backend.id, key: id, model: Route::model_id(&model) },
            model: Arc::clone(&model),
        });
    }
}

/// What the strategies may know of the routes.
struct View<'a> {
    live: &'a Live,
    routes: &'a [&'a Arc<Route>],
    asked: &'a str,
}

impl View<'_> {
    fn model(&self, at: usize) -> Option<(&Route, &str)> {
        let route = self.routes.get(at)?;
        Some((route, route.model.as_ref().map_or(self.asked, |(model, _)| model)))
    }
}

impl Signals for View<'_> {
    fn in_flight(&self, at: usize) -> u32 {
        self.routes.get(at).map_or(0, |route| route.backend.vitals.in_flight())
    }

    fn latency_ms(&self, at: usize) -> Option<f64> {
        let (route, model) = self.model(at)?;
        route.backend.vitals.latency(Route::model_id(model))
    }

    fn share(&self, at: usize) -> f32 {
        let Some((route, model)) = self.model(at) else { return 1.0 };
        let key = route.backend.keys.first().map_or(0, |key| key.id);
        let target = Target { backend: route.backend.id, key, model: Route::model_id(model) };
        match self.live.health.lock().gate(&target, clock::now()) {
            Gate::Open { share } => share,
            _ => 1.0,
        }
    }
}

fn pins(pin: Pin, candidate: &Candidate) -> bool {
    pin == Pin { backend: candidate.target.backend, key: candidate.target.key }
}

/// A model's name as an error may repeat it: a client's own text, shortened.
fn quoted(model: &str) -> String {
    model.chars().take(100).collect()
}

fn unknown(model: &str) -> Failure {
    let message = format!("The model `{}` does not exist here; GET /v1/models lists the ones that do.", quoted(model));
    Failure::local(ErrorKind::ModelNotFound, message).about("model")
}

fn forbidden(model: &str) -> Failure {
    let message = format!("This API key may not use the model `{}`.", quoted(model));
    Failure::local(ErrorKind::ModelNotAllowed, message).about("model")
}

fn unspoken(model: &str, api: Api) -> Failure {
    let model = quoted(model);
    let message = format!("No backend of the model `{model}` has the `{api}` call; ask for another model or call.");
    Failure::local(ErrorKind::ModelNotFound, message).about("model")
}

fn gone() -> Failure {
    let message = "The backend that made `previous_response_id` is no longer there; send the whole conversation.";
    Failure::ours(Class::Unavailable, ErrorKind::UpstreamCooling, message).about("previous_response_id")
}
