//! The messages of a chat request as turns.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::reasoning;
use super::request_in::mark;
use super::wire::{Breakpoint, Call, FilePart, ImageUrl, Message, Part};
use crate::canon::reading::{Content, read};
use crate::canon::{
    Block, CacheMark, Document, DocumentSource, Image, Json, JsonStr, Losses, Refusal, Request, Role, Source,
    Text, ToolCall, ToolInput, ToolResult, Turn,
};

/// Puts the messages into the request: leading instructions apart from the conversation.
pub(super) fn conversation<'a>(
    messages: Vec<Message<'a>>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let mut calls = Calls::default();
    for (at, message) in messages.into_iter().enumerate() {
        let turn = turn(message, at, &mut calls, losses)?;
        let leads = matches!(turn.role, Role::System | Role::Developer) && request.turns.is_empty();
        if leads {
            request.system.push(turn);
        } else {
            request.turns.push(turn);
        }
    }
    Ok(())
}

/// Ids of calls that have none of their own: legacy functions are linked by their order.
#[derive(Default)]
struct Calls {
    made: usize,
    answered: usize,
}

fn turn<'a>(
    message: Message<'a>,
    at: usize,
    calls: &mut Calls,
    losses: &mut Losses,
) -> Result<Turn<'a>, Refusal> {
    let path = format!("messages[{at}]");
    if message.audio.is_some() {
        losses.note("messages.audio");
    }
    let (role, blocks) = match &*message.role {
        "system" => (Role::System, content(&message, &path, losses)?),
        "developer" => (Role::Developer, content(&message, &path, losses)?),
        "user" => (Role::User, content(&message, &path, losses)?),
        "assistant" => (Role::Assistant, assistant(&message, &path, calls, losses)?),
        "tool" | "function" => (Role::User, vec![result(&message, &path, calls, losses)?]),
        _ => {
            return Err(Refusal::invalid(
                format!("{path}.role"),
                "The role of a message must be system, developer, user, assistant or tool.",
            ));
        }
    };
    Ok(Turn { role, blocks })
}

fn assistant<'a>(
    message: &Message<'a>,
    path: &str,
    calls: &mut Calls,
    losses: &mut Losses,
) -> Result<Vec<Block<'a>>, Refusal> {
    let thought = reasoning::of_message(message).into_iter().map(Block::Reasoning);
    let mut blocks: Vec<Block<'a>> = thought.collect();
    blocks.extend(content(message, path, losses)?);
    if let Some(refusal) = message.refusal.clone().filter(|it| !it.is_empty()) {
        blocks.push(Block::Refusal(refusal));
    }
    for call in message.tool_calls.iter().flatten() {
        blocks.push(Block::ToolCall(tool_call(call, calls)));
    }
    if let Some(function) = &message.function_call {
        let call = Call {
            function: Some(super::wire::CalledFunction {
                name: function.name.clone(),
                arguments: function.arguments,
            }),
            ..Call::default()
        };
        blocks.push(Block::ToolCall(tool_call(&call, calls)));
    }
    Ok(blocks)
}

fn tool_call<'a>(call: &Call<'a>, calls: &mut Calls) -> ToolCall<'a> {
    let position = calls.made;
    calls.made += 1;
    let own = call.id.clone().filter(|id| !id.is_empty());
    let id = own.unwrap_or_else(|| by_position(position));
    if let Some(custom) = &call.custom {
        return ToolCall {
            id,
            name: custom.name.clone().unwrap_or_default(),
            namespace: None,
            input: ToolInput::Custom(custom.input.clone().unwrap_or_default()),
        };
    }
    let function = call.function.as_ref();
    ToolCall {
        id,
        name: function.and_then(|it| it.name.clone()).unwrap_or_default(),
        namespace: None,
        input: arguments(function.and_then(|it| it.arguments)),
    }
}

/// Arguments are a string; some clients send the value itself.
fn arguments(raw: Option<&RawValue>) -> ToolInput<'_> {
    match raw {
        None => ToolInput::Arguments(JsonStr::EMPTY),
        Some(raw) => match JsonStr::from_raw(raw.get()) {
            Some(text) => ToolInput::Arguments(text),
            None => ToolInput::Json(Json::from(raw)),
        },
    }
}

fn by_position(position: usize) -> JsonStr<'static> {
    JsonStr::spelled_so(format!("call_{position}"))
}

fn result<'a>(
    message: &Message<'a>,
    path: &str,
    calls: &mut Calls,
    losses: &mut Losses,
) -> Result<Block<'a>, Refusal> {
    let position = calls.answered;
    calls.answered += 1;
    let id = match &message.tool_call_id {
        Some(id) if !id.is_empty() => id.clone(),
        _ if message.role == "function" => by_position(position),
        _ => {
            return Err(Refusal::invalid(
                format!("{path}.tool_call_id"),
                "A tool message must say which call it answers (`tool_call_id`).",
            ));
        }
    };
    Ok(Block::ToolResult(ToolResult {
        id,
        content: content(message, path, losses)?,
        plain: matches!(Content::of(message.content), Content::Text(_)),
        is_error: None,
        custom: false,
        cache: None,
    }))
}

