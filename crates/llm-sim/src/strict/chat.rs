//! The rules of OpenAI Chat Completions.

use std::collections::BTreeSet;

use super::field::{At, Checked};

const ROLES: [&str; 6] = ["developer", "system", "user", "assistant", "tool", "function"];
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
/// Fields of the other dialects that have no meaning here.
const FOREIGN: [&str; 9] = [
    "system",
    "stop_sequences",
    "thinking",
    "output_config",
    "input",
    "instructions",
    "max_output_tokens",
    "previous_response_id",
    "reasoning",
];

pub(super) fn check(body: &At<'_>) -> Checked {
    body.forbid(&FOREIGN)?;
    parameters(body)?;
    tools(body)?;
    let list = body
        .need("messages")?
        .some_items("empty array, expected at least one message")?;
    list.iter().try_for_each(message)?;
    tool_order(&list)
}

fn parameters(body: &At<'_>) -> Checked {
    body.bools(&["stream", "logprobs", "parallel_tool_calls", "store"])?;
    body.range(&["temperature"], 0.0, 2.0)?;
    body.range(&["top_p"], 0.0, 1.0)?;
    body.range(&["frequency_penalty", "presence_penalty"], -2.0, 2.0)?;
    body.counts(&["max_tokens", "max_completion_tokens", "n"], 1)?;
    body.counts(&["top_logprobs"], 0)?;
    body.texts(&["user", "prompt_cache_key", "safety_identifier", "service_tier"])?;
    if let Some(effort) = body.get("reasoning_effort") {
        effort.one_of(&EFFORTS)?;
    }
    if let Some(stop) = body.get("stop")
        && !stop.value.is_string()
        && stop.items()?.len() > 4
    {
        return Err(stop.wrong("at most 4 stop sequences"));
    }
    stream_options(body)?;
    response_format(body)
}

fn stream_options(body: &At<'_>) -> Checked {
    let Some(options) = body.get("stream_options") else {
        return Ok(());
    };
    options.object()?;
    options.bools(&["include_usage", "include_obfuscation"])?;
    if body.value.get("stream").and_then(serde_json::Value::as_bool) != Some(true) {
        return Err(options.wrong("only allowed when stream is true"));
    }
    Ok(())
}

fn response_format(body: &At<'_>) -> Checked {
    let Some(format) = body.get("response_format") else {
        return Ok(());
    };
    if format
        .need("type")?
        .one_of(&["text", "json_object", "json_schema"])?
        == "json_schema"
    {
        let schema = format.need("json_schema")?;
        schema.need("name")?.filled()?;
    }
    Ok(())
}

fn tools(body: &At<'_>) -> Checked {
    let tools = body
        .get("tools")
        .map(|tools| tools.items())
        .transpose()?
        .unwrap_or_default();
    for tool in &tools {
        let kind = tool.need("type")?.one_of(&["function", "custom"])?;
        let inner = tool.need(kind)?;
        inner.need("name")?.filled()?;
        if let Some(parameters) = inner.get("parameters") {
            parameters.object()?;
        }
    }
    for key in ["tool_choice", "parallel_tool_calls"] {
        if let Some(choice) = body.get(key)
            && tools.is_empty()
            && choice.value != "none"
        {
            return Err(choice.wrong(format!("{key} is only allowed when tools are specified")));
        }
    }
    tool_choice(body)
}

fn tool_choice(body: &At<'_>) -> Checked {
    let Some(choice) = body.get("tool_choice") else {
        return Ok(());
    };
    if choice.value.is_string() {
        return choice.one_of(&["none", "auto", "required"]).map(drop);
    }
    let kind = choice
        .need("type")?
        .one_of(&["function", "custom", "allowed_tools"])?;
    let inner = choice.need(kind)?;
    if kind == "allowed_tools" {
        inner.need("tools")?.items().map(drop)
    } else {
        inner.need("name")?.filled().map(drop)
    }
}

fn message(message: &At<'_>) -> Checked {
    message.object()?;
    let role = message.need("role")?.one_of(&ROLES)?;
    if role == "tool" {
        message.need("tool_call_id")?.filled()?;
    }
    if role == "assistant" {
        let calls = message.get("tool_calls").map(|calls| calls.items()).transpose()?;
        calls.iter().flatten().try_for_each(call)?;
        let stands_in = ["tool_calls", "function_call", "refusal", "audio"];
        if stands_in.iter().any(|key| message.get(key).is_some()) && message.get("content").is_none() {
            return Ok(());
        }
    }
    content(&message.need("content")?, role)
}

