//! The rules of Anthropic Messages.

use std::collections::BTreeSet;

use super::field::{At, Checked};

/// Fields of the other dialects that have no meaning here.
const FOREIGN: [&str; 13] = [
    "stop",
    "n",
    "max_completion_tokens",
    "max_output_tokens",
    "frequency_penalty",
    "presence_penalty",
    "response_format",
    "reasoning_effort",
    "stream_options",
    "parallel_tool_calls",
    "input",
    "instructions",
    "previous_response_id",
];
/// What only an assistant says.
const ASSISTANT_ONLY: [&str; 4] = ["tool_use", "thinking", "redacted_thinking", "server_tool_use"];
const MAX_CACHE_MARKS: usize = 4;

pub(super) fn check(body: &At<'_>) -> Checked {
    body.need("max_tokens")?;
    body.counts(&["max_tokens"], 0)?;
    body.bools(&["stream"])?;
    body.range(&["temperature", "top_p"], 0.0, 1.0)?;
    body.counts(&["top_k"], 0)?;
    if let Some(stops) = body.get("stop_sequences") {
        stops
            .items()?
            .iter()
            .try_for_each(|stop| stop.filled().map(drop))?;
    }
    conversation(body)
}

/// The rules of `count_tokens`: the same conversation, no word of how to answer it.
pub(super) fn check_count(body: &At<'_>) -> Checked {
    body.forbid(&[
        "max_tokens",
        "stream",
        "stop_sequences",
        "metadata",
        "service_tier",
    ])?;
    conversation(body)
}

fn conversation(body: &At<'_>) -> Checked {
    body.forbid(&FOREIGN)?;
    if let Some(system) = body.get("system")
        && !system.value.is_string()
    {
        system.items()?.iter().try_for_each(|block| {
            block.need("type")?.one_of(&["text"])?;
            block.need("text")?.filled().map(drop)
        })?;
    }
    tools(body)?;
    thinking(body)?;
    let messages = body.need("messages")?;
    let list = messages.some_items("at least one message is required")?;
    list.iter().try_for_each(message)?;
    if cache_marks(body.value) > MAX_CACHE_MARKS {
        return Err(messages.wrong("A maximum of 4 blocks with cache_control may be provided"));
    }
    tool_order(&list)
}

fn tools(body: &At<'_>) -> Checked {
    let tools = body
        .get("tools")
        .map(|tools| tools.items())
        .transpose()?
        .unwrap_or_default();
    for tool in &tools {
        tool.forbid(&["function", "parameters"])?;
        let kind = tool.get("type").map(|kind| kind.text()).transpose()?;
        if matches!(kind, None | Some("custom")) {
            tool.need("name")?.filled()?;
            tool.need("input_schema")?.need("type")?.one_of(&["object"])?;
        }
    }
    let Some(choice) = body.get("tool_choice") else {
        return Ok(());
    };
    match choice.need("type")?.one_of(&["auto", "any", "tool", "none"])? {
        "tool" => choice.need("name")?.filled().map(drop),
        "none" => Ok(()),
        _ if tools.is_empty() => Err(choice.wrong("may only be specified while providing tools")),
        _ => Ok(()),
    }
}

fn thinking(body: &At<'_>) -> Checked {
    let Some(thinking) = body.get("thinking") else {
        return Ok(());
    };
    if thinking
        .need("type")?
        .one_of(&["enabled", "adaptive", "between_tools", "disabled"])?
        != "enabled"
    {
        return Ok(());
    }
    let budget = thinking.need("budget_tokens")?;
    thinking.counts(&["budget_tokens"], 1024)?;
    let most = body.value.get("max_tokens").and_then(serde_json::Value::as_u64);
    match most {
        Some(most) if budget.value.as_u64() >= Some(most) => {
            Err(budget.wrong("must be less than max_tokens"))
        }
        _ => Ok(()),
    }
}

