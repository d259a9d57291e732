//! A request for a backend that speaks Responses.

use super::items_out;
use super::tools_out;
use crate::canon::write::{self, Object};
use crate::canon::{Encoded, Format, Losses, Refusal, Request, Target};
use crate::names::{Names, OPENAI_NAME};
use crate::openai;

/// Settings that go on under their own name.
const TAKEN: [&str; 9] = [
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "moderation",
    "max_tool_calls",
    "truncation",
];

/// Writes a request.
///
/// # Errors
/// It asks for something that Responses cannot express.
pub fn request_out(
    request: &Request<'_>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    refuse(request)?;
    let names = Names::of(&request.tools, OPENAI_NAME, true);
    let tools = tools_out::kept(request, losses)?;
    let mut failed = None;
    let mut body = Vec::with_capacity(1024);
    write::object(&mut body, |all| {
        all.str("model", target.model);
        failed = items_out::write(all, request, (target, &names), losses).err();
        tools_out::write(all, request, &tools, &names, losses);
        settings(all, request, target, losses);
        if request.stream {
            all.bool("stream", true);
        }
    });
    match failed {
        Some(refusal) => Err(refusal),
        None => Ok(Encoded {
            body,
            names,
            json_tool: false,
        }),
    }
}

fn refuse(request: &Request<'_>) -> Result<(), Refusal> {
    if request.carried("n").is_some() {
        return Err(Refusal::unsupported(
            "n",
            "This model's backends give one answer a request; ask several times.",
        ));
    }
    openai::refuse_warming(request)
}

fn settings(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Losses) {
    if let Some(limit) = request.max_tokens.or(target.max_tokens) {
        all.number("max_output_tokens", limit);
    }
    if !request.stop.is_empty() {
        losses.note("stop");
    }
    for setting in &request.carried {
        let (name, value) = (setting.name, setting.value.get());
        match name {
            "temperature" | "top_p" if target.traits.sampling => all.raw(name, value),
            "top_logprobs" => all.raw(name, value),
            _ if TAKEN.contains(&name) => all.raw(name, value),
            // They have places of their own.
            "verbosity" | "logprobs" => continue,
            other => {
                losses.note(other);
                continue;
            }
        };
    }
    if request.carried("store").is_none() {
        // Nobody asked for it to be kept, and here it is kept unless told otherwise.
        all.bool("store", false);
    }
    include(all, request, target);
    effort(all, request, target, losses);
    text(all, request);
    openai::user(all, request, target);
}

/// What the answer is to bring along: sealed reasoning from models that reason, probabilities where they were asked for.
fn include(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>) {
    let reasons = !target.traits.sampling;
    let probable = request.carried("logprobs").is_some_and(|it| it.get() == "true");
    if !reasons && !probable {
        return;
    }
    all.array("include", |list| {
        if reasons {
            list.raw("\"reasoning.encrypted_content\"");
        }
        if probable {
            list.raw("\"message.output_text.logprobs\"");
        }
    });
}

fn effort(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Losses) {
    let reasons = !target.traits.sampling || !target.openai;
    match request
        .thinking
        .effort_for(&target.traits, "reasoning_effort", losses)
    {
        Some(effort) if reasons => {
            all.object("reasoning", |it| {
                it.str("effort", effort.name());
            });
        }
        Some(_) if request.thinking.effort.is_some() => losses.note("reasoning_effort"),
        _ => {}
    }
}

fn text(all: &mut Object<'_>, request: &Request<'_>) {
    let verbosity = request.carried("verbosity");
    if request.format.is_none() && verbosity.is_none() {
        return;
    }
    all.object("text", |it| {
        if let Some(form) = &request.format {
            it.object("format", |it| format(it, form));
        }
        if let Some(verbosity) = verbosity {
            it.raw("verbosity", verbosity.get());
        }
    });
}

