//! Keys of prompts.

use super::Default::{List, Nothing, Value};
use super::{FILLED, Field, GLOBS, Kind, ORDER, Section, TEXT, field};
use crate::config::names::names;
use crate::config::types::PromptPosition;

/// An item of `system_prompts`
pub(crate) static PROMPT: Section = Section {
    name: "system_prompts[]",
    about: "A prompt: one of `dir`, `file` and `text`. The other keys belong to `text`; files say them in front matter.",
    fields: &[
        field("dir", FILLED, Nothing, "A folder: all its `*.md`."),
        field("file", FILLED, Nothing, "A Markdown file."),
        field(
            "text",
            TEXT,
            Nothing,
            "The text itself. It has variables of its own; those of this file do not work in it.",
        ),
        POSITION,
        SEPARATOR,
        MODELS,
        KEYS,
        PRIORITY,
        ENABLED,
    ],
};

/// The front matter of a prompt file.
pub(crate) static FRONT: Section = Section {
    name: "front matter",
    about: "The settings of a prompt file.",
    fields: &[POSITION, SEPARATOR, MODELS, KEYS, PRIORITY, ENABLED],
};

const POSITION: Field = field(
    "position",
    Kind::Choice(names::<PromptPosition>),
    Value("before"),
    "Before or after the client's own system text, or in its place.",
);
const SEPARATOR: Field = field(
    "separator",
    TEXT,
    Value("\n\n"),
    "Between the two, where they become one string.",
);
const MODELS: Field = field(
    "models",
    GLOBS,
    List(&["*"]),
    "Globs of the aliases that it is for.",
);
const KEYS: Field = field(
    "keys",
    GLOBS,
    List(&["*"]),
    "Globs of the names of API keys that it is for.",
);
const PRIORITY: Field = field("priority", ORDER, Value("100"), "Lower first.");
const ENABLED: Field = field("enabled", Kind::Bool, Value("true"), "Whether it is used.");
