//! What `GET /api/status` says of one backend beside its state: where it is, what it has, and how it did lately.

use std::collections::BTreeMap;
use std::time::{Instant, UNIX_EPOCH};

use llm_dialect::Api;
use serde_json::{Value, json};

use crate::observe::lately::{self, Loss};
use crate::state::{Backend, Route, Snapshot};

/// Scheme, host and port: a path or query might hold what is nobody's business.
pub(super) fn address(backend: &Backend) -> String {
    format!("{}://{}", backend.scheme, backend.authority)
}

/// Who has switched it off, if anybody has.
pub(super) fn disabled_by(backend: &Backend) -> Option<&'static str> {
    match (backend.config.enabled, backend.is_on()) {
        (_, true) => None,
        (false, _) => Some("config"),
        (true, false) => Some("operator"),
    }
}

/// The names of its keys, as records have them.
pub(super) fn keys(backend: &Backend) -> Vec<&str> {
    let sent = backend.keys.iter().filter(|key| key.header.is_some());
    sent.map(|key| &*key.name).collect()
}

/// The models that routes name, each with the aliases that lead to it; under no name: whatever the client asks for.
pub(super) fn models(snapshot: &Snapshot, backend: &Backend, now: Instant) -> Vec<Value> {
    let mut aliases: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for (alias, model) in &snapshot.config.models {
        let own = model.routes.iter().filter(|route| route.backend == *backend.name);
        for route in own {
            let of_model = aliases.entry(route.model.as_deref()).or_default();
            if of_model.last() != Some(&alias.as_str()) {
                of_model.push(alias);
            }
        }
    }
    let one = |(name, aliases): (Option<&str>, Vec<&str>)| {
        let latency = name.and_then(|name| backend.vitals.latency(Route::model_id(name, Api::Chat), now));
        json!({"name": name, "aliases": aliases, "first_byte_ms": latency.map(thousandths)})
    };
    aliases.into_iter().map(one).collect()
}

/// How long its first bytes take, smoothed, and how long ago the last came.
pub(super) fn first_byte(backend: &Backend, now: Instant) -> Option<Value> {
    let (milliseconds, noted) = backend.vitals.last_latency()?;
    let ago = now.saturating_duration_since(noted).as_secs_f64();
    Some(json!({"ms": thousandths(milliseconds), "seconds_ago": thousandths(ago)}))
}

/// As people read it: no more than three digits after the point.
fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Its last quarter of an hour.
pub(super) fn lately(backend: &Backend) -> Value {
    let view = backend.meters.lately.view();
    let cells = view.cells.iter();
    let cells: Vec<[u32; 2]> = cells.map(|cell| [cell.answered, cell.failed]).collect();
    json!({
        "cell_seconds": lately::SECONDS,
        "cells": cells,
        "failed_in_a_row": view.in_a_row,
        "last_failure": view.last.as_ref().map(last_failure),
    })
}

fn last_failure(loss: &Loss) -> Value {
    let at = loss.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "class": loss.class.name(),
        "reason": loss.class.meaning(),
        "kind": loss.kind,
        "status": loss.status,
        "model": &*loss.model,
        "key": &*loss.key,
        "at": at.as_secs(),
    })
}
