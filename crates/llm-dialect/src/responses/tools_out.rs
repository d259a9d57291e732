//! Tools and the choice among them, for a backend that speaks Responses.

use crate::canon::shim::Grammar;
use crate::canon::write::{Array, Object};
use crate::canon::{Losses, Refusal, Request, Tool, ToolChoice, ToolKind, schema};
use crate::names::Names;

/// The tools that can be offered.
///
/// # Errors
/// One that cannot be had is what the model would have to choose.
pub(super) fn kept<'r>(request: &'r Request<'r>, losses: &mut Losses) -> Result<Vec<&'r Tool<'r>>, Refusal> {
    let forced = match &request.tool_choice {
        Some(ToolChoice::Named { name, .. } | ToolChoice::Hosted(name)) => Some(&**name),
        _ => None,
    };
    let mut kept = Vec::new();
    for tool in &request.tools {
        match tool.kind {
            ToolKind::Trained => return Err(tool.cannot_be_had()),
            ToolKind::Hosted if forced == Some(&*tool.name) => return Err(tool.cannot_be_had()),
            ToolKind::Hosted => losses.note(format!("tools.{}", tool.name)),
            _ => kept.push(tool),
        }
    }
    Ok(kept)
}

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`.
pub(super) fn write(
    all: &mut Object<'_>,
    request: &Request<'_>,
    tools: &[&Tool<'_>],
    names: &Names,
    losses: &mut Losses,
) {
    if tools.is_empty() {
        return;
    }
    all.array("tools", |list| {
        for tool in tools {
            write_tool(list, tool, names, losses);
        }
    });
    if let Some(choice) = &request.tool_choice {
        write_choice(all, choice, tools, names);
    }
    if let Some(several) = request.parallel_tools {
        all.bool("parallel_tool_calls", several);
    }
}

fn write_tool(list: &mut Array<'_>, tool: &Tool<'_>, names: &Names, losses: &mut Losses) {
    let name = names.outgoing(&tool.name, tool.namespace.as_deref());
    list.object(|it| match &tool.kind {
        ToolKind::Custom(format) => {
            it.str("type", "custom").str("name", &name);
            if let Some(description) = &tool.description {
                it.text("description", description);
            }
            if let Some(grammar) = format.as_ref().and_then(Grammar::of) {
                it.object("format", |it| {
                    it.str("type", "grammar").text("syntax", &grammar.syntax);
                    it.text("definition", &grammar.definition);
                });
            }
        }
        ToolKind::WebSearch {
            allowed_domains,
            user_location,
        } => {
            it.str("type", "web_search");
            if let Some(domains) = allowed_domains {
                it.object("filters", |it| {
                    it.raw("allowed_domains", domains.get());
                });
            }
            if let Some(location) = user_location {
                it.raw("user_location", location.get());
            }
        }
        ToolKind::Function(schema) | ToolKind::ToolSearch(schema) => {
            it.str("type", "function").str("name", &name);
            if let Some(description) = &tool.description {
                it.text("description", description);
            }
            let nothing = r#"{"type":"object","properties":{}}"#;
            it.raw(
                "parameters",
                schema.as_ref().map_or(nothing, |schema| schema.get()),
            );
            it.bool("strict", strict(tool, losses));
        }
        ToolKind::Hosted | ToolKind::Trained => {}
    });
}

/// Here a tool is strict unless told otherwise; a schema that is not closed cannot be.
fn strict(tool: &Tool<'_>, losses: &mut Losses) -> bool {
    let legal = || matches!(&tool.kind, ToolKind::Function(Some(schema)) if schema::is_strict_legal(schema));
    match tool.strict {
        Some(true) if !legal() => {
            losses.note("tools.strict");
            false
        }
        strict => strict.unwrap_or(false),
    }
}

fn write_choice(all: &mut Object<'_>, choice: &ToolChoice<'_>, tools: &[&Tool<'_>], names: &Names) {
    match choice {
        ToolChoice::Auto => all.str("tool_choice", "auto"),
        ToolChoice::None => all.str("tool_choice", "none"),
        ToolChoice::Required => all.str("tool_choice", "required"),
        ToolChoice::Named { name, namespace } => all.object("tool_choice", |it| {
            let is_meant = |tool: &&&Tool<'_>| tool.name == *name && tool.namespace == *namespace;
            if let Some(tool) = tools.iter().find(is_meant) {
                named(it, tool, names);
            } else {
                let name = names.outgoing(name, namespace.as_deref());
                it.str("type", "function").str("name", &name);
            }
        }),
        ToolChoice::Hosted(hosted) => all.object("tool_choice", |it| {
            let search = hosted.starts_with("web_search").then_some("web_search");
            it.str("type", search.unwrap_or(hosted));
        }),
        ToolChoice::Allowed {
            required,
            names: allowed,
        } => all.object("tool_choice", |it| {
            it.str("type", "allowed_tools")
                .str("mode", if *required { "required" } else { "auto" });
            it.array("tools", |list| {
                for tool in tools.iter().filter(|tool| allowed.contains(&tool.name)) {
                    list.object(|it| named(it, tool, names));
                }
            });
        }),
    };
}

/// A tool as a choice names it.
fn named(it: &mut Object<'_>, tool: &Tool<'_>, names: &Names) {
    let kind = match tool.kind {
        ToolKind::WebSearch { .. } => {
            it.str("type", "web_search");
            return;
        }
        ToolKind::Custom(_) => "custom",
        _ => "function",
    };
    let name = names.outgoing(&tool.name, tool.namespace.as_deref());
    it.str("type", kind).str("name", &name);
}
