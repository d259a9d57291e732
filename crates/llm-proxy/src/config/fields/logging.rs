//! Keys about what the program leaves behind: logs and ledger; and the cluster and prices beside them.

use super::Default::{Nothing, Required, Value};
use super::{COUNT, FILLED, Field, Kind, Section, field};
use crate::config::formats;
use crate::config::names::names;
use crate::config::types::{Bodies, LogFormat, Mask, Rotate};

/// `logging`
pub(crate) static LOGGING: Section = Section {
    name: "logging",
    about: "Logs.",
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    field(
        "level",
        Kind::Text(&formats::LOG_LEVEL),
        Value("info"),
        "The level, perhaps by module: `info,llm_proxy::routing=debug`.",
    ),
    field(
        "format",
        Kind::Choice(names::<LogFormat>),
        Value("auto"),
        "The form of lines. `auto`: `pretty` on a terminal, `json` elsewhere. A change needs a restart.",
    ),
    field(
        "file",
        Kind::Section(&FILE),
        Nothing,
        "A file beside standard error, `llm-proxy.log`, always as JSON.",
    ),
    field("access", Kind::Bool, Value("true"), "One line for each request."),
    field(
        "bodies",
        Kind::Choice(names::<Bodies>),
        Value("off"),
        "Which requests leave their bodies, masked and cut, as files in the folder `bodies` of `file.dir`, for debugging.",
    ),
    field(
        "mask",
        Kind::Choice(names::<Mask>),
        Value("standard"),
        "What is masked. `standard`: keys and tokens; `strict`: e-mail and network addresses too.",
    ),
];

/// `logging.file`
pub(crate) static FILE: Section = Section {
    name: "logging.file",
    about: "A log file.",
    fields: &[
        field("dir", FILLED, Value("logs"), "Its folder."),
        field(
            "rotate",
            Kind::Choice(names::<Rotate>),
            Value("daily"),
            "When a new file begins, by UTC: each day, each hour or never.",
        ),
        field(
            "max_size",
            Kind::Size,
            Value("100MiB"),
            "The size at which a new file begins.",
        ),
        field("max_files", COUNT, Value("14"), "How many old ones are kept."),
        field(
            "compress",
            Kind::Bool,
            Value("true"),
            "Whether old ones are compressed with gzip.",
        ),
    ],
};

/// `ledger`
pub(crate) static LEDGER: Section = Section {
    name: "ledger",
    about: "A record of usage and cost for each request.",
    fields: &[
        field(
            "url",
            Kind::Hidden(&formats::LEDGER),
            Value("off"),
            "Where it is: `sqlite:file.db`, `postgres://...` for several nodes, or `off`.",
        ),
        field(
            "retention",
            Kind::TimeoutOrOff,
            Value("90d"),
            "For how long the row of a request is kept, at most a year; `off`: for ever. The sums of each day are kept \
             for 400 days.",
        ),
    ],
};

/// `cluster`
pub(crate) static CLUSTER: Section = Section {
    name: "cluster",
    about: "Several nodes that share limits, budgets and cooldowns.",
    fields: &[field(
        "redis",
        Kind::Hidden(&formats::REDIS),
        Required,
        "The Redis that they share.",
    )],
};

/// `prices`
pub(crate) static PRICES: Section = Section {
    name: "prices",
    about: "Prices of models.",
    fields: &[field(
        "file",
        FILLED,
        Required,
        "A table that overrides the built-in one.",
    )],
};
