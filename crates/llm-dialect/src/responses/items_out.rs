//! Turns as items, for a backend that speaks Responses.

use std::collections::HashSet;

use crate::canon::seal::{self, Admitted};
use crate::canon::write::{Array, Object};
use crate::canon::{
    Block, Document, DocumentSource, Image, JsonStr, Losses, Reasoning, Refusal, Request, Role, Seal, Source,
    Target, Text, ToolCall, ToolInput, ToolResult, Turn,
};
use crate::names::{self, Names};

/// Writes `instructions` and `input`.
pub(super) fn write(
    all: &mut Object<'_>,
    request: &Request<'_>,
    (target, names): (&Target<'_>, &Names),
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let writer = Writer {
        target,
        names,
        custom: custom_calls(request),
    };
    let alone = alone(&request.system);
    if let Some(text) = alone {
        all.text("instructions", text);
    }
    let mut failed = None;
    all.array("input", |list| {
        if alone.is_none() {
            for turn in &request.system {
                Writer::instructions(list, turn);
            }
        }
        for turn in &request.turns {
            failed = failed.take().or(writer.turn(list, turn, losses).err());
        }
    });
    failed.map_or(Ok(()), Err)
}

/// The only text of all instructions; several stay apart.
fn alone<'r>(system: &'r [Turn<'r>]) -> Option<&'r JsonStr<'r>> {
    match system {
        [turn] => match turn.blocks.as_slice() {
            [Block::Text(text)] => Some(&text.text),
            _ => None,
        },
        _ => None,
    }
}

/// Ids of calls of custom tools: their results are custom as well.
fn custom_calls<'r>(request: &'r Request<'_>) -> HashSet<&'r str> {
    let blocks = request.turns.iter().flat_map(|turn| &turn.blocks);
    blocks
        .filter_map(|block| match block {
            Block::ToolCall(call) if matches!(call.input, ToolInput::Custom(_)) => Some(call.id.spelling()),
            _ => None,
        })
        .collect()
}

struct Writer<'w> {
    target: &'w Target<'w>,
    names: &'w Names,
    custom: HashSet<&'w str>,
}

