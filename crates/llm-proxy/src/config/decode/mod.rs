//! The second pass: from the tree to the config, section by section.

mod backends;
mod bounds;
mod clients;
mod failure;
mod logging;
mod models;
mod prices;
mod prompts;
mod telemetry;

use std::path::Path;

pub(crate) use backends::of_protocol;
pub(crate) use prices::price_list;
pub(crate) use prompts::prompt;

use super::fields::{self, logging as log_fields};
use super::formats;
use super::tree::Node;
use super::types::{Config, FileSource, Prices, Prompt};
use super::view::View;
use crate::base::Secret;

/// The config that the file says, with the prompts and prices that it names. Paths in it are relative to `dir`.
pub(crate) fn config(root: &Node, dir: &Path, system_prompts: Vec<Prompt>, prices: Prices) -> Config {
    let top = View::top(root);
    Config {
        listen: top.list("listen", |text| formats::listen(text, dir)),
        tls: clients::tls(&top, dir),
        trusted_proxies: top.list("trusted_proxies", formats::network),
        proxy_protocol: top.truth("proxy_protocol"),
        admin: clients::admin(&top),
        api_keys: top
            .sections("api_keys", &fields::clients::API_KEY)
            .iter()
            .map(clients::api_key)
            .collect(),
        backends: backends::all(&top, dir),
        models: models::all(&top),
        fallback: failure::fallback(&top),
        detection: failure::detection(&top),
        timeout: bounds::timeouts(&top),
        rate_limit: bounds::rate_limits(&top),
        concurrency: bounds::concurrency(&top),
        system_prompts,
        sources: sources(&top, dir, &prices),
        limits: bounds::limits(&top),
        expose_headers: bounds::expose_headers(&top),
        stream: bounds::stream(&top),
        shutdown_grace: top.duration("shutdown_grace"),
        watch: top.truth("watch"),
        logging: logging::logging(&top, dir),
        ledger: logging::ledger(&top, dir),
        cluster: cluster(&top),
        telemetry: telemetry::telemetry(&top, dir),
        prices,
    }
}

/// Where prompts and prices come from that stand in files.
fn sources(top: &View<'_>, dir: &Path, prices: &Prices) -> Vec<FileSource> {
    let mut sources = prompts::sources(top, dir);
    sources.extend(prices.file.clone().map(FileSource::File));
    sources
}

fn cluster(top: &View<'_>) -> Option<Secret> {
    let cluster = top.maybe_section("cluster", &log_fields::CLUSTER)?;
    cluster.read("redis", |url| Some(Secret::new(url)))
}
