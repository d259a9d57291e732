//! Traces and metrics over OTLP.

use std::time::Duration;

use super::ClientTls;

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// By the URL: `Http` where it has a path or the port 4318, else `Grpc`.
    #[default]
    Auto,
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with Protocol Buffers.
    Http,
}

/// Traces and metrics over OTLP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// The collector, without a trailing slash.
    pub otlp: http::Uri,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// Headers of each request to it; some are credentials.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// The share of requests without a parent that become spans, from 0 to 1.
    pub sample: f64,
    /// How often metrics are sent; none: never.
    pub metrics: Option<Duration>,
    /// What all spans and metrics say of where they come from.
    pub resource: Vec<(String, String)>,
    /// TLS towards it.
    pub tls: ClientTls,
}
