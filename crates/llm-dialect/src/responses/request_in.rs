//! A Responses client's request in the canonical form.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::items_in;
use super::tools_in;
use super::wire::{Body, Format as WireFormat, Reasoning, Text};
use crate::canon::reading::{Content, read};
use crate::canon::{
    Block, Effort, Format, Json, JsonStr, Losses, Refusal, Request, Role, ThinkMode, Thinking, Turn,
};

/// What a client can do where the proxy has no memory of its earlier answers.
const SEND_ALL: &str =
    "This model's backends keep no answers; send the whole conversation, with `store: false`.";

/// Reads a request.
///
/// # Errors
/// It is not sound, or leans on something that only its provider remembers.
pub fn request_in<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Refusal> {
    let wire: Body<'a> = read(body, "", losses)?;
    remembered(&wire)?;
    let tools = tools_in::tools(wire.tools, losses)?;
    let mut request = Request {
        model: wire.model.clone(),
        stream: wire.stream.unwrap_or(false),
        tool_choice: tools_in::choice(wire.tool_choice)?,
        tools,
        parallel_tools: value("parallel_tool_calls", wire.parallel_tool_calls)?,
        max_tokens: value("max_output_tokens", wire.max_output_tokens)?,
        thinking: thinking(wire.reasoning, losses)?,
        user: wire
            .safety_identifier
            .or(wire.user)
            .and_then(|raw| JsonStr::from_raw(raw.get())),
        ..Request::default()
    };
    text(&wire, &mut request, losses)?;
    for (name, value) in wire.settings() {
        // What is said by default anyway is no wish.
        let usual = matches!(
            (name, value.map(RawValue::get)),
            ("store", Some("false")) | ("truncation", Some("\"disabled\""))
        );
        if !usual {
            request.carry(name, value.map(Json::from));
        }
    }
    if wire
        .include
        .iter()
        .flatten()
        .any(|it| it == "message.output_text.logprobs")
    {
        request.carry("logprobs", Some(Json::spelled_so("true")));
    }
    let echo = wire.echo().into_iter();
    request.echo = echo
        .filter_map(|(name, value)| Some((name, Json::from(value?))))
        .collect();
    instructions(wire.instructions, &mut request)?;
    items_in::conversation(wire.input, &mut request, losses)?;
    Ok(request)
}

/// A member of some plain type.
fn value<'a, T: Deserialize<'a>>(name: &str, raw: Option<&'a RawValue>) -> Result<Option<T>, Refusal> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get())
        .map_err(|_why| Refusal::invalid(name, format!("The field '{name}' is of the wrong type.")))
}

/// What the provider alone remembers.
fn remembered(wire: &Body<'_>) -> Result<(), Refusal> {
    let leans = [
        ("previous_response_id", wire.previous_response_id.is_some()),
        ("conversation", wire.conversation.is_some()),
        ("prompt", wire.prompt.is_some()),
    ];
    if let Some((name, _)) = leans.iter().find(|(_, there)| *there) {
        return Err(Refusal::unsupported(*name, SEND_ALL));
    }
    if wire.background.map(RawValue::get) == Some("true") {
        return Err(Refusal::unsupported(
            "background",
            "This model's backends answer at once or not at all; ask without `background`.",
        ));
    }
    Ok(())
}

/// The refusal of an item that refers to what was stored.
pub(super) fn refers(path: &str) -> Refusal {
    Refusal::unsupported(path, SEND_ALL)
}

fn instructions<'a>(raw: Option<&'a RawValue>, request: &mut Request<'a>) -> Result<(), Refusal> {
    match Content::of(raw) {
        Content::Nothing => {}
        Content::Text(quoted) => {
            let text = JsonStr::from_raw(quoted).unwrap_or_default();
            if !text.is_empty() {
                request.system.push(Turn {
                    role: Role::System,
                    blocks: vec![Block::text(text)],
                });
            }
        }
        Content::List(_) | Content::Other => {
            return Err(Refusal::invalid(
                "instructions",
                "The field 'instructions' must be a string.",
            ));
        }
    }
    Ok(())
}

fn thinking(raw: Option<&RawValue>, losses: &mut Losses) -> Result<Thinking, Refusal> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok(Thinking::default());
    };
    let wire: Reasoning<'_> = read(raw.get(), "reasoning", losses)?;
    let Some(word) = wire.effort else {
        return Ok(Thinking::default());
    };
    let effort = Effort::from_name(&word).ok_or_else(|| {
        let message = "The effort must be none, minimal, low, medium, high, xhigh or max.";
        Refusal::invalid("reasoning.effort", message)
    })?;
    Ok(Thinking {
        mode: if effort == Effort::None {
            ThinkMode::Off
        } else {
            ThinkMode::Unset
        },
        effort: Some(effort),
    })
}

fn text<'a>(wire: &Body<'a>, request: &mut Request<'a>, losses: &mut Losses) -> Result<(), Refusal> {
    let Some(raw) = wire.text.filter(|raw| raw.get() != "null") else {
        return Ok(());
    };
    let text: Text<'a> = read(raw.get(), "text", losses)?;
    request.carry("verbosity", text.verbosity.map(Json::from));
    request.format = text.format.and_then(format);
    Ok(())
}

fn format(wire: WireFormat<'_>) -> Option<Format<'_>> {
    match &*wire.kind {
        "json_object" => Some(Format::JsonObject),
        "json_schema" => Some(Format::Schema {
            name: wire.name,
            description: wire.description,
            schema: wire.schema.map(Json::from),
            strict: wire.strict,
        }),
        _ => None,
    }
}
