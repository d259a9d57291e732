//! The third pass: what values mean together. Names that must exist, names that must not be twice, keys that
//! are too weak, addresses that must not be reached, files that must be there.
//!
//! It works on the tree, for it needs places, and it skips what `shape` has found unreadable.

mod audience;
mod backends;
mod clients;
mod files;
mod metadata;
mod models;
mod telemetry;
mod url;

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use audience::Audience;
pub(crate) use files::is_open;
pub(crate) use metadata::is_metadata_address;

use super::fields::failure::{DETECTION, ERROR_MAP, FALLBACK};
use super::findings::Findings;
use super::tree::{Node, Span};
use super::view::View;
use crate::base::clock;

/// Checks the whole file; paths are relative to `dir`.
pub(crate) fn check(root: &Node, dir: &Path, findings: &mut Findings<'_>) {
    let top = View::top(root);
    clients::check(&top, clock::wall(), findings);
    backends::check(&top, findings);
    models::check(&top, findings);
    failure(&top, findings);
    telemetry::check(&top, findings);
    files::check(&top, dir, findings);
}

fn failure(top: &View<'_>, findings: &mut Findings<'_>) {
    let fallback = top.section("fallback", &FALLBACK);
    if fallback.duration("cooldown_max") < fallback.duration("cooldown") {
        let key = if fallback.get("cooldown_max").is_some() {
            "cooldown_max"
        } else {
            "cooldown"
        };
        findings.error(fallback.span(key), "`cooldown_max` must not be below `cooldown`");
    }
    let backends = backends::names(top);
    for item in top
        .section("detection", &DETECTION)
        .sections("error_map", &ERROR_MAP)
    {
        if let Some(name) = item.get("backend") {
            known(name, "backend", &backends, findings);
        }
        if ["backend", "status", "pattern"]
            .iter()
            .all(|key| item.get(key).is_none())
        {
            let message = "this item fits every answer; give it a `backend`, a `status` or a `pattern`";
            findings.error(item.span("class"), message);
        }
    }
}

/// Tells of a name that nothing has. Where there is nothing at all, that was told.
fn known(node: &Node, what: &str, names: &[&str], findings: &mut Findings<'_>) {
    let absent = |name: &&str| !name.is_empty() && !names.is_empty() && !names.contains(name);
    if let Some(name) = node.text().filter(absent) {
        let help = findings.did_you_mean(name, names.iter().copied());
        findings.error_with(node.span, format!("there is no {what} `{name}`"), help);
    }
}

/// Values of which each may be there once.
#[derive(Default)]
struct Once(BTreeMap<String, Span>);

impl Once {
    /// Where `value` is, if it is there.
    fn place(&self, value: &str) -> Option<Span> {
        self.0.get(value).copied()
    }

    /// Tells, at `span`, that `value` is there for the second time.
    fn add(&mut self, value: String, span: Span, what: &str, findings: &mut Findings<'_>) {
        match self.0.get(&value) {
            Some(first) => findings.error(span, format!("{what} on line {} too", first.line)),
            None => {
                self.0.insert(value, span);
            }
        }
    }
}