fn message(message: &At<'_>) -> Checked {
    message.object()?;
    let role = message.need("role")?.one_of(&["user", "assistant", "system"])?;
    message.forbid(&["tool_calls", "tool_call_id", "reasoning_content", "refusal"])?;
    let content = message.need("content")?;
    if content.value.is_string() {
        return content.filled().map(drop);
    }
    content.items()?.iter().try_for_each(|part| block(part, role))
}

fn block(block: &At<'_>, role: &str) -> Checked {
    let kind = block.need("type")?;
    let name = kind.text()?;
    let misplaced =
        role != "assistant" && ASSISTANT_ONLY.contains(&name) || role == "assistant" && name == "tool_result";
    if misplaced {
        return Err(kind.wrong(format!("`{name}` blocks are not allowed in `{role}` messages")));
    }
    match name {
        "text" => text(&block.need("text")?),
        "tool_use" => {
            block.need("id")?.filled()?;
            block.need("name")?.filled()?;
            block.need("input")?.object()
        }
        "tool_result" => block.need("tool_use_id")?.filled().map(drop),
        "thinking" => {
            block.need("thinking")?.text()?;
            block.need("signature")?.filled().map(drop)
        }
        "redacted_thinking" => block.need("data")?.filled().map(drop),
        "image" | "document" => block.need("source")?.need("type").map(drop),
        "image_url" | "input_text" | "output_text" | "input_image" | "refusal" | "input_audio" => Err(kind
            .wrong(format!(
                "Input tag '{name}' does not match any of the expected tags"
            ))),
        _ => Ok(()),
    }
}

fn text(text: &At<'_>) -> Checked {
    match text.text()?.trim() {
        "" => Err(text.wrong("text content blocks must contain non-whitespace text")),
        _ => Ok(()),
    }
}

/// Every call is answered at the head of the very next user message, and nothing else is answered.
fn tool_order(messages: &[At<'_>]) -> Checked {
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for message in messages {
        if message.need("role")?.text()? == "assistant" {
            unanswered(message, &open)?;
            open.extend(ids(message, "tool_use", "id")?);
        } else {
            answers(message, &mut open)?;
            unanswered(message, &open)?;
        }
    }
    messages.last().map_or(Ok(()), |last| unanswered(last, &open))
}

fn answers(message: &At<'_>, open: &mut BTreeSet<&str>) -> Checked {
    for id in ids(message, "tool_result", "tool_use_id")? {
        if !open.remove(id) {
            return Err(message.wrong(format!(
                "unexpected `tool_use_id` found in `tool_result` blocks: {id}"
            )));
        }
    }
    let blocks = message
        .need("content")?
        .value
        .as_array()
        .cloned()
        .unwrap_or_default();
    let is_result = |block: &serde_json::Value| block.get("type").is_some_and(|kind| kind == "tool_result");
    let late = blocks.iter().skip_while(|block| is_result(block)).any(is_result);
    if late {
        Err(message.wrong("`tool_result` blocks must come before other content"))
    } else {
        Ok(())
    }
}

/// The ids of a message's blocks of one kind.
fn ids<'a>(message: &At<'a>, kind: &str, key: &str) -> Checked<Vec<&'a str>> {
    let content = message.need("content")?;
    if content.value.is_string() {
        return Ok(Vec::new());
    }
    let blocks = content.items()?;
    let of_kind = blocks
        .iter()
        .filter(|block| block.value.get("type").is_some_and(|known| known == kind));
    of_kind.map(|block| block.need(key)?.text()).collect()
}

fn unanswered(at: &At<'_>, open: &BTreeSet<&str>) -> Checked {
    match open.first() {
        Some(id) => Err(at.wrong(format!(
            "`tool_use` ids were found without `tool_result` blocks immediately after: {id}"
        ))),
        None => Ok(()),
    }
}

