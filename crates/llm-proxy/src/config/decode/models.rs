//! Aliases and routes.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::bounds;
use crate::config::fields::models::{MODEL, ROUTE};
use crate::config::names::{Affinity, Named};
use crate::config::scalars;
use crate::config::types::{Model, Route, Strategy};
use crate::config::view::View;

pub(super) fn all(top: &View<'_>) -> BTreeMap<String, Model> {
    top.entries("models")
        .iter()
        .map(|entry| (entry.key.clone(), model(&View::new(&MODEL, Some(&entry.node)))))
        .collect()
}

fn model(item: &View<'_>) -> Model {
    Model {
        routes: routes(item),
        strategy: item.named("strategy").unwrap_or(Strategy::Weighted),
        affinity: item.named("affinity").is_none_or(|affinity: Affinity| affinity.0),
        fallback: item.list("fallback", |text| Some(text.to_owned())),
        defaults: fields(item, "defaults"),
        overrides: fields(item, "overrides"),
        enabled: item.truth("enabled"),
        timeout: bounds::overrides(item),
    }
}

/// The routes; in the short form, the alias's own section is its only one.
fn routes(item: &View<'_>) -> Vec<Route> {
    if item.get("backend").is_some() {
        return vec![Route {
            enabled: true,
            ..route(item)
        }];
    }
    item.sections("routes", &ROUTE).iter().map(route).collect()
}

fn route(item: &View<'_>) -> Route {
    Route {
        backend: item.text("backend").unwrap_or_default(),
        model: item.text("model"),
        priority: item.int("priority").unwrap_or(1),
        weight: item.int("weight").unwrap_or(1),
        context: item.int("context"),
        max_tokens: item.int("max_tokens"),
        lacks: item.list("lacks", Named::from_name),
        enabled: item.truth("enabled"),
    }
}

fn fields(item: &View<'_>, key: &str) -> Vec<(String, Json)> {
    item.entries(key)
        .iter()
        .map(|entry| (entry.key.clone(), scalars::json(&entry.node)))
        .collect()
}
