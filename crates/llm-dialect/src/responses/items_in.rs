//! The items of a Responses request as turns.
//!
//! Items that a model made in one go (reasoning, words, calls) are one turn, results of tools are a turn of the user. A
//! result that comes late is put behind its call, since no other dialect takes it elsewhere.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::request_in::refers;
use super::tools_in;
use super::wire::{Item, Part};
use crate::canon::reading::{Content, read, sound};
use crate::canon::{
    Block, CacheMark, Document, DocumentSource, Image, Json, JsonStr, Losses, Reasoning, Refusal, Request,
    Role, Seal, Source, Text, Tool, ToolCall, ToolInput, ToolResult, Turn, seal,
};
use crate::openai::Breakpoint;

/// Reads `input` into the request.
pub(super) fn conversation<'a>(
    raw: Option<&'a RawValue>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let items: Vec<&'a RawValue> = match Content::of(raw) {
        Content::Nothing => return Err(Refusal::invalid("input", "The field 'input' is missing.")),
        Content::Text(quoted) => {
            let text = JsonStr::from_raw(quoted).unwrap_or_default();
            request.turns.push(Turn {
                role: Role::User,
                blocks: vec![Block::text(sound(text, "input")?)],
            });
            return Ok(());
        }
        Content::List(list) => read(list, "input", losses)?,
        Content::Other => {
            return Err(Refusal::invalid(
                "input",
                "The field 'input' must be a string or a list.",
            ));
        }
    };
    for (at, raw) in items.into_iter().enumerate() {
        let path = format!("input[{at}]");
        let item: Item<'a> = read(raw.get(), &path, losses)?;
        take(item, raw, &path, request, losses)?;
    }
    Ok(())
}

fn take<'a>(
    item: Item<'a>,
    raw: &'a RawValue,
    path: &str,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    match &*item.kind {
        "message" | "" => message(item, path, request, losses),
        // A search that its provider made by itself calls nobody.
        "tool_search_call" | "tool_search_output" if item.call_id.is_none() => {
            offered(request, item.tools, path, losses)?;
            said(request, foreign(&item.kind, raw));
            Ok(())
        }
        "function_call" | "custom_tool_call" | "tool_search_call" => {
            let call = call(item, path)?;
            said(request, Block::ToolCall(call));
            Ok(())
        }
        "function_call_output" | "custom_tool_call_output" | "tool_search_output" => {
            // Tools that a search has found can be called from now on.
            offered(request, item.tools, path, losses)?;
            let result = result(item, path, losses)?;
            answered(request, result);
            Ok(())
        }
        "reasoning" => {
            let reasoning = reasoning(item, path, losses)?;
            said(request, Block::Reasoning(reasoning));
            Ok(())
        }
        "item_reference" => Err(refers(path)),
        "additional_tools" => offered(request, item.tools, path, losses),
        // Codex has three names for it.
        kind if kind.contains("compaction") => Err(Refusal::unsupported(
            path,
            "A compacted conversation can be read by the provider that compacted it, and by nobody else; start a new one.",
        )),
        _ => {
            said(request, foreign(&item.kind, raw));
            Ok(())
        }
    }
}

/// An item that only its own dialect knows.
fn foreign<'a>(kind: &str, raw: &'a RawValue) -> Block<'a> {
    Block::Foreign {
        kind: Cow::Owned(kind.to_owned()),
        raw: Json::from(raw),
    }
}

/// Adds tools to those on offer. A conversation repeats what it has found; two tools of one name are refused everywhere.
fn offered<'a>(
    request: &mut Request<'a>,
    raw: Option<&'a RawValue>,
    path: &str,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    for tool in tools_in::tools(raw, &format!("{path}.tools"), losses)? {
        let is_same = |known: &Tool<'_>| known.name == tool.name && known.namespace == tool.namespace;
        if !request.tools.iter().any(is_same) {
            request.tools.push(tool);
        }
    }
    Ok(())
}

/// Adds what the model said to its turn.
fn said<'a>(request: &mut Request<'a>, block: Block<'a>) {
    match request.turns.last_mut() {
        Some(turn) if turn.role == Role::Assistant => turn.blocks.push(block),
        _ => request.turns.push(Turn {
            role: Role::Assistant,
            blocks: vec![block],
        }),
    }
}

