//! What parts of an answer weigh in memory, about: for those who must keep them until more has come.

use super::answer::Citation;
use super::block::{Seal, WebSearch};
use super::delta::{Head, Piece};
use super::text::JsonStr;

impl Head<'_> {
    /// The bytes that keeping it takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Text | Self::Refusal | Self::Reasoning { .. } => 0,
            Self::ToolCall {
                id, name, namespace, ..
            } => length(id) + name.len() + namespace.as_deref().map_or(0, str::len),
            Self::WebSearch(search) => search.size(),
        }
    }
}

impl Piece<'_> {
    /// The bytes that keeping it takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Words(words) => length(words),
            Self::NextPart => size_of::<JsonStr<'_>>(),
            Self::Seal(seal) => seal.size(),
            Self::Citation(citation) => citation.size(),
            Self::Logprobs(items) => items.len(),
        }
    }
}

impl Seal<'_> {
    fn size(&self) -> usize {
        match self {
            Self::Signature(text) | Self::Redacted(text) => length(text),
            Self::Encrypted { id, data } => length(id) + length(data),
            Self::Details(raw) => raw.get().len(),
            Self::Plain => 0,
        }
    }
}

impl Citation<'_> {
    fn size(&self) -> usize {
        size_of::<Self>() + length(&self.url) + length(&self.title) + length(&self.cited)
    }
}

impl WebSearch<'_> {
    fn size(&self) -> usize {
        let sources = self.sources.iter();
        let sources = sources.map(|(url, title)| size_of_val(url) * 2 + length(url) + length(title));
        length(&self.id) + length(&self.query) + sources.sum::<usize>()
    }
}

fn length(text: &JsonStr<'_>) -> usize {
    text.spelling().len()
}
