//! The keys at the top of the file.

use super::Default::{List, Nothing, Required, Value};
use super::{Field, Keys, Kind, Section, field};
use super::{backends, bounds, clients, failure, logging, models, prompts, telemetry};
use crate::config::formats;

/// The whole file.
pub(crate) static TOP: Section = Section {
    name: "",
    about: "The config file of llm-proxy. `${VAR}`, `${VAR:-default}` and `${file:/path}` work in every string; \
            a lone value may stand where a list is expected.",
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    field(
        "listen",
        Kind::List(const { &Kind::Text(&formats::LISTEN) }),
        List(&["127.0.0.1:8765"]),
        "Where clients are served: an address or a list of them; `unix:/path.sock` too.",
    ),
    field(
        "tls",
        Kind::Section(&clients::TLS),
        Nothing,
        "A certificate for the TCP listeners; none: plain HTTP.",
    ),
    field(
        "trusted_proxies",
        Kind::List(const { &Kind::Text(&formats::NETWORK) }),
        List(&[]),
        "Proxies in front of this one, as networks: what they say in `X-Forwarded-For`, else in `Forwarded`, about \
         where a request comes from is believed, read from right to left.",
    ),
    field(
        "proxy_protocol",
        Kind::Bool,
        Value("false"),
        "Whether the proxies of `trusted_proxies` say whose connection they pass on by the PROXY protocol, version 1 or \
         2. Then each of their connections must begin with it, and nobody else's may.",
    ),
    field(
        "admin",
        Kind::Section(&clients::ADMIN),
        Nothing,
        "The admin listener: the dashboard at `/`, the same as JSON at `/api/status`, `/metrics`.",
    ),
    field(
        "api_keys",
        Kind::List(const { &Kind::Section(&clients::API_KEY) }),
        List(&[]),
        "Keys that clients present. Without any, every `listen` must be a loopback address.",
    ),
    field(
        "backends",
        Kind::List(const { &Kind::Section(&backends::BACKEND) }),
        Required,
        "Where requests go.",
    ),
    field(
        "models",
        Kind::Map(
            Keys::Of(&formats::FILLED),
            const { &Kind::Section(&models::MODEL) },
        ),
        Required,
        "Aliases: the names that clients send, and where each leads. A name with `*` is a glob; an exact name \
         wins, then the longest glob.",
    ),
    field(
        "fallback",
        Kind::Section(&failure::FALLBACK),
        Nothing,
        "How requests fall back, and what cools down for how long.",
    ),
    field(
        "detection",
        Kind::Section(&failure::DETECTION),
        Nothing,
        "What counts as a failure, on top of the built-in classes.",
    ),
    field(
        "timeout",
        Kind::Section(&bounds::TIMEOUT),
        Nothing,
        "The clocks of a request.",
    ),
    field(
        "rate_limit",
        Kind::Section(&bounds::RATE_LIMIT),
        Nothing,
        "Rates. No section: no limits.",
    ),
    field(
        "concurrency",
        Kind::Section(&bounds::CONCURRENCY),
        Nothing,
        "Requests at once; the rest wait in a queue.",
    ),
    field(
        "system_prompts",
        Kind::List(const { &Kind::Section(&prompts::PROMPT) }),
        List(&[]),
        "Prompts that are put into requests.",
    ),
    field(
        "limits",
        Kind::Section(&bounds::LIMITS),
        Nothing,
        "Sizes that nothing may exceed.",
    ),
    field(
        "headers",
        Kind::Section(&bounds::HEADERS),
        Nothing,
        "Response headers towards clients.",
    ),
    field(
        "stream",
        Kind::Section(&bounds::STREAM),
        Nothing,
        "Streams towards clients.",
    ),
    field(
        "shutdown_grace",
        Kind::Duration,
        Value("30s"),
        "How long requests in flight may take to finish when the program is told to stop.",
    ),
    field(
        "watch",
        Kind::Bool,
        Value("false"),
        "Whether the file is loaded again when it changes, as well as on SIGHUP.",
    ),
    field("logging", Kind::Section(&logging::LOGGING), Nothing, "Logs."),
    field(
        "ledger",
        Kind::Section(&logging::LEDGER),
        Nothing,
        "A record of usage and cost for each request.",
    ),
    field(
        "cluster",
        Kind::Section(&logging::CLUSTER),
        Nothing,
        "Several nodes that share limits, budgets and cooldowns.",
    ),
    field(
        "telemetry",
        Kind::Section(&telemetry::TELEMETRY),
        Nothing,
        "Traces and metrics over OTLP.",
    ),
    field(
        "prices",
        Kind::Section(&logging::PRICES),
        Nothing,
        "Prices of models.",
    ),
];
