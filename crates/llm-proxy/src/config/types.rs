//! The config as the rest of the program sees it: checked, complete, with every default filled in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use llm_dialect::Api;
use regex::Regex;
use serde_json::Value;

use crate::base::glob::Glob;
use crate::base::{Class, Secret};

/// The whole config.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients are served; never empty.
    pub listen: Vec<Listen>,
    /// The certificate for the TCP listeners; none: plain HTTP.
    pub tls: Option<ServerTls>,
    /// Whose `X-Forwarded-For` and `Forwarded` are believed.
    pub trusted_proxies: Vec<IpNet>,
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
    /// Requests at once; none: the section is not in the file.
    pub concurrency: Option<Concurrency>,
    /// Prompts that are injected.
    pub system_prompts: Vec<PromptSource>,
    /// Sizes.
    pub limits: Limits,
    /// Streams.
    pub stream: Stream,
    /// How long a drain waits for requests in flight.
    pub shutdown_grace: Duration,
    /// Whether a changed file reloads by itself.
    pub watch: bool,
    /// Logs.
    pub logging: Logging,
    /// Usage store; none: off.
    pub ledger: Option<Secret>,
    /// Redis of the cluster; none: this node alone.
    pub cluster: Option<Secret>,
    /// OTLP endpoint; none: off.
    pub telemetry: Option<String>,
    /// A price table that overrides the built-in one.
    pub prices: Option<PathBuf>,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The admin listener.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Its address; none: off.
    pub listen: Option<SocketAddr>,
    /// The key that it wants; none: only loopback may ask.
    pub key: Option<Secret>,
}

/// A key that clients present.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its name in logs; unique.
    pub name: String,
    /// The SHA-256 of the key.
    pub digest: [u8; 32],
    /// The key itself where the file holds it, to blot it out of texts.
    pub key: Option<Secret>,
    /// Which aliases it may use.
    pub models: Vec<Glob>,
    /// Its own rates.
    pub rate_limit: Option<Rate>,
    /// Its own requests at once.
    pub max_concurrent: Option<u32>,
    /// Its place in the queue: higher goes first.
    pub priority: i32,
    /// What it may spend.
    pub budget: Option<Budget>,
}

/// What a key may spend in a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// US dollars.
    pub usd: f64,
    /// The period.
    pub per: Period,
}

/// A period of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A calendar day in UTC.
    Day,
    /// A calendar month in UTC.
    Month,
}

/// The protocol family of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `OpenAI`: chat, responses and the plain calls.
    Openai,
    /// Anthropic: messages.
    Anthropic,
}

/// How a backend wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// By protocol: `Bearer` for `OpenAI`, `x-api-key` for Anthropic.
    Auto,
    /// `authorization: Bearer`.
    Bearer,
    /// `x-api-key`.
    XApiKey,
    /// `api-key` (Azure).
    ApiKey,
    /// No key is sent.
    None,
}

/// Which HTTP version a backend is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// ALPN over TLS, 1.1 in the clear.
    Auto,
    /// 1.1
    Http1,
    /// 2 (in the clear: with prior knowledge)
    Http2,
}

/// How a backend is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutboundProxy {
    /// Directly.
    None,
    /// As `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say.
    Env,
    /// Through this proxy: `http://`, `https://` or `socks5://`, perhaps with user info.
    Url(Secret),
}

/// What happens to a backend's request when its client goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnDisconnect {
    /// It is cancelled at once.
    Cancel,
    /// It is read to its end, for exact usage.
    Drain,
}

/// A backend.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its name; unique.
    pub name: String,
    /// Its protocol family.
    pub protocol: Protocol,
    /// Its base URL as the file has it, without a trailing slash. `http` or `https`; no user info.
    pub url: http::Uri,
    /// Its keys; empty: none is sent.
    pub api_keys: Vec<Secret>,
    /// The calls that it has.
    pub apis: Vec<Api>,
    /// Whether it may be used.
    pub enabled: bool,
    /// Headers that each request gets (valid names and values).
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Query parameters that each request gets.
    pub query: Vec<(String, String)>,
    /// How it wants its key.
    pub auth: Auth,
    /// Paths below `url` that differ from the protocol's own.
    pub paths: BTreeMap<Api, String>,
    /// HTTP version.
    pub http: HttpVersion,
    /// How it is reached.
    pub http_proxy: OutboundProxy,
    /// Requests at once; above that it is skipped.
    pub max_concurrent: Option<u32>,
    /// Clocks that differ from the general ones.
    pub timeout: TimeoutOverrides,
    /// Its TLS.
    pub tls: ClientTls,
    /// What happens when a client goes away.
    pub on_disconnect: OnDisconnect,
}

