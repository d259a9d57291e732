//! Tools and the choice among them, for a backend that speaks chat.

use serde::Deserialize;

use crate::canon::shim::{self, Grammar};
use crate::canon::write::{Array, Object};
use crate::canon::{
    Effort, Json, JsonStr, Losses, Refusal, Request, Target, Tool, ToolChoice, ToolKind, schema,
};
use crate::names::Names;

/// What the writing of tools must know.
pub(super) struct Writer<'w> {
    pub(super) request: &'w Request<'w>,
    pub(super) target: &'w Target<'w>,
    pub(super) names: &'w Names,
}

impl Writer<'_> {
    /// Writes `tools`, `tool_choice` and `parallel_tool_calls`.
    ///
    /// # Errors
    /// A tool that cannot be had, and that the client needs.
    pub(super) fn write(&self, all: &mut Object<'_>, losses: &mut Losses) -> Result<(), Refusal> {
        let request = self.request;
        if let Some(ToolChoice::Hosted(kind)) = &request.tool_choice {
            let message = format!("The tool '{kind}' cannot be had from this model's backends.");
            return Err(Refusal::unsupported("tool_choice", message));
        }
        let mut kept: Vec<&Tool<'_>> = Vec::with_capacity(request.tools.len());
        for tool in &request.tools {
            if self.is_kept(all, tool, losses)? {
                kept.push(tool);
            }
        }
        if kept.is_empty() {
            if matches!(
                request.tool_choice,
                Some(ToolChoice::Required | ToolChoice::Allowed { .. })
            ) {
                losses.note("tool_choice");
            }
            return Ok(());
        }
        all.array("tools", |list| {
            for tool in &kept {
                write_tool(list, tool, self.target, self.names, losses);
            }
        });
        if let Some(choice) = &request.tool_choice {
            self.choice(all, choice, losses);
        }
        if let Some(several) = request.parallel_tools {
            all.bool("parallel_tool_calls", several);
        }
        Ok(())
    }

    /// Tools of a provider have no place in chat, but for the search of the models that are made for it. One that the
    /// model must choose, or that the client runs by a convention of its provider, cannot be left out in silence.
    fn is_kept(&self, all: &mut Object<'_>, tool: &Tool<'_>, losses: &mut Losses) -> Result<bool, Refusal> {
        let forced =
            matches!(&self.request.tool_choice, Some(ToolChoice::Named { name, .. }) if *name == tool.name);
        match &tool.kind {
            ToolKind::Function(_) | ToolKind::Custom(_) | ToolKind::ToolSearch(_) => {
                Ok(self.may_be_chosen(tool))
            }
            ToolKind::WebSearch { user_location, .. } if self.searches() => {
                search_options(all, user_location.as_ref());
                Ok(false)
            }
            ToolKind::Trained => Err(tool.cannot_be_had()),
            ToolKind::WebSearch { .. } | ToolKind::Hosted if forced => Err(tool.cannot_be_had()),
            ToolKind::WebSearch { .. } | ToolKind::Hosted => {
                losses.note(format!("tools.{}", tool.name));
                Ok(false)
            }
        }
    }

    /// Only `OpenAI` can be told that some of the tools are allowed; others are not even shown the rest.
    fn may_be_chosen(&self, tool: &Tool<'_>) -> bool {
        match &self.request.tool_choice {
            Some(ToolChoice::Allowed { names, .. }) if !self.target.openai => names.contains(&tool.name),
            _ => true,
        }
    }

    /// Whether the model searches the web by itself.
    fn searches(&self) -> bool {
        let model = self.target.model;
        self.target.openai && (model.contains("search-preview") || model.contains("search-api"))
    }

    fn choice(&self, all: &mut Object<'_>, choice: &ToolChoice<'_>, losses: &mut Losses) {
        let forces = matches!(
            choice,
            ToolChoice::Required | ToolChoice::Named { .. } | ToolChoice::Allowed { required: true, .. }
        );
        if forces && self.thinks_freely() {
            return losses.note("tool_choice");
        }
        match choice {
            ToolChoice::Auto | ToolChoice::Hosted(_) => all.str("tool_choice", "auto"),
            ToolChoice::None => all.str("tool_choice", "none"),
            ToolChoice::Required => all.str("tool_choice", "required"),
            ToolChoice::Named { name, namespace } => all.object("tool_choice", |it| {
                self.named(it, name, namespace.as_deref());
            }),
            ToolChoice::Allowed { required, names } => {
                let mode = if *required { "required" } else { "auto" };
                if !self.target.openai {
                    all.str("tool_choice", mode);
                    return;
                }
                all.object("tool_choice", |it| {
                    it.str("type", "allowed_tools").object("allowed_tools", |it| {
                        it.str("mode", mode).array("tools", |list| {
                            for name in names {
                                list.object(|it| self.named(it, name, None));
                            }
                        });
                    });
                })
            }
        };
    }

    /// `DeepSeek` refuses to be told what to choose while it thinks.
    fn thinks_freely(&self) -> bool {
        let model = self.target.model.to_ascii_lowercase();
        let asked = self.request.thinking.effort();
        model.contains("deepseek")
            && asked != Some(Effort::None)
            && (asked.is_some() || model.contains("reasoner") || model.contains("-r1"))
    }

    fn named(&self, it: &mut Object<'_>, name: &str, namespace: Option<&str>) {
        let is_custom = |tool: &Tool<'_>| tool.name == name && matches!(tool.kind, ToolKind::Custom(_));
        let kind = if self.target.openai && self.request.tools.iter().any(is_custom) {
            "custom"
        } else {
            "function"
        };
        it.str("type", kind).object(kind, |it| {
            it.str("name", &self.names.outgoing(name, namespace));
        });
    }
}

