//! A Messages client's request in the canonical form.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::blocks_in::{blocks, mark};
use super::wire::{Body, Choice, Tool as WireTool};
use crate::canon::reading::read;
use crate::canon::{
    Block, Effort, Format, Json, Losses, Refusal, Request, Role, ThinkMode, Thinking, Tool, ToolChoice,
    ToolKind, Turn,
};

/// What Claude Code's attribution block begins with. It is for Anthropic alone, and changes with every session.
pub(crate) const ATTRIBUTION: &str = "x-anthropic-billing-header:";

/// Reads a request. `max_tokens` may be missing, as in a request to count tokens.
///
/// # Errors
/// It is not sound, or asks for what only Anthropic can do.
pub fn request_in<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Refusal> {
    let wire: Body<'a> = read(body, "", losses)?;
    only_there(&wire, losses)?;
    let mut request = Request {
        model: wire.model.clone(),
        stream: wire.stream.unwrap_or(false),
        tools: tools(&wire)?,
        tool_choice: wire.tool_choice.as_ref().map(choice).transpose()?,
        parallel_tools: wire.tool_choice.as_ref().and_then(parallel),
        max_tokens: wire.max_tokens,
        stop: wire.stop_sequences.clone().unwrap_or_default(),
        thinking: thinking(&wire)?,
        format: format(&wire),
        user: wire.metadata.as_ref().and_then(|it| it.user_id.clone()),
        ..Request::default()
    };
    for (name, value) in [
        ("temperature", wire.temperature),
        ("top_p", wire.top_p),
        ("top_k", wire.top_k),
    ] {
        request.carry(name, value.map(Json::from));
    }
    request.carry("service_tier", wire.service_tier.as_deref().and_then(tier));
    request.system = system(wire.system, losses)?;
    for (at, message) in wire.messages.into_iter().enumerate() {
        let path = format!("messages[{at}]");
        let role = match &*message.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => {
                let message = "The role of a message must be user, assistant or system.";
                return Err(Refusal::invalid(format!("{path}.role"), message));
            }
        };
        let blocks = blocks(message.content, &format!("{path}.content"), losses)?;
        request.turns.push(Turn { role, blocks });
    }
    Ok(request)
}

/// What cannot be had elsewhere and changes the answer.
fn only_there(wire: &Body<'_>, losses: &mut Losses) -> Result<(), Refusal> {
    if wire.mcp_servers.as_ref().is_some_and(|all| !all.is_empty()) {
        return Err(Refusal::unsupported(
            "mcp_servers",
            "MCP servers that the provider connects to cannot be had from this model's backends.",
        ));
    }
    match wire.container.map(RawValue::get) {
        Some(container) if container.contains("\"skills\"") => Err(Refusal::unsupported(
            "container.skills",
            "Skills cannot be had from this model's backends.",
        )),
        Some(_) => {
            losses.note("container");
            Ok(())
        }
        None => Ok(()),
    }
}

fn tier(tier: &str) -> Option<Json<'static>> {
    match tier {
        "auto" => Some(Json::spelled_so("\"auto\"")),
        "standard_only" => Some(Json::spelled_so("\"default\"")),
        _ => None,
    }
}

fn system<'a>(raw: Option<&'a RawValue>, losses: &mut Losses) -> Result<Vec<Turn<'a>>, Refusal> {
    let mut blocks = blocks(raw, "system", losses)?;
    blocks.retain(|block| !matches!(block, Block::Text(it) if it.text.spelling().starts_with(ATTRIBUTION)));
    blocks.retain(|block| matches!(block, Block::Text(_)));
    Ok(if blocks.is_empty() {
        Vec::new()
    } else {
        vec![Turn {
            role: Role::System,
            blocks,
        }]
    })
}

fn thinking(wire: &Body<'_>) -> Result<Thinking, Refusal> {
    let mode = match wire.thinking.as_ref() {
        None => ThinkMode::Unset,
        Some(it) => match (&*it.kind, it.budget_tokens) {
            ("enabled", Some(budget)) => ThinkMode::Budget(budget),
            ("disabled", _) => ThinkMode::Off,
            ("adaptive" | "between_tools" | "enabled", _) => ThinkMode::Adaptive,
            _ => {
                return Err(Refusal::invalid(
                    "thinking.type",
                    "The kind of thinking is not known.",
                ));
            }
        },
    };
    let effort = wire.output_config.as_ref().and_then(|it| it.effort.as_deref());
    Ok(Thinking {
        mode,
        effort: effort
            .and_then(Effort::from_name)
            .filter(|_| mode != ThinkMode::Off),
    })
}

fn format<'a>(wire: &Body<'a>) -> Option<Format<'a>> {
    let format = wire
        .output_config
        .as_ref()
        .and_then(|it| it.format.as_ref())
        .or(wire.output_format.as_ref())?;
    Some(Format::Schema {
        name: None,
        description: None,
        schema: Some(Json::from(format.schema?)),
        strict: None,
    })
}

fn tools<'a>(wire: &Body<'a>) -> Result<Vec<Tool<'a>>, Refusal> {
    let numbered = wire.tools.iter().flatten().enumerate();
    numbered
        .map(|(at, it)| {
            tool(it).ok_or_else(|| Refusal::invalid(format!("tools[{at}].name"), "A tool must have a name."))
        })
        .collect()
}

fn tool<'a>(it: &WireTool<'a>) -> Option<Tool<'a>> {
    let kind = it.kind.as_deref().unwrap_or("custom");
    let is_any = |heads: &[&str]| heads.iter().any(|head| kind.starts_with(head));
    let name = it
        .name
        .clone()
        .or_else(|| (kind != "custom").then(|| Cow::Owned(kind.to_owned())))?;
    let kind = match kind {
        "custom" | "function" => ToolKind::Function(it.input_schema.map(Json::from)),
        _ if kind.starts_with("web_search") => ToolKind::WebSearch {
            allowed_domains: it.allowed_domains.map(Json::from),
            user_location: it.user_location.map(Json::from),
        },
        _ if is_any(&["bash", "text_editor", "memory", "computer"]) => ToolKind::Trained,
        _ => ToolKind::Hosted,
    };
    Some(Tool {
        name,
        namespace: None,
        description: it.description.clone(),
        kind,
        strict: it.strict,
        cache: it.cache_control.as_ref().map(mark),
    })
}

fn choice<'a>(it: &Choice<'a>) -> Result<ToolChoice<'a>, Refusal> {
    match (&*it.kind, &it.name) {
        ("auto", _) => Ok(ToolChoice::Auto),
        ("none", _) => Ok(ToolChoice::None),
        ("any", _) => Ok(ToolChoice::Required),
        ("tool", Some(name)) => Ok(ToolChoice::Named {
            name: name.clone(),
            namespace: None,
        }),
        _ => Err(Refusal::invalid(
            "tool_choice",
            "The tool choice must be auto, any, none, or name a tool.",
        )),
    }
}

fn parallel(it: &Choice<'_>) -> Option<bool> {
    (it.disable_parallel_tool_use == Some(true)).then_some(false)
}
