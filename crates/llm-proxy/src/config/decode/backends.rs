//! Backends.

use std::path::Path;

use llm_dialect::Api;

use super::bounds;
use crate::base::Secret;
use crate::config::fields::backends::{BACKEND, TLS};
use crate::config::formats;
use crate::config::names::Named;
use crate::config::tree::{Entry, Node};
use crate::config::types::{Auth, Backend, ClientTls, HttpVersion, OnDisconnect, OutboundProxy, Protocol};
use crate::config::view::View;

pub(super) fn all(top: &View<'_>, dir: &Path) -> Vec<Backend> {
    top.sections("backends", &BACKEND)
        .iter()
        .map(|item| backend(item, dir))
        .collect()
}

fn backend(item: &View<'_>, dir: &Path) -> Backend {
    let protocol = item.named("protocol").unwrap_or(Protocol::Openai);
    Backend {
        name: item.text("name").unwrap_or_default(),
        protocol,
        url: item.read("url", formats::base_url).unwrap_or_default(),
        api_keys: keys(item),
        apis: apis(item, protocol),
        apis_named: item.get("apis").is_some(),
        enabled: item.truth("enabled"),
        headers: item.entries("headers").iter().filter_map(header).collect(),
        query: item.entries("query").iter().filter_map(pair).collect(),
        auth: item.named("auth").unwrap_or(Auth::Auto),
        paths: item.entries("paths").iter().filter_map(path).collect(),
        http: item.named("http").unwrap_or(HttpVersion::Auto),
        http_proxy: item
            .read("http_proxy", formats::proxy)
            .unwrap_or(OutboundProxy::None),
        max_concurrent: item.int("max_concurrent"),
        timeout: bounds::overrides(item),
        tls: tls(item, dir),
        allow_metadata: item.truth("allow_metadata"),
        on_disconnect: item.named("on_disconnect").unwrap_or(OnDisconnect::Cancel),
    }
}

/// `api_key` or `api_keys`; an empty one is none (`${KEY:-}`).
fn keys(item: &View<'_>) -> Vec<Secret> {
    let key = if item.get("api_key").is_some() {
        "api_key"
    } else {
        "api_keys"
    };
    item.list(key, |text| (!text.is_empty()).then(|| Secret::new(text)))
}

fn apis(item: &View<'_>, protocol: Protocol) -> Vec<Api> {
    if item.get("apis").is_some() {
        return item.list("apis", Api::from_name);
    }
    of_protocol(protocol)
}

/// The calls that a protocol has: a backend has all of them unless it says otherwise.
pub(crate) fn of_protocol(protocol: Protocol) -> Vec<Api> {
    let anthropic = |api: &Api| matches!(api, Api::Messages | Api::CountTokens);
    Api::ALL
        .into_iter()
        .filter(|api| anthropic(api) == (protocol == Protocol::Anthropic))
        .collect()
}

pub(super) fn header(entry: &Entry) -> Option<(http::HeaderName, http::HeaderValue)> {
    let mut value = formats::header_value(entry.node.text()?)?;
    // It may be a key; then HTTP/2 keeps it out of its tables, and no log shows it.
    value.set_sensitive(true);
    Some((formats::header_name(&entry.key)?, value))
}

pub(super) fn pair(entry: &Entry) -> Option<(String, String)> {
    Some((entry.key.clone(), entry.node.text()?.to_owned()))
}

fn path(entry: &Entry) -> Option<(Api, String)> {
    Some((
        <Api as Named>::from_name(&entry.key)?,
        Node::text(&entry.node)?.to_owned(),
    ))
}

pub(super) fn tls(item: &View<'_>, dir: &Path) -> ClientTls {
    let tls = item.section("tls", &TLS);
    ClientTls {
        ca: tls.read("ca", |text| Some(formats::path(text, dir))),
        insecure: tls.truth("insecure"),
    }
}