fn search_options(all: &mut Object<'_>, near: Option<&Json<'_>>) {
    all.object("web_search_options", |it| {
        if let Some(near) = near.and_then(Json::read::<Location<'_>>) {
            it.object("user_location", |it| near.write(it));
        }
    });
}

/// Where the user is. Chat nests what Responses has flat.
#[derive(Deserialize)]
struct Location<'a> {
    #[serde(borrow)]
    city: Option<JsonStr<'a>>,
    #[serde(borrow)]
    country: Option<JsonStr<'a>>,
    #[serde(borrow)]
    region: Option<JsonStr<'a>>,
    #[serde(borrow)]
    timezone: Option<JsonStr<'a>>,
}

impl Location<'_> {
    fn write(&self, it: &mut Object<'_>) {
        it.str("type", "approximate").object("approximate", |it| {
            let parts = [
                ("city", &self.city),
                ("country", &self.country),
                ("region", &self.region),
                ("timezone", &self.timezone),
            ];
            for (name, value) in parts {
                if let Some(value) = value {
                    it.text(name, value);
                }
            }
        });
    }
}

/// The schema of a function that takes nothing, for hosts that insist on one.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

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
                    match schema {
                        Some(schema) => it.raw("parameters", schema.get()),
                        None if target.openai => it,
                        None => it.raw("parameters", NO_PARAMETERS),
                    };
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

#[cfg(test)]
mod tests {
    use super::super::asked::{asked, lost, refused};
    use serde_json::json;

    const F: &str = r#"{"type":"function","function":{"name":"f"}}"#;
    const G: &str = r#"{"type":"function","function":{"name":"g","parameters":{"type":"object"}}}"#;
    const PATCH: &str = r#"{"type":"custom","custom":{"name":"p","description":"d","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: 1"}}}}"#;

