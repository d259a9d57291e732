//! The fields that the page lists, with a sample of each.

use llm_dialect::Dialect;
use serde_json::{Value, json};

/// A field, a sample, and the request that it is added to.
pub(super) struct Row {
    /// Its name on the page: a top-level field, or what is sampled within one.
    pub name: &'static str,
    /// The sample as JSON text.
    pub sample: String,
    /// The request without it.
    pub base: Value,
    /// What the request gets.
    patch: Value,
}

impl Row {
    /// The request with it.
    pub(super) fn with(&self) -> Value {
        let mut body = self.base.clone();
        for (key, value) in self.patch.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        body
    }
}

/// The rows of a client's dialect.
pub(super) fn rows(from: Dialect) -> Vec<Row> {
    match from {
        Dialect::Chat => chat(),
        Dialect::Messages => messages(),
        Dialect::Responses => responses(),
    }
}

/// A field at the top of the body.
fn top(base: &Value, name: &'static str, sample: Value) -> Row {
    let mut patch = json!({});
    patch[name] = sample.clone();
    Row {
        name,
        sample: sample.to_string(),
        base: base.clone(),
        patch,
    }
}

/// Something within the conversation or the tools.
fn within(base: &Value, name: &'static str, patch: Value) -> Row {
    Row {
        name,
        sample: String::from("…").repeat(100),
        base: base.clone(),
        patch,
    }
}

