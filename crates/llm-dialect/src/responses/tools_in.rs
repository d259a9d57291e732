//! Tools and the choice among them, as a Responses client sends them: flat, and some in namespaces.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::wire::{Choice, Tool as Wire};
use crate::canon::reading::read;
use crate::canon::{Json, Losses, Refusal, Tool, ToolChoice, ToolKind, schema};

/// Tools of the client that models were trained for, without a schema on the wire.
const TRAINED: [&str; 4] = ["local_shell", "shell", "apply_patch", "computer"];

/// The tools that stand at `path`.
pub(super) fn tools<'a>(
    raw: Option<&'a RawValue>,
    path: &str,
    losses: &mut Losses,
) -> Result<Vec<Tool<'a>>, Refusal> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok(Vec::new());
    };
    let wire: Vec<Wire<'a>> = read(raw.get(), path, losses)?;
    let mut tools = Vec::with_capacity(wire.len());
    for (at, tool) in wire.into_iter().enumerate() {
        add(tool, None, &format!("{path}[{at}]"), &mut tools)?;
    }
    Ok(tools)
}

fn add<'a>(
    wire: Wire<'a>,
    namespace: Option<&Cow<'a, str>>,
    path: &str,
    tools: &mut Vec<Tool<'a>>,
) -> Result<(), Refusal> {
    if wire.kind == "namespace" {
        let name = wire.name.clone().ok_or_else(|| nameless(path))?;
        for inner in wire.tools.into_iter().flatten() {
            add(inner, Some(&name), path, tools)?;
        }
        return Ok(());
    }
    let needs_name = matches!(&*wire.kind, "function" | "custom" | "");
    let name = match wire.name.clone() {
        Some(name) => name,
        None if needs_name => return Err(nameless(path)),
        None => wire.kind.clone(),
    };
    tools.push(Tool {
        name,
        namespace: namespace.cloned(),
        description: wire.description.clone(),
        strict: strict(&wire),
        kind: kind(&wire),
        cache: None,
    });
    Ok(())
}

fn nameless(path: &str) -> Refusal {
    Refusal::invalid(format!("{path}.name"), "A tool must have a name.")
}

fn kind<'a>(wire: &Wire<'a>) -> ToolKind<'a> {
    match &*wire.kind {
        "function" | "" => {
            ToolKind::Function(wire.parameters.filter(|it| it.get() != "null").map(Json::from))
        }
        "custom" => ToolKind::Custom(wire.format.map(Json::from)),
        "tool_search" => ToolKind::ToolSearch(wire.parameters.map(Json::from)),
        kind if kind.starts_with("web_search") => ToolKind::WebSearch {
            allowed_domains: wire
                .filters
                .as_ref()
                .and_then(|it| it.allowed_domains)
                .map(Json::from),
            user_location: wire.user_location.filter(|it| it.get() != "null").map(Json::from),
        },
        kind if TRAINED.iter().any(|it| kind.starts_with(it)) => ToolKind::Trained,
        _ => ToolKind::Hosted,
    }
}

/// Responses is strict unless told otherwise, but only a closed schema can be.
fn strict(wire: &Wire<'_>) -> Option<bool> {
    if !matches!(&*wire.kind, "function" | "") {
        return None;
    }
    wire.strict.or_else(|| {
        let schema = wire.parameters.map(Json::from)?;
        schema::is_strict_legal(&schema).then_some(true)
    })
}

/// The choice among the tools.
pub(super) fn choice(raw: Option<&RawValue>) -> Result<Option<ToolChoice<'_>>, Refusal> {
    let wrong = || {
        Refusal::invalid(
            "tool_choice",
            "The field 'tool_choice' must be \"none\", \"auto\", \"required\" or name a tool.",
        )
    };
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some("\"auto\"") => Ok(Some(ToolChoice::Auto)),
        Some("\"none\"") => Ok(Some(ToolChoice::None)),
        Some("\"required\"") => Ok(Some(ToolChoice::Required)),
        Some(object) => {
            let choice: Choice<'_> = serde_json::from_str(object).map_err(|_why| wrong())?;
            meant(choice).map(Some).ok_or_else(wrong)
        }
    }
}

fn meant(choice: Choice<'_>) -> Option<ToolChoice<'_>> {
    match (&*choice.kind, choice.name) {
        ("allowed_tools", _) => Some(ToolChoice::Allowed {
            required: choice.mode.as_deref() == Some("required"),
            names: choice
                .tools
                .into_iter()
                .flatten()
                .map(|it| it.name.unwrap_or(it.kind))
                .collect(),
        }),
        ("function" | "custom", Some(name)) => Some(ToolChoice::Named {
            name,
            namespace: choice.namespace,
        }),
        ("" | "function" | "custom", _) => None,
        _ => Some(ToolChoice::Hosted(choice.kind)),
    }
}
