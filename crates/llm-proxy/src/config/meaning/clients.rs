//! Listeners and keys: nobody is served by accident.

use std::path::Path;
use std::time::SystemTime;

use super::Once;
use crate::config::fields::clients::{ADMIN, API_KEY};
use crate::config::fields::logging::LEDGER;
use crate::config::findings::Findings;
use crate::config::formats;
use crate::config::tree::Node;
use crate::config::types::Listen;
use crate::config::view::View;

/// A key with less than this can be guessed.
const KEY_CHARS: usize = 16;
/// What keys of examples have in them, once everything but letters and digits is gone.
const EXAMPLES: [&str; 8] = [
    "changeme",
    "replaceme",
    "yourkey",
    "yourapikey",
    "yoursecret",
    "password",
    "examplekey",
    "sk1234",
];

pub(super) fn check(top: &View<'_>, now: SystemTime, findings: &mut Findings<'_>) {
    addresses(top, findings);
    admin(top, findings);
    keys(top, findings);
    expired(top, now, findings);
    forgetful(top, findings);
    if top.truth("proxy_protocol") && top.items("trusted_proxies").is_empty() {
        let message = "without `trusted_proxies` nobody is believed: name the proxies that speak it";
        findings.error(top.span("proxy_protocol"), message);
    }
    for network in top.items("trusted_proxies") {
        if network
            .text()
            .and_then(formats::network)
            .is_some_and(|network| network.prefix_len() == 0)
        {
            findings.warn(network.span, "this believes anybody's `X-Forwarded-For`");
        }
    }
}

/// What is spent is remembered by the ledger alone.
fn forgetful(top: &View<'_>, findings: &mut Findings<'_>) {
    let url = top.section("ledger", &LEDGER).text("url");
    if url.is_some_and(|url| url != "off") {
        return;
    }
    let keys = top.sections("api_keys", &API_KEY);
    if let Some(budget) = keys.iter().find_map(|key| key.get("budget")) {
        let help = "set `ledger.url`".to_owned();
        let message = "without a ledger, what was spent of a budget is forgotten at a restart";
        findings.warn_with(budget.span, message, help);
    }
}

/// Each address once, and none but loopback without keys.
fn addresses(top: &View<'_>, findings: &mut Findings<'_>) {
    let open = top.items("api_keys").is_empty();
    let mut once = Once::default();
    for node in top.items("listen") {
        let Some(Listen::Tcp(address)) = node.text().and_then(|text| formats::listen(text, Path::new("")))
        else {
            continue;
        };
        if address.port() != 0 {
            once.add(address.to_string(), node.span, "this address is", findings);
        }
        if open && !address.ip().is_loopback() {
            let message = format!("`{address}` can be reached from outside, so `api_keys` must not be empty");
            let help = "add a key, or listen on 127.0.0.1".to_owned();
            findings.error_with(node.span, message, Some(help));
        }
    }
    if let Some(list) = top.get("listen").filter(|list| list.items().is_empty()) {
        findings.error(list.span, "`listen` must not be empty");
    }
    let admin = top.section("admin", &ADMIN);
    let address = admin
        .read("listen", formats::address)
        .filter(|address| address.port() != 0);
    if let Some(taken) = address.and_then(|address| once.place(&address.to_string())) {
        let span = admin.get("listen").map_or(taken, |node| node.span);
        findings.error(span, "the admin listener cannot share an address with `listen`");
    }
}

fn admin(top: &View<'_>, findings: &mut Findings<'_>) {
    let admin = top.section("admin", &ADMIN);
    let outside = admin
        .read("listen", formats::address)
        .filter(|address| !address.ip().is_loopback());
    // A key that could not be read is a key: that was told.
    let keyless = admin
        .get("key")
        .is_none_or(|key| key.text().is_some_and(str::is_empty));
    if let Some(address) = outside.filter(|_| keyless) {
        let message = format!("`{address}` can be reached from outside, so `admin.key` must not be empty");
        findings.error(admin.span("listen"), message);
    }
}

fn keys(top: &View<'_>, findings: &mut Findings<'_>) {
    let (mut names, mut digests) = (Once::default(), Once::default());
    for item in top.sections("api_keys", &API_KEY) {
        if let Some((node, name)) = texted(item.get("name")) {
            names.add(
                name.to_owned(),
                node.span,
                &format!("the name `{name}` is"),
                findings,
            );
        }
        match (item.get("key"), item.get("key_sha256")) {
            (Some(_), Some(hash)) => findings.error(hash.span, "give `key` or `key_sha256`, not both"),
            (None, None) => findings.error(item.span("name"), "this item has neither `key` nor `key_sha256`"),
            (Some(key), None) => weak(key, findings),
            (None, Some(_)) => {}
        }
        let digest = item
            .read("key", |key| {
                (!key.is_empty()).then(|| crate::base::secret::digest(key.as_bytes()))
            })
            .or_else(|| item.read("key_sha256", formats::sha256));
        if let Some(digest) = digest {
            let span = item
                .get("key")
                .or(item.get("key_sha256"))
                .map_or(item.span("name"), |node| node.span);
            digests.add(format!("{digest:?}"), span, "the same key is", findings);
        }
    }
}

/// Tells of keys that nobody can use any longer: whoever wonders about a 401 looks here.
fn expired(top: &View<'_>, now: SystemTime, findings: &mut Findings<'_>) {
    for item in top.sections("api_keys", &API_KEY) {
        let end = item.read("expires", formats::moment);
        if end.is_some_and(|end| end <= now) {
            findings.warn(item.span("expires"), "this key has expired, so nobody can use it");
        }
    }
}

/// A node and its text.
fn texted(node: Option<&Node>) -> Option<(&Node, &str)> {
    node.and_then(|node| Some((node, node.text()?)))
}

/// Refuses keys that can be guessed.
fn weak(node: &Node, findings: &mut Findings<'_>) {
    let Some(key) = node.text() else {
        return;
    };
    let letters: String = key
        .to_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let same = key.chars().collect::<std::collections::BTreeSet<_>>().len() < 4;
    if key.chars().count() < KEY_CHARS {
        let message = format!(
            "the key has {} characters; it needs at least {KEY_CHARS}",
            key.chars().count()
        );
        let help = "`openssl rand -hex 24` makes a good one".to_owned();
        findings.error_with(node.span, message, Some(help));
    } else if same || EXAMPLES.iter().any(|example| letters.contains(example)) {
        let help = "`openssl rand -hex 24` makes a good one".to_owned();
        findings.error_with(node.span, "the key is one that anybody would guess", Some(help));
    } else if !key.chars().all(|c| c.is_ascii_graphic()) {
        findings.error(
            node.span,
            "the key must be visible ASCII without spaces, or no header can carry it",
        );
    }
}