fn tool_chat() -> Value {
    json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}])
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn chat() -> Vec<Row> {
    let user = json!({"role": "user", "content": "hi"});
    let base = json!({"model": "m", "messages": [user]});
    let tools = json!({"model": "m", "messages": [user], "tools": tool_chat()});
    let part = |part: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, part]}]});
    vec![
        within(
            &base,
            "messages: system first",
            json!({"messages": [{"role": "system", "content": "Be brief."}, user]}),
        ),
        within(
            &base,
            "messages: developer first",
            json!({"messages": [{"role": "developer", "content": "Be brief."}, user]}),
        ),
        within(
            &base,
            "messages: system in the middle",
            json!({"messages": [user, {"role": "assistant", "content": "yes"}, {"role": "system", "content": "Be brief."}, user]}),
        ),
        within(
            &base,
            "content: image_url with data",
            part(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})),
        ),
        within(
            &base,
            "content: image_url with https",
            part(json!({"type": "image_url", "image_url": {"url": "https://a.example/x.png"}})),
        ),
        within(
            &base,
            "content: file with a PDF",
            part(
                json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}),
            ),
        ),
        within(
            &base,
            "content: input_audio",
            part(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
        ),
        within(
            &base,
            "a custom tool",
            json!({"tools": [{"type": "custom", "custom": {"name": "patch", "description": "d"}}]}),
        ),
        top(&base, "max_tokens", json!(100)),
        top(&base, "max_completion_tokens", json!(100)),
        top(&base, "temperature", json!(0.5)),
        top(&base, "temperature", json!(1.5)),
        top(&base, "top_p", json!(0.9)),
        top(&base, "top_k", json!(40)),
        top(&base, "stop", json!(["END"])),
        top(&base, "n", json!(2)),
        top(&base, "seed", json!(7)),
        top(&base, "frequency_penalty", json!(0.5)),
        top(&base, "presence_penalty", json!(0.5)),
        top(&base, "logit_bias", json!({"50256": -100})),
        top(&base, "logprobs", json!(true)),
        top(&base, "response_format", json!({"type": "json_object"})),
        within(
            &base,
            "response_format: json_schema",
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}}),
        ),
        top(&base, "reasoning_effort", json!("low")),
        top(&base, "verbosity", json!("low")),
        top(&tools, "tool_choice", json!("auto")),
        top(&tools, "tool_choice", json!("none")),
        top(&tools, "tool_choice", json!("required")),
        top(
            &tools,
            "tool_choice",
            json!({"type": "function", "function": {"name": "f"}}),
        ),
        top(&tools, "parallel_tool_calls", json!(false)),
        top(&base, "web_search_options", json!({})),
        top(&base, "user", json!("user-1")),
        top(&base, "safety_identifier", json!("user-1")),
        top(&base, "metadata", json!({"a": "b"})),
        top(&base, "store", json!(true)),
        top(&base, "service_tier", json!("default")),
        top(&base, "prompt_cache_key", json!("k")),
        top(&base, "prediction", json!({"type": "content", "content": "x"})),
        top(&base, "modalities", json!(["text", "audio"])),
        top(&base, "a_field_of_tomorrow", json!(1)),
    ]
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn messages() -> Vec<Row> {
    let user = json!({"role": "user", "content": "hi"});
    let base = json!({"model": "m", "max_tokens": 4096, "messages": [user]});
    let tool = json!({"name": "f", "input_schema": {"type": "object", "properties": {}}});
    let tools = json!({"model": "m", "max_tokens": 4096, "messages": [user], "tools": [tool]});
    let part = |part: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, part]}]});
    let called = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}]});
    let result = |result: Value| json!({"messages": [user, called, {"role": "user", "content": [result]}]});
    let answered = json!({"model": "m", "max_tokens": 4096, "tools": [tool], "messages": [user, called,
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "no"}]}]});
    vec![
        top(&base, "system", json!("Be brief.")),
        within(
            &base,
            "system: blocks",
            json!({"system": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two.", "cache_control": {"type": "ephemeral"}}]}),
        ),
        within(
            &base,
            "messages: system in the middle",
            json!({"messages": [user, {"role": "system", "content": "Be brief."}, user]}),
        ),
        within(
            &base,
            "content: image, base64",
            part(
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}),
            ),
        ),
        within(
            &base,
            "content: image, url",
            part(json!({"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}})),
        ),
        within(
            &base,
            "content: document, PDF",
            part(
                json!({"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}),
            ),
        ),
        within(
            &base,
            "content: document, text",
            part(
                json!({"type": "document", "title": "a", "source": {"type": "text", "media_type": "text/plain", "data": "words"}}),
            ),
        ),
        within(
            &base,
            "content: document, url",
            part(json!({"type": "document", "source": {"type": "url", "url": "https://a.example/x.pdf"}})),
        ),
        within(
            &base,
            "content: search_result",
            part(
                json!({"type": "search_result", "source": "https://a.example", "title": "t", "content": [{"type": "text", "text": "words"}]}),
            ),
        ),
        within(
            &answered,
            "tool_result: is_error",
            result(
                json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "no", "is_error": true}),
            ),
        ),
        within(
            &answered,
            "tool_result: an image",
            result(
                json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}),
            ),
        ),
        within(
            &base,
            "tools: web_search",
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]}),
        ),
        within(
            &base,
            "tools: bash",
            json!({"tools": [{"type": "bash_20250124", "name": "bash"}]}),
        ),
        within(
            &tools,
            "tools: strict",
            json!({"tools": [{"name": "f", "strict": true, "input_schema": {"type": "object", "properties": {}}}]}),
        ),
        top(&base, "temperature", json!(0.5)),
        top(&base, "top_p", json!(0.9)),
        top(&base, "top_k", json!(40)),
        top(&base, "stop_sequences", json!(["END"])),
        top(&tools, "tool_choice", json!({"type": "auto"})),
        top(&tools, "tool_choice", json!({"type": "any"})),
        top(&tools, "tool_choice", json!({"type": "none"})),
        top(&tools, "tool_choice", json!({"type": "tool", "name": "f"})),
        top(
            &tools,
            "tool_choice",
            json!({"type": "auto", "disable_parallel_tool_use": true}),
        ),
        top(
            &base,
            "thinking",
            json!({"type": "enabled", "budget_tokens": 2000}),
        ),
        top(&base, "thinking", json!({"type": "adaptive"})),
        top(&base, "thinking", json!({"type": "disabled"})),
        top(&base, "output_config", json!({"effort": "high"})),
        within(
            &base,
            "output_config: format",
            json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}}),
        ),
        top(&base, "metadata", json!({"user_id": "user-1"})),
        top(&base, "service_tier", json!("standard_only")),
        top(&base, "context_management", json!({"edits": []})),
        top(
            &base,
            "mcp_servers",
            json!([{"type": "url", "url": "https://a.example", "name": "x"}]),
        ),
        top(&base, "container", json!("c1")),
        top(&base, "speed", json!("fast")),
        top(&base, "a_field_of_tomorrow", json!(1)),
    ]
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn responses() -> Vec<Row> {
    let user = json!({"role": "user", "content": "hi"});
    let base = json!({"model": "m", "input": [user], "store": false});
    let tool = json!({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": false});
    let tools = json!({"model": "m", "input": [user], "store": false, "tools": [tool]});
    let part = |part: Value| json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}, part]}]});
    vec![
        top(&base, "instructions", json!("Be brief.")),
        within(
            &base,
            "input: developer first",
            json!({"input": [{"role": "developer", "content": "Be brief."}, user]}),
        ),
        within(
            &base,
            "input: input_image with data",
            part(json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"})),
        ),
        within(
            &base,
            "input: input_file with a PDF",
            part(
                json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}),
            ),
        ),
        within(
            &base,
            "input: item_reference",
            json!({"input": [user, {"type": "item_reference", "id": "msg_1"}]}),
        ),
        within(
            &base,
            "tools: custom",
            json!({"tools": [{"type": "custom", "name": "patch", "description": "d"}]}),
        ),
        within(
            &base,
            "tools: namespace",
            json!({"tools": [{"type": "namespace", "name": "n", "description": "d", "tools": [tool]}]}),
        ),
        within(
            &base,
            "tools: web_search",
            json!({"tools": [{"type": "web_search"}]}),
        ),
        within(
            &base,
            "tools: code_interpreter",
            json!({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
        ),
        top(&base, "max_output_tokens", json!(100)),
        top(&base, "temperature", json!(0.5)),
        top(&base, "top_p", json!(0.9)),
        top(&base, "top_logprobs", json!(3)),
        top(&tools, "tool_choice", json!("required")),
        top(&tools, "tool_choice", json!({"type": "function", "name": "f"})),
        top(&tools, "parallel_tool_calls", json!(false)),
        top(&base, "reasoning", json!({"effort": "low"})),
        top(&base, "text", json!({"verbosity": "low"})),
        within(
            &base,
            "text: json_schema",
            json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}}),
        ),
        top(&base, "include", json!(["reasoning.encrypted_content"])),
        top(&base, "store", json!(true)),
        top(&base, "previous_response_id", json!("resp_1")),
        top(&base, "conversation", json!("conv_1")),
        top(&base, "prompt", json!({"id": "pmpt_1"})),
        top(&base, "truncation", json!("auto")),
        top(&base, "background", json!(true)),
        top(&base, "max_tool_calls", json!(3)),
        top(&base, "metadata", json!({"a": "b"})),
        top(&base, "user", json!("user-1")),
        top(&base, "safety_identifier", json!("user-1")),
        top(&base, "service_tier", json!("flex")),
        top(&base, "prompt_cache_key", json!("k")),
        top(&base, "client_metadata", json!({"a": "b"})),
        top(&base, "a_field_of_tomorrow", json!(1)),
    ]
}
