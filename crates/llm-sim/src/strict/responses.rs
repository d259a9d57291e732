//! The rules of OpenAI Responses.

use std::collections::BTreeSet;

use super::field::{At, Checked};

/// Fields of the other dialects that have no meaning here.
const FOREIGN: [&str; 11] = [
    "messages",
    "system",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "stop_sequences",
    "n",
    "response_format",
    "reasoning_effort",
    "thinking",
    "functions",
];
const MAX_ID: usize = 64;

pub(super) fn check(body: &At<'_>) -> Checked {
    body.forbid(&FOREIGN)?;
    parameters(body)?;
    tools(body)?;
    let Some(input) = body.get("input") else {
        let replaces = ["previous_response_id", "prompt", "conversation"]
            .iter()
            .any(|key| body.get(key).is_some());
        return if replaces {
            Ok(())
        } else {
            body.need("input").map(drop)
        };
    };
    if input.value.is_string() {
        return Ok(());
    }
    let items = input.items()?;
    items.iter().try_for_each(item)?;
    outputs_have_calls(body, &items)
}

fn parameters(body: &At<'_>) -> Checked {
    body.bools(&["stream", "store", "parallel_tool_calls", "background"])?;
    body.texts(&[
        "instructions",
        "previous_response_id",
        "user",
        "prompt_cache_key",
        "service_tier",
    ])?;
    body.counts(&["max_output_tokens", "max_tool_calls"], 1)?;
    body.counts(&["top_logprobs"], 0)?;
    body.range(&["temperature"], 0.0, 2.0)?;
    body.range(&["top_p"], 0.0, 1.0)?;
    if let Some(options) = body.get("stream_options") {
        options.forbid(&["include_usage"])?;
    }
    for key in ["reasoning", "text"] {
        body.get(key).map_or(Ok(()), |at| at.object())?;
    }
    text_format(body)
}

/// The format is flat here: its name and schema stand beside its type.
fn text_format(body: &At<'_>) -> Checked {
    let Some(format) = body.get("text").and_then(|text| text.get("format")) else {
        return Ok(());
    };
    if format
        .need("type")?
        .one_of(&["text", "json_object", "json_schema"])?
        == "json_schema"
    {
        format.forbid(&["json_schema"])?;
        format.need("name")?.filled()?;
        format.need("schema")?.object()?;
    }
    Ok(())
}

/// Tools are flat too.
fn tools(body: &At<'_>) -> Checked {
    for tool in body
        .get("tools")
        .map(|tools| tools.items())
        .transpose()?
        .unwrap_or_default()
    {
        let kind = tool.need("type")?.text()?;
        tool.forbid(&["function", "input_schema"])?;
        if matches!(kind, "function" | "custom") {
            tool.need("name")?.filled()?;
        }
    }
    let Some(choice) = body.get("tool_choice") else {
        return Ok(());
    };
    if choice.value.is_string() {
        return choice.one_of(&["none", "auto", "required"]).map(drop);
    }
    match choice.need("type")?.text()? {
        "function" | "custom" => choice.need("name")?.filled().map(drop),
        _ => Ok(()),
    }
}

fn item(item: &At<'_>) -> Checked {
    item.object()?;
    if let Some(id) = item.get("id")
        && id.text()?.len() > MAX_ID
    {
        return Err(id.wrong("string too long, expected at most 64 characters"));
    }
    match item.get("type").map(|kind| kind.text()).transpose()? {
        None | Some("message") => message(item),
        Some("function_call") => {
            item.need("call_id")?.filled()?;
            item.need("name")?.filled()?;
            item.need("arguments")?.text().map(drop)
        }
        Some("custom_tool_call") => {
            item.need("call_id")?.filled()?;
            item.need("name")?.filled()?;
            item.need("input")?.text().map(drop)
        }
        Some("function_call_output" | "custom_tool_call_output") => {
            item.need("call_id")?.filled()?;
            let output = item.need("output")?;
            if output.value.is_string() {
                Ok(())
            } else {
                output.items().map(drop)
            }
        }
        Some("reasoning") => item.need("summary")?.items().map(drop),
        Some(kind @ ("text" | "tool_use" | "tool_result" | "thinking" | "tool")) => {
            Err(item.wrong(format!("'{kind}' is no input item")))
        }
        Some(_) => Ok(()),
    }
}