/// TLS towards a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientTls {
    /// A PEM file of authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Whether certificates go unchecked.
    pub insecure: bool,
}

/// An alias: the name that clients send, and where it leads.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its routes, in the file's order; never empty.
    pub routes: Vec<Route>,
    /// The choice within a priority.
    pub strategy: Strategy,
    /// Whether conversations stay where their prompt cache is.
    pub affinity: bool,
    /// Other aliases, tried when every route here has failed.
    pub fallback: Vec<String>,
    /// Fields that are set where the request has none (raw JSON values by name).
    pub defaults: Vec<(String, Value)>,
    /// Fields that are always set.
    pub overrides: Vec<(String, Value)>,
    /// Whether it may be used.
    pub enabled: bool,
    /// Clocks that differ from the general ones.
    pub timeout: TimeoutOverrides,
}

/// One way from an alias to a backend.
#[derive(Clone, Debug)]
pub struct Route {
    /// The backend's name; it exists.
    pub backend: String,
    /// The backend's model; none: the client's name goes on as it is.
    pub model: Option<String>,
    /// Lower is tried first.
    pub priority: i32,
    /// Its share within a priority; 0: only when the others are gone.
    pub weight: u32,
    /// The context window in tokens, where known.
    pub context: Option<u64>,
    /// Whether it may be used.
    pub enabled: bool,
}

/// The choice among routes of one priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Smooth round robin by weight.
    Weighted,
    /// The fewest requests in flight.
    LeastBusy,
    /// The better of two by first-byte latency.
    Fastest,
    /// By chance, by weight.
    Random,
}

/// What happens when everything that a request could use is cooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAllCooling {
    /// Wait up to two seconds for the first to recover, else probe it at once while the others get 503.
    Probe,
    /// Fail at once.
    Fail,
    /// Send it to the one that recovers first.
    AlwaysTry,
}

/// How requests fall back and what cools down.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// Attempts over all candidates of one request; at least 1.
    pub max_attempts: u32,
    /// The base cooldown.
    pub cooldown: Duration,
    /// Its cap when it doubles.
    pub cooldown_max: Duration,
    /// Bases of their own, by class (the built-in ones and the file's).
    pub cooldowns: BTreeMap<Class, Duration>,
    /// When failures trip the breaker.
    pub trip: Trip,
    /// Extra attempts as a share of requests; 1: no limit.
    pub retry_budget: f64,
    /// When all are cooling.
    pub when_all_cooling: WhenAllCooling,
}

/// When failures trip the breaker of a backend's model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trip {
    /// So many in a row.
    pub consecutive: u32,
    /// Or this share of the requests in the window,
    pub error_rate: f64,
    /// of which there must be so many.
    pub min_requests: u32,
    /// The window.
    pub window: Duration,
}

/// What counts as a failure, on top of the built-in classes.
#[derive(Clone, Debug)]
pub struct Detection {
    /// Statuses that fall back.
    pub error_codes: Vec<StatusPattern>,
    /// Texts and patterns in error bodies and first events that fall back.
    pub error_patterns: Vec<TextPattern>,
    /// Classes for a backend's odd answers.
    pub error_map: Vec<ErrorMap>,
}

/// Statuses: one, or a hundred of them (`5xx`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusPattern {
    /// This one.
    Exact(u16),
    /// All with this first digit.
    Hundred(u8),
}

impl StatusPattern {
    /// Whether `status` fits.
    pub fn matches(self, status: u16) -> bool {
        match self {
            Self::Exact(code) => code == status,
            Self::Hundred(digit) => u16::from(digit) == status / 100,
        }
    }
}

/// A text or a pattern to look for.
#[derive(Clone, Debug)]
pub enum TextPattern {
    /// This text, in any case.
    Text(String),
    /// This regular expression.
    Regex(Regex),
}

