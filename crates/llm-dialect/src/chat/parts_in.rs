//! The content of a chat message as blocks: a string, or parts of several kinds.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::marks::mark;
use super::reasoning;
use super::wire::{FilePart, ImageUrl, Part, PartSource};
use crate::canon::reading::{Content, read};
use crate::canon::{
    Block, CacheMark, Document, DocumentSource, Image, Json, JsonStr, Losses, Refusal, Source, Text,
    ToolCall, ToolInput, ToolResult,
};
use crate::openai::Breakpoint;

/// Reads the content that stands at `path`.
pub(super) fn blocks<'a>(
    raw: Option<&'a RawValue>,
    path: &str,
    losses: &mut Losses,
) -> Result<Vec<Block<'a>>, Refusal> {
    match Content::of(raw) {
        Content::Nothing => Ok(Vec::new()),
        Content::Text(quoted) => Ok(vec![Block::text(JsonStr::from_raw(quoted).unwrap_or_default())]),
        Content::List(list) => {
            let parts: Vec<Part<'a>> = read(list, path, losses)?;
            let numbered = parts.into_iter().enumerate();
            numbered
                .map(|(at, it)| part(it, &format!("{path}[{at}]"), losses))
                .collect()
        }
        Content::Other => Err(Refusal::invalid(
            path,
            "Content must be a string or a list of parts.",
        )),
    }
}

fn part<'a>(part: Part<'a>, path: &str, losses: &mut Losses) -> Result<Block<'a>, Refusal> {
    let theirs = part.cache_control.as_ref().map(mark);
    let cache = theirs.or_else(|| part.prompt_cache_breakpoint.as_ref().map(Breakpoint::mark));
    Ok(match &*part.kind {
        "text" | "input_text" | "output_text" | "" => Block::Text(Text {
            cache,
            ..Text::plain(part.text.ok_or_else(|| missing(path, "text"))?)
        }),
        "refusal" => Block::Refusal(part.refusal.ok_or_else(|| missing(path, "refusal"))?),
        "image_url" | "input_image" => Block::Image(image(part.image_url, path, cache)?),
        "image" => Block::Image(picture(part.source, path, cache)?),
        "file" | "input_file" => Block::Document(file(part.file, path, cache)?),
        "input_audio" => {
            let audio = part.input_audio.ok_or_else(|| missing(path, "input_audio"))?;
            Block::Audio(Json::from(audio))
        }
        "thinking" | "redacted_thinking" => Block::Reasoning(reasoning::of_part(&part)),
        "tool_use" => Block::ToolCall(tool_use(part, path)?),
        "tool_result" => Block::ToolResult(ToolResult {
            id: part.tool_use_id.ok_or_else(|| missing(path, "tool_use_id"))?,
            plain: matches!(Content::of(part.content), Content::Text(_)),
            content: blocks(part.content, &format!("{path}.content"), losses)?,
            is_error: part.is_error,
            custom: false,
            cache,
        }),
        kind => {
            let message = format!(
                "A part of the type '{}' cannot be converted for this model's backends.",
                shown(kind)
            );
            return Err(Refusal::unsupported(path, message));
        }
    })
}

fn shown(kind: &str) -> String {
    kind.chars().take(60).collect()
}

pub(super) fn missing(path: &str, field: &str) -> Refusal {
    Refusal::invalid(
        format!("{path}.{field}"),
        format!("The field '{field}' is missing."),
    )
}

fn image<'a>(raw: Option<&'a RawValue>, path: &str, cache: Option<CacheMark>) -> Result<Image<'a>, Refusal> {
    let raw = raw.map(RawValue::get).ok_or_else(|| missing(path, "image_url"))?;
    let url = match JsonStr::from_raw(raw) {
        Some(url) => ImageUrl { url, detail: None },
        None => serde_json::from_str(raw)
            .map_err(|_why| Refusal::invalid(format!("{path}.image_url"), "An image must have a `url`."))?,
    };
    Ok(Image {
        source: from_url(url.url, &format!("{path}.image_url.url"))?,
        detail: url.detail,
        cache,
    })
}

/// A picture in Anthropic's form.
fn picture<'a>(
    source: Option<PartSource<'a>>,
    path: &str,
    cache: Option<CacheMark>,
) -> Result<Image<'a>, Refusal> {
    let source = source.ok_or_else(|| missing(path, "source"))?;
    let source = match (source.data, source.url) {
        (Some(data), _) => Source::Data {
            media_type: source.media_type.unwrap_or(Cow::Borrowed("image/png")),
            data,
        },
        (None, Some(url)) => Source::Url(url),
        (None, None) => return Err(missing(path, "source.data")),
    };
    Ok(Image {
        source,
        detail: None,
        cache,
    })
}

/// What a URL stands for. One that holds its data in another way than as base64 has no place elsewhere.
fn from_url<'a>(url: JsonStr<'a>, path: &str) -> Result<Source<'a>, Refusal> {
    match Source::from_url(url) {
        Source::Url(url) if url.spelling().starts_with("data:") => Err(Refusal::invalid(
            path,
            "A data URL must hold base64: `data:image/png;base64,...`.",
        )),
        source => Ok(source),
    }
}

fn file<'a>(
    file: Option<FilePart<'a>>,
    path: &str,
    cache: Option<CacheMark>,
) -> Result<Document<'a>, Refusal> {
    let file = file.ok_or_else(|| missing(path, "file"))?;
    let source = match (file.file_data, file.file_id) {
        (Some(data), _) => match from_url(data, &format!("{path}.file.file_data"))? {
            // Without a head it is base64 alone; what it is of, its name tells.
            Source::Url(data) => Source::Data {
                media_type: Cow::Borrowed("application/pdf"),
                data,
            },
            source => source,
        },
        (None, Some(id)) => Source::File(id),
        (None, None) => return Err(missing(path, "file.file_data")),
    };
    Ok(Document {
        source: DocumentSource::File(source),
        title: file.filename,
        context: None,
        citations: false,
        cache,
    })
}

/// A call in Anthropic's form.
fn tool_use<'a>(part: Part<'a>, path: &str) -> Result<ToolCall<'a>, Refusal> {
    Ok(ToolCall {
        id: part.id.ok_or_else(|| missing(path, "id"))?,
        name: part.name.ok_or_else(|| missing(path, "name"))?,
        namespace: None,
        input: part.input.map_or(ToolInput::Arguments(JsonStr::EMPTY), |raw| {
            ToolInput::Json(Json::from(raw))
        }),
    })
}