fn message(item: &At<'_>) -> Checked {
    item.forbid(&["tool_calls", "tool_call_id"])?;
    let role = item
        .need("role")?
        .one_of(&["user", "assistant", "system", "developer"])?;
    let content = item.need("content")?;
    if content.value.is_string() {
        return Ok(());
    }
    let kinds: &[&str] = match role {
        "assistant" => &["output_text", "refusal"],
        _ => &["input_text", "input_image", "input_file", "input_audio"],
    };
    for part in content.items()? {
        match part.need("type")?.one_of(kinds)? {
            "input_text" | "output_text" => part.need("text")?.text().map(drop)?,
            "refusal" => part.need("refusal")?.text().map(drop)?,
            _ => {}
        }
    }
    Ok(())
}

/// An output answers a call that stands before it; calls that the backend remembers cannot be checked.
fn outputs_have_calls(body: &At<'_>, items: &[At<'_>]) -> Checked {
    let remembers = ["previous_response_id", "conversation"]
        .iter()
        .any(|key| body.get(key).is_some());
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for item in items {
        match item.get("type").map(|kind| kind.text()).transpose()? {
            Some("function_call" | "custom_tool_call") => {
                open.insert(item.need("call_id")?.text()?);
            }
            Some("function_call_output" | "custom_tool_call_output") => {
                let id = item.need("call_id")?;
                if !open.remove(id.text()?) && !remembers {
                    return Err(id.wrong(format!(
                        "No tool call found for call output with call_id {}",
                        id.text()?
                    )));
                }
            }
            _ => {}
        }
    }
    match open.first() {
        Some(id) => Err(body
            .need("input")?
            .wrong(format!("No tool output found for function call {id}"))),
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

    #[test]
    fn sound_requests_pass() {
        let call = json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"});
        let output = json!({"type": "function_call_output", "call_id": "c1", "output": "ok"});
        for body in [
            json!({"model": "m", "input": "hi"}),
            json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}, call, output]}),
            json!({"model": "m", "previous_response_id": "resp_1", "input": [output]}),
            json!({"model": "m", "input": "hi", "tools": [{"type": "function", "name": "f", "parameters": null, "strict": null}],
                "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}}),
        ] {
            assert_eq!(verdict(body.clone()), Ok(()), "{body}");
        }
    }

    #[test]
    fn broken_requests_are_refused_where_they_are_broken() {
        let call = json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"});
        let output = json!({"type": "function_call_output", "call_id": "c1", "output": "ok"});
        for (body, part) in [
            (json!({"model": "m"}), "'input'"),
            (json!({"model": "m", "input": "hi", "messages": []}), "'messages'"),
            (
                json!({"model": "m", "input": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}),
                "input[0].content[0].type",
            ),
            (
                json!({"model": "m", "input": [{"role": "assistant", "content": [{"type": "input_text", "text": "hi"}]}]}),
                "input[0].content[0].type",
            ),
            (json!({"model": "m", "input": [output]}), "No tool call found"),
            (json!({"model": "m", "input": [call]}), "No tool output found"),
            (
                json!({"model": "m", "input": [{"type": "tool_result"}]}),
                "no input item",
            ),
            (
                json!({"model": "m", "input": "hi", "tools": [{"type": "function", "function": {"name": "f"}}]}),
                "tools[0].function",
            ),
            (
                json!({"model": "m", "input": "hi", "stream_options": {"include_usage": true}}),
                "include_usage",
            ),
            (
                json!({"model": "m", "input": "hi", "text": {"format": {"type": "json_schema", "json_schema": {}}}}),
                "json_schema",
            ),
        ] {
            let told = verdict(body.clone()).unwrap_err();
            assert!(told.contains(part), "{body}: {told}");
        }
    }
}
