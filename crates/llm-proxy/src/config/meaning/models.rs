//! Aliases: routes that lead somewhere, fallbacks that exist, patterns that fit something.

use std::collections::HashSet;

use super::{backends, known};
use crate::base::glob::Glob;
use crate::config::fields::backends::BACKEND;
use crate::config::fields::bounds::RATE_LIMIT;
use crate::config::fields::clients::API_KEY;
use crate::config::fields::models::{MODEL, ROUTE};
use crate::config::findings::Findings;
use crate::config::tree::{Entry, Node, Span, Value};
use crate::config::view::View;

/// Keys that only the short form has.
const SHORT: [&str; 6] = ["model", "priority", "weight", "context", "max_tokens", "lacks"];

pub(super) fn check(top: &View<'_>, findings: &mut Findings<'_>) {
    if let Some(models) = top
        .get("models")
        .filter(|models| models.entries().is_empty() && models.text().is_none())
    {
        findings.error(models.span, "`models` must not be empty");
    }
    let backends = backends::names(top);
    let aliases = Aliases::new(top);
    for entry in top.entries("models") {
        let item = View::new(&MODEL, Some(&entry.node));
        routes(&item, entry, &backends, findings);
        for name in item.items("fallback") {
            aliases.must_have(name, findings);
        }
        fields(&item, findings);
    }
    for entry in top.section("rate_limit", &RATE_LIMIT).entries("per_model") {
        aliases.must_have_name(&entry.key, entry.key_span, findings);
    }
    for key in top.sections("api_keys", &API_KEY) {
        for glob in key.items("models") {
            aliases.should_fit(glob, findings);
        }
    }
    unused(top, findings);
}

fn routes(item: &View<'_>, entry: &Entry, backends: &[&str], findings: &mut Findings<'_>) {
    // What is neither was told of before.
    if !matches!(entry.node.value, Value::Map(_) | Value::Null) {
        return;
    }
    form(item, entry, findings);
    let routes = item.sections("routes", &ROUTE);
    let long = routes.iter().filter_map(|route| route.get("backend"));
    for name in long.chain(item.get("backend")) {
        known(name, "backend", backends, findings);
    }
    if !routes.is_empty() && routes.iter().all(|route| !route.truth("enabled")) {
        let message = format!("no route of the alias `{}` is enabled", entry.key);
        findings.warn(entry.key_span, message);
    }
}

/// An alias has a list of routes or the short form of one, and not a bit of both.
fn form(item: &View<'_>, entry: &Entry, findings: &mut Findings<'_>) {
    let nothing = format!("the alias `{}` has no routes", entry.key);
    match (item.get("routes"), item.get("backend")) {
        (None, None) => findings.error(entry.key_span, nothing),
        (Some(list), None) if list.items().is_empty() => findings.error(list.span, nothing),
        (Some(_), Some(short)) => findings.error(short.span, "give `routes` or `backend`, not both"),
        (Some(_), None) => {
            for key in SHORT.iter().filter(|key| item.get(key).is_some()) {
                let message = format!("`{key}` belongs to a route; move it into an item of `routes`");
                findings.error(item.span(key), message);
            }
        }
        (None, Some(_)) => {}
    }
}

/// Fields that the proxy sets itself must not be set by hand.
fn fields(item: &View<'_>, findings: &mut Findings<'_>) {
    for key in ["defaults", "overrides"] {
        for entry in item
            .entries(key)
            .iter()
            .filter(|entry| entry.key == "model" || entry.key == "stream")
        {
            let help = (entry.key == "model").then(|| "the route's `model` sets it".to_owned());
            findings.error_with(
                entry.key_span,
                format!("`{key}` cannot set `{}`", entry.key),
                help,
            );
        }
    }
}

/// A backend that is on, but that nothing leads to, is a route that was forgotten.
fn unused(top: &View<'_>, findings: &mut Findings<'_>) {
    let mut used: HashSet<&str> = HashSet::new();
    for entry in top.entries("models") {
        let item = View::new(&MODEL, Some(&entry.node));
        let views = item.sections("routes", &ROUTE).into_iter().chain([item]);
        used.extend(views.filter_map(|view| view.get("backend")?.text()));
    }
    for item in top.sections("backends", &BACKEND) {
        let name = item.get("name").and_then(|node| Some((node, node.text()?)));
        if let Some((node, name)) = name.filter(|(_, name)| item.truth("enabled") && !used.contains(name)) {
            findings.warn(node.span, format!("no alias leads to the backend `{name}`"));
        }
    }
}

/// The names of aliases, exact ones and globs.
pub(super) struct Aliases<'a> {
    names: Vec<&'a str>,
    globs: Vec<Glob>,
}

impl<'a> Aliases<'a> {
    pub(super) fn new(top: &View<'a>) -> Self {
        let names: Vec<&str> = top
            .entries("models")
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        let globs = names
            .iter()
            .map(|name| Glob::new(name))
            .filter(Glob::is_wild)
            .collect();
        Self { names, globs }
    }

    /// Whether a client could ask for `name`.
    fn has(&self, name: &str) -> bool {
        self.names.contains(&name) || self.globs.iter().any(|glob| glob.matches(name))
    }

    fn must_have(&self, node: &Node, findings: &mut Findings<'_>) {
        if let Some(name) = node.text() {
            self.must_have_name(name, node.span, findings);
        }
    }

    fn must_have_name(&self, name: &str, span: Span, findings: &mut Findings<'_>) {
        if !name.is_empty() && !self.has(name) {
            let help = findings.did_you_mean(name, self.names.iter().copied());
            findings.error_with(span, format!("there is no alias `{name}`"), help);
        }
    }

    /// A key's or a prompt's glob that fits no alias is a slip of the pen more often than not.
    pub(super) fn should_fit(&self, node: &Node, findings: &mut Findings<'_>) {
        let Some(text) = node.text() else {
            return;
        };
        let glob = Glob::new(text);
        // Whether two globs have a name in common is not asked: with a glob on both sides it is let pass.
        let open = glob.is_wild() && !self.globs.is_empty();
        if !open && !self.has(text) && !self.names.iter().any(|name| glob.matches(name)) {
            findings.warn(node.span, format!("`{text}` fits no alias"));
        }
    }
}
