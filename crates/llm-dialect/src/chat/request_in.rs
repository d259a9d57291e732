//! A chat client's request in the canonical form.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::turns_in;
use super::wire::{Body, CacheControl, Function, ResponseFormat, Tool as WireTool, WebSearchOptions};
use crate::canon::reading::read;
use crate::canon::{
    CacheMark, Effort, Format, Json, JsonStr, Losses, Refusal, Request, ThinkMode, Thinking, Tool,
    ToolChoice, ToolKind,
};

/// Reads a request.
///
/// # Errors
/// It is not sound, or asks for speech, which no other dialect has.
pub fn request_in<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Refusal> {
    let wire: Body<'a> = read(body, "", losses)?;
    speech(&wire)?;
    let mut request = Request {
        model: wire.model.clone(),
        stream: wire.stream.unwrap_or(false),
        include_usage: wire
            .stream_options
            .as_ref()
            .is_some_and(|it| it.include_usage == Some(true)),
        tools: tools(&wire)?,
        tool_choice: choice(&wire)?,
        parallel_tools: wire.parallel_tool_calls,
        max_tokens: wire.max_completion_tokens.or(wire.max_tokens),
        stop: stop(wire.stop)?,
        thinking: thinking(wire.reasoning_effort.as_deref())?,
        format: wire.response_format.as_ref().and_then(format),
        user: wire.safety_identifier.clone().or_else(|| wire.user.clone()),
        ..Request::default()
    };
    if wire.n.is_some_and(|n| n > 1) {
        request.carry("n", wire.n.map(|n| Json::spelled_so(n.to_string())));
    }
    for (name, value) in wire.settings() {
        request.carry(name, value.map(Json::from));
    }
    turns_in::conversation(wire.messages, &mut request, losses)?;
    Ok(request)
}

fn speech(wire: &Body<'_>) -> Result<(), Refusal> {
    let spoken = wire
        .modalities
        .as_ref()
        .is_some_and(|all| all.iter().any(|one| one == "audio"));
    if spoken || wire.audio.is_some() {
        return Err(Refusal::unsupported(
            if spoken { "modalities" } else { "audio" },
            "Spoken answers cannot be had from this model's backends; ask for text alone.",
        ));
    }
    Ok(())
}

fn thinking(effort: Option<&str>) -> Result<Thinking, Refusal> {
    let Some(effort) = effort else {
        return Ok(Thinking::default());
    };
    let known = Effort::from_name(effort);
    let message = "The field 'reasoning_effort' must be none, minimal, low, medium, high, xhigh or max.";
    known
        .map(|effort| Thinking {
            mode: if effort == Effort::None {
                ThinkMode::Off
            } else {
                ThinkMode::Unset
            },
            effort: Some(effort),
        })
        .ok_or_else(|| Refusal::invalid("reasoning_effort", message))
}

fn stop(stop: Option<&RawValue>) -> Result<Vec<JsonStr<'_>>, Refusal> {
    let Some(raw) = stop.map(RawValue::get) else {
        return Ok(Vec::new());
    };
    match JsonStr::from_raw(raw) {
        Some(one) => Ok(vec![one]),
        None => serde_json::from_str(raw).map_err(|_why| {
            Refusal::invalid("stop", "The field 'stop' must be a string or a list of strings.")
        }),
    }
}

fn format<'a>(wire: &ResponseFormat<'a>) -> Option<Format<'a>> {
    match (&*wire.kind, &wire.json_schema) {
        ("json_object", _) => Some(Format::JsonObject),
        ("json_schema", Some(schema)) => Some(Format::Schema {
            name: schema.name.clone(),
            description: schema.description.clone(),
            schema: schema.schema.map(Json::from),
            strict: schema.strict,
        }),
        _ => None,
    }
}

fn tools<'a>(wire: &Body<'a>) -> Result<Vec<Tool<'a>>, Refusal> {
    let mut tools = Vec::new();
    for (at, tool) in wire.tools.iter().flatten().enumerate() {
        tools.push(tool_of(tool).ok_or_else(|| {
            Refusal::invalid(
                format!("tools[{at}]"),
                "A tool must have a name; it stands in `function.name`.",
            )
        })?);
    }
    tools.extend(wire.functions.iter().flatten().map(|it| function(it, None)));
    tools.extend(wire.web_search_options.as_ref().map(web_search));
    Ok(tools)
}

