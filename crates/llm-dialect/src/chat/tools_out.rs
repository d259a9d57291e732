//! Tools and the choice among them, for a backend that speaks chat.

use crate::canon::shim::{self, Grammar};
use crate::canon::write::{Array, Object};
use crate::canon::{Json, Losses, Refusal, Request, Target, Tool, ToolChoice, ToolKind, schema};
use crate::names::Names;

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`.
///
/// # Errors
/// A tool that cannot be had, and that the client needs.
pub(super) fn write(
    all: &mut Object<'_>,
    request: &Request<'_>,
    target: &Target<'_>,
    names: &Names,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let mut kept: Vec<&Tool<'_>> = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        if is_kept(tool, request, losses)? {
            kept.push(tool);
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    all.array("tools", |list| {
        for tool in &kept {
            write_tool(list, tool, target, names, losses);
        }
    });
    if let Some(choice) = &request.tool_choice {
        write_choice(all, choice, (request, target), names);
    }
    if let Some(several) = request.parallel_tools {
        all.bool("parallel_tool_calls", several);
    }
    Ok(())
}

/// Tools of a provider have no place in chat. One that the model must choose, or that the client runs by a convention of
/// its provider, cannot be left out in silence.
fn is_kept(tool: &Tool<'_>, request: &Request<'_>, losses: &mut Losses) -> Result<bool, Refusal> {
    let forced = match &request.tool_choice {
        Some(ToolChoice::Named { name, .. } | ToolChoice::Hosted(name)) => *name == tool.name,
        _ => false,
    };
    match tool.kind {
        ToolKind::Function(_) | ToolKind::Custom(_) | ToolKind::ToolSearch(_) => Ok(true),
        ToolKind::Trained => Err(tool.cannot_be_had()),
        ToolKind::WebSearch { .. } | ToolKind::Hosted if forced => Err(tool.cannot_be_had()),
        ToolKind::WebSearch { .. } | ToolKind::Hosted => {
            losses.note(format!("tools.{}", tool.name));
            Ok(false)
        }
    }
}

fn write_tool(
    list: &mut Array<'_>,
    tool: &Tool<'_>,
    target: &Target<'_>,
    names: &Names,
    losses: &mut Losses,
) {
    let name = names.outgoing(&tool.name, tool.namespace.as_deref());
    if let (ToolKind::Custom(format), true) = (&tool.kind, target.openai) {
        list.object(|it| {
            it.str("type", "custom").object("custom", |it| {
                it.str("name", &name);
                if let Some(description) = &tool.description {
                    it.text("description", description);
                }
                if let Some(format) = format {
                    write_format(it, format);
                }
            });
        });
        return;
    }
    let strict = strict(tool, losses);
    list.object(|it| {
        it.str("type", "function").object("function", |it| {
            it.str("name", &name);
            match &tool.kind {
                ToolKind::Custom(format) => {
                    let told = shim::description(tool.description.as_ref(), format.as_ref());
                    it.text("description", &told).raw("parameters", shim::PARAMETERS);
                }
                ToolKind::Function(schema) | ToolKind::ToolSearch(schema) => {
                    if let Some(description) = &tool.description {
                        it.text("description", description);
                    }
                    if let Some(schema) = schema {
                        it.raw("parameters", schema.get());
                    }
                }
                _ => {}
            }
            if let Some(strict) = strict {
                it.bool("strict", strict);
            }
        });
    });
}

/// A schema that is not closed to the last property is refused as a strict one.
fn strict(tool: &Tool<'_>, losses: &mut Losses) -> Option<bool> {
    let legal = || matches!(&tool.kind, ToolKind::Function(Some(schema)) if schema::is_strict_legal(schema));
    match tool.strict {
        Some(true) if !legal() => {
            losses.note("tools.strict");
            Some(false)
        }
        strict => strict,
    }
}

fn write_format(it: &mut Object<'_>, format: &Json<'_>) {
    match Grammar::of(format) {
        None => {
            it.object("format", |it| {
                it.str("type", "text");
            });
        }
        Some(grammar) => {
            it.object("format", |it| {
                it.str("type", "grammar").object("grammar", |it| {
                    it.text("syntax", &grammar.syntax)
                        .text("definition", &grammar.definition);
                });
            });
        }
    }
}

fn write_choice(
    all: &mut Object<'_>,
    choice: &ToolChoice<'_>,
    (request, target): (&Request<'_>, &Target<'_>),
    names: &Names,
) {
    match choice {
        ToolChoice::Auto | ToolChoice::Hosted(_) => all.str("tool_choice", "auto"),
        ToolChoice::None => all.str("tool_choice", "none"),
        ToolChoice::Required => all.str("tool_choice", "required"),
        ToolChoice::Named { name, namespace } => {
            let outgoing = names.outgoing(name, namespace.as_deref());
            let kind = kind_of(request, name, target);
            all.object("tool_choice", |it| {
                it.str("type", kind).object(kind, |it| {
                    it.str("name", &outgoing);
                });
            })
        }
        ToolChoice::Allowed {
            required,
            names: allowed,
        } => {
            let mode = if *required { "required" } else { "auto" };
            all.object("tool_choice", |it| {
                it.str("type", "allowed_tools").object("allowed_tools", |it| {
                    it.str("mode", mode).array("tools", |list| {
                        for name in allowed {
                            let kind = kind_of(request, name, target);
                            list.object(|it| {
                                it.str("type", kind).object(kind, |it| {
                                    it.str("name", &names.outgoing(name, None));
                                });
                            });
                        }
                    });
                });
            })
        }
    };
}

/// Whether a tool is a custom one to that backend.
fn kind_of(request: &Request<'_>, name: &str, target: &Target<'_>) -> &'static str {
    let is_custom = |tool: &Tool<'_>| tool.name == name && matches!(tool.kind, ToolKind::Custom(_));
    if target.openai && request.tools.iter().any(is_custom) {
        "custom"
    } else {
        "function"
    }
}
