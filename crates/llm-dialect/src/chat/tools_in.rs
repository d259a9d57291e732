//! The tools of a chat request and the choice among them: nested as chat has them, or flat as some clients send them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::marks::mark;
use super::wire::{Body, CacheControl, Function, Tool as WireTool, WebSearchOptions};
use crate::canon::{Json, JsonStr, Losses, Refusal, Tool, ToolChoice, ToolKind};

/// Reads the tools, those of old and the search of the web among them.
pub(super) fn tools<'a>(wire: &Body<'a>, losses: &mut Losses) -> Result<Vec<Tool<'a>>, Refusal> {
    let mut tools = Vec::new();
    for (at, tool) in wire.tools.iter().flatten().enumerate() {
        let path = format!("tools[{at}]");
        tools.push(tool_of(tool, &path)?);
    }
    for (at, old) in wire.functions.iter().flatten().enumerate() {
        tools.push(function(old, None, &format!("functions[{at}]"))?);
    }
    if let Some(options) = &wire.web_search_options {
        if options.search_context_size.is_some() {
            losses.note("web_search_options.search_context_size");
        }
        tools.push(web_search(options));
    }
    Ok(tools)
}

fn tool_of<'a>(tool: &WireTool<'a>, path: &str) -> Result<Tool<'a>, Refusal> {
    let cache = tool.cache_control.as_ref();
    if let Some(nested) = &tool.function {
        return function(nested, cache, &format!("{path}.function"));
    }
    if let Some(custom) = &tool.custom {
        let kind = ToolKind::Custom(custom.format.map(Json::from));
        let description = custom.description.clone();
        return Ok(marked(named(custom.name.clone(), description, kind), cache));
    }
    flat(tool, cache, path)
}

/// A flat tool: one of Responses, one of Anthropic, or one that its host runs.
fn flat<'a>(tool: &WireTool<'a>, cache: Option<&CacheControl>, path: &str) -> Result<Tool<'a>, Refusal> {
    let schema = tool.parameters.or(tool.input_schema);
    let kind = match &*tool.kind {
        "custom" if schema.is_none() => ToolKind::Custom(tool.format.map(Json::from)),
        "" | "function" | "custom" => ToolKind::Function(object(schema, &format!("{path}.parameters"))?),
        // `web_search_preview`, `web_search_20250305`, `openrouter:web_search`
        kind if kind.contains("web_search") => ToolKind::WebSearch {
            allowed_domains: None,
            user_location: None,
        },
        _ if schema.is_some() && tool.name.is_some() => {
            ToolKind::Function(object(schema, &format!("{path}.parameters"))?)
        }
        // Only its kind tells what it is.
        _ => return Ok(named(tool.kind.clone(), None, ToolKind::Hosted)),
    };
    let name = match (&kind, &tool.name) {
        (ToolKind::WebSearch { .. }, None) => Cow::Borrowed("web_search"),
        (_, Some(name)) => name.clone(),
        (_, None) => {
            let message = "A tool must have a name; it stands in `function.name`.";
            return Err(Refusal::invalid(path, message));
        }
    };
    let tool = Tool {
        strict: tool.strict,
        ..named(name, tool.description.clone(), kind)
    };
    Ok(marked(tool, cache))
}

fn function<'a>(it: &Function<'a>, cache: Option<&CacheControl>, path: &str) -> Result<Tool<'a>, Refusal> {
    let schema = object(it.parameters, &format!("{path}.parameters"))?;
    let tool = Tool {
        strict: it.strict,
        ..named(
            it.name.clone(),
            it.description.clone(),
            ToolKind::Function(schema),
        )
    };
    Ok(marked(tool, cache))
}

/// A schema: an object, or nothing.
fn object<'a>(raw: Option<&'a RawValue>, path: &str) -> Result<Option<Json<'a>>, Refusal> {
    match raw.map(Json::from) {
        Some(schema) if !schema.is_object() => Err(Refusal::invalid(
            path,
            "The parameters of a tool must be a JSON Schema: an object.",
        )),
        schema => Ok(schema),
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

fn marked<'a>(tool: Tool<'a>, cache: Option<&CacheControl>) -> Tool<'a> {
    Tool {
        cache: cache.map(mark),
        ..tool
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
    let kind = ToolKind::WebSearch {
        allowed_domains: None,
        user_location: location,
    };
    named(Cow::Borrowed("web_search"), None, kind)
}

/// The choices that chat knows, all forms of them.
#[derive(Deserialize)]
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

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
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
            ("any" | "required", _) => Some(ToolChoice::Required),
            ("auto", _) => Some(ToolChoice::Auto),
            ("none", _) => Some(ToolChoice::None),
            (_, Some(name)) => Some(ToolChoice::Named {
                name,
                namespace: None,
            }),
            ("" | "function" | "custom" | "tool", None) => None,
            _ => Some(ToolChoice::Hosted(self.kind)),
        }
    }
}

/// Reads the choice.
pub(super) fn choice<'a>(wire: &Body<'a>) -> Result<Option<ToolChoice<'a>>, Refusal> {
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

#[cfg(test)]
mod tests {
    use super::super::request_in;
    use super::*;
    use crate::canon::{CacheMark, Request};

    fn read<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Refusal> {
        request_in(body, losses)
    }

