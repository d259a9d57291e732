//! Keys of a backend.

use llm_dialect::Api;

use super::Default::{Depends, Nothing, Required, Value};
use super::{COUNT, FILLED, Field, Keys, Kind, Section, bounds, field};
use crate::config::formats;
use crate::config::names::names;
use crate::config::types::{Auth, HttpVersion, OnDisconnect, Protocol};

/// An item of `backends`
pub(crate) static BACKEND: Section = Section {
    name: "backends[]",
    about: "A server that answers requests, and how it is reached.",
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    field(
        "name",
        Kind::Text(&formats::NAME),
        Required,
        "Its name in routes, logs and metrics; unique.",
    ),
    field(
        "protocol",
        Kind::Choice(names::<Protocol>),
        Required,
        "The protocol family that it speaks.",
    ),
    field(
        "url",
        Kind::Text(&formats::FILLED),
        Required,
        "Its base URL, with or without `/v1` at the end: `http` or `https`, without user info.",
    ),
    field(
        "api_key",
        Kind::Secret(&formats::HEADER_VALUE),
        Nothing,
        "The key that it wants; absent or empty: none is sent.",
    ),
    field(
        "api_keys",
        Kind::List(const { &Kind::Secret(&formats::HEADER_VALUE) }),
        Nothing,
        "Several keys in place of `api_key`: they take turns, and each cools down by itself.",
    ),
    field(
        "apis",
        Kind::List(&Kind::Choice(names::<Api>)),
        Depends("openai: all but `messages` and `count_tokens`; anthropic: those two"),
        "The calls that it has.",
    ),
    field("enabled", Kind::Bool, Value("true"), "Whether it may be used."),
    field(
        "headers",
        Kind::Map(
            Keys::Of(&formats::HEADER_NAME),
            const { &Kind::Hidden(&formats::HEADER_VALUE) },
        ),
        Nothing,
        "Headers that are added to each request.",
    ),
    field(
        "query",
        Kind::Map(
            Keys::Of(&formats::FILLED),
            const { &Kind::Hidden(&formats::TEXT) },
        ),
        Nothing,
        "Query parameters that are added to each request.",
    ),
    field(
        "auth",
        Kind::Choice(names::<Auth>),
        Value("auto"),
        "How it wants its key. `auto`: as its protocol does; `api-key` is Azure's way.",
    ),
    field(
        "paths",
        Kind::Map(
            Keys::Among(names::<Api>),
            const { &Kind::Text(&formats::URL_PATH) },
        ),
        Nothing,
        "Where its path differs from `url` and the protocol's own, by call.",
    ),
    field(
        "http",
        Kind::Choice(names::<HttpVersion>),
        Value("auto"),
        "The HTTP version. `auto`: as TLS (ALPN) agrees.",
    ),
    field(
        "http_proxy",
        Kind::Hidden(&formats::PROXY),
        Value("none"),
        "A proxy on the way to it: `none`, `env` (the usual variables), or a URL.",
    ),
    field(
        "max_concurrent",
        COUNT,
        Nothing,
        "Requests at once; when it is full, it is skipped.",
    ),
    field(
        "timeout",
        Kind::Section(&bounds::OVERRIDES),
        Nothing,
        "Clocks that differ from `timeout`.",
    ),
    field("tls", Kind::Section(&TLS), Nothing, "TLS towards it."),
    field(
        "allow_metadata",
        Kind::Bool,
        Value("false"),
        "Whether `url` may be a cloud's metadata address, which hands out credentials.",
    ),
    field(
        "on_disconnect",
        Kind::Choice(names::<OnDisconnect>),
        Value("cancel"),
        "When a client goes away: `cancel` the request, or `drain` it: read the answer to its end, within its timeouts, for exact \
         usage. The client's place is free at once, and no other backend is asked.",
    ),
];

/// `tls` of a backend
pub(crate) static TLS: Section = Section {
    name: "backends[].tls",
    about: "TLS towards a backend.",
    fields: &[
        field(
            "ca",
            FILLED,
            Nothing,
            "A PEM file of authorities to trust in place of the system's.",
        ),
        field(
            "insecure",
            Kind::Bool,
            Value("false"),
            "Whether certificates go unchecked. For experiments only.",
        ),
    ],
};
