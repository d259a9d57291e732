//! The messages of a chat request as turns.

use serde_json::value::RawValue;

use super::wire::{Call, CalledFunction, Message};
use super::{marks, parts_in, reasoning};
use crate::canon::reading::Content;
use crate::canon::{
    Block, Json, JsonStr, Losses, Refusal, Request, Role, ToolCall, ToolInput, ToolResult, Turn,
};

/// Puts the messages into the request: leading instructions apart from the conversation.
pub(super) fn conversation<'a>(
    messages: Vec<Message<'a>>,
    request: &mut Request<'a>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let mut calls = Calls::default();
    for (at, message) in messages.into_iter().enumerate() {
        let turn = turn(message, at, &mut calls, losses)?;
        let leads = matches!(turn.role, Role::System | Role::Developer) && request.turns.is_empty();
        if leads {
            request.system.push(turn);
        } else {
            request.turns.push(turn);
        }
    }
    Ok(())
}

/// What results need of the calls before them.
#[derive(Default)]
struct Calls<'a> {
    /// How many there were, and how many results: functions of old have no ids and are linked by their order.
    made: usize,
    answered: usize,
    /// Ids of calls of custom tools.
    custom: Vec<JsonStr<'a>>,
}

fn turn<'a>(
    message: Message<'a>,
    at: usize,
    calls: &mut Calls<'a>,
    losses: &mut Losses,
) -> Result<Turn<'a>, Refusal> {
    let path = format!("messages[{at}]");
    if message.audio.is_some() {
        losses.note("messages.audio");
    }
    let (role, blocks) = match &*message.role {
        "system" => (Role::System, texts(&message, &path, losses)?),
        "developer" => (Role::Developer, texts(&message, &path, losses)?),
        "user" => (Role::User, content(&message, &path, losses)?),
        "assistant" => (Role::Assistant, assistant(&message, &path, calls, losses)?),
        "tool" | "function" => (Role::User, vec![result(&message, &path, calls, losses)?]),
        _ => {
            return Err(Refusal::invalid(
                format!("{path}.role"),
                "The role of a message must be system, developer, user, assistant or tool.",
            ));
        }
    };
    Ok(Turn { role, blocks })
}

fn assistant<'a>(
    message: &Message<'a>,
    path: &str,
    calls: &mut Calls<'a>,
    losses: &mut Losses,
) -> Result<Vec<Block<'a>>, Refusal> {
    let thought = reasoning::of_message(message).into_iter().map(Block::Reasoning);
    let mut blocks: Vec<Block<'a>> = thought.collect();
    blocks.extend(content(message, path, losses)?);
    if let Some(refusal) = message.refusal.clone().filter(|it| !it.is_empty()) {
        blocks.push(Block::Refusal(refusal));
    }
    for (at, call) in message.tool_calls.iter().flatten().enumerate() {
        let path = format!("{path}.tool_calls[{at}]");
        blocks.push(Block::ToolCall(tool_call(call, &path, calls)?));
    }
    if let Some(old) = &message.function_call {
        let path = format!("{path}.function_call");
        blocks.push(Block::ToolCall(function(old, calls.next_id(), &path)?));
    }
    Ok(blocks)
}

impl Calls<'_> {
    /// The id of a call that has none of its own.
    fn next_id(&mut self) -> JsonStr<'static> {
        self.made += 1;
        by_position(self.made - 1)
    }
}

fn tool_call<'a>(call: &Call<'a>, path: &str, calls: &mut Calls<'a>) -> Result<ToolCall<'a>, Refusal> {
    let made = calls.next_id();
    let id = call.id.clone().filter(|id| !id.is_empty()).unwrap_or(made);
    match (&call.custom, &call.function) {
        (Some(custom), _) => {
            calls.custom.push(id.clone());
            Ok(ToolCall {
                id,
                name: named(custom.name.as_deref(), path)?.to_owned().into(),
                namespace: None,
                input: ToolInput::Custom(custom.input.clone().unwrap_or_default()),
            })
        }
        (None, Some(called)) => function(called, id, &format!("{path}.function")),
        (None, None) => Err(parts_in::missing(path, "function")),
    }
}

fn function<'a>(called: &CalledFunction<'a>, id: JsonStr<'a>, path: &str) -> Result<ToolCall<'a>, Refusal> {
    Ok(ToolCall {
        id,
        name: named(called.name.as_deref(), path)?.to_owned().into(),
        namespace: None,
        input: arguments(called.arguments),
    })
}