    #[test]
    fn a_host_is_given_functions_and_openai_its_own_tools() {
        let body = format!(r#""tools":[{F},{PATCH}]"#);
        let host = asked("llama-3.3-70b", &body);
        assert_eq!(
            host["tools"],
            json!([
                {"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}},
                {"type":"function","function":{"name":"p",
                    "description":"d\n\nPut the raw text in `input`. It must obey this grammar (lark):\nstart: 1",
                    "parameters":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}}},
            ])
        );
        let openai = asked("openai:gpt-4.1", &body);
        assert_eq!(
            openai["tools"][0],
            json!({"type":"function","function":{"name":"f"}})
        );
        assert_eq!(
            openai["tools"][1],
            json!({"type":"custom","custom":{"name":"p","description":"d","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: 1"}}}})
        );
    }

    #[test]
    fn the_choice_is_one_that_the_target_knows() {
        let named = r#"{"type":"custom","custom":{"name":"p"}}"#;
        let allowed =
            format!(r#"{{"type":"allowed_tools","allowed_tools":{{"mode":"required","tools":[{F}]}}}}"#);
        let body = |choice: &str| format!(r#""tools":[{F},{G},{PATCH}],"tool_choice":{choice}"#);
        let choice = |model: &str, choice: &str| asked(model, &body(choice))["tool_choice"].clone();
        assert_eq!(
            choice("openai:gpt-4.1", named),
            json!({"type":"custom","custom":{"name":"p"}})
        );
        assert_eq!(
            choice("llama", named),
            json!({"type":"function","function":{"name":"p"}})
        );
        assert_eq!(
            choice("openai:gpt-4.1", &allowed),
            json!({"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}})
        );
        assert_eq!(choice("llama", &allowed), json!("required"));
        let shown = asked("llama", &body(&allowed))["tools"].clone();
        assert_eq!(
            shown.as_array().unwrap().len(),
            1,
            "what is not allowed is not shown"
        );
    }

    #[test]
    fn deepseek_chooses_for_itself_while_it_thinks() {
        let body = format!(r#""tools":[{F}],"tool_choice":"required""#);
        for (model, more, told) in [
            ("deepseek-chat", "", true),
            ("deepseek-reasoner", "", false),
            ("deepseek-reasoner", r#","reasoning_effort":"none""#, true),
            ("deepseek-v4-flash", r#","reasoning_effort":"low""#, false),
            ("kimi-k2", r#","reasoning_effort":"low""#, true),
        ] {
            let body = format!("{body}{more}");
            let is_told = asked(model, &body).get("tool_choice").is_some();
            assert_eq!(is_told, told, "{model} {more}");
            assert_eq!(
                lost(model, &body).contains("tool_choice"),
                !told,
                "{model} {more}"
            );
        }
    }

    #[test]
    fn the_web_is_searched_by_the_models_that_can() {
        let body =
            r#""web_search_options":{"user_location":{"type":"approximate","approximate":{"city":"Rome"}}}"#;
        let found = asked("openai:gpt-4o-search-preview", body);
        assert_eq!(
            found["web_search_options"],
            json!({"user_location":{"type":"approximate","approximate":{"city":"Rome"}}})
        );
        assert!(found.get("tools").is_none());
        assert_eq!(lost("openai:gpt-4.1", body), "tools.web_search");
        let forced =
            format!(r#"{body},"tool_choice":{{"type":"function","function":{{"name":"web_search"}}}}"#);
        assert_eq!(refused("openai:gpt-4.1", &forced), "tools.web_search");
        let hosted = format!(r#"{body},"tool_choice":{{"type":"web_search_preview"}}"#);
        assert_eq!(refused("openai:gpt-4.1", &hosted), "tool_choice");
        let required = format!(r#"{body},"tool_choice":"required""#);
        assert_eq!(lost("llama", &required), "tools.web_search,tool_choice");
    }

    #[test]
    fn parallel_calls_are_spoken_of_only_with_tools() {
        let without = asked("openai:gpt-4.1", r#""parallel_tool_calls":false"#);
        assert!(without.get("parallel_tool_calls").is_none());
        let with = asked(
            "openai:gpt-4.1",
            &format!(r#""tools":[{F}],"parallel_tool_calls":false"#),
        );
        assert_eq!(with["parallel_tool_calls"], json!(false));
        assert!(with.get("tool_choice").is_none(), "a flag forces nothing");
        let none = asked(
            "openai:gpt-4.1",
            &format!(r#""tools":[{F}],"tool_choice":"none""#),
        );
        assert_eq!(none["tool_choice"], json!("none"));
    }

    #[test]
    fn only_a_closed_schema_is_strict() {
        let tool = |schema: &str| {
            format!(
                r#""tools":[{{"type":"function","function":{{"name":"f","strict":true,"parameters":{schema}}}}}]"#
            )
        };
        let open = tool(r#"{"type":"object","properties":{"a":{}}}"#);
        assert_eq!(
            asked("openai:gpt-4.1", &open)["tools"][0]["function"]["strict"],
            json!(false)
        );
        assert_eq!(lost("openai:gpt-4.1", &open), "tools.strict");
        let closed = tool(r#"{"type":"object","properties":{},"additionalProperties":false}"#);
        assert_eq!(
            asked("openai:gpt-4.1", &closed)["tools"][0]["function"]["strict"],
            json!(true)
        );
    }
}
