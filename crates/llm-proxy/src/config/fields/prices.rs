//! Keys of a file of prices: the one that `prices.file` names, and those that are built in.

use super::Default::{List, Nothing, Required};
use super::{FILLED, Field, Keys, Kind, Section, field};
use crate::config::formats;

/// The names of the built-in hosts and of further models.
const NAMES: Kind = Kind::List(&FILLED);
const INPUT_ABOUT: &str = "Input that comes from no cache.";
const OUTPUT_ABOUT: &str = "Output, reasoning included; `0` where there is none, as with embeddings.";
const CACHED_ABOUT: &str = "Input that comes from the prompt cache; absent: as `input`.";
const WRITE_ABOUT: &str = "Input that is written to the prompt cache; absent: as `input`.";
const HOUR_ABOUT: &str = "Of that, what is kept for an hour; absent: as `cache_write`.";

/// The whole file
pub(crate) static PRICE_LIST: Section = Section {
    name: "The file of prices",
    about: "What `prices.file` names. All prices are US dollars for a million tokens. It goes before the built-in table, \
            name by name.",
    fields: &[
        field(
            "models",
            Kind::Map(Keys::Of(&formats::FILLED), const { &Kind::Section(&PRICE) }),
            Nothing,
            "Prices by the backend's model or by the alias. A name with `*` is a glob; `backend/model` is the price of \
             that backend alone, and goes before all others.",
        ),
        field(
            "hosts",
            NAMES,
            List(&[]),
            "The prices hold for backends at these hosts alone, and at hosts below them.",
        ),
        field(
            "source",
            FILLED,
            Nothing,
            "Where the prices come from, for people.",
        ),
        field(
            "date",
            Kind::Text(&formats::DATE),
            Nothing,
            "When they were that, for people.",
        ),
    ],
};

/// A value of `models`
pub(crate) static PRICE: Section = Section {
    name: "A price",
    about: "What a million tokens of a model cost, in US dollars. All zeros: it is free.",
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    field("input", Kind::Amount, Required, INPUT_ABOUT),
    field("output", Kind::Amount, Required, OUTPUT_ABOUT),
    field("cached_input", Kind::Amount, Nothing, CACHED_ABOUT),
    field("cache_write", Kind::Amount, Nothing, WRITE_ABOUT),
    field("cache_write_1h", Kind::Amount, Nothing, HOUR_ABOUT),
    field(
        "above",
        Kind::List(const { &Kind::Section(&STEP) }),
        List(&[]),
        "What a request with a longer prompt costs instead, all of it; a list for several steps.",
    ),
    field("also", NAMES, List(&[]), "Other names of the same model."),
];

/// A value of `above`
pub(crate) static STEP: Section = Section {
    name: "A step of a price",
    about: "The prices of a request whose prompt is longer. What is absent is as for shorter ones.",
    fields: &[
        field(
            "tokens",
            Kind::Int(1, i64::MAX),
            Required,
            "For prompts of more tokens than these, the cached ones included.",
        ),
        field("input", Kind::Amount, Nothing, INPUT_ABOUT),
        field("output", Kind::Amount, Nothing, OUTPUT_ABOUT),
        field("cached_input", Kind::Amount, Nothing, CACHED_ABOUT),
        field("cache_write", Kind::Amount, Nothing, WRITE_ABOUT),
        field("cache_write_1h", Kind::Amount, Nothing, HOUR_ABOUT),
    ],
};
