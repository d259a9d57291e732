//! A Responses client's request in the canonical form.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::items_in;
use super::tools_in;
use super::wire::{Body, Format as WireFormat, Reasoning, Text};
use crate::canon::reading::{Content, read, sound};
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
    let tools = tools_in::tools(wire.tools, "tools", losses)?;
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
            let text = sound(JsonStr::from_raw(quoted).unwrap_or_default(), "instructions")?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::ToolKind;

    fn refused(body: &str) -> (&'static str, Option<String>) {
        match request_in(body, &mut Losses::default()) {
            Ok(_) => ("taken", None),
            Err(Refusal::Invalid { param, .. }) => ("invalid", param),
            Err(Refusal::Unsupported { param, .. }) => ("unsupported", Some(param)),
        }
    }

    #[test]
    fn what_cannot_be_carried_is_refused_by_its_name() {
        let item = |item: &str| format!(r#"{{"model":"m","input":[{item}]}}"#);
        let with = |field: &str| format!(r#"{{"model":"m","input":"hi",{field}}}"#);
        #[rustfmt::skip]
        let table = [
            ("an earlier answer", with(r#""previous_response_id":"resp_1""#), "unsupported", "previous_response_id"),
            ("a conversation", with(r#""conversation":{"id":"c"}"#), "unsupported", "conversation"),
            ("a stored prompt", with(r#""prompt":{"id":"p"}"#), "unsupported", "prompt"),
            ("an answer for later", with(r#""background":true"#), "unsupported", "background"),
            ("an item that is stored", item(r#"{"type":"item_reference","id":"msg_1"}"#), "unsupported", "input[0]"),
            ("a compacted conversation", item(r#"{"type":"compaction","encrypted_content":"x"}"#), "unsupported", "input[0]"),
            ("the same under Codex's names", item(r#"{"type":"compaction_summary","encrypted_content":"x"}"#), "unsupported", "input[0]"),
            ("and another", item(r#"{"type":"context_compaction","encrypted_content":"x"}"#), "unsupported", "input[0]"),
            ("no input", r#"{"model":"m"}"#.to_owned(), "invalid", "input"),
            ("an unknown role", item(r#"{"role":"tool","content":"x"}"#), "invalid", "input[0].role"),
            ("instructions that are a picture", item(r#"{"role":"developer","content":[{"type":"input_image","image_url":"https://x/a.png"}]}"#), "unsupported", "input[0].content"),
            ("half a character in a text", item(r#"{"role":"user","content":"\ud83d"}"#), "invalid", "input[0].content"),
            ("in instructions", with(r#""instructions":"\ud83d""#), "invalid", "instructions"),
            ("in arguments", item(r#"{"type":"function_call","call_id":"c","name":"f","arguments":"\ud83d"}"#), "invalid", "input[0].arguments"),
            ("in free text", item(r#"{"type":"custom_tool_call","call_id":"c","name":"f","input":"\ud83d"}"#), "invalid", "input[0].input"),
            ("in a refusal", item(r#"{"role":"assistant","content":[{"type":"refusal","refusal":"\ud83d"}]}"#), "invalid", "input[0].content[0]"),
            ("in a summary", item(r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"\ud83d"}]}"#), "invalid", "input[0].summary"),
            ("in an id", item(r#"{"type":"function_call","call_id":"\ud83d","name":"f","arguments":""}"#), "invalid", "input[0].call_id"),
            ("in the id of an output", item(r#"{"type":"function_call_output","call_id":"\ud83d","output":""}"#), "invalid", "input[0].call_id"),
        ];
        let mut wrong = Vec::new();
        for (case, body, verdict, param) in table {
            let found = refused(&body);
            if found != (verdict, Some(param.to_owned())) {
                wrong.push((case, found));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// The turns in short: who, and the kinds of its blocks.
    fn turns(items: &str) -> Vec<String> {
        let body = format!(r#"{{"model":"m","input":[{items}]}}"#);
        let request = request_in(&body, &mut Losses::default()).unwrap();
        let block = |block: &Block<'_>| match block {
            Block::Text(text) => text.text.read().into_owned(),
            Block::ToolCall(call) => format!("call {}", call.id.read()),
            Block::ToolResult(result) => format!("result {}", result.id.read()),
            Block::Reasoning(_) => "thought".to_owned(),
            other => format!("{other:?}"),
        };
        let turn = |turn: &Turn<'_>| {
            let blocks: Vec<String> = turn.blocks.iter().map(block).collect();
            format!("{:?}: {}", turn.role, blocks.join(", "))
        };
        request.turns.iter().map(turn).collect()
    }

    #[test]
    fn items_that_a_model_made_in_one_go_are_one_turn_and_outputs_follow_their_calls() {
        let call = |id: &str| {
            format!(r#"{{"type":"function_call","call_id":"{id}","name":"f","arguments":"{{}}"}}"#)
        };
        let custom = r#"{"type":"custom_tool_call","call_id":"p","name":"f","input":"x"}"#;
        let output = |id: &str| format!(r#"{{"type":"function_call_output","call_id":"{id}","output":"o"}}"#);
        let says = |role: &str, text: &str| format!(r#"{{"role":"{role}","content":"{text}"}}"#);
        let thought = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"}"#;
        let (a, b) = (call("a"), call("b"));
        #[rustfmt::skip]
        let table: Vec<(&str, Vec<String>, &[&str])> = vec![
            ("one turn", vec![thought.to_owned(), says("assistant", "t"), a.clone(), custom.to_owned(), output("p"), output("a")], &["Assistant: thought, t, call a, call p", "User: result p, result a"]),
            ("a call and its output, twice", vec![a.clone(), output("a"), b.clone(), output("b")], &["Assistant: call a", "User: result a", "Assistant: call b", "User: result b"]),
            ("an output behind another message", vec![a.clone(), says("user", "u"), output("a")], &["Assistant: call a", "User: result a", "User: u"]),
            ("outputs of two rounds, late", vec![a.clone(), says("developer", "d"), b, output("a"), output("b")], &["Assistant: call a", "User: result a", "Developer: d", "Assistant: call b", "User: result b"]),
            ("an output without a call", vec![says("user", "u"), output("z")], &["User: u", "User: result z"]),
        ];
        for (case, items, expected) in table {
            assert_eq!(turns(&items.join(",")), expected, "{case}");
        }
    }

    #[test]
    fn tools_that_were_found_or_added_later_are_on_offer_once() {
        let body = r#"{"model":"m","tools":[{"type":"tool_search","execution":"client","parameters":{}},{"type":"function","name":"f"}],"input":[
            {"type":"tool_search_call","call_id":"s","execution":"client","arguments":{"query":"q"}},
            {"type":"tool_search_call","id":"x","execution":"server","call_id":null,"arguments":{}},
            {"type":"tool_search_output","id":"y","execution":"server","call_id":null,"tools":[{"type":"function","name":"h"}]},
            {"type":"tool_search_output","call_id":"s","execution":"client","status":"completed","tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f","defer_loading":true}]},{"type":"function","name":"f"}]},
            {"type":"additional_tools","role":"developer","tools":[{"type":"custom","name":"g"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}]}]}"#;
        let request = request_in(body, &mut Losses::default()).unwrap();
        let tools: Vec<_> = request
            .tools
            .iter()
            .map(|it| (it.namespace.as_deref(), &*it.name))
            .collect();
        assert_eq!(
            tools,
            [
                (None, "tool_search"),
                (None, "f"),
                (None, "h"),
                (Some("n"), "f"),
                (None, "g")
            ]
        );
        assert!(matches!(request.tools[0].kind, ToolKind::ToolSearch(Some(_))));
        let [call, result] = request.turns.as_slice() else {
            panic!("a call and its result: {:?}", request.turns)
        };
        assert!(matches!(&call.blocks[0], Block::ToolCall(call) if call.name == "tool_search"));
        assert!(
            matches!(&call.blocks[1], Block::Foreign { .. }),
            "the provider's own search calls nobody"
        );
        assert!(matches!(&result.blocks[0], Block::ToolResult(result) if !result.content.is_empty()));
    }
}
