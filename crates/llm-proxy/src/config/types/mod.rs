//! The config as the rest of the program sees it: checked, complete, with every default filled in.

mod backends;
mod bounds;
mod clients;
mod failure;
mod logging;
mod models;
mod prices;
mod prompts;
mod secrets;
mod telemetry;

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;

use crate::base::Secret;

pub use backends::{Auth, Backend, ClientTls, HttpVersion, OnDisconnect, OutboundProxy, Protocol};
pub use bounds::{Concurrency, Limits, NEVER, Rate, RateLimits, Stream, TimeoutOverrides, Timeouts};
pub use clients::{Admin, ApiKey, Budget, Listen, Period, ServerTls};
pub use failure::{Detection, ErrorMap, Fallback, StatusPattern, TextPattern, Trip, WhenAllCooling};
pub use logging::{Bodies, Ledger, LedgerAt, LogFile, LogFormat, Logging, Mask, Rotate};
pub use models::{Model, Route, Strategy};
pub use prices::{ModelPrice, PriceList, Prices, Rates};
pub use prompts::{FileSource, Prompt, PromptPosition, PromptSettings};
pub use telemetry::{OtlpProtocol, Telemetry};

/// The whole config.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients are served; never empty.
    pub listen: Vec<Listen>,
    /// The certificate for the TCP listeners; none: plain HTTP.
    pub tls: Option<ServerTls>,
    /// Whose `X-Forwarded-For` and `Forwarded` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether those say first, by the PROXY protocol, whose connections they pass on.
    pub proxy_protocol: bool,
    /// The admin listener.
    pub admin: Admin,
    /// Keys that clients present; none: anybody may come (loopback only).
    pub api_keys: Vec<ApiKey>,
    /// The backends, in the file's order; names are unique.
    pub backends: Vec<Backend>,
    /// The aliases by name; a name with `*` is a glob.
    pub models: BTreeMap<String, Model>,
    /// How requests fall back and what cools down for how long.
    pub fallback: Fallback,
    /// What counts as a failure, on top of the built-in classes.
    pub detection: Detection,
    /// The clocks of a request.
    pub timeout: Timeouts,
    /// Rates; none: no limits.
    pub rate_limit: Option<RateLimits>,
    /// Requests at once.
    pub concurrency: Concurrency,
    /// Prompts that are injected, in the file's order, a folder's by their names.
    pub system_prompts: Vec<Prompt>,
    /// What else is read with the config's own file.
    pub sources: Vec<FileSource>,
    /// Sizes.
    pub limits: Limits,
    /// Whether answers carry the `x-llm-proxy-*` headers.
    pub expose_headers: bool,
    /// Streams.
    pub stream: Stream,
    /// How long a drain waits for requests in flight.
    pub shutdown_grace: Duration,
    /// Whether a changed file reloads by itself.
    pub watch: bool,
    /// Logs.
    pub logging: Logging,
    /// A row for each request; none: off.
    pub ledger: Option<Ledger>,
    /// Redis of the cluster; none: this node alone.
    pub cluster: Option<Secret>,
    /// Traces and metrics over OTLP; none: off.
    pub telemetry: Option<Telemetry>,
    /// Prices beside the built-in ones.
    pub prices: Prices,
}
