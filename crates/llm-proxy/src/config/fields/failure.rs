//! Keys about failure: falling back, cooling down, detection.

use super::Default::{List, Nothing, Required, Value};
use super::{COUNT, FILLED, Field, Keys, Kind, Section, field};
use crate::base::Class;
use crate::config::formats;
use crate::config::names::names;
use crate::config::types::WhenAllCooling;

/// `fallback`
pub(crate) static FALLBACK: Section = Section {
    name: "fallback",
    about: "How requests fall back, and what cools down for how long.",
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    field(
        "max_attempts",
        Kind::Int(1, 100),
        Value("3"),
        "Attempts over all candidates of one request.",
    ),
    field(
        "cooldown",
        Kind::Duration,
        Value("15s"),
        "The first cooldown; it doubles at each further trip.",
    ),
    field(
        "cooldown_max",
        Kind::Duration,
        Value("5m"),
        "Where the doubling ends. A backend's own word (`Retry-After`, reset times) may be longer, up to 24 hours.",
    ),
    field(
        "cooldowns",
        Kind::Map(Keys::Among(names::<Class>), &Kind::Duration),
        Nothing,
        "First cooldowns of classes of failure with one of their own. Built in: `auth: 10m`, `quota: 30m`, `not_found: 10m`.",
    ),
    field(
        "trip",
        Kind::Section(&TRIP),
        Nothing,
        "When failures begin a cooldown.",
    ),
    field(
        "retry_budget",
        Kind::Share,
        Value("0.2"),
        "Extra attempts as a share of requests, on top of ten a second that are always allowed; 1: no limit. Aliases \
         that lead to the same backends share it.",
    ),
    field(
        "slow_failure_cutoff",
        Kind::Timeout,
        Value("30s"),
        "An attempt that took longer than this to fail is the last: its user has waited enough. Silence up to \
         `timeout.first_byte` is not meant, nor a client that tells how long it waits (`x-request-timeout-ms`).",
    ),
    field(
        "when_all_cooling",
        Kind::Choice(names::<WhenAllCooling>),
        Value("probe"),
        "When everything that a request could use is cooling: `probe` (wait up to two seconds for the first to \
         recover, else probe it at once), `fail`, or `always_try`.",
    ),
];

/// `fallback.trip`
pub(crate) static TRIP: Section = Section {
    name: "fallback.trip",
    about: "When failures begin a cooldown of a backend's model.",
    fields: &[
        field("consecutive", COUNT, Value("3"), "So many failures in a row,"),
        field(
            "error_rate",
            Kind::Share,
            Value("0.5"),
            "or this share of the requests in the window,",
        ),
        field(
            "min_requests",
            COUNT,
            Value("10"),
            "of which there must be so many.",
        ),
        field("window", Kind::Timeout, Value("30s"), "The window."),
    ],
};

/// `detection`
pub(crate) static DETECTION: Section = Section {
    name: "detection",
    about: "What counts as a failure, on top of the built-in classes.",
    fields: &[
        field(
            "error_codes",
            Kind::List(const { &Kind::Text(&formats::STATUS) }),
            List(&["401", "402", "403", "404", "408", "429", "5xx"]),
            "Statuses that fall back: exact ones, `4xx`, `5xx`.",
        ),
        field(
            "error_patterns",
            Kind::List(const { &Kind::Text(&formats::PATTERN) }),
            List(&[]),
            "Texts or `/regex/` in error bodies and first events that fall back.",
        ),
        field(
            "error_map",
            Kind::List(const { &Kind::Section(&ERROR_MAP) }),
            List(&[]),
            "The class of a backend's odd answers.",
        ),
    ],
};

/// An item of `detection.error_map`
pub(crate) static ERROR_MAP: Section = Section {
    name: "detection.error_map[]",
    about: "The class of answers that fit all of what is given here.",
    fields: &[
        field("backend", FILLED, Nothing, "Only this backend's."),
        field(
            "status",
            Kind::Text(&formats::STATUS),
            Nothing,
            "Only with this status.",
        ),
        field(
            "pattern",
            Kind::Text(&formats::PATTERN),
            Nothing,
            "Only with this in the body.",
        ),
        field("class", Kind::Choice(names::<Class>), Required, "The class."),
    ],
};
