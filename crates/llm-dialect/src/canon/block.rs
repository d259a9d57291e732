//! What a turn is made of.

use std::borrow::Cow;

use super::answer::Citation;
use super::json::Json;
use super::text::JsonStr;

/// A piece of a turn or of an answer. The order of blocks is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Block<'a> {
    /// Text.
    Text(Text<'a>),
    /// A picture.
    Image(Image<'a>),
    /// A file: a PDF, a text, anything with pages.
    Document(Document<'a>),
    /// Recorded speech: the `input_audio` value, which chat and responses share.
    Audio(Json<'a>),
    /// The model's own words of refusal.
    Refusal(JsonStr<'a>),
    /// Reasoning before an answer or a call.
    Reasoning(Reasoning<'a>),
    /// The model asks for a tool.
    ToolCall(ToolCall<'a>),
    /// What a tool gave.
    ToolResult(ToolResult<'a>),
    /// A search that the provider made for the model.
    WebSearch(WebSearch<'a>),
    /// Text with a source, as a tool or a client found it.
    SearchResult {
        /// Where it is from.
        source: JsonStr<'a>,
        /// Its title.
        title: JsonStr<'a>,
        /// Its text.
        texts: Vec<JsonStr<'a>>,
    },
    /// The name of a tool that a search for tools has found.
    ToolReference(JsonStr<'a>),
    /// Something that only its own dialect knows. Encoders of others leave it out and name its kind.
    Foreign {
        /// Its `type`.
        kind: Cow<'a, str>,
        /// All of it.
        raw: Json<'a>,
    },
}

/// A mark up to which the provider is to cache the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMark {
    /// For the provider's usual time.
    Usual,
    /// For five minutes.
    FiveMinutes,
    /// For an hour.
    OneHour,
}

/// A text block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text<'a> {
    /// The text.
    pub text: JsonStr<'a>,
    /// A cache mark on it.
    pub cache: Option<CacheMark>,
    /// Where parts of it come from.
    pub citations: Vec<Citation<'a>>,
    /// Token probabilities: the JSON array of an answer, which chat and responses share.
    pub logprobs: Option<Json<'a>>,
}

impl<'a> Text<'a> {
    /// A text with nothing about it.
    pub fn plain(text: JsonStr<'a>) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

impl<'a> Block<'a> {
    /// A text block with nothing about it.
    pub fn text(text: JsonStr<'a>) -> Self {
        Self::Text(Text::plain(text))
    }
}

/// Where the bytes of a picture or file are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source<'a> {
    /// Here.
    Data {
        /// Their media type, in lower case.
        media_type: Cow<'a, str>,
        /// Base64.
        data: JsonStr<'a>,
    },
    /// At this address. It is never fetched by us.
    Url(JsonStr<'a>),
    /// With the provider that gave this id.
    File(JsonStr<'a>),
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Image<'a> {
    /// Its bytes.
    pub source: Source<'a>,
    /// How closely it is to be looked at (`OpenAI`: auto, low, high, original).
    pub detail: Option<JsonStr<'a>>,
    /// A cache mark on it.
    pub cache: Option<CacheMark>,
}

/// A file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document<'a> {
    /// Its content.
    pub source: DocumentSource<'a>,
    /// Its title or file name.
    pub title: Option<JsonStr<'a>>,
    /// What the client says about it.
    pub context: Option<JsonStr<'a>>,
    /// Whether answers are to cite it.
    pub citations: bool,
    /// A cache mark on it.
    pub cache: Option<CacheMark>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum DocumentSource<'a> {
    /// Bytes: here, at an address or with the provider.
    File(Source<'a>),
    /// Plain text.
    Text(JsonStr<'a>),
    /// Blocks of text and pictures.
    Blocks(Vec<Block<'a>>),
}

/// What a model thought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning<'a> {
    /// What is shown of it, in parts; empty where nothing is.
    pub parts: Vec<JsonStr<'a>>,
    /// Whether the parts are a summary (`OpenAI`), not the thoughts themselves.
    pub summary: bool,
    /// What its maker needs to take it back.
    pub seal: Option<Seal<'a>>,
    /// Who made it, where our own envelope says so: a provider family. Without it, its form tells.
    pub family: Option<Cow<'a, str>>,
}

/// The opaque part of reasoning, in the form of whoever made it.
#[derive(Clone, Debug, PartialEq)]
pub enum Seal<'a> {
    /// Anthropic: the signature of a thinking block.
    Signature(JsonStr<'a>),
    /// Anthropic: the data of a redacted thinking block.
    Redacted(JsonStr<'a>),
    /// `OpenAI`: the id and the encrypted content of a reasoning item.
    Encrypted {
        /// `rs_...`; empty if there was none.
        id: JsonStr<'a>,
        /// `encrypted_content`.
        data: JsonStr<'a>,
    },
    /// Chat hosts: the `reasoning_details` array, to be sent back word for word.
    Details(Json<'a>),
    /// Chat hosts that show reasoning as text alone: nothing is sealed, but the text is theirs (`DeepSeek` wants it back).
    Plain,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall<'a> {
    /// Links it to its result.
    pub id: JsonStr<'a>,
    /// The tool.
    pub name: Cow<'a, str>,
    /// The namespace of the tool (responses).
    pub namespace: Option<Cow<'a, str>>,
    /// What it is called with.
    pub input: ToolInput<'a>,
}

/// What a tool is called with.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolInput<'a> {
    /// A JSON value as it stands (messages).
    Json(Json<'a>),
    /// A JSON value in a string (chat, responses). A model may have broken off within it.
    Arguments(JsonStr<'a>),
    /// Free text for a custom tool.
    Custom(JsonStr<'a>),
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult<'a> {
    /// The call that it answers.
    pub id: JsonStr<'a>,
    /// Texts, pictures, files; empty for none.
    pub content: Vec<Block<'a>>,
    /// Whether the client sent one string, not blocks.
    pub plain: bool,
    /// Whether the tool failed; nothing where the dialect cannot tell.
    pub is_error: Option<bool>,
    /// Whether the tool is a custom one.
    pub custom: bool,
    /// A cache mark on it.
    pub cache: Option<CacheMark>,
}

/// A search of the web made by the provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebSearch<'a> {
    /// Its id.
    pub id: JsonStr<'a>,
    /// What was searched for.
    pub query: JsonStr<'a>,
    /// Addresses and titles of what was found.
    pub sources: Vec<(JsonStr<'a>, JsonStr<'a>)>,
}
