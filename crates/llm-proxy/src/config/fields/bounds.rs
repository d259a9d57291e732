//! Keys of clocks, rates, requests at once and sizes.

use super::Default::{Depends, Nothing, Value};
use super::{COUNT, Field, Keys, Kind, Section, field};
use crate::config::formats;

const CONNECT_ABOUT: &str = "To connect to a backend.";
const FIRST_BYTE_ABOUT: &str = "From the request to the first real content of the answer (the commit point).";
const IDLE_ABOUT: &str = "Silence inside a stream.";
const TOTAL_ABOUT: &str = "The whole request with all its attempts.";
const RATE_ABOUT: &str = "The slowest that an answer may come, in bytes a second, while it is held back and somebody else \
                          could still give it: JSON until it is all there, a stream for `min_rate_window` from its first \
                          content on, unless it has kept the pace before. What is slower counts as silence. 0: any pace \
                          will do.";
const HEDGE_ABOUT: &str = "After so long without content somebody else is asked beside, and whoever has something to say \
                           first answers; the other is cancelled. It costs up to one attempt more, of `max_attempts` and \
                           of the retry budget, and what the backend that is cancelled charges.";
const RATE_WINDOW_ABOUT: &str = "Over how long `min_rate` is measured.";
/// A rate in bytes a second; 0: none.
const RATE_KIND: Kind = Kind::Int(0, u32::MAX as i64);

/// `timeout`
pub(crate) static TIMEOUT: Section = Section {
    name: "timeout",
    about: "The clocks of a request.",
    fields: &[
        field(
            "request",
            Kind::Timeout,
            Value("60s"),
            "For a client's headers and body to arrive.",
        ),
        field("connect", Kind::Timeout, Value("5s"), CONNECT_ABOUT),
        field("first_byte", Kind::Timeout, Value("120s"), FIRST_BYTE_ABOUT),
        field("idle", Kind::Timeout, Value("90s"), IDLE_ABOUT),
        field("total", Kind::Timeout, Value("30m"), TOTAL_ABOUT),
        field("hedge_after", Kind::TimeoutOrOff, Value("off"), HEDGE_ABOUT),
        field("min_rate", RATE_KIND, Value("0"), RATE_ABOUT),
        field("min_rate_window", Kind::Timeout, Value("5s"), RATE_WINDOW_ABOUT),
    ],
};

/// `timeout` of a backend or an alias
pub(crate) static OVERRIDES: Section = Section {
    name: "timeout of a backend or an alias",
    about: "Clocks in place of the general ones. Where both have one, the alias wins.",
    fields: &[
        field("connect", Kind::Timeout, Nothing, CONNECT_ABOUT),
        field("first_byte", Kind::Timeout, Nothing, FIRST_BYTE_ABOUT),
        field("idle", Kind::Timeout, Nothing, IDLE_ABOUT),
        field("total", Kind::Timeout, Nothing, TOTAL_ABOUT),
        field("hedge_after", Kind::TimeoutOrOff, Nothing, HEDGE_ABOUT),
        field("min_rate", RATE_KIND, Nothing, RATE_ABOUT),
        field("min_rate_window", Kind::Timeout, Nothing, RATE_WINDOW_ABOUT),
    ],
};

/// `rate_limit`
pub(crate) static RATE_LIMIT: Section = Section {
    name: "rate_limit",
    about: "Rates by level; health paths do not count.",
    fields: &[
        field("global", Kind::Section(&RATE), Nothing, "All requests together."),
        field(
            "per_ip",
            Kind::Section(&RATE),
            Nothing,
            "One address; an IPv6 /64 is one address.",
        ),
        field(
            "per_model",
            Kind::Map(Keys::Of(&formats::FILLED), const { &Kind::Section(&RATE) }),
            Nothing,
            "One alias.",
        ),
    ],
};

/// A rate
pub(crate) static RATE: Section = Section {
    name: "rate",
    about: "A rate: any of its parts. Fractions are fine.",
    fields: RATES,
};

const RATES: &[Field] = &[
    field("rps", Kind::Positive, Nothing, "Requests a second."),
    field("rpm", Kind::Positive, Nothing, "Requests a minute."),
    field("tpm", Kind::Positive, Nothing, "Tokens a minute."),
    field(
        "burst",
        Kind::Positive,
        Nothing,
        "Requests that may come at once; absent: as many as `rps` or `rpm`.",
    ),
];

/// `concurrency`
pub(crate) static CONCURRENCY: Section = Section {
    name: "concurrency",
    about: "Requests at once; the rest wait in a queue that is fair between keys and addresses.",
    fields: &[
        field("max_requests", COUNT, Value("500"), "In all."),
        field("per_ip", COUNT, Value("50"), "Of one address."),
        field(
            "queue_size",
            Kind::Int(0, u32::MAX as i64),
            Value("1000"),
            "Waiting.",
        ),
        field(
            "queue_timeout",
            Kind::Timeout,
            Value("30s"),
            "How long one waits.",
        ),
    ],
};

/// `limits`
pub(crate) static LIMITS: Section = Section {
    name: "limits",
    about: "Sizes that nothing may exceed.",
    fields: &[
        field(
            "max_body",
            Kind::Size,
            Value("32MiB"),
            "A request's body, decompressed.",
        ),
        field(
            "max_header",
            Kind::Size,
            Value("64KiB"),
            "A request's header section.",
        ),
        field(
            "max_json_depth",
            Kind::Int(1, 128),
            Value("128"),
            "How deep JSON may nest.",
        ),
        field(
            "max_response",
            Kind::Size,
            Value("64MiB"),
            "An answer that is not a stream; of a converted stream, what has to be kept for its end.",
        ),
        field("max_event", Kind::Size, Value("8MiB"), "One event of a stream."),
        field(
            "max_connections",
            COUNT,
            Depends(
                "half of the files that the system lets the program open, less those it needs itself; at most 65536",
            ),
            "Open connections of clients; further ones are closed at once. The admin listener's do not count.",
        ),
    ],
};

/// `headers`
pub(crate) static HEADERS: Section = Section {
    name: "headers",
    about: "Response headers towards clients.",
    fields: &[field(
        "expose",
        Kind::Bool,
        Value("true"),
        "Whether answers carry the `x-llm-proxy-*` headers: backend, model, attempts, warnings.",
    )],
};

/// `stream`
pub(crate) static STREAM: Section = Section {
    name: "stream",
    about: "Streams towards clients.",
    fields: &[
        field(
            "heartbeat",
            Kind::TimeoutOrOff,
            Value("15s"),
            "Silence after which a ping is sent; `off`: never.",
        ),
        field(
            "early_heartbeat_after",
            Kind::TimeoutOrOff,
            Value("off"),
            "How long after a request for a stream has come its client is given a head and pings, though no backend has \
             said anything yet. Others may still take over; what fails then becomes an error event. `off`: never.",
        ),
    ],
};
