//! Keys of an alias and of its routes.

use llm_dialect::needs::Feature;

use super::Default::{List, Nothing, Required, Value};
use super::{FILLED, Field, Keys, Kind, ORDER, Section, bounds, field};
use crate::config::formats;
use crate::config::names::{Affinity, names};
use crate::config::types::Strategy;

const BACKEND_ABOUT: &str = "The backend's name.";
const MODEL_ABOUT: &str = "The backend's name for the model; absent: the client's name goes on as it is.";
const PRIORITY_ABOUT: &str = "Lower is tried first.";
const WEIGHT_ABOUT: &str = "Its share among routes of one priority; 0: only when the others are gone.";
const CONTEXT_ABOUT: &str = "The context window in tokens: a request that surely does not fit goes to a larger one, and so \
                             does one that the backend finds too long.";
const MAX_TOKENS_ABOUT: &str =
    "The longest answer in tokens that may be asked for: a request for more goes elsewhere.";
const LACKS_ABOUT: &str = "What its model cannot do: a request that needs it goes elsewhere.";
const WEIGHT: Kind = Kind::Int(0, 1_000_000);
const CONTEXT: Kind = Kind::Int(1, i64::MAX);
const LACKS: Kind = Kind::List(&Kind::Choice(names::<Feature>));

/// A value of `models`
pub(crate) static MODEL: Section = Section {
    name: "models.*",
    about: "An alias: its `routes`, or `backend` and what belongs to it as the short form of one route.",
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    field(
        "routes",
        Kind::List(const { &Kind::Section(&ROUTE) }),
        Nothing,
        "Where it leads.",
    ),
    field(
        "backend",
        FILLED,
        Nothing,
        "Short form of one route: the backend's name.",
    ),
    field(
        "model",
        FILLED,
        Nothing,
        "Short form: the backend's name for the model.",
    ),
    field("priority", ORDER, Value("1"), PRIORITY_ABOUT),
    field("weight", WEIGHT, Value("1"), WEIGHT_ABOUT),
    field("context", CONTEXT, Nothing, CONTEXT_ABOUT),
    field("max_tokens", CONTEXT, Nothing, MAX_TOKENS_ABOUT),
    field("lacks", LACKS, List(&[]), LACKS_ABOUT),
    field(
        "strategy",
        Kind::Choice(names::<Strategy>),
        Value("weighted"),
        "The choice within a priority: `weighted` round robin, the `least_busy`, the `fastest` of two, or \
         `random` by weight.",
    ),
    field(
        "affinity",
        Kind::Choice(names::<Affinity>),
        Value("auto"),
        "Whether a conversation stays on the backend and key that hold its prompt cache.",
    ),
    field(
        "fallback",
        Kind::List(&FILLED),
        List(&[]),
        "Other aliases, tried in turn once every route here has failed; cycles are harmless.",
    ),
    field(
        "defaults",
        Kind::Map(Keys::Of(&formats::FILLED), &Kind::Json),
        Nothing,
        "Fields that are filled in where the request has none.",
    ),
    field(
        "overrides",
        Kind::Map(Keys::Of(&formats::FILLED), &Kind::Json),
        Nothing,
        "Fields that are always set.",
    ),
    field("enabled", Kind::Bool, Value("true"), "Whether it may be used."),
    field(
        "timeout",
        Kind::Section(&bounds::OVERRIDES),
        Nothing,
        "Clocks that differ from `timeout`.",
    ),
];

/// An item of `routes`
pub(crate) static ROUTE: Section = Section {
    name: "models.*.routes[]",
    about: "One way from an alias to a backend.",
    fields: &[
        field("backend", FILLED, Required, BACKEND_ABOUT),
        field("model", FILLED, Nothing, MODEL_ABOUT),
        field("priority", ORDER, Value("1"), PRIORITY_ABOUT),
        field("weight", WEIGHT, Value("1"), WEIGHT_ABOUT),
        field("context", CONTEXT, Nothing, CONTEXT_ABOUT),
        field("max_tokens", CONTEXT, Nothing, MAX_TOKENS_ABOUT),
        field("lacks", LACKS, List(&[]), LACKS_ABOUT),
        field("enabled", Kind::Bool, Value("true"), "Whether it may be used."),
    ],
};