fn content(content: &At<'_>, role: &str) -> Checked {
    if content.value.is_string() {
        return Ok(());
    }
    let kinds: &[&str] = match role {
        "user" => &["text", "image_url", "input_audio", "file"],
        "assistant" => &["text", "refusal"],
        _ => &["text"],
    };
    for part in content.items()? {
        let kind = part.need("type")?.one_of(kinds)?;
        let inner = part.need(kind)?;
        match kind {
            "text" | "refusal" => inner.text().map(drop)?,
            "image_url" => inner.need("url")?.filled().map(drop)?,
            _ => inner.object()?,
        }
    }
    Ok(())
}

fn call(call: &At<'_>) -> Checked {
    call.need("id")?.filled()?;
    let kind = call.need("type")?.one_of(&["function", "custom"])?;
    let inner = call.need(kind)?;
    inner.need("name")?.filled()?;
    inner
        .need(if kind == "custom" { "input" } else { "arguments" })?
        .text()
        .map(drop)
}

/// Every call is answered by a tool message before any other message, and nothing else is answered.
fn tool_order(messages: &[At<'_>]) -> Checked {
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for message in messages {
        if message.need("role")?.text()? == "tool" {
            let id = message.need("tool_call_id")?;
            if !open.remove(id.text()?) {
                return Err(id.wrong(
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'",
                ));
            }
            continue;
        }
        unanswered(message, &open)?;
        let calls = message.get("tool_calls").map(|calls| calls.items()).transpose()?;
        for call in calls.iter().flatten() {
            open.insert(call.need("id")?.text()?);
        }
    }
    messages.last().map_or(Ok(()), |last| unanswered(last, &open))
}

fn unanswered(at: &At<'_>, open: &BTreeSet<&str>) -> Checked {
    match open.first() {
        Some(id) => Err(at.wrong(format!(
            "an assistant message with 'tool_calls' must be followed by tool messages responding to each \
             'tool_call_id'; {id} did not have a response"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn verdict(body: Value) -> Result<(), String> {
        check(&At::root(&body)).map_err(|wrong| wrong.fault(crate::api::Envelope::OpenAi).message)
    }

    fn of(messages: Value) -> Value {
        json!({"model": "m", "messages": messages})
    }

    #[test]
    fn sound_requests_pass() {
        let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        for body in [
            of(json!([{"role": "user", "content": "hi"}])),
            of(
                json!([{"role": "system", "content": [{"type": "text", "text": "s"}]}, {"role": "user", "content": "hi"}]),
            ),
            of(json!([
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": null, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "ok"},
            ])),
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true,
                "stream_options": {"include_usage": true}, "tool_choice": {"type": "function", "function": {"name": "f"}},
                "tools": [{"type": "function", "function": {"name": "f"}}], "unknown_field": 1}),
        ] {
            assert_eq!(verdict(body.clone()), Ok(()), "{body}");
        }
    }

    #[test]
    fn broken_requests_are_refused_where_they_are_broken() {
        let hi = json!({"role": "user", "content": "hi"});
        let call = json!({"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
        for (body, part) in [
            (json!({"model": "m"}), "'messages'"),
            (of(json!([])), "empty array"),
            (
                of(json!([{"role": "robot", "content": "hi"}])),
                "messages[0].role",
            ),
            (
                of(json!([{"role": "user", "content": null}])),
                "messages[0].content",
            ),
            (
                of(json!([{"role": "user", "content": [{"type": "tool_result"}]}])),
                "messages[0].content[0].type",
            ),
            (of(json!([hi, call, hi])), "c1 did not have a response"),
            (of(json!([hi, call])), "c1 did not have a response"),
            (
                of(json!([hi, {"role": "tool", "tool_call_id": "c9", "content": ""}])),
                "preceding message",
            ),
            (json!({"model": "m", "messages": [hi], "system": "s"}), "'system'"),
            (
                json!({"model": "m", "messages": [hi], "temperature": 3}),
                "'temperature'",
            ),
            (
                json!({"model": "m", "messages": [hi], "stream": "yes"}),
                "'stream'",
            ),
            (
                json!({"model": "m", "messages": [hi], "stream_options": {}}),
                "'stream_options'",
            ),
            (
                json!({"model": "m", "messages": [hi], "tool_choice": "auto"}),
                "'tool_choice'",
            ),
            (
                json!({"model": "m", "messages": [hi], "tools": [{"name": "f", "input_schema": {}}]}),
                "tools[0].type",
            ),
        ] {
            let told = verdict(body.clone()).unwrap_err();
            assert!(told.contains(part), "{body}: {told}");
        }
    }
}