/// A tool, nested or flat.
fn tool_of<'a>(tool: &WireTool<'a>) -> Option<Tool<'a>> {
    let cache = tool.cache_control.as_ref();
    if let Some(nested) = &tool.function {
        return Some(function(nested, cache));
    }
    if let Some(custom) = &tool.custom {
        return Some(named(
            custom.name.clone(),
            custom.description.clone(),
            ToolKind::Custom(custom.format.map(Json::from)),
        ));
    }
    let hosted = || !matches!(&*tool.kind, "" | "function" | "custom");
    let Some(name) = tool.name.clone() else {
        // A tool of the host's own.
        return hosted().then(|| named(tool.kind.clone(), None, ToolKind::Hosted));
    };
    let kind = match &*tool.kind {
        "custom" if tool.input_schema.is_none() => ToolKind::Custom(tool.format.map(Json::from)),
        _ => ToolKind::Function(tool.parameters.or(tool.input_schema).map(Json::from)),
    };
    Some(Tool {
        strict: tool.strict,
        cache: cache.map(mark),
        ..named(name, tool.description.clone(), kind)
    })
}

fn function<'a>(it: &Function<'a>, cache: Option<&CacheControl>) -> Tool<'a> {
    Tool {
        strict: it.strict,
        cache: cache.map(mark),
        ..named(
            it.name.clone(),
            it.description.clone(),
            ToolKind::Function(it.parameters.map(Json::from)),
        )
    }
}

fn named<'a>(name: Cow<'a, str>, description: Option<JsonStr<'a>>, kind: ToolKind<'a>) -> Tool<'a> {
    Tool {
        name,
        namespace: None,
        description,
        kind,
        strict: None,
        cache: None,
    }
}

fn web_search<'a>(options: &WebSearchOptions<'a>) -> Tool<'a> {
    let near = options.user_location.as_ref().and_then(|it| it.approximate);
    let location = near.and_then(|raw| {
        let inside = raw.get().trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        let comma = if inside.is_empty() { "" } else { "," };
        Some(Json::spelled_so(format!(
            r#"{{"type":"approximate"{comma}{inside}}}"#
        )))
    });
    named(
        Cow::Borrowed("web_search"),
        None,
        ToolKind::WebSearch {
            allowed_domains: None,
            user_location: location,
        },
    )
}

/// Anthropic's mark as hosts take it on chat.
pub(super) fn mark(control: &CacheControl) -> CacheMark {
    match control.ttl.as_deref() {
        Some("1h") => CacheMark::OneHour,
        Some("5m") => CacheMark::FiveMinutes,
        _ => CacheMark::Usual,
    }
}

/// The choices that chat knows, all forms of them.
#[derive(serde::Deserialize)]
struct Choice<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    function: Option<Named<'a>>,
    #[serde(borrow)]
    custom: Option<Named<'a>>,
    #[serde(borrow)]
    allowed_tools: Option<Allowed<'a>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

#[derive(serde::Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(serde::Deserialize)]
struct Allowed<'a> {
    #[serde(borrow, default)]
    mode: Cow<'a, str>,
    #[serde(borrow)]
    tools: Vec<Choice<'a>>,
}

impl<'a> Choice<'a> {
    fn named(&self) -> Option<Cow<'a, str>> {
        let nested = self.function.as_ref().or(self.custom.as_ref());
        nested.map(|it| it.name.clone()).or_else(|| self.name.clone())
    }

    fn meant(self) -> Option<ToolChoice<'a>> {
        if let Some(allowed) = self.allowed_tools {
            return Some(ToolChoice::Allowed {
                required: allowed.mode == "required",
                names: allowed.tools.iter().filter_map(Choice::named).collect(),
            });
        }
        match (&*self.kind, self.named()) {
            ("any", _) => Some(ToolChoice::Required),
            ("auto", _) => Some(ToolChoice::Auto),
            ("none", _) => Some(ToolChoice::None),
            (_, Some(name)) => Some(ToolChoice::Named {
                name,
                namespace: None,
            }),
            _ => None,
        }
    }
}

fn choice<'a>(wire: &Body<'a>) -> Result<Option<ToolChoice<'a>>, Refusal> {
    let Some(raw) = wire.tool_choice.or(wire.function_call).map(RawValue::get) else {
        return Ok(None);
    };
    let wrong = || {
        Refusal::invalid(
            "tool_choice",
            "The field 'tool_choice' must be \"none\", \"auto\", \"required\" or name a tool.",
        )
    };
    match raw {
        "\"auto\"" => Ok(Some(ToolChoice::Auto)),
        "\"none\"" => Ok(Some(ToolChoice::None)),
        "\"required\"" | "\"any\"" => Ok(Some(ToolChoice::Required)),
        object => {
            let choice: Choice<'a> = serde_json::from_str(object).map_err(|_why| wrong())?;
            choice.meant().map(Some).ok_or_else(wrong)
        }
    }
}