/// The content of a message: a string, parts, or nothing.
fn content<'a>(message: &Message<'a>, path: &str, losses: &mut Losses) -> Result<Vec<Block<'a>>, Refusal> {
    let path = format!("{path}.content");
    let mut blocks = blocks(message.content, &path, losses)?;
    if let Some(control) = &message.cache_control {
        set_mark(&mut blocks, mark(control));
    }
    Ok(blocks)
}

fn blocks<'a>(raw: Option<&'a RawValue>, path: &str, losses: &mut Losses) -> Result<Vec<Block<'a>>, Refusal> {
    match Content::of(raw) {
        Content::Nothing => Ok(Vec::new()),
        Content::Text(quoted) => {
            let text = JsonStr::from_raw(quoted).unwrap_or_default();
            Ok(vec![Block::text(sound(text, path)?)])
        }
        Content::List(list) => {
            let parts: Vec<Part<'a>> = read(list, path, losses)?;
            let numbered = parts.into_iter().enumerate();
            let all = numbered.map(|(at, it)| part(it, &format!("{path}[{at}]"), losses));
            Ok(all
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect())
        }
        Content::Other => Err(Refusal::invalid(
            path,
            "Content must be a string or a list of parts.",
        )),
    }
}

/// A text that can be decoded: half a surrogate pair is no text.
fn sound<'a>(text: JsonStr<'a>, path: &str) -> Result<JsonStr<'a>, Refusal> {
    if text.is_sound() {
        return Ok(text);
    }
    Err(Refusal::invalid(
        path,
        "The text holds a lone surrogate, which is no character.",
    ))
}

/// The mark goes on the last block of a message that has a place for one.
fn set_mark(blocks: &mut [Block<'_>], mark: CacheMark) {
    match blocks.last_mut() {
        Some(Block::Text(text)) => text.cache = Some(mark),
        Some(Block::Image(image)) => image.cache = Some(mark),
        Some(Block::Document(document)) => document.cache = Some(mark),
        _ => {}
    }
}

fn part<'a>(part: Part<'a>, path: &str, losses: &mut Losses) -> Result<Option<Block<'a>>, Refusal> {
    let cache = part_mark(&part);
    let block = match &*part.kind {
        "text" | "input_text" | "output_text" | "" => Block::Text(Text {
            cache,
            ..Text::plain(sound(part.text.unwrap_or_default(), path)?)
        }),
        "refusal" => Block::Refusal(part.refusal.unwrap_or_default()),
        "image_url" | "input_image" => Block::Image(image(part.image_url, path, cache)?),
        "file" | "input_file" => Block::Document(file(part.file, path, cache)?),
        "input_audio" => Block::Audio(
            part.input_audio
                .map(Json::from)
                .ok_or_else(|| missing(path, "input_audio"))?,
        ),
        "thinking" | "redacted_thinking" => return Ok(None),
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
    };
    Ok(Some(block))
}

fn shown(kind: &str) -> String {
    kind.chars().take(60).collect()
}

fn missing(path: &str, field: &str) -> Refusal {
    Refusal::invalid(
        format!("{path}.{field}"),
        format!("The field '{field}' is missing."),
    )
}

fn part_mark(part: &Part<'_>) -> Option<CacheMark> {
    let theirs = part.cache_control.as_ref().map(mark);
    theirs.or_else(|| part.prompt_cache_breakpoint.as_ref().map(breakpoint))
}

/// `OpenAI`'s times are not Anthropic's: the nearest.
fn breakpoint(breakpoint: &Breakpoint) -> CacheMark {
    match breakpoint.ttl.as_deref() {
        Some("12h") => CacheMark::OneHour,
        Some(_) => CacheMark::FiveMinutes,
        None => CacheMark::Usual,
    }
}

fn image<'a>(raw: Option<&'a RawValue>, path: &str, cache: Option<CacheMark>) -> Result<Image<'a>, Refusal> {
    let raw = raw.map(RawValue::get).ok_or_else(|| missing(path, "image_url"))?;
    let url = match JsonStr::from_raw(raw) {
        Some(url) => ImageUrl { url, detail: None },
        None => serde_json::from_str(raw)
            .map_err(|_why| Refusal::invalid(format!("{path}.image_url"), "An image must have a `url`."))?,
    };
    Ok(Image {
        source: Source::from_url(url.url),
        detail: url.detail,
        cache,
    })
}

fn file<'a>(
    file: Option<FilePart<'a>>,
    path: &str,
    cache: Option<CacheMark>,
) -> Result<Document<'a>, Refusal> {
    let file = file.ok_or_else(|| missing(path, "file"))?;
    let source = match (file.file_data, file.file_id) {
        (Some(data), _) => match Source::from_url(data) {
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