impl TextPattern {
    /// Whether it occurs in `text`.
    pub fn found_in(&self, text: &str) -> bool {
        match self {
            Self::Text(needle) => text.to_lowercase().contains(&needle.to_lowercase()),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// A class for a backend's odd answers.
#[derive(Clone, Debug)]
pub struct ErrorMap {
    /// Only this backend; none: all.
    pub backend: Option<String>,
    /// Only this status; none: all.
    pub status: Option<StatusPattern>,
    /// Only with this in the body; none: all.
    pub pattern: Option<TextPattern>,
    /// The class.
    pub class: Class,
}

/// The clocks of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For its headers and body to arrive.
    pub request: Duration,
    /// To connect to a backend.
    pub connect: Duration,
    /// To the commit point.
    pub first_byte: Duration,
    /// Silence inside a stream.
    pub idle: Duration,
    /// All of it.
    pub total: Duration,
}

/// Clocks that a backend or a model sets for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    /// To connect to a backend.
    pub connect: Option<Duration>,
    /// To the commit point.
    pub first_byte: Option<Duration>,
    /// Silence inside a stream.
    pub idle: Option<Duration>,
    /// All of it.
    pub total: Option<Duration>,
}

impl Timeouts {
    /// These clocks with what `over` sets put in their place.
    #[must_use]
    pub fn with(self, over: TimeoutOverrides) -> Self {
        Self {
            request: self.request,
            connect: over.connect.unwrap_or(self.connect),
            first_byte: over.first_byte.unwrap_or(self.first_byte),
            idle: over.idle.unwrap_or(self.idle),
            total: over.total.unwrap_or(self.total),
        }
    }
}

/// Rates by level.
#[derive(Clone, Debug, Default)]
pub struct RateLimits {
    /// All requests together.
    pub global: Option<Rate>,
    /// One address.
    pub per_ip: Option<Rate>,
    /// One alias.
    pub per_model: BTreeMap<String, Rate>,
}

/// A rate: any of its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Requests a second.
    pub rps: Option<f64>,
    /// Requests a minute.
    pub rpm: Option<f64>,
    /// Tokens a minute.
    pub tpm: Option<f64>,
    /// Requests that may come at once.
    pub burst: Option<f64>,
}

/// Requests at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// In all.
    pub max_requests: u32,
    /// Of one address.
    pub per_ip: u32,
    /// Waiting.
    pub queue_size: u32,
    /// How long one waits.
    pub queue_timeout: Duration,
}

/// Where a prompt comes from.
#[derive(Clone, Debug)]
pub enum PromptSource {
    /// All `*.md` of a folder.
    Dir(PathBuf),
    /// One file.
    File(PathBuf),
    /// The text itself, with its settings.
    Text(InlinePrompt),
}

/// A prompt in the config file.
#[derive(Clone, Debug)]
pub struct InlinePrompt {
    /// The text, before its variables are expanded.
    pub text: String,
    /// Before, after or instead of the client's own.
    pub position: PromptPosition,
    /// Between the two where they become one string.
    pub separator: String,
    /// For these aliases.
    pub models: Vec<Glob>,
    /// For these keys.
    pub keys: Vec<Glob>,
    /// Lower first.
    pub priority: i32,
    /// Whether it is used.
    pub enabled: bool,
}

/// Where a prompt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptPosition {
    /// Before the client's own.
    Before,
    /// After it.
    After,
    /// Instead of it.
    Replace,
}

/// Sizes, in bytes but for the depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A request's body, decompressed.
    pub max_body: usize,
    /// A request's header section.
    pub max_header: usize,
    /// How deep JSON may nest.
    pub max_json_depth: usize,
    /// An answer that is not a stream.
    pub max_response: usize,
    /// One event of a stream.
    pub max_event: usize,
}

/// Streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Silence towards the client after which a ping is sent; none: never.
    pub heartbeat: Option<Duration>,
    /// Pings before the commit point after this time; none: never.
    pub early_heartbeat_after: Option<Duration>,
}

/// Logs.
#[derive(Clone, Debug)]
pub struct Logging {
    /// A level, perhaps by module.
    pub level: String,
    /// Their form.
    pub format: LogFormat,
    /// A file beside standard error.
    pub file: Option<LogFile>,
    /// One line a request.
    pub access: bool,
    /// Which bodies are logged.
    pub bodies: Bodies,
    /// What is masked.
    pub mask: Mask,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For eyes.
    Pretty,
    /// For machines.
    Json,
}

/// A log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its folder.
    pub dir: PathBuf,
    /// Whether a new one begins each day.
    pub daily: bool,
    /// The size after which a new one begins.
    pub max_size: Option<u64>,
    /// How many are kept.
    pub max_files: u32,
    /// Whether old ones are compressed.
    pub compress: bool,
}

/// Which bodies are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// None.
    Off,
    /// Those of failed requests.
    Errors,
    /// All.
    All,
}

/// What is masked in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Keys and tokens.
    Standard,
    /// E-mail and network addresses too.
    Strict,
}
