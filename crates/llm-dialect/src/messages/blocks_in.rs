//! Content blocks of a Messages request.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::wire::{Block as Wire, CacheControl, Source as WireSource};
use crate::canon::reading::{Content, read, sound};
use crate::canon::{
    Block, CacheMark, Document, DocumentSource, Image, Json, JsonStr, Losses, Refusal, Seal, Source, Text,
    ToolCall, ToolInput, ToolResult, seal,
};

/// Ids of searches that we wrote for another provider's: nobody needs them back.
pub(super) const OUR_SEARCH: &str = "srvtoolu_lp_";

/// The content at `path`: a string, blocks, or nothing.
pub(super) fn blocks<'a>(
    raw: Option<&'a RawValue>,
    path: &str,
    losses: &mut Losses,
) -> Result<Vec<Block<'a>>, Refusal> {
    match Content::of(raw) {
        Content::Nothing => Ok(Vec::new()),
        Content::Text(quoted) => {
            let text = JsonStr::from_raw(quoted).unwrap_or_default();
            Ok(vec![Block::text(sound(text, path)?)])
        }
        Content::List(list) => {
            let items: Vec<&'a RawValue> = read(list, path, losses)?;
            let mut blocks = Vec::with_capacity(items.len());
            for (at, raw) in items.into_iter().enumerate() {
                let path = format!("{path}[{at}]");
                let wire: Wire<'a> = read(raw.get(), &path, losses)?;
                blocks.extend(block(wire, raw, &path, losses)?);
            }
            Ok(blocks)
        }
        Content::Other => Err(Refusal::invalid(
            path,
            "Content must be a string or a list of blocks.",
        )),
    }
}

/// The mark that a `cache_control` sets.
pub(super) fn mark(control: &CacheControl) -> CacheMark {
    match control.ttl.as_deref() {
        Some("1h") => CacheMark::OneHour,
        Some("5m") => CacheMark::FiveMinutes,
        _ => CacheMark::Usual,
    }
}

fn block<'a>(
    wire: Wire<'a>,
    raw: &'a RawValue,
    path: &str,
    losses: &mut Losses,
) -> Result<Option<Block<'a>>, Refusal> {
    let cache = wire.cache_control.as_ref().map(mark);
    let block = match &*wire.kind {
        "text" => {
            if wire
                .citations
                .is_some_and(|it| it.get().len() > 2 && it.get() != "null")
            {
                losses.note("messages.content.citations");
            }
            Block::Text(Text {
                cache,
                ..Text::plain(sound(wire.text.ok_or_else(|| missing(path, "text"))?, path)?)
            })
        }
        "image" => Block::Image(Image {
            source: source(wire.source, path)?,
            detail: None,
            cache,
        }),
        "document" => Block::Document(document(&wire, path, cache, losses)?),
        "search_result" => search_result(&wire, path, losses)?,
        "tool_use" => Block::ToolCall(call(&wire, path)?),
        "tool_result" => Block::ToolResult(result(&wire, path, cache, losses)?),
        "thinking" => Block::Reasoning(seal::restore(
            wire.thinking.into_iter().filter(|it| !it.is_empty()).collect(),
            wire.signature.filter(|it| !it.is_empty()),
            Seal::Signature,
        )),
        "redacted_thinking" => Block::Reasoning(seal::restore(Vec::new(), wire.data, Seal::Redacted)),
        "tool_reference" => Block::ToolReference(wire.tool_name.unwrap_or_default()),
        _ if is_our_search(&wire) => return Ok(None),
        kind => Block::Foreign {
            kind: Cow::Owned(kind.to_owned()),
            raw: Json::from(raw),
        },
    };
    Ok(Some(block))
}

fn is_our_search(wire: &Wire<'_>) -> bool {
    let ids = [wire.id.as_ref(), wire.tool_use_id.as_ref()];
    ids.into_iter()
        .flatten()
        .any(|id| id.spelling().starts_with(OUR_SEARCH))
}

fn missing(path: &str, field: &str) -> Refusal {
    Refusal::invalid(
        format!("{path}.{field}"),
        format!("The field '{field}' is missing."),
    )
}

fn call<'a>(wire: &Wire<'a>, path: &str) -> Result<ToolCall<'a>, Refusal> {
    Ok(ToolCall {
        id: wire.id.clone().ok_or_else(|| missing(path, "id"))?,
        name: wire.name.clone().ok_or_else(|| missing(path, "name"))?,
        namespace: None,
        input: ToolInput::Json(wire.input.map_or(Json::spelled_so("{}"), Json::from)),
    })
}

fn result<'a>(
    wire: &Wire<'a>,
    path: &str,
    cache: Option<CacheMark>,
    losses: &mut Losses,
) -> Result<ToolResult<'a>, Refusal> {
    Ok(ToolResult {
        id: wire
            .tool_use_id
            .clone()
            .ok_or_else(|| missing(path, "tool_use_id"))?,
        content: blocks(wire.content, &format!("{path}.content"), losses)?,
        plain: matches!(Content::of(wire.content), Content::Text(_)),
        is_error: wire.is_error,
        custom: false,
        cache,
    })
}

fn search_result<'a>(wire: &Wire<'a>, path: &str, losses: &mut Losses) -> Result<Block<'a>, Refusal> {
    let texts = blocks(wire.content, &format!("{path}.content"), losses)?.into_iter();
    Ok(Block::SearchResult {
        source: wire
            .source
            .and_then(|raw| JsonStr::from_raw(raw.get()))
            .unwrap_or_default(),
        title: wire.title.clone().unwrap_or_default(),
        texts: texts
            .filter_map(|block| match block {
                Block::Text(text) => Some(text.text),
                _ => None,
            })
            .collect(),
    })
}

fn wire_source<'a>(raw: Option<&'a RawValue>, path: &str) -> Result<WireSource<'a>, Refusal> {
    let raw = raw.ok_or_else(|| missing(path, "source"))?;
    serde_json::from_str(raw.get())
        .map_err(|_why| Refusal::invalid(format!("{path}.source"), "The source is not one that is known."))
}

fn source<'a>(raw: Option<&'a RawValue>, path: &str) -> Result<Source<'a>, Refusal> {
    let wire = wire_source(raw, path)?;
    file_source(wire, path)
}

fn file_source<'a>(wire: WireSource<'a>, path: &str) -> Result<Source<'a>, Refusal> {
    let found = match &*wire.kind {
        "base64" => wire.data.map(|data| Source::Data {
            media_type: wire.media_type.unwrap_or_default(),
            data,
        }),
        "url" => wire.url.map(Source::Url),
        "file" => wire.file_id.map(Source::File),
        _ => None,
    };
    found.ok_or_else(|| {
        Refusal::invalid(
            format!("{path}.source"),
            "The source must be base64, url or file.",
        )
    })
}

fn document<'a>(
    wire: &Wire<'a>,
    path: &str,
    cache: Option<CacheMark>,
    losses: &mut Losses,
) -> Result<Document<'a>, Refusal> {
    let from = wire_source(wire.source, path)?;
    let source = match &*from.kind {
        "text" => DocumentSource::Text(from.data.unwrap_or_default()),
        "content" => DocumentSource::Blocks(blocks(from.content, &format!("{path}.source.content"), losses)?),
        _ => DocumentSource::File(file_source(from, path)?),
    };
    Ok(Document {
        source,
        title: wire.title.clone(),
        context: wire.context.clone(),
        citations: wire.citations.is_some_and(|it| it.get().contains("true")),
        cache,
    })
}
