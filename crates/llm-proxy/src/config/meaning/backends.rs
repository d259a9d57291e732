//! Backends: names, keys, calls, and addresses that must not be reached.

use llm_dialect::Api;

use super::{Once, url};
use crate::config::decode::of_protocol;
use crate::config::fields::backends::{BACKEND, TLS};
use crate::config::findings::Findings;
use crate::config::names::Named;
use crate::config::tree::Node;
use crate::config::types::{Auth, Protocol};
use crate::config::view::View;

/// Headers of the connection itself: a fixed value would break it.
const CONNECTION: [&str; 7] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn check(top: &View<'_>, findings: &mut Findings<'_>) {
    let mut once = Once::default();
    if let Some(list) = top.get("backends").filter(|list| list.items().is_empty()) {
        findings.error(list.span, "`backends` must not be empty");
    }
    for item in top.sections("backends", &BACKEND) {
        if let Some(node) = item.get("name") {
            let name = node.text().unwrap_or_default().to_owned();
            let what = format!("the name `{name}` is");
            once.add(name, node.span, &what, findings);
        }
        if let Some(node) = item.get("url") {
            url::check(node, item.truth("allow_metadata"), findings);
        }
        keys(&item, findings);
        calls(&item, findings);
        if item.section("tls", &TLS).truth("insecure") {
            let span = item.section("tls", &TLS).span("insecure");
            findings.warn(
                span,
                "anybody on the way can read and change what goes to this backend",
            );
        }
        for entry in item.entries("headers") {
            if CONNECTION
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&entry.key))
            {
                let message = format!(
                    "the header `{}` belongs to the connection and cannot be set",
                    entry.key
                );
                findings.error(entry.key_span, message);
            }
        }
    }
}

fn keys(item: &View<'_>, findings: &mut Findings<'_>) {
    let (one, many) = (item.get("api_key"), item.get("api_keys"));
    if let (Some(_), Some(many)) = (one, many) {
        findings.error(many.span, "give `api_key` or `api_keys`, not both");
    }
    let all = [one, many].into_iter().flatten().flat_map(Node::items);
    for node in all.filter(|node| node.text().is_some_and(str::is_empty)) {
        findings.warn(node.span, "this key is empty, so none is sent");
    }
    let unused = item.named::<Auth>("auth") == Some(Auth::None);
    if let Some(key) = one.or(many).filter(|_| unused) {
        findings.warn(key.span, "`auth: none` sends no key, so this one is never used");
    }
}

/// A protocol's backend cannot have another protocol's calls.
fn calls(item: &View<'_>, findings: &mut Findings<'_>) {
    let Some(protocol) = item
        .get("protocol")
        .and_then(Node::text)
        .and_then(Protocol::from_name)
    else {
        return;
    };
    let mine = of_protocol(protocol);
    let foreign = |name: &str| Api::from_name(name).is_some_and(|api| !mine.contains(&api));
    let listed = item
        .items("apis")
        .iter()
        .filter_map(|node| Some((node.text()?, node.span)));
    let placed = item
        .entries("paths")
        .iter()
        .map(|entry| (entry.key.as_str(), entry.key_span));
    for (name, span) in listed.chain(placed).filter(|(name, _)| foreign(name)) {
        let own: Vec<String> = mine.iter().map(|api| format!("`{api}`")).collect();
        let help = format!("it has {}", own.join(", "));
        findings.error_with(
            span,
            format!("a backend of this protocol has no `{name}`"),
            Some(help),
        );
    }
    if item.get("apis").is_some_and(|list| list.items().is_empty()) {
        findings.error(item.span("apis"), "`apis` must not be empty");
    }
}

/// The names of all backends.
pub(super) fn names<'a>(top: &View<'a>) -> Vec<&'a str> {
    let items = top.sections("backends", &BACKEND);
    items.iter().filter_map(|item| item.get("name")?.text()).collect()
}