fn named<'n>(name: Option<&'n str>, path: &str) -> Result<&'n str, Refusal> {
    let name = name.filter(|name| !name.is_empty());
    name.ok_or_else(|| parts_in::missing(path, "name"))
}

/// Arguments are a string; some clients send the value itself.
fn arguments(raw: Option<&RawValue>) -> ToolInput<'_> {
    match raw {
        None => ToolInput::Arguments(JsonStr::EMPTY),
        Some(raw) => match JsonStr::from_raw(raw.get()) {
            Some(text) => ToolInput::Arguments(text),
            None => ToolInput::Json(Json::from(raw)),
        },
    }
}

fn by_position(position: usize) -> JsonStr<'static> {
    JsonStr::spelled_so(format!("call_{position}"))
}

fn result<'a>(
    message: &Message<'a>,
    path: &str,
    calls: &mut Calls<'a>,
    losses: &mut Losses,
) -> Result<Block<'a>, Refusal> {
    let position = calls.answered;
    calls.answered += 1;
    let id = match &message.tool_call_id {
        Some(id) if !id.is_empty() => id.clone(),
        _ if message.role == "function" => by_position(position),
        _ => {
            return Err(Refusal::invalid(
                format!("{path}.tool_call_id"),
                "A tool message must say which call it answers (`tool_call_id`).",
            ));
        }
    };
    Ok(Block::ToolResult(ToolResult {
        custom: calls.custom.contains(&id),
        id,
        content: parts_in::blocks(message.content, &format!("{path}.content"), losses)?,
        plain: matches!(Content::of(message.content), Content::Text(_)),
        is_error: None,
        cache: message.cache_control.as_ref().map(marks::mark),
    }))
}

/// The content of a message, with its mark.
fn content<'a>(message: &Message<'a>, path: &str, losses: &mut Losses) -> Result<Vec<Block<'a>>, Refusal> {
    let mut blocks = parts_in::blocks(message.content, &format!("{path}.content"), losses)?;
    if let Some(control) = &message.cache_control {
        marks::set(&mut blocks, marks::mark(control));
    }
    Ok(blocks)
}

