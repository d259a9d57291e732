//! What a conversation says so far, whatever its dialect.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::api::Api;
use crate::fault::Fault;
use crate::speak::speech::{ENCRYPTED, SIGNATURE, THOUGHT};

/// One thing that was said, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    User(String),
    Result(Outcome),
}

/// What became of a tool's call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) text: String,
    pub(super) failed: bool,
}

/// A conversation, read.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) turns: Vec<Turn>,
    /// Each image by its kind and size.
    pub(super) images: Vec<String>,
    /// Its own reasoning came back as it was.
    pub(super) remembers: bool,
    /// The answer shall have reasoning.
    pub(super) reasons: bool,
}

impl Heard {
    /// Reads a request; what is no conversation says nothing.
    pub(super) fn of(api: Api, body: &Value) -> Result<Self, Fault> {
        let mut heard = Self::default();
        match api {
            Api::Messages => heard.messages(body)?,
            Api::Responses => heard.responses(body)?,
            _ => heard.chat(body),
        }
        Ok(heard)
    }

    fn messages(&mut self, body: &Value) -> Result<(), Fault> {
        let thinking = text_at(body, "/thinking/type");
        self.reasons = matches!(thinking, "enabled" | "adaptive");
        for (i, message) in list(body, "messages").enumerate() {
            match text_at(message, "/role") {
                "user" => self.blocks(message.get("content").unwrap_or(&Value::Null)),
                "assistant" => self.thinking(i, message)?,
                _ => {}
            }
        }
        let last = list(body, "messages").rfind(|message| text_at(message, "/role") == "assistant");
        let in_loop = matches!(self.turns.last(), Some(Turn::Result(_)));
        match last {
            Some(last) if in_loop && thinking == "enabled" && !begins_with_thinking(last) => Err(Fault::new(
                400,
                "messages: a final `assistant` message must start with a thinking block when `thinking` is enabled: \
                 Expected `thinking` or `redacted_thinking`, but found `tool_use`",
            )),
            _ => Ok(()),
        }
    }

    /// An assistant's thinking carries the signature that was given for it, or it is refused.
    fn thinking(&mut self, i: usize, message: &Value) -> Result<(), Fault> {
        for (j, block) in list(message, "content").enumerate() {
            if text_at(block, "/type") != "thinking" {
                continue;
            }
            if text_at(block, "/signature") != SIGNATURE || text_at(block, "/thinking") != THOUGHT {
                let place = format!("messages.{i}.content.{j}");
                return Err(Fault::new(
                    400,
                    format!("{place}: Invalid `signature` in `thinking` block"),
                ));
            }
            self.remembers = true;
        }
        Ok(())
    }

    fn blocks(&mut self, content: &Value) {
        if let Some(text) = content.as_str() {
            self.turns.push(Turn::User(text.to_owned()));
        }
        for block in content.as_array().into_iter().flatten() {
            match text_at(block, "/type") {
                "tool_result" => {
                    let text = self.parts(block.get("content"));
                    let failed = block.get("is_error") == Some(&Value::Bool(true));
                    self.result(text, failed);
                }
                "text" => self.turns.push(Turn::User(text_at(block, "/text").to_owned())),
                _ => self.image(block),
            }
        }
    }

    fn chat(&mut self, body: &Value) {
        self.reasons = true;
        for message in list(body, "messages") {
            match text_at(message, "/role") {
                "user" => {
                    let text = self.parts(message.get("content"));
                    self.turns.push(Turn::User(text));
                }
                "tool" => {
                    let text = self.parts(message.get("content"));
                    self.result(text, false);
                }
                _ => self.remembers |= text_at(message, "/reasoning_content") == THOUGHT,
            }
        }
    }

    fn responses(&mut self, body: &Value) -> Result<(), Fault> {
        self.reasons = true;
        if let Some(text) = body.get("input").and_then(Value::as_str) {
            self.turns.push(Turn::User(text.to_owned()));
        }
        for item in list(body, "input") {
            match (text_at(item, "/type"), text_at(item, "/role")) {
                ("message" | "", "user") => {
                    let text = self.parts(item.get("content"));
                    self.turns.push(Turn::User(text));
                }
                ("function_call_output" | "custom_tool_call_output", _) => {
                    let text = self.parts(item.get("output"));
                    self.result(text, false);
                }
                ("reasoning", _) => self.reasoning(item)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn reasoning(&mut self, item: &Value) -> Result<(), Fault> {
        match text_at(item, "/encrypted_content") {
            ENCRYPTED => self.remembers = true,
            "" => {}
            _ => {
                let what = format!(
                    "The encrypted content for item {} could not be verified.",
                    text_at(item, "/id")
                );
                return Err(Fault::new(400, what).code("invalid_encrypted_content"));
            }
        }
        Ok(())
    }

    /// The text of a content in parts or in one; its images are noted.
    fn parts(&mut self, content: Option<&Value>) -> String {
        let Some(content) = content else {
            return String::new();
        };
        if let Some(text) = content.as_str() {
            return text.to_owned();
        }
        let mut texts = Vec::new();
        for part in content.as_array().into_iter().flatten() {
            match part.get("text").and_then(Value::as_str) {
                Some(text) => texts.push(text),
                None => self.image(part),
            }
        }
        texts.join("\n")
    }

    /// Anthropic's source, OpenAI's two kinds of URL.
    fn image(&mut self, part: &Value) {
        let (kind, data) = match text_at(part, "/type") {
            "image" => (text_at(part, "/source/media_type"), text_at(part, "/source/data")),
            "image_url" => data_url(text_at(part, "/image_url/url")),
            "input_image" => data_url(text_at(part, "/image_url")),
            _ => return,
        };
        let size = STANDARD.decode(data).map_or(0, |bytes| bytes.len());
        self.images.push(format!("{kind} of {size} bytes"));
    }

    /// Only Anthropic marks a failure; elsewhere the words tell.
    fn result(&mut self, text: String, marked: bool) {
        let failed = marked
            || ["error", "aborted", "unsupported"]
                .iter()
                .any(|word| text.trim_start().to_lowercase().starts_with(word))
            || exit_code(&text).is_some_and(|code| code != "0");
        self.turns.push(Turn::Result(Outcome { text, failed }));
    }
}

fn begins_with_thinking(message: &Value) -> bool {
    list(message, "content")
        .next()
        .is_some_and(|block| text_at(block, "/type").ends_with("thinking"))
}

/// What a shell of Codex says of a process.
fn exit_code(text: &str) -> Option<&str> {
    let (_, code) = text
        .split_once("exited with code ")
        .or_else(|| text.split_once("Exit code: "))?;
    code.split_whitespace().next()
}

/// Kind and data of a `data:` URL.
fn data_url(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("data:").unwrap_or_default();
    rest.split_once(";base64,").unwrap_or_default()
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl DoubleEndedIterator<Item = &'a Value> + use<'a> {
    value
        .get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
}
