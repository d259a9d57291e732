//! Keys about traces and metrics that are sent to a collector.

use super::Default::{Nothing, Required, Value};
use super::backends::TLS;
use super::{FILLED, Field, Keys, Kind, Section, field};
use crate::config::formats;
use crate::config::names::names;
use crate::config::types::OtlpProtocol;

/// `telemetry`
pub(crate) static TELEMETRY: Section = Section {
    name: "telemetry",
    about: "Traces and metrics over OTLP, by OpenTelemetry's conventions for generative AI. They hold no prompt, no answer and \
            no key.",
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    field(
        "otlp",
        Kind::Text(&formats::HTTP_URL),
        Required,
        "The collector: its host and port for gRPC, or the URL below which `/v1/traces` and `/v1/metrics` are.",
    ),
    field(
        "protocol",
        Kind::Choice(names::<OtlpProtocol>),
        Value("auto"),
        "How it is spoken to: `grpc`, or `http` with Protocol Buffers. `auto`: `http` where `otlp` has a path or the port 4318.",
    ),
    field(
        "headers",
        Kind::Map(
            Keys::Of(&formats::HEADER_NAME),
            const { &Kind::Hidden(&formats::HEADER_VALUE) },
        ),
        Nothing,
        "Headers of each request to it, such as the key of a hosted one.",
    ),
    field(
        "sample",
        Kind::Share,
        Value("1"),
        "The share of requests that become spans. One that comes with a `traceparent` is recorded if its parent is.",
    ),
    field(
        "metrics",
        Kind::TimeoutOrOff,
        Value("30s"),
        "How often metrics are sent, from `1s` on; `off`: never.",
    ),
    field(
        "resource",
        Kind::Map(Keys::Of(&formats::FILLED), const { &FILLED }),
        Nothing,
        "Attributes of all spans and metrics, such as `deployment.environment.name`. `service.name` is `llm-proxy` unless it is \
         named here.",
    ),
    field("tls", Kind::Section(&TLS), Nothing, "TLS towards it."),
];
