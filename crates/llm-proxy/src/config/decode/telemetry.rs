//! Traces and metrics.

use std::path::Path;

use super::backends::{header, pair, tls};
use crate::config::fields::telemetry::TELEMETRY;
use crate::config::formats;
use crate::config::types::{OtlpProtocol, Telemetry};
use crate::config::view::View;

pub(super) fn telemetry(top: &View<'_>, dir: &Path) -> Option<Telemetry> {
    let telemetry = top.maybe_section("telemetry", &TELEMETRY)?;
    Some(Telemetry {
        otlp: telemetry.read("otlp", formats::base_url)?,
        protocol: telemetry.named("protocol").unwrap_or(OtlpProtocol::Auto),
        headers: telemetry.entries("headers").iter().filter_map(header).collect(),
        sample: telemetry.number("sample").unwrap_or(1.0),
        metrics: telemetry.maybe_duration("metrics"),
        resource: telemetry.entries("resource").iter().filter_map(pair).collect(),
        tls: tls(&telemetry, dir),
    })
}