fn format(it: &mut Object<'_>, format: &Format<'_>) {
    match format {
        Format::JsonObject => {
            it.str("type", "json_object");
        }
        Format::Schema { .. } => {
            it.str("type", "json_schema");
            openai::schema_members(it, format);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;
    use crate::canon::{
        Block, JsonStr, Reasoning, Role, Seal, Tool, ToolCall, ToolChoice, ToolInput, ToolKind, Turn,
    };
    use crate::traits::Traits;
    use std::borrow::Cow;

    fn body(request: &Request<'_>) -> serde_json::Value {
        let target = Target {
            dialect: Dialect::Responses,
            model: "gpt-5",
            family: "openai",
            openai: true,
            max_tokens: None,
            traits: Traits::of(Dialect::Responses, "gpt-5"),
        };
        let encoded = request_out(request, &target, &mut Losses::default()).unwrap();
        serde_json::from_slice(&encoded.body).unwrap()
    }

    fn thought(id: &'static str) -> Block<'static> {
        Block::Reasoning(Reasoning {
            seal: Some(Seal::Encrypted {
                id: JsonStr::spelled_so(id),
                data: JsonStr::spelled_so("x"),
            }),
            ..Reasoning::default()
        })
    }

    fn call() -> Block<'static> {
        Block::ToolCall(ToolCall {
            id: JsonStr::spelled_so("call_1"),
            name: Cow::Borrowed("f"),
            namespace: None,
            input: ToolInput::Arguments(JsonStr::EMPTY),
        })
    }

    #[test]
    fn reasoning_goes_back_only_before_what_it_led_to_and_under_an_id_of_its_maker() {
        let text = || Block::text(JsonStr::spelled_so("t"));
        #[rustfmt::skip]
        let table: Vec<(&str, Vec<Block<'_>>, &[&str])> = vec![
            ("before a call", vec![thought("rs_1"), call()], &["reasoning rs_1", "function_call"]),
            ("before words and a call", vec![thought("rs_1"), text(), thought("rs_2"), call()], &["reasoning rs_1", "message", "reasoning rs_2", "function_call"]),
            ("several", vec![thought("rs_1"), thought("rs_2"), text()], &["reasoning rs_1", "reasoning rs_2", "message"]),
            ("an id of somebody else", vec![thought("capture-1"), text()], &["reasoning", "message"]),
            ("after all, since nothing came of it", vec![text(), thought("rs_1")], &["message"]),
            ("alone", vec![thought("rs_1")], &[]),
            ("before a search, which does not go back", vec![thought("rs_1"), Block::WebSearch(crate::canon::WebSearch::default())], &[]),
        ];
        for (case, blocks, expected) in table {
            let request = Request {
                turns: vec![Turn {
                    role: Role::Assistant,
                    blocks,
                }],
                ..Request::default()
            };
            let items = body(&request)["input"].as_array().unwrap().clone();
            let items: Vec<String> = items
                .iter()
                .map(|item| {
                    format!(
                        "{} {}",
                        item["type"].as_str().unwrap(),
                        item["id"].as_str().unwrap_or("")
                    )
                })
                .collect();
            let items: Vec<&str> = items.iter().map(|item| item.trim_end()).collect();
            assert_eq!(items, expected, "{case}");
        }
    }

    #[test]
    fn a_choice_names_a_tool_as_its_kind_does() {
        let tool = |name: &'static str, namespace: Option<&'static str>, kind| Tool {
            name: Cow::Borrowed(name),
            namespace: namespace.map(Cow::Borrowed),
            description: None,
            kind,
            strict: None,
            cache: None,
        };
        let search = ToolKind::WebSearch {
            allowed_domains: None,
            user_location: None,
        };
        let tools = vec![
            tool("f", None, ToolKind::Function(None)),
            tool("c", None, ToolKind::Custom(None)),
            tool("g", Some("n"), ToolKind::Function(None)),
            tool("web_search", None, search),
        ];
        let named = |name: &'static str| ToolChoice::Named {
            name: Cow::Borrowed(name),
            namespace: None,
        };
        let allowed = ToolChoice::Allowed {
            required: true,
            names: vec![
                "f".into(),
                "c".into(),
                "g".into(),
                "web_search".into(),
                "gone".into(),
            ],
        };
        for (choice, expected) in [
            (named("f"), r#"{"type":"function","name":"f"}"#),
            (named("c"), r#"{"type":"custom","name":"c"}"#),
            (named("web_search"), r#"{"type":"web_search"}"#),
            (
                ToolChoice::Hosted("web_search_preview".into()),
                r#"{"type":"web_search"}"#,
            ),
            (
                allowed,
                r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"},{"type":"custom","name":"c"},{"type":"function","name":"n__g"},{"type":"web_search"}]}"#,
            ),
        ] {
            let request = Request {
                tools: tools.clone(),
                tool_choice: Some(choice.clone()),
                ..Request::default()
            };
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            assert_eq!(body(&request)["tool_choice"], expected, "{choice:?}");
        }
    }
}