/// Puts a result behind its call: into the turn of results that follows it, or into a new one there.
fn answered<'a>(request: &mut Request<'a>, result: ToolResult<'a>) {
    let turns = &mut request.turns;
    let makes = |turn: &Turn<'_>| {
        turn.blocks
            .iter()
            .any(|block| matches!(block, Block::ToolCall(call) if call.id == result.id))
    };
    let after = turns.iter().rposition(makes).map_or(turns.len(), |at| at + 1);
    let block = Block::ToolResult(result);
    match turns.get_mut(after) {
        Some(turn) if turn.role == Role::User && holds_results(turn) => {
            let results = turn
                .blocks
                .iter()
                .take_while(|it| matches!(it, Block::ToolResult(_)))
                .count();
            turn.blocks.insert(results, block);
        }
        _ => turns.insert(
            after,
            Turn {
                role: Role::User,
                blocks: vec![block],
            },
        ),
    }
}

fn holds_results(turn: &Turn<'_>) -> bool {
    matches!(turn.blocks.first(), Some(Block::ToolResult(_)))
}

fn message<'a>(
    item: Item<'a>,
    path: &str,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let role = match item.role.as_deref() {
        Some("user") | None => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some(_) => {
            let message = "The role of a message must be user, assistant, system or developer.";
            return Err(Refusal::invalid(format!("{path}.role"), message));
        }
    };
    let blocks = content(item.content, &format!("{path}.content"), losses)?;
    let instructs = matches!(role, Role::System | Role::Developer);
    if instructs && !blocks.iter().all(|block| matches!(block, Block::Text(_))) {
        return Err(Refusal::unsupported(
            format!("{path}.content"),
            "Instructions for this model's backends can hold text alone.",
        ));
    }
    if instructs && request.turns.is_empty() {
        request.system.push(Turn { role, blocks });
        return Ok(());
    }
    match request.turns.last_mut() {
        Some(turn) if role == Role::Assistant && turn.role == role => turn.blocks.extend(blocks),
        _ => request.turns.push(Turn { role, blocks }),
    }
    Ok(())
}

fn content<'a>(
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
            let parts: Vec<Part<'a>> = read(list, path, losses)?;
            let numbered = parts.into_iter().enumerate();
            numbered
                .map(|(at, it)| part(it, &format!("{path}[{at}]")))
                .collect()
        }
        Content::Other => Err(Refusal::invalid(
            path,
            "Content must be a string or a list of parts.",
        )),
    }
}

fn part<'a>(part: Part<'a>, path: &str) -> Result<Block<'a>, Refusal> {
    let cache = part.prompt_cache_breakpoint.as_ref().map(Breakpoint::mark);
    match &*part.kind {
        "input_text" | "output_text" | "text" | "" => Ok(Block::Text(Text {
            cache,
            ..Text::plain(sound(part.text.unwrap_or_default(), path)?)
        })),
        "refusal" => Ok(Block::Refusal(sound(part.refusal.unwrap_or_default(), path)?)),
        "input_image" | "image_url" => Ok(Block::Image(image(part, path, cache)?)),
        "input_file" | "file" => Ok(Block::Document(file(part, path, cache)?)),
        "input_audio" => part
            .input_audio
            .map(|raw| Block::Audio(Json::from(raw)))
            .ok_or_else(|| {
                Refusal::invalid(
                    format!("{path}.input_audio"),
                    "The field 'input_audio' is missing.",
                )
            }),
        kind => {
            let kind: String = kind.chars().take(60).collect();
            let message =
                format!("A part of the type '{kind}' cannot be converted for this model's backends.");
            Err(Refusal::unsupported(path, message))
        }
    }
}

fn image<'a>(part: Part<'a>, path: &str, cache: Option<CacheMark>) -> Result<Image<'a>, Refusal> {
    #[derive(serde::Deserialize)]
    struct Nested<'a> {
        #[serde(borrow)]
        url: JsonStr<'a>,
    }
    let url = part.image_url.map(RawValue::get).and_then(|raw| {
        let nested = || serde_json::from_str::<Nested<'a>>(raw).ok().map(|it| it.url);
        JsonStr::from_raw(raw).or_else(nested)
    });
    let source = match (url, part.file_id) {
        (Some(url), _) => Source::from_url(url),
        (None, Some(id)) => Source::File(id),
        (None, None) => {
            return Err(Refusal::invalid(
                format!("{path}.image_url"),
                "An image must have an `image_url`.",
            ));
        }
    };
    Ok(Image {
        source,
        detail: part.detail,
        cache,
    })
}