    fn with(members: &str) -> String {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{members}}}"#)
    }

    /// A tool in one line.
    fn told(tool: &Tool<'_>) -> String {
        let kind = match &tool.kind {
            ToolKind::Function(schema) => format!("function {}", schema.as_ref().map_or("-", Json::get)),
            ToolKind::Custom(format) => format!("custom {}", format.as_ref().map_or("-", Json::get)),
            ToolKind::WebSearch { user_location, .. } => {
                format!("search {}", user_location.as_ref().map_or("-", Json::get))
            }
            other => format!("{other:?}"),
        };
        format!("{} {kind}", tool.name)
    }

    #[test]
    fn tools_are_understood_nested_and_flat() {
        #[rustfmt::skip]
        let table = [
            ("a function", r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#, r#"f function {"type":"object"}"#),
            ("without parameters", r#""tools":[{"type":"function","function":{"name":"f","parameters":null}}]"#, "f function -"),
            ("flat, as in Responses", r#""tools":[{"type":"function","name":"f","parameters":{}}]"#, "f function {}"),
            ("flat, as in Messages", r#""tools":[{"name":"f","input_schema":{}}]"#, "f function {}"),
            ("the same with its type", r#""tools":[{"type":"custom","name":"f","input_schema":{}}]"#, "f function {}"),
            ("a custom tool", r#""tools":[{"type":"custom","custom":{"name":"p","format":{"type":"text"}}}]"#, r#"p custom {"type":"text"}"#),
            ("a flat custom tool", r#""tools":[{"type":"custom","name":"p"}]"#, "p custom -"),
            ("functions of old", r#""functions":[{"name":"f","parameters":{}}]"#, "f function {}"),
            ("the web", r#""web_search_options":{"user_location":{"type":"approximate","approximate":{"city":"Rome"}}}"#, r#"web_search search {"type":"approximate","city":"Rome"}"#),
            ("Anthropic's search", r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#, "web_search search -"),
            ("OpenRouter's search", r#""tools":[{"type":"openrouter:web_search","parameters":{}}]"#, "web_search search -"),
            ("another hosted one", r#""tools":[{"type":"code_interpreter","container":{}}]"#, "code_interpreter Hosted"),
        ];
        for (case, members, expected) in table {
            let body = with(members);
            let request =
                read(&body, &mut Losses::default()).unwrap_or_else(|refusal| panic!("{case}: {refusal:?}"));
            assert_eq!(told(&request.tools[0]), expected, "{case}");
        }
        let body = with(
            r#""tools":[{"type":"function","function":{"name":"f","strict":true},"cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
        );
        let request = read(&body, &mut Losses::default()).unwrap();
        assert_eq!(
            (request.tools[0].strict, request.tools[0].cache),
            (Some(true), Some(CacheMark::OneHour))
        );
    }

    #[test]
    fn a_choice_is_understood_in_all_its_forms() {
        let named = || ToolChoice::Named {
            name: "f".into(),
            namespace: None,
        };
        for (choice, expected) in [
            (r#""auto""#, ToolChoice::Auto),
            (r#""none""#, ToolChoice::None),
            (r#""required""#, ToolChoice::Required),
            (r#""any""#, ToolChoice::Required),
            (r#"{"type":"any"}"#, ToolChoice::Required),
            (r#"{"type":"function","function":{"name":"f"}}"#, named()),
            (r#"{"type":"function","name":"f"}"#, named()),
            (r#"{"type":"tool","name":"f"}"#, named()),
            (r#"{"type":"custom","custom":{"name":"f"}}"#, named()),
            (
                r#"{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
                ToolChoice::Allowed {
                    required: true,
                    names: vec!["f".into()],
                },
            ),
            (
                r#"{"type":"web_search_preview"}"#,
                ToolChoice::Hosted("web_search_preview".into()),
            ),
        ] {
            let body = with(&format!(r#""tool_choice":{choice}"#));
            let request = read(&body, &mut Losses::default()).unwrap();
            assert_eq!(request.tool_choice, Some(expected), "{choice}");
        }
        let old = with(r#""function_call":{"name":"f"}"#);
        assert_eq!(
            read(&old, &mut Losses::default()).unwrap().tool_choice,
            Some(named())
        );
    }

    #[test]
    fn what_is_wrong_with_a_tool_names_its_place() {
        for (members, expected) in [
            (
                r#""tools":[{"type":"function","function":{}}]"#,
                "tools[0].function",
            ),
            (r#""tools":[{"type":"function"}]"#, "tools[0]"),
            (
                r#""tools":[{"type":"function","function":{"name":"f","parameters":"x"}}]"#,
                "tools[0].function.parameters",
            ),
            (
                r#""functions":[{"name":"f","parameters":[]}]"#,
                "functions[0].parameters",
            ),
            (r#""tool_choice":"sometimes""#, "tool_choice"),
            (r#""tool_choice":{"type":"function"}"#, "tool_choice"),
        ] {
            let body = with(members);
            let Err(Refusal::Invalid { param, .. }) = read(&body, &mut Losses::default()) else {
                panic!("{members}: must be refused as invalid")
            };
            assert_eq!(param.as_deref(), Some(expected), "{members}");
        }
    }
}
