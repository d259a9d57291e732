//! `GET /api/status`.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use llm_dialect::Api;
use serde_json::{Value, json};

use super::{detail, limits, usage};
use crate::base::clock;
use crate::health::{CoolingView, QuotaKind};
use crate::observe::panics;
use crate::state::{Backend, Live, Phase, Snapshot};

/// Backends with their cooldowns, the config's generation, what is in flight.
pub(super) fn status(snapshot: &Snapshot, live: &Live) -> Value {
    let backends: Vec<Value> = snapshot
        .backends
        .iter()
        .map(|backend| one(backend, snapshot, live))
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started": live.reloads.started,
        "now": clock::unix_seconds(),
        "phase": phase(live.lifecycle.phase()),
        "in_flight": live.access.in_flight().count(),
        "finished": live.access.finished(),
        "panics": panics::count(),
        "config": {
            "generation": snapshot.generation,
            "since": live.reloads.since.load(Ordering::Relaxed),
            "reloads_refused": live.reloads.refused.load(Ordering::Relaxed),
            "last_reload_error": live.last_reload_error.load().as_deref(),
        },
        "concurrency": limits::places(live),
        "limits": limits::standing(snapshot),
        "ledger": usage::standing(&live.access.ledger().state()),
        "affinity": {"conversations": live.affinity.len()},
        "backends": backends,
    })
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Serving => "serving",
        Phase::HandedOver => "handed_over",
        Phase::Draining => "draining",
        Phase::Ending => "ending",
    }
}

fn one(backend: &Backend, snapshot: &Snapshot, live: &Live) -> Value {
    let now = clock::now();
    let cooling = live.health.lock().cooling(now);
    let own = cooling.iter().filter(|view| view.backend == backend.id);
    let cooldowns: Vec<Value> = own
        .filter_map(|view| cooldown(view, (backend, snapshot), now))
        .collect();
    json!({
        "name": &*backend.name,
        "protocol": format!("{:?}", backend.config.protocol).to_lowercase(),
        "address": detail::address(backend),
        "enabled": backend.is_on(),
        "disabled_by": detail::disabled_by(backend),
        "state": state(backend, &cooldowns),
        "in_flight": backend.vitals.in_flight(),
        "max_concurrent": backend.config.max_concurrent,
        "keys": detail::keys(backend),
        "models": detail::models(snapshot, backend, now),
        "first_byte": detail::first_byte(backend, now),
        "lately": detail::lately(backend),
        "cache": cache(backend),
        "cooldowns": cooldowns,
    })
}

/// What its prompt cache has been worth since the program began.
fn cache(backend: &Backend) -> Value {
    let view = backend.vitals.cache.view();
    json!({
        "input_tokens": view.input,
        "cached_tokens": view.cached,
        "hit_ratio": view.hit_ratio(),
        "moves": view.moves,
        "tokens_read_anew": view.anew,
    })
}

fn state(backend: &Backend, cooldowns: &[Value]) -> &'static str {
    if !backend.is_on() {
        "disabled"
    } else if cooldowns.is_empty() {
        "ok"
    } else {
        "cooling"
    }
}

/// One thing that cools; none where it is a key that the config no longer has, whose cooldown holds nothing up.
fn cooldown(view: &CoolingView, (backend, snapshot): (&Backend, &Snapshot), now: Instant) -> Option<Value> {
    let key = backend.keys.iter().find(|key| Some(key.id) == view.key);
    if view.key.is_some() && key.is_none() {
        return None;
    }
    let left = view.until.saturating_duration_since(now);
    Some(json!({
        "scope": view.scope.name(),
        "key": key.map(|key| &*key.name),
        "model": view.model.and_then(|id| model(snapshot, backend, id)),
        "class": view.class.name(),
        "kind": view.kind.map(QuotaKind::name),
        "reason": reason(view),
        "seconds_left": left.as_secs_f64(),
        "until": moment(left),
        "times": view.times,
        "probing": view.probing,
    }))
}

/// Why something cools, for a person.
fn reason(view: &CoolingView) -> &'static str {
    view.kind.map_or(view.class.meaning(), QuotaKind::words)
}

/// The point in time that is so far away, in whole seconds of UTC; none where it has passed.
fn moment(left: Duration) -> Option<String> {
    (!left.is_zero()).then(|| clock::in_utc(left))
}

/// The name of a backend's model, where a route says it: health knows models by identity alone.
fn model<'a>(snapshot: &'a Snapshot, backend: &Backend, id: u64) -> Option<&'a str> {
    let tiers = snapshot.aliases.values().flat_map(|alias| &alias.tiers);
    let routes = tiers.flat_map(|tier| &tier.routes);
    let mut own = routes.filter(|route| route.backend.id == backend.id);
    own.find_map(|route| {
        let model = route.model.as_ref()?;
        let calls = [Api::Chat, Api::CountTokens];
        let is_it = calls.into_iter().any(|api| model.id(api) == id);
        is_it.then_some(&*model.name)
    })
}
