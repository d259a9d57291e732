//! `GET /api/status`, and the same as a page of text.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use llm_dialect::Api;
use serde_json::{Value, json};

use super::{limits, usage};
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
        "phase": phase(live.lifecycle.phase()),
        "in_flight": live.access.in_flight().count(),
        "finished": live.access.finished(),
        "panics": panics::count(),
        "config": {
            "generation": snapshot.generation,
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
        "enabled": backend.is_on(),
        "state": state(backend, &cooldowns),
        "in_flight": backend.vitals.in_flight(),
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

fn text_of<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The same for a person with a browser.
pub(super) fn page(snapshot: &Snapshot, live: &Live) -> String {
    let status = status(snapshot, live);
    let mut page = format!(
        "llm-proxy {}\n\nconfig generation {}, {} requests in flight, {} finished\n\nbackends\n",
        env!("CARGO_PKG_VERSION"),
        snapshot.generation,
        live.access.in_flight().count(),
        live.access.finished(),
    );
    for backend in status
        .pointer("/backends")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = |name: &str| text_of(backend, name);
        let _ = writeln!(
            page,
            "  {:<16} {:<10} {:<8}",
            text("name"),
            text("protocol"),
            text("state")
        );
        for cooldown in backend
            .get("cooldowns")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let left = cooldown
                .get("seconds_left")
                .and_then(Value::as_f64)
                .unwrap_or_default();
            let text = |name: &str| text_of(cooldown, name);
            let what = [text("scope"), text("key"), text("model")];
            let what = what.into_iter().filter(|name| !name.is_empty());
            let what = what.collect::<Vec<_>>().join(" ");
            let (class, reason) = (text("class"), text("reason"));
            let _ = writeln!(page, "    cooling ({what}): {class}, {reason}, {left:.1} s left");
        }
    }
    page.push_str("\nThe same as JSON: /api/status\nMetrics: /metrics\n");
    page
}
