//! Blocks of a user as parts of a chat message.

use std::borrow::Cow;

use crate::canon::write::Array;
use crate::canon::{Block, Document, DocumentSource, Image, JsonStr, Losses, Refusal, Source};

/// What a block is called in a text that stands for it.
pub(super) fn kind(block: &Block<'_>) -> &'static str {
    match block {
        Block::Image(_) => "image",
        Block::Audio(_) => "audio",
        _ => "file",
    }
}

/// Writes a block as a part.
///
/// # Errors
/// Chat has no place for it, and leaving it out would change what was asked.
pub(super) fn part(parts: &mut Array<'_>, block: &Block<'_>, losses: &mut Losses) -> Result<(), Refusal> {
    match block {
        Block::Image(it) => image(parts, it)?,
        Block::Document(it) => document(parts, it, losses)?,
        Block::Audio(raw) => {
            parts.object(|it| {
                it.str("type", "input_audio").raw("input_audio", raw.get());
            });
        }
        other => match words(other) {
            Some(words) => write_text(parts, &words),
            None => note(other, losses),
        },
    }
    Ok(())
}

/// A block as words, if it is one of words.
pub(super) fn words<'b>(block: &'b Block<'b>) -> Option<Cow<'b, JsonStr<'b>>> {
    match block {
        Block::Text(text) => Some(Cow::Borrowed(&text.text)),
        Block::Refusal(text) | Block::ToolReference(text) => Some(Cow::Borrowed(text)),
        Block::SearchResult { source, title, texts } => {
            let head = [title, source];
            let all = head.into_iter().chain(texts).filter(|it| !it.is_empty());
            Some(Cow::Owned(JsonStr::joined(all, "\n")))
        }
        _ => None,
    }
}

/// Notes a block that only its own dialect knows.
pub(super) fn note(block: &Block<'_>, losses: &mut Losses) {
    match block {
        Block::Foreign { kind, .. } => losses.note(format!("messages.content.{kind}")),
        Block::WebSearch(_) => losses.note("messages.content.web_search"),
        _ => {}
    }
}

/// Writes a text part.
pub(super) fn write_text(parts: &mut Array<'_>, text: &JsonStr<'_>) {
    parts.object(|it| {
        it.str("type", "text").text("text", text);
    });
}

fn image(parts: &mut Array<'_>, image: &Image<'_>) -> Result<(), Refusal> {
    let url = image.source.to_url().ok_or_else(|| {
        Refusal::unsupported(
            "messages.content.source",
            "A file's id belongs to one provider alone; send the picture itself.",
        )
    })?;
    parts.object(|it| {
        it.str("type", "image_url").object("image_url", |it| {
            it.text("url", &url);
            if let Some(detail) = &image.detail {
                it.text("detail", detail);
            }
        });
    });
    Ok(())
}

fn document(parts: &mut Array<'_>, document: &Document<'_>, losses: &mut Losses) -> Result<(), Refusal> {
    if document.citations {
        losses.note("messages.content.citations");
    }
    match &document.source {
        DocumentSource::File(source @ Source::Data { .. }) => {
            file(parts, document, &source.to_url().unwrap_or_default());
        }
        DocumentSource::File(_) => {
            return Err(Refusal::unsupported(
                "messages.content.source",
                "Chat has no place for a file's address or id; send the file itself.",
            ));
        }
        DocumentSource::Text(text) => write_text(parts, &titled(document, text)),
        DocumentSource::Blocks(blocks) => {
            let head = titled(document, &JsonStr::EMPTY);
            if !head.is_empty() {
                write_text(parts, &head);
            }
            for block in blocks {
                part(parts, block, losses)?;
            }
        }
    }
    Ok(())
}

fn file(parts: &mut Array<'_>, document: &Document<'_>, data: &JsonStr<'_>) {
    let unnamed = JsonStr::spelled_so("document.pdf");
    let name = document.title.as_ref().unwrap_or(&unnamed);
    if let Some(context) = document.context.as_ref().filter(|it| !it.is_empty()) {
        write_text(parts, context);
    }
    parts.object(|it| {
        it.str("type", "file").object("file", |it| {
            it.text("filename", name).text("file_data", data);
        });
    });
}

fn titled(document: &Document<'_>, text: &JsonStr<'_>) -> JsonStr<'static> {
    let parts = [document.title.as_ref(), document.context.as_ref(), Some(text)];
    JsonStr::joined(parts.into_iter().flatten().filter(|it| !it.is_empty()), "\n")
}
