//! Tools that a model may ask for, and how it has to choose.

use std::borrow::Cow;

use super::block::CacheMark;
use super::json::Json;
use super::loss::Refusal;
use super::text::JsonStr;

/// A tool that a request offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool<'a> {
    /// Its name; the kind of a hosted one that has none.
    pub name: Cow<'a, str>,
    /// The namespace that it stands in (responses).
    pub namespace: Option<Cow<'a, str>>,
    /// What it is for.
    pub description: Option<JsonStr<'a>>,
    /// What it takes, and who runs it.
    pub kind: ToolKind<'a>,
    /// Whether its arguments must obey the schema to the letter; nothing where the client did not say.
    pub strict: Option<bool>,
    /// A cache mark on it.
    pub cache: Option<CacheMark>,
}

/// What a tool takes, and who runs it.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind<'a> {
    /// The client, with arguments of this JSON Schema; nothing for none.
    Function(Option<Json<'a>>),
    /// The client, with free text; the raw `format`, in the flat form of responses or the nested one of chat.
    Custom(Option<Json<'a>>),
    /// The client: a search for further tools (responses), with the schema of its arguments.
    ToolSearch(Option<Json<'a>>),
    /// The provider: a search of the web.
    WebSearch {
        /// `["example.org"]`
        allowed_domains: Option<Json<'a>>,
        /// `{"type":"approximate", city, country, region, timezone}`
        user_location: Option<Json<'a>>,
    },
    /// The provider, in a way that only its own dialect knows.
    Hosted,
    /// The client, by a convention that the model was trained for, without a schema on the wire (`bash_20250124`).
    Trained,
}

impl Tool<'_> {
    /// The refusal of a request that needs a tool which no backend of the target's dialect has.
    pub fn cannot_be_had(&self) -> Refusal {
        let message = format!(
            "The tool '{}' cannot be had from this model's backends.",
            self.name
        );
        Refusal::unsupported(format!("tools.{}", self.name), message)
    }
}

/// Which tool the model has to choose.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice<'a> {
    /// Any or none.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named {
        /// Its name.
        name: Cow<'a, str>,
        /// Its namespace.
        namespace: Option<Cow<'a, str>>,
    },
    /// One of these, at least one if `required`.
    Allowed {
        /// Whether one must be chosen.
        required: bool,
        /// Their names.
        names: Vec<Cow<'a, str>>,
    },
    /// A tool of the provider, by its kind.
    Hosted(Cow<'a, str>),
}
