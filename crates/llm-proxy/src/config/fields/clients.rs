//! Keys about clients: TLS, the admin listener, API keys.

use super::Default::{List, Nothing, Required, Value};
use super::{COUNT, FILLED, Field, GLOBS, Kind, ORDER, Section, bounds, field};
use crate::config::formats;
use crate::config::names::names;
use crate::config::types::Period;

/// `tls`
pub(crate) static TLS: Section = Section {
    name: "tls",
    about: "The certificate that clients see. Both files are read again when the config is.",
    fields: &[
        field(
            "cert",
            FILLED,
            Required,
            "A PEM file: the certificate, then those that vouch for it.",
        ),
        field("key", FILLED, Required, "A PEM file: the private key."),
    ],
};

/// `admin`
pub(crate) static ADMIN: Section = Section {
    name: "admin",
    about: "The admin listener: the dashboard at `/`, the same as JSON at `/api/status`, `/metrics`.",
    fields: &[
        field(
            "listen",
            Kind::Text(&formats::ADMIN_LISTEN),
            Value("127.0.0.1:8766"),
            "Its address; `off` turns it off. Any but a loopback address needs `key`.",
        ),
        field(
            "key",
            Kind::Secret(&formats::TEXT),
            Nothing,
            "What `authorization: Bearer` must carry; empty: nothing is asked for.",
        ),
    ],
};

/// An item of `api_keys`
pub(crate) static API_KEY: Section = Section {
    name: "api_keys[]",
    about: "A key that clients present.",
    fields: KEY,
};

const KEY: &[Field] = &[
    field(
        "name",
        Kind::Text(&formats::NAME),
        Required,
        "Its name in logs and metrics; unique.",
    ),
    field(
        "key",
        Kind::Secret(&formats::TEXT),
        Nothing,
        "The key: at least 16 characters. Either this or `key_sha256`.",
    ),
    field(
        "key_sha256",
        Kind::Text(&formats::SHA256),
        Nothing,
        "The SHA-256 of the key in hex, for files that must not hold the key itself.",
    ),
    field(
        "models",
        GLOBS,
        List(&["*"]),
        "Globs of the aliases that it may use.",
    ),
    field(
        "enabled",
        Kind::Bool,
        Value("true"),
        "Whether it is taken. One that is not gets the answer of a key that nobody has.",
    ),
    field(
        "expires",
        Kind::Text(&formats::MOMENT),
        Nothing,
        "When it ends, likewise: a time, or a date, which ends with its day in UTC.",
    ),
    field(
        "rate_limit",
        Kind::Section(&bounds::RATE),
        Nothing,
        "Its own rates.",
    ),
    field(
        "max_concurrent",
        COUNT,
        Nothing,
        "Its own requests at once; the rest wait.",
    ),
    field(
        "priority",
        ORDER,
        Value("0"),
        "Its place in the queue: higher goes first.",
    ),
    field("budget", Kind::Section(&BUDGET), Nothing, "What it may spend."),
];

/// `budget` of a key
pub(crate) static BUDGET: Section = Section {
    name: "api_keys[].budget",
    about: "What a key may spend in a period, by the table of prices.",
    fields: &[
        field("usd", Kind::Positive, Required, "US dollars."),
        field(
            "per",
            Kind::Choice(names::<Period>),
            Value("day"),
            "The period: a calendar day or month in UTC.",
        ),
    ],
};
