//! A request.

use std::borrow::Cow;

use super::block::Block;
use super::json::Json;
use super::text::JsonStr;
use super::tool::{Tool, ToolChoice};

/// What a client asks of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request<'a> {
    /// The model, as the client names it.
    pub model: Cow<'a, str>,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// Whether a chat client wants the closing chunk with the token counts.
    pub include_usage: bool,
    /// Leading instructions: system or developer turns, which hold only texts.
    pub system: Vec<Turn<'a>>,
    /// The conversation. Instructions in its middle are turns of it.
    pub turns: Vec<Turn<'a>>,
    /// Tools on offer, in order.
    pub tools: Vec<Tool<'a>>,
    /// Which of them is to be chosen.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether several calls may come at once; nothing where the client did not say.
    pub parallel_tools: Option<bool>,
    /// The most tokens of the answer, reasoning included.
    pub max_tokens: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<JsonStr<'a>>,
    /// How hard the model is to think.
    pub thinking: Thinking,
    /// The form of the answer.
    pub format: Option<Format<'a>>,
    /// Who uses the client.
    pub user: Option<JsonStr<'a>>,
    /// Further settings, by the name that they have in chat.
    pub carried: Vec<Carried<'a>>,
    /// Members of the request that a Responses answer repeats, in order. Other dialects leave it empty.
    pub echo: Vec<(&'static str, Json<'a>)>,
}

impl<'a> Request<'a> {
    /// The value of a further setting.
    pub fn carried(&self, name: &str) -> Option<&Json<'a>> {
        let mut all = self.carried.iter();
        all.find(|carried| carried.name == name)
            .map(|carried| &carried.value)
    }

    /// Notes a further setting; a `null` is none.
    pub fn carry(&mut self, name: &'static str, value: Option<Json<'a>>) {
        if let Some(value) = value.filter(|value| value.get() != "null") {
            self.carried.push(Carried { name, value });
        }
    }
}

/// A setting that several dialects know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    /// Its name in chat, or in the only dialect that has it.
    pub name: &'static str,
    /// Its value.
    pub value: Json<'a>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client's operator.
    System,
    /// The same, as newer `OpenAI` models call it.
    Developer,
    /// The user, and the tools.
    User,
    /// The model.
    Assistant,
}

/// What one of them says, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn<'a> {
    /// Who.
    pub role: Role,
    /// What.
    pub blocks: Vec<Block<'a>>,
}

/// How hard a model is to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    /// Whether and how.
    pub mode: ThinkMode,
    /// How hard.
    pub effort: Option<Effort>,
}

/// Whether a model is to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThinkMode {
    /// As it does without being told.
    #[default]
    Unset,
    /// Not at all.
    Off,
    /// As it sees fit.
    Adaptive,
    /// With at most so many tokens.
    Budget(u64),
}

/// How hard a model is to think, in `OpenAI`'s words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// Hard.
    High,
    /// Harder.
    XHigh,
    /// As hard as it can.
    Max,
}

impl Effort {
    /// Every effort, the least first.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::XHigh,
        Self::Max,
    ];

    /// Its name on every wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.name() == name)
    }
}

/// The form that an answer must have.
#[derive(Clone, Debug, PartialEq)]
pub enum Format<'a> {
    /// Some JSON object.
    JsonObject,
    /// JSON of this schema.
    Schema {
        /// The schema's name.
        name: Option<JsonStr<'a>>,
        /// What it is for.
        description: Option<JsonStr<'a>>,
        /// The schema.
        schema: Option<Json<'a>>,
        /// Whether it must be obeyed to the letter.
        strict: Option<bool>,
    },
}
