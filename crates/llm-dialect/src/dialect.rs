//! The table of dialects and of the API calls that a client can make.

use std::fmt;

/// A wire format that a client speaks: it decides the shape of bodies, streams and errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// `OpenAI` Chat Completions, and the plain `OpenAI` calls beside it (embeddings, audio, ...). Also what a request
    /// is answered in that does not tell its dialect.
    #[default]
    Chat,
    /// `OpenAI` Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
}

impl Dialect {
    /// Every dialect, in the order in which documents list them.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    /// The name used in config, logs and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    /// An event that says nothing: it keeps a silent stream alive, and every client passes over it.
    pub fn sign_of_life(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => ": keep-alive\n\n",
            Self::Messages => "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        }
    }

    /// The dialect of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One kind of API call. A backend lists the ones it has (`apis` in the config).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Api {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/messages`
    Messages,
    /// `POST /v1/messages/count_tokens`
    CountTokens,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/completions` (legacy text completions; it may stream)
    Completions,
    /// `POST /v1/moderations`
    Moderations,
    /// `POST /v1/images/*`
    Images,
    /// `POST /v1/audio/*`
    Audio,
    /// `POST /v1/rerank`
    Rerank,
}

impl Api {
    /// Every API call, in the order in which documents list them.
    pub const ALL: [Self; 10] = [
        Self::Chat,
        Self::Responses,
        Self::Messages,
        Self::CountTokens,
        Self::Embeddings,
        Self::Completions,
        Self::Moderations,
        Self::Images,
        Self::Audio,
        Self::Rerank,
    ];

    /// The name used in the config's `apis` and `paths`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Embeddings => "embeddings",
            Self::Completions => "completions",
            Self::Moderations => "moderations",
            Self::Images => "images",
            Self::Audio => "audio",
            Self::Rerank => "rerank",
        }
    }

    /// The API call of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.name() == name)
    }

    /// The dialect whose bodies and errors this call uses.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Messages | Self::CountTokens => Dialect::Messages,
            Self::Responses => Dialect::Responses,
            _ => Dialect::Chat,
        }
    }

    /// The path below `/v1`, without its variable part (`images` and `audio` have one).
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
            Self::CountTokens => "/messages/count_tokens",
            Self::Embeddings => "/embeddings",
            Self::Completions => "/completions",
            Self::Moderations => "/moderations",
            Self::Images => "/images",
            Self::Audio => "/audio",
            Self::Rerank => "/rerank",
        }
    }

    /// Whether it is a conversation's own call in its dialect: what can be converted.
    pub fn is_conversation(self) -> bool {
        matches!(self, Self::Chat | Self::Responses | Self::Messages)
    }

    /// Whether conversation answers come back, so that a commit point and usage exist.
    pub fn is_generation(self) -> bool {
        matches!(
            self,
            Self::Chat | Self::Responses | Self::Messages | Self::Completions
        )
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