fn file<'a>(part: Part<'a>, path: &str, cache: Option<CacheMark>) -> Result<Document<'a>, Refusal> {
    let source = match (part.file_data, part.file_url, part.file_id) {
        (Some(data), _, _) => match Source::from_url(data) {
            Source::Url(data) => Source::Data {
                media_type: Cow::Borrowed("application/pdf"),
                data,
            },
            source => source,
        },
        (None, Some(url), _) => Source::Url(url),
        (None, None, Some(id)) => Source::File(id),
        (None, None, None) => {
            return Err(Refusal::invalid(
                format!("{path}.file_data"),
                "A file must have its data or an address.",
            ));
        }
    };
    Ok(Document {
        source: DocumentSource::File(source),
        title: part.filename,
        context: None,
        citations: false,
        cache,
    })
}

fn call<'a>(item: Item<'a>, path: &str) -> Result<ToolCall<'a>, Refusal> {
    let missing = |field: &str| {
        Refusal::invalid(
            format!("{path}.{field}"),
            format!("The field '{field}' is missing."),
        )
    };
    let is_search = item.kind == "tool_search_call";
    let name = match item.name {
        Some(name) => name,
        None if is_search => Cow::Borrowed("tool_search"),
        None => return Err(missing("name")),
    };
    let input = if item.kind == "custom_tool_call" {
        ToolInput::Custom(sound(item.input.unwrap_or_default(), &format!("{path}.input"))?)
    } else {
        arguments(item.arguments, &format!("{path}.arguments"))?
    };
    let id = item.call_id.or(item.id).ok_or_else(|| missing("call_id"))?;
    Ok(ToolCall {
        id: sound(id, &format!("{path}.call_id"))?,
        name,
        namespace: item.namespace,
        input,
    })
}

fn arguments<'a>(raw: Option<&'a RawValue>, path: &str) -> Result<ToolInput<'a>, Refusal> {
    let Some(raw) = raw else {
        return Ok(ToolInput::Arguments(JsonStr::EMPTY));
    };
    match JsonStr::from_raw(raw.get()) {
        Some(text) => sound(text, path).map(ToolInput::Arguments),
        None => Ok(ToolInput::Json(Json::from(raw))),
    }
}

fn result<'a>(item: Item<'a>, path: &str, losses: &mut Losses) -> Result<ToolResult<'a>, Refusal> {
    let custom = item.kind == "custom_tool_call_output";
    let id = item.call_id.ok_or_else(|| {
        Refusal::invalid(
            format!("{path}.call_id"),
            "An output must say which call it answers (`call_id`).",
        )
    })?;
    let raw = item.output.or(item.tools);
    let content = match (Content::of(raw), &*item.kind) {
        (Content::List(list), "tool_search_output") => vec![Block::text(JsonStr::of(list).into_owned())],
        (Content::Other, _) => vec![Block::text(
            JsonStr::of(raw.map_or("", RawValue::get)).into_owned(),
        )],
        _ => content(raw, &format!("{path}.output"), losses)?,
    };
    Ok(ToolResult {
        id: sound(id, &format!("{path}.call_id"))?,
        plain: matches!(Content::of(raw), Content::Text(_)),
        content,
        is_error: None,
        custom,
        cache: None,
    })
}

fn reasoning<'a>(item: Item<'a>, path: &str, losses: &mut Losses) -> Result<Reasoning<'a>, Refusal> {
    let texts = |parts: Vec<Part<'a>>, what: &str| {
        let texts = parts.into_iter().filter_map(|part| part.text);
        texts
            .map(|text| sound(text, &format!("{path}.{what}")))
            .collect::<Result<Vec<_>, _>>()
    };
    let summary = texts(item.summary.unwrap_or_default(), "summary")?;
    let raw: Vec<Part<'a>> = match Content::of(item.content) {
        Content::List(list) => read(list, &format!("{path}.content"), losses)?,
        _ => Vec::new(),
    };
    let thoughts = texts(raw, "content")?;
    let is_summary = thoughts.is_empty();
    let parts = if is_summary { summary } else { thoughts };
    let id = item.id.unwrap_or_default();
    let mut reasoning = seal::restore(parts, item.encrypted_content, |data| Seal::Encrypted { id, data });
    reasoning.summary |= is_summary && reasoning.family.is_none();
    Ok(reasoning)
}