impl Writer<'_> {
    fn instructions(list: &mut Array<'_>, turn: &Turn<'_>) {
        list.object(|it| {
            it.str("type", "message")
                .str("role", "developer")
                .array("content", |parts| {
                    for block in &turn.blocks {
                        if let Block::Text(text) = block {
                            text_part(parts, "input_text", &text.text);
                        }
                    }
                });
        });
    }

    fn turn(&self, list: &mut Array<'_>, turn: &Turn<'_>, losses: &mut Losses) -> Result<(), Refusal> {
        match turn.role {
            Role::System | Role::Developer => {
                Self::instructions(list, turn);
                Ok(())
            }
            Role::User => self.user(list, turn, losses),
            Role::Assistant => {
                self.assistant(list, turn, losses);
                Ok(())
            }
        }
    }

    fn user(&self, list: &mut Array<'_>, turn: &Turn<'_>, losses: &mut Losses) -> Result<(), Refusal> {
        for block in &turn.blocks {
            if let Block::ToolResult(result) = block {
                self.result(list, result, losses)?;
            }
        }
        let own: Vec<&Block<'_>> = turn
            .blocks
            .iter()
            .filter(|block| !matches!(block, Block::ToolResult(_)))
            .collect();
        if own.is_empty() {
            return Ok(());
        }
        let mut failed = None;
        list.object(|it| {
            it.str("type", "message")
                .str("role", "user")
                .array("content", |parts| {
                    for block in own {
                        failed = failed.take().or(self.part(parts, block, losses).err());
                    }
                });
        });
        failed.map_or(Ok(()), Err)
    }

    fn part(&self, parts: &mut Array<'_>, block: &Block<'_>, losses: &mut Losses) -> Result<(), Refusal> {
        match block {
            Block::Text(Text { text, .. }) | Block::Refusal(text) | Block::ToolReference(text) => {
                text_part(parts, "input_text", text);
            }
            Block::Image(image) => image_part(parts, image)?,
            Block::Document(document) => self.document(parts, document, losses)?,
            Block::Audio(raw) => {
                parts.object(|it| {
                    it.str("type", "input_audio").raw("input_audio", raw.get());
                });
            }
            Block::SearchResult { source, title, texts } => {
                let head = [title.borrowed(), source.borrowed()];
                let all = head.iter().chain(texts).filter(|it| !it.is_empty());
                text_part(parts, "input_text", &JsonStr::joined(all, "\n"));
            }
            Block::Foreign { kind, .. } => losses.note(format!("messages.content.{kind}")),
            Block::WebSearch(_) => losses.note("messages.content.web_search"),
            Block::Reasoning(_) | Block::ToolCall(_) | Block::ToolResult(_) => {}
        }
        Ok(())
    }

    fn document(
        &self,
        parts: &mut Array<'_>,
        document: &Document<'_>,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        if document.citations {
            losses.note("messages.content.citations");
        }
        match &document.source {
            DocumentSource::File(source) => file_part(parts, source, document.title.as_ref()),
            DocumentSource::Text(text) => {
                let all = [document.title.as_ref(), document.context.as_ref(), Some(text)];
                let all = all.into_iter().flatten().filter(|it| !it.is_empty());
                text_part(parts, "input_text", &JsonStr::joined(all, "\n"));
                Ok(())
            }
            DocumentSource::Blocks(blocks) => blocks
                .iter()
                .try_for_each(|block| self.part(parts, block, losses)),
        }
    }

    fn result(
        &self,
        list: &mut Array<'_>,
        result: &ToolResult<'_>,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        let custom = result.custom || self.custom.contains(result.id.spelling());
        let kind = if custom {
            "custom_tool_call_output"
        } else {
            "function_call_output"
        };
        let id = names::openai_id(&result.id.read()).into_owned();
        let failed_call = result.is_error == Some(true);
        let mut failed = None;
        list.object(|it| {
            it.str("type", kind).str("call_id", &id);
            match only_text(&result.content) {
                Some(text) => {
                    let text = if failed_call { marked(&text) } else { text };
                    it.text("output", &text);
                }
                None => {
                    it.array("output", |parts| {
                        if failed_call {
                            text_part(parts, "input_text", &JsonStr::spelled_so("Error:"));
                        }
                        for block in &result.content {
                            failed = failed.take().or(self.part(parts, block, losses).err());
                        }
                    });
                }
            }
        });
        failed.map_or(Ok(()), Err)
    }

    /// What the model said, in order: neighbouring words are one message. Reasoning that led to nothing stays here, since
    /// `OpenAI` refuses it without the item that it led to.
    fn assistant(&self, list: &mut Array<'_>, turn: &Turn<'_>, losses: &mut Losses) {
        let mut words: Vec<&Block<'_>> = Vec::new();
        let led_to =
            |block: &Block<'_>| matches!(block, Block::Text(_) | Block::Refusal(_) | Block::ToolCall(_));
        let led = turn.blocks.iter().rposition(led_to).unwrap_or(0);
        for (at, block) in turn.blocks.iter().enumerate() {
            match block {
                Block::Reasoning(_) if at >= led => {}
                Block::Text(_) | Block::Refusal(_) => words.push(block),
                other => {
                    said(list, &mut words);
                    self.made(list, other, losses);
                }
            }
        }
        said(list, &mut words);
    }

    fn made(&self, list: &mut Array<'_>, block: &Block<'_>, losses: &mut Losses) {
        match block {
            Block::ToolCall(call) => self.call(list, call),
            Block::Reasoning(reasoning) => self.thought(list, reasoning),
            Block::Foreign { kind, .. } => losses.note(format!("messages.content.{kind}")),
            Block::WebSearch(_) => losses.note("messages.content.web_search"),
            _ => {}
        }
    }

    fn call(&self, list: &mut Array<'_>, call: &ToolCall<'_>) {
        let name = self.names.outgoing(&call.name, call.namespace.as_deref());
        let id = names::openai_id(&call.id.read()).into_owned();
        list.object(|it| {
            if let ToolInput::Custom(text) = &call.input {
                it.str("type", "custom_tool_call")
                    .str("call_id", &id)
                    .str("name", &name)
                    .text("input", text);
            } else {
                let arguments = call.arguments();
                let nothing = JsonStr::spelled_so("{}");
                let arguments = if arguments.is_empty() {
                    &nothing
                } else {
                    &arguments
                };
                it.str("type", "function_call")
                    .str("call_id", &id)
                    .str("name", &name);
                it.text("arguments", arguments);
            }
        });
    }

    fn thought(&self, list: &mut Array<'_>, reasoning: &Reasoning<'_>) {
        let Admitted::Sealed(Seal::Encrypted { id, data }) = seal::admit(reasoning, self.target) else {
            return;
        };
        list.object(|it| {
            it.str("type", "reasoning");
            if !id.is_empty() && (is_own(id) || !self.target.openai) {
                it.text("id", id);
            }
            it.array("summary", |list| {
                for part in &reasoning.parts {
                    text_part(list, "summary_text", part);
                }
            });
            it.text("encrypted_content", data);
        });
    }
}

