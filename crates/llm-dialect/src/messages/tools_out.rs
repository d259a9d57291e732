//! Tools and the choice among them, for a backend that speaks Messages.

use super::marks::Marks;
use super::schema;
use crate::canon::restore::JSON_TOOL;
use crate::canon::shim;
use crate::canon::write::{Array, Object};
use crate::canon::{Format, Losses, Refusal, Request, Tool, ToolChoice, ToolKind};
use crate::names::Names;

/// How many tools may be strict.
const MOST_STRICT: usize = 20;

/// What is offered, and how the model has to choose.
pub(super) struct Offer<'o> {
    pub(super) request: &'o Request<'o>,
    pub(super) names: &'o Names,
    /// A tool stands in for the schema of the answer.
    pub(super) json_tool: bool,
    /// The choice cannot be forced.
    pub(super) free_choice: bool,
}

impl Offer<'_> {
    /// Writes `tools` and `tool_choice`.
    pub(super) fn write(
        &self,
        all: &mut Object<'_>,
        marks: &mut Marks,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        let kept = self.kept(losses)?;
        if kept.is_empty() && !self.json_tool {
            return Ok(());
        }
        let mut strict = 0;
        all.array("tools", |list| {
            for tool in &kept {
                self.tool(list, tool, (&mut strict, marks), losses);
            }
            if self.json_tool {
                self.json(list);
            }
        });
        self.choice(all, !kept.is_empty());
        Ok(())
    }

    /// The tools that can be offered. `allowed_tools` narrows them: there is no other way to say it.
    fn kept(&self, losses: &mut Losses) -> Result<Vec<&Tool<'_>>, Refusal> {
        let mut kept = Vec::new();
        for tool in &self.request.tools {
            match tool.kind {
                ToolKind::Trained => return Err(tool.cannot_be_had()),
                ToolKind::Hosted if self.is_forced(tool) => return Err(tool.cannot_be_had()),
                ToolKind::Hosted => losses.note(format!("tools.{}", tool.name)),
                _ if self.is_allowed(tool) => kept.push(tool),
                _ => {}
            }
        }
        Ok(kept)
    }

    fn is_forced(&self, tool: &Tool<'_>) -> bool {
        match &self.request.tool_choice {
            Some(ToolChoice::Hosted(kind)) => *kind == tool.name,
            Some(ToolChoice::Named { name, .. }) => *name == tool.name,
            _ => false,
        }
    }

    fn is_allowed(&self, tool: &Tool<'_>) -> bool {
        match &self.request.tool_choice {
            Some(ToolChoice::Allowed { names, .. }) => names.contains(&tool.name),
            _ => true,
        }
    }

    fn tool(
        &self,
        list: &mut Array<'_>,
        tool: &Tool<'_>,
        (strict, marks): (&mut usize, &mut Marks),
        losses: &mut Losses,
    ) {
        let name = self.names.outgoing(&tool.name, tool.namespace.as_deref());
        list.object(|it| {
            match &tool.kind {
                ToolKind::WebSearch {
                    allowed_domains,
                    user_location,
                } => {
                    it.str("type", "web_search_20250305").str("name", "web_search");
                    for (key, value) in [
                        ("allowed_domains", allowed_domains),
                        ("user_location", user_location),
                    ] {
                        if let Some(value) = value {
                            it.raw(key, value.get());
                        }
                    }
                }
                ToolKind::Custom(format) => {
                    let told = shim::description(tool.description.as_ref(), format.as_ref());
                    it.str("name", &name)
                        .text("description", &told)
                        .raw("input_schema", shim::PARAMETERS);
                }
                ToolKind::Function(schema) | ToolKind::ToolSearch(schema) => {
                    it.str("name", &name);
                    if let Some(description) = tool.description.as_ref().filter(|it| !it.is_empty()) {
                        it.text("description", description);
                    }
                    let (sound, changed) = schema::of_tool(schema.as_ref());
                    if changed {
                        losses.note("tools.parameters");
                    }
                    it.raw("input_schema", &sound);
                    if tool.strict == Some(true) {
                        Self::strict(it, &sound, strict, losses);
                    }
                }
                ToolKind::Hosted | ToolKind::Trained => {}
            }
            marks.write(it, tool.cache);
        });
    }

    /// Strict tools are few, and refer to nothing.
    fn strict(it: &mut Object<'_>, schema: &str, strict: &mut usize, losses: &mut Losses) {
        if *strict < MOST_STRICT && !schema.contains("\"$ref\"") {
            *strict += 1;
            it.bool("strict", true);
        } else {
            losses.note("tools.strict");
        }
    }

    /// The tool whose arguments are the answer.
    fn json(&self, list: &mut Array<'_>) {
        let Some(Format::Schema { schema, .. }) = &self.request.format else {
            return;
        };
        let (sound, _) = schema::of_tool(schema.as_ref());
        list.object(|it| {
            it.str("name", JSON_TOOL);
            it.str(
                "description",
                "Give your answer by calling this tool; its arguments are the answer.",
            );
            it.raw("input_schema", &sound);
        });
    }

    fn choice(&self, all: &mut Object<'_>, others: bool) {
        let alone = self.request.parallel_tools == Some(false);
        let mut say = |kind: &str, name: Option<&str>| {
            all.object("tool_choice", |it| {
                it.str("type", kind);
                if let Some(name) = name {
                    it.str("name", name);
                }
                if alone && kind != "none" {
                    it.bool("disable_parallel_tool_use", true);
                }
            });
        };
        match &self.request.tool_choice {
            _ if self.json_tool && !others => say("tool", Some(JSON_TOOL)),
            _ if self.json_tool => say("any", None),
            Some(ToolChoice::None) => say("none", None),
            Some(_) if self.free_choice => say("auto", None),
            Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => say("any", None),
            Some(ToolChoice::Named { name, namespace }) => {
                say("tool", Some(&self.names.outgoing(name, namespace.as_deref())));
            }
            Some(ToolChoice::Hosted(kind)) if kind.starts_with("web_search") => {
                say("tool", Some("web_search"));
            }
            Some(ToolChoice::Auto | ToolChoice::Allowed { .. } | ToolChoice::Hosted(_)) => say("auto", None),
            None if alone => say("auto", None),
            None => {}
        }
    }
}