/// Content of those who can only write.
fn texts<'a>(message: &Message<'a>, path: &str, losses: &mut Losses) -> Result<Vec<Block<'a>>, Refusal> {
    let blocks = content(message, path, losses)?;
    match blocks.iter().position(|block| !matches!(block, Block::Text(_))) {
        None => Ok(blocks),
        Some(at) => Err(Refusal::invalid(
            format!("{path}.content[{at}]"),
            "Instructions can only hold text.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request_in;
    use super::*;
    use crate::canon::{CacheMark, DocumentSource, Response, Source, Stop};
    use crate::chat::told;

    fn messages(list: &str) -> String {
        format!(r#"{{"model":"m","messages":[{list}]}}"#)
    }

    /// The turns, each in one line.
    fn turns(request: &Request<'_>) -> Vec<String> {
        let all = request.system.iter().chain(&request.turns);
        all.map(|turn| format!("{:?}: {}", turn.role, blocks(&turn.blocks)))
            .collect()
    }

    fn blocks(blocks: &[Block<'_>]) -> String {
        blocks.iter().map(block).collect::<Vec<_>>().join(" | ")
    }

    fn block(block: &Block<'_>) -> String {
        match block {
            Block::ToolResult(result) => {
                let custom = if result.custom { " of a custom tool" } else { "" };
                format!(
                    "result {}{custom} [{}]",
                    result.id.spelling(),
                    blocks(&result.content)
                )
            }
            Block::Image(image) => format!("image {}", source(&image.source)),
            Block::Document(document) => match &document.source {
                DocumentSource::File(file) => format!("file {}", source(file)),
                _ => "document".to_owned(),
            },
            Block::Audio(raw) => format!("audio {}", raw.get()),
            other => {
                let response = Response {
                    blocks: vec![other.clone()],
                    stop: Stop::default(),
                    ..Response::default()
                };
                told::told(&response).trim_end_matches(" | end").to_owned()
            }
        }
    }

    fn source(source: &Source<'_>) -> String {
        match source {
            Source::Data { media_type, data } => format!("{media_type} {}", data.spelling()),
            Source::Url(url) => url.spelling().to_owned(),
            Source::File(id) => format!("id {}", id.spelling()),
        }
    }

    #[test]
    fn messages_become_turns() {
        #[rustfmt::skip]
        let table: [(&str, &str, &[&str]); 24] = [
            ("instructions apart", r#"{"role":"system","content":"a"},{"role":"developer","content":[{"type":"text","text":"b"}]},{"role":"user","content":"c"},{"role":"system","content":"d"}"#,
                &["System: text a", "Developer: text b", "User: text c", "System: text d"]),
            ("parts", r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"input_text","text":"b"}]}"#, &["User: text a | text b"]),
            ("a picture", r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/JPG;base64,AA=="}}]}"#, &["User: image image/jpeg AA=="]),
            ("a picture by a bare address", r#"{"role":"user","content":[{"type":"image_url","image_url":"https://a/x"}]}"#, &["User: image https://a/x"]),
            ("Anthropic's picture", r#"{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}]}"#, &["User: image image/png AA=="]),
            ("a file", r#"{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AA==","filename":"a.pdf"}}]}"#, &["User: file application/pdf AA=="]),
            ("a file without a head", r#"{"role":"user","content":[{"type":"file","file":{"file_data":"AA=="}}]}"#, &["User: file application/pdf AA=="]),
            ("a file's id", r#"{"role":"user","content":[{"type":"file","file":{"file_id":"f1"}}]}"#, &["User: file id f1"]),
            ("speech", r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]}"#, &[r#"User: audio {"data":"AA==","format":"wav"}"#]),
            ("calls and results", r#"{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"x","content":"a"},{"role":"tool","tool_call_id":"y","content":[{"type":"text","text":"b"}]}"#,
                &["Assistant: call x f({})", "User: result x [text a]", "User: result y [text b]"]),
            ("arguments that are no string", r#"{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f","arguments":{"a":1}}}]}"#, &[r#"Assistant: call x f({\"a\":1})"#]),
            ("a custom tool", r#"{"role":"assistant","tool_calls":[{"id":"x","type":"custom","custom":{"name":"p","input":"i"}}]},{"role":"tool","tool_call_id":"x","content":"a"}"#,
                &["Assistant: call x p<i>", "User: result x of a custom tool [text a]"]),
            ("a function of old", r#"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"a"}"#,
                &["Assistant: call call_0 f({})", "User: result call_0 [text a]"]),
            ("calls without ids", r#"{"role":"assistant","tool_calls":[{"function":{"name":"f"}},{"id":"","function":{"name":"g"}}]}"#, &["Assistant: call call_0 f() | call call_1 g()"]),
            ("Anthropic's calls and results", r#"{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"tool_use","id":"x","name":"f","input":{"b":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":[{"type":"text","text":"c"}]},{"type":"text","text":"d"}]}"#,
                &[r#"Assistant: text a | call x f({\"b\":1})"#, "User: result x [text c] | text d"]),
            ("a refusal", r#"{"role":"assistant","content":null,"refusal":"no"},{"role":"assistant","content":[{"type":"refusal","refusal":"never"}]}"#, &["Assistant: refusal no", "Assistant: refusal never"]),
            ("reasoning", r#"{"role":"assistant","reasoning_content":"t","content":"a"},{"role":"assistant","reasoning_content":"","reasoning":"u","content":"b"}"#, &["Assistant: thought t plain | text a", "Assistant: thought u plain | text b"]),
            ("Anthropic's details", r#"{"role":"assistant","reasoning_content":"t","reasoning_details":[{"type":"reasoning.text","text":"t","signature":"s","format":"anthropic-claude-v1","index":0},{"type":"reasoning.encrypted","data":"d","format":"anthropic-claude-v1","index":1}]}"#,
                &["Assistant: thought t signature s | thought  redacted d"]),
            ("the same in pieces", r#"{"role":"assistant","reasoning_details":[{"type":"reasoning.text","text":"t","format":"anthropic-claude-v1"},{"type":"reasoning.text","text":"u","format":"anthropic-claude-v1"},{"type":"reasoning.text","signature":"s","format":"anthropic-claude-v1"}]}"#,
                &["Assistant: thought tu signature s"]),
            ("OpenAI's details", r#"{"role":"assistant","reasoning_details":[{"type":"reasoning.summary","summary":"a","format":"openai-responses-v1"},{"type":"reasoning.summary","summary":"b","format":"openai-responses-v1"},{"type":"reasoning.encrypted","data":"d","id":"rs_1","format":"openai-responses-v1"}]}"#,
                &["Assistant: thought a/b encrypted rs_1 d"]),
            ("a host's own details", r#"{"role":"assistant","reasoning":"t","reasoning_details":[{"type":"reasoning.text","text":"t","format":"unknown"}]}"#, &[r#"Assistant: thought t [{"type":"reasoning.text","text":"t","format":"unknown"}]"#]),
            ("LiteLLM's blocks", r#"{"role":"assistant","reasoning_content":"t","thinking_blocks":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"d"}]}"#, &["Assistant: thought t signature s | thought  redacted d"]),
            ("LiteLLM's empty list", r#"{"role":"assistant","reasoning_content":"t","thinking_blocks":[]}"#, &["Assistant: thought t plain"]),
            ("thinking among the parts", r#"{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"thinking","thinking":[{"type":"text","text":"u"}],"closed":true},{"type":"text","text":"a"}]}"#, &["Assistant: thought t signature s | thought u plain | text a"]),
        ];
        for (case, list, expected) in table {
            let (body, mut losses) = (messages(list), Losses::default());
            let request =
                request_in(&body, &mut losses).unwrap_or_else(|refusal| panic!("{case}: {refusal:?}"));
            assert_eq!(turns(&request), expected, "{case}");
            assert!(losses.is_empty(), "{case}: {losses:?}");
        }
    }

    #[test]
    fn marks_stand_where_they_can_be_kept() {
        let body = messages(
            r#"{"role":"user","content":"a","cache_control":{"type":"ephemeral","ttl":"5m"}},{"role":"tool","tool_call_id":"x","content":"b","cache_control":{"type":"ephemeral"}},{"role":"user","content":[{"type":"text","text":"c","prompt_cache_breakpoint":{"mode":"explicit","ttl":"12h"}}]}"#,
        );
        let request = request_in(&body, &mut Losses::default()).unwrap();
        let marks: Vec<Option<CacheMark>> = request
            .turns
            .iter()
            .map(|turn| match &turn.blocks[0] {
                Block::Text(text) => text.cache,
                Block::ToolResult(result) => result.cache,
                _ => None,
            })
            .collect();
        let expected = [CacheMark::FiveMinutes, CacheMark::Usual, CacheMark::OneHour];
        assert_eq!(marks, expected.map(Some));
    }

    #[test]
    fn what_is_wrong_with_a_message_names_its_place() {
        #[rustfmt::skip]
        let table = [
            (r#"{"role":"wizard","content":"a"}"#, "messages[0].role"),
            (r#"{"role":"user","content":5}"#, "messages[0].content"),
            (r#"{"role":"user","content":[{"type":"text"}]}"#, "messages[0].content[0].text"),
            (r#"{"role":"user","content":[{"type":"text","text":5}]}"#, "messages[0].content[0].text"),
            (r#"{"role":"user","content":[{"type":"video_url","video_url":{}}]}"#, "messages[0].content[0]"),
            (r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,x"}}]}"#, "messages[0].content[0].image_url.url"),
            (r#"{"role":"user","content":[{"type":"file","file":{}}]}"#, "messages[0].content[0].file.file_data"),
            (r#"{"role":"system","content":[{"type":"image_url","image_url":"https://a/x"}]}"#, "messages[0].content[0]"),
            (r#"{"role":"tool","content":"a"}"#, "messages[0].tool_call_id"),
            (r#"{"role":"assistant","tool_calls":[{"id":"x","function":{"name":""}}]}"#, "messages[0].tool_calls[0].function.name"),
            (r#"{"role":"assistant","tool_calls":[{"id":"x"}]}"#, "messages[0].tool_calls[0].function"),
            (r#"{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f","arguments":"\ud800"}}]}"#, "messages[0].tool_calls[0].function.arguments"),
        ];
        for (list, expected) in table {
            let body = messages(list);
            let param = match request_in(&body, &mut Losses::default()) {
                Err(Refusal::Invalid { param, .. }) => param,
                Err(Refusal::Unsupported { param, .. }) => Some(param),
                Ok(_) => None,
            };
            assert_eq!(param.as_deref(), Some(expected), "{list}");
        }
    }
}