/// Whether an id looks like one of `OpenAI`'s for reasoning.
fn is_own(id: &JsonStr<'_>) -> bool {
    id.spelling().starts_with("rs_") && id.spelling().len() <= names::OPENAI_ID
}

fn text_part(parts: &mut Array<'_>, kind: &str, text: &JsonStr<'_>) {
    parts.object(|it| {
        it.str("type", kind).text("text", text);
    });
}

fn said(list: &mut Array<'_>, words: &mut Vec<&Block<'_>>) {
    if words.is_empty() {
        return;
    }
    list.object(|it| {
        it.str("type", "message")
            .str("role", "assistant")
            .array("content", |parts| {
                for block in words.drain(..) {
                    match block {
                        Block::Refusal(text) => {
                            parts.object(|it| {
                                it.str("type", "refusal").text("refusal", text);
                            });
                        }
                        Block::Text(text) => text_part(parts, "output_text", &text.text),
                        _ => {}
                    }
                }
            });
    });
}

fn image_part(parts: &mut Array<'_>, image: &Image<'_>) -> Result<(), Refusal> {
    let url = image.source.to_url().ok_or_else(foreign_file)?;
    parts.object(|it| {
        it.str("type", "input_image").text("image_url", &url);
        if let Some(detail) = &image.detail {
            it.text("detail", detail);
        }
    });
    Ok(())
}

fn file_part(parts: &mut Array<'_>, source: &Source<'_>, title: Option<&JsonStr<'_>>) -> Result<(), Refusal> {
    let url = source.to_url().ok_or_else(foreign_file)?;
    let here = matches!(source, Source::Data { .. });
    parts.object(|it| {
        it.str("type", "input_file");
        if here {
            it.text("filename", title.unwrap_or(&JsonStr::spelled_so("document.pdf")));
            it.text("file_data", &url);
        } else {
            it.text("file_url", &url);
        }
    });
    Ok(())
}

fn foreign_file() -> Refusal {
    Refusal::unsupported(
        "messages.content.source",
        "A file's id belongs to one provider alone; send the file itself.",
    )
}

/// The text of a result that holds nothing else.
fn only_text(content: &[Block<'_>]) -> Option<JsonStr<'static>> {
    let texts: Option<Vec<&JsonStr<'_>>> = content
        .iter()
        .map(|block| match block {
            Block::Text(Text { text, .. }) | Block::ToolReference(text) => Some(text),
            _ => None,
        })
        .collect();
    texts.map(|texts| JsonStr::joined(texts, "\n"))
}

/// A failed call has no mark of its own here: its text says so.
fn marked(text: &JsonStr<'_>) -> JsonStr<'static> {
    if text.read().to_lowercase().contains("error") {
        return text.clone().into_owned();
    }
    JsonStr::joined([&JsonStr::spelled_so("Error: "), text], "")
}
