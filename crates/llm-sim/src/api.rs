//! Which endpoints a simulated backend has, as one table.

/// The dialect, or all of them, that a simulated backend speaks. The answer to any other path is 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// OpenAI Chat Completions and OpenAI's lesser APIs.
    Chat,
    /// OpenAI Responses and OpenAI's lesser APIs.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Everything, on one port.
    All,
}

/// One endpoint of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    /// `POST /v1/completions`, the legacy one.
    Completions,
    /// `POST /v1/moderations`
    Moderations,
    /// `POST /v1/images/generations`
    Images,
    /// `POST /v1/audio/speech`; answers with bytes.
    Speech,
    /// `POST /v1/audio/transcriptions` and `/translations`; asked with a multipart form.
    Transcriptions,
    /// `POST /v1/rerank`
    Rerank,
    /// `GET /v1/models` and `GET /v1/models/{id}`
    Models,
}

/// Whose shape an error or a list of models has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Envelope {
    OpenAi,
    Anthropic,
}

/// Why a request has no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoute {
    Path,
    /// The path exists for this other method.
    Method(&'static str),
}

const PATHS: [(&str, Api); 13] = [
    ("/v1/chat/completions", Api::Chat),
    ("/v1/responses", Api::Responses),
    ("/v1/messages", Api::Messages),
    ("/v1/messages/count_tokens", Api::CountTokens),
    ("/v1/embeddings", Api::Embeddings),
    ("/v1/completions", Api::Completions),
    ("/v1/moderations", Api::Moderations),
    ("/v1/images/generations", Api::Images),
    ("/v1/audio/speech", Api::Speech),
    ("/v1/audio/transcriptions", Api::Transcriptions),
    ("/v1/audio/translations", Api::Transcriptions),
    ("/v1/rerank", Api::Rerank),
    ("/v1/models", Api::Models),
];

impl Api {
    /// The endpoint at exactly this path: no doubled `/v1`, no trailing slash. A proxy may forgive its
    /// clients; a provider forgives nothing.
    pub(crate) fn at(path: &str) -> Option<Self> {
        if path.strip_prefix("/v1/models/").is_some_and(|id| !id.is_empty()) {
            return Some(Self::Models);
        }
        PATHS
            .iter()
            .find(|(known, _)| *known == path)
            .map(|(_, api)| *api)
    }

    pub(crate) fn method(self) -> &'static str {
        if self == Self::Models { "GET" } else { "POST" }
    }

    pub(crate) fn envelope(self) -> Envelope {
        match self {
            Self::Messages | Self::CountTokens => Envelope::Anthropic,
            _ => Envelope::OpenAi,
        }
    }

    /// Whether text is asked and text is answered, possibly as a stream.
    pub(crate) fn converses(self) -> bool {
        matches!(
            self,
            Self::Chat | Self::Responses | Self::Messages | Self::Completions
        )
    }

    /// Whether events carry an `event:` line; the others have `data:` alone.
    pub(crate) fn names_its_events(self) -> bool {
        matches!(self, Self::Messages | Self::Responses)
    }

    /// How many events of a healthy stream come before its first delta, where text is all it says.
    pub(crate) fn events_before_deltas(self) -> usize {
        match self {
            Self::Chat => 1,
            Self::Messages => 3,
            Self::Responses => 4,
            _ => 0,
        }
    }
}

impl Speaks {
    /// Whether a backend of this kind has the endpoint.
    pub(crate) fn has(self, api: Api) -> bool {
        match (self, api) {
            (Self::All, _) | (_, Api::Models) | (Self::Messages, Api::Messages | Api::CountTokens) => true,
            (Self::Messages, _) | (_, Api::Messages | Api::CountTokens) => false,
            (Self::Chat, api) => api != Api::Responses,
            (Self::Responses, api) => api != Api::Chat,
        }
    }

    /// The shape of errors where no endpoint decides it.
    pub(crate) fn envelope(self, has_anthropic_version: bool) -> Envelope {
        match self {
            Self::Messages => Envelope::Anthropic,
            Self::All if has_anthropic_version => Envelope::Anthropic,
            _ => Envelope::OpenAi,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_has_the_endpoints_of_its_dialect_alone() {
        for (speaks, api, has) in [
            (Speaks::Chat, Api::Chat, true),
            (Speaks::Chat, Api::Embeddings, true),
            (Speaks::Chat, Api::Responses, false),
            (Speaks::Chat, Api::Messages, false),
            (Speaks::Responses, Api::Responses, true),
            (Speaks::Responses, Api::Chat, false),
            (Speaks::Messages, Api::CountTokens, true),
            (Speaks::Messages, Api::Embeddings, false),
            (Speaks::Messages, Api::Models, true),
            (Speaks::All, Api::Rerank, true),
        ] {
            assert_eq!(speaks.has(api), has, "{speaks:?} and {api:?}");
        }
    }

    #[test]
    fn a_path_is_taken_to_the_letter() {
        assert_eq!(Api::at("/v1/chat/completions"), Some(Api::Chat));
        assert_eq!(Api::at("/v1/models/gpt-5"), Some(Api::Models));
        for wrong in [
            "/chat/completions",
            "/v1/v1/chat/completions",
            "/v1/messages/",
            "/v1/models/",
            "/",
        ] {
            assert_eq!(Api::at(wrong), None, "{wrong}");
        }
    }
}