/// Cache marks anywhere that they can stand; tools' schemas are not looked into.
fn cache_marks(body: &serde_json::Value) -> usize {
    let lists = ["system", "tools"]
        .iter()
        .filter_map(|key| body.get(key)?.as_array());
    let contents = body
        .get("messages")
        .and_then(|list| list.as_array())
        .into_iter()
        .flatten();
    let contents = contents.filter_map(|message| message.get("content")?.as_array());
    lists
        .chain(contents)
        .flatten()
        .filter(|block| block.get("cache_control").is_some_and(|c| !c.is_null()))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn verdict(body: Value) -> Result<(), String> {
        check(&At::root(&body)).map_err(|wrong| wrong.fault(crate::api::Envelope::Anthropic).message)
    }

    fn of(messages: Value) -> Value {
        json!({"model": "m", "max_tokens": 10, "messages": messages})
    }

    #[test]
    fn sound_requests_pass() {
        for body in [
            of(json!([{"role": "user", "content": "hi"}])),
            of(json!([
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "", "signature": "s"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}, {"type": "text", "text": "go on"}]},
            ])),
            json!({"model": "m", "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024},
                "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
                "tools": [{"name": "f", "input_schema": {"type": "object"}}, {"type": "web_search_20250305", "name": "web_search"}],
                "tool_choice": {"type": "auto"}, "messages": [{"role": "user", "content": "hi"}], "new_field": 1}),
        ] {
            assert_eq!(verdict(body.clone()), Ok(()), "{body}");
        }
    }

    #[test]
    fn broken_requests_are_refused_where_they_are_broken() {
        let hi = json!({"role": "user", "content": "hi"});
        let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]});
        let text = |text: &str| json!({"type": "text", "text": text});
        let result = json!({"type": "tool_result", "tool_use_id": "t1", "content": "ok"});
        let marked = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
        for (body, part) in [
            (
                json!({"model": "m", "messages": [hi]}),
                "max_tokens: Field required",
            ),
            (of(json!([])), "at least one message"),
            (of(json!([{"role": "tool", "content": "x"}])), "messages.0.role"),
            (of(json!([{"role": "user", "content": ""}])), "messages.0.content"),
            (
                of(json!([{"role": "user", "content": [text(" \n")]}])),
                "non-whitespace",
            ),
            (
                of(json!([{"role": "user", "content": [{"type": "image_url"}]}])),
                "Input tag 'image_url'",
            ),
            (
                of(
                    json!([hi, {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]}]),
                ),
                "valid object",
            ),
            (of(json!([hi, call, hi])), "without `tool_result`"),
            (of(json!([hi, call])), "without `tool_result`"),
            (
                of(json!([{"role": "user", "content": [result]}])),
                "unexpected `tool_use_id`",
            ),
            (
                of(json!([hi, call, {"role": "user", "content": [text("x"), result]}])),
                "must come before",
            ),
            (
                of(json!([{"role": "user", "content": [marked, marked, marked, marked, marked]}])),
                "maximum of 4",
            ),
        ] {
            let told = verdict(body.clone()).unwrap_err();
            assert!(told.contains(part), "{body}: {told}");
        }
    }

    #[test]
    fn parameters_of_other_dialects_and_of_wrong_types_are_refused() {
        let hi = json!({"role": "user", "content": "hi"});
        let with = |key: &str, value: Value| {
            let mut body = json!({"model": "m", "max_tokens": 1024, "messages": [hi]});
            body[key] = value;
            body
        };
        for (body, part) in [
            (with("stop", json!("x")), "stop: Extra inputs"),
            (
                with("max_tokens", json!("9")),
                "max_tokens: Input should be a valid integer",
            ),
            (
                with("tools", json!([{"name": "f", "input_schema": {}}])),
                "input_schema.type: Field required",
            ),
            (with("tool_choice", json!("auto")), "tool_choice"),
            (
                with("thinking", json!({"type": "enabled", "budget_tokens": 1024})),
                "less than max_tokens",
            ),
        ] {
            let told = verdict(body.clone()).unwrap_err();
            assert!(told.contains(part), "{body}: {told}");
        }
    }

    #[test]
    fn counting_tokens_takes_the_conversation_alone() {
        let hi = json!([{"role": "user", "content": "hi"}]);
        assert!(check_count(&At::root(&json!({"model": "m", "messages": hi}))).is_ok());
        assert!(check_count(&At::root(&json!({"model": "m", "max_tokens": 1, "messages": hi}))).is_err());
    }
}
