//! Turns as messages, for a backend that speaks Messages.

use super::arguments;
use super::marks::Marks;
use crate::canon::seal::{self, Admitted};
use crate::canon::write::{Array, Object};
use crate::canon::{
    Block, Document, DocumentSource, Image, JsonStr, Losses, Reasoning, Refusal, Request, Role, Seal, Source,
    Target, Text, ToolCall, ToolResult,
};
use crate::names::{self, Names};

/// Pictures that Anthropic takes.
const PICTURES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Writes the conversation of a request.
pub(super) struct Writer<'w> {
    pub(super) target: &'w Target<'w>,
    pub(super) names: &'w Names,
    pub(super) marks: Marks,
}

/// A message in the making: neighbours of one role are one.
struct Message<'b> {
    role: &'static str,
    blocks: Vec<Piece<'b>>,
}

/// A block, or instructions that stand in the middle of a conversation.
enum Piece<'b> {
    Block(&'b Block<'b>),
    Wrapped(JsonStr<'b>),
}

impl Writer<'_> {
    /// Writes `system`: each text a block of its own. With `json_only` the model is told to answer with JSON.
    pub(super) fn system(&mut self, all: &mut Object<'_>, request: &Request<'_>, json_only: bool) {
        let blocks = request.system.iter().flat_map(|turn| &turn.blocks);
        let texts: Vec<&Text<'_>> = blocks
            .filter_map(|block| match block {
                Block::Text(text) if !text.text.is_blank() => Some(text),
                _ => None,
            })
            .collect();
        if texts.is_empty() && !json_only {
            return;
        }
        all.array("system", |list| {
            for text in texts {
                list.object(|it| {
                    it.str("type", "text").text("text", &text.text);
                    self.marks.write(it, text.cache);
                });
            }
            if json_only {
                list.object(|it| {
                    it.str("type", "text")
                        .str("text", "Answer with one JSON object only.");
                });
            }
        });
    }

    /// Writes `messages`.
    pub(super) fn messages(
        &mut self,
        all: &mut Object<'_>,
        request: &Request<'_>,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        let messages = self.merged(request, losses);
        if messages.is_empty() {
            return Err(Refusal::unsupported(
                "messages",
                "Nothing is left of the conversation that could be sent.",
            ));
        }
        let mut failed = None;
        all.array("messages", |list| {
            for message in &messages {
                list.object(|it| {
                    it.str("role", message.role).array("content", |list| {
                        for piece in &message.blocks {
                            failed = failed.take().or(self.piece(list, piece, losses).err());
                        }
                    });
                });
            }
        });
        failed.map_or(Ok(()), Err)
    }

    fn merged<'b>(&self, request: &'b Request<'b>, losses: &mut Losses) -> Vec<Message<'b>> {
        let mut messages: Vec<Message<'b>> = Vec::new();
        for turn in &request.turns {
            let (role, blocks) = match turn.role {
                Role::System | Role::Developer if self.target.traits.system_anywhere => {
                    ("system", self.kept(&turn.blocks, losses))
                }
                Role::System | Role::Developer => ("user", wrapped(&turn.blocks)),
                Role::User => ("user", self.kept(&turn.blocks, losses)),
                Role::Assistant => ("assistant", self.kept(&turn.blocks, losses)),
            };
            match messages.last_mut() {
                _ if blocks.is_empty() => {}
                Some(last) if last.role == role => last.blocks.extend(blocks),
                _ => messages.push(Message { role, blocks }),
            }
        }
        for message in messages.iter_mut().filter(|message| message.role == "user") {
            // Results must come before anything else that the user says.
            message
                .blocks
                .sort_by_key(|piece| !matches!(piece, Piece::Block(Block::ToolResult(_))));
        }
        messages
    }

    /// Blocks that can be sent: none blank, none that only another provider can read.
    fn kept<'b>(&self, blocks: &'b [Block<'b>], losses: &mut Losses) -> Vec<Piece<'b>> {
        let mut keep = |block: &&'b Block<'b>| match block {
            Block::Text(text) => !text.text.is_blank(),
            Block::Refusal(text) => !text.is_blank(),
            Block::Reasoning(it) => matches!(seal::admit(it, self.target), Admitted::Sealed(_)),
            Block::Foreign { kind, .. } => {
                losses.note(format!("input.{kind}"));
                false
            }
            Block::WebSearch(_) => {
                losses.note("input.web_search_call");
                false
            }
            _ => true,
        };
        blocks
            .iter()
            .filter(|block| keep(block))
            .map(Piece::Block)
            .collect()
    }

    fn piece(&mut self, list: &mut Array<'_>, piece: &Piece<'_>, losses: &mut Losses) -> Result<(), Refusal> {
        match piece {
            Piece::Block(block) => self.block(list, block, losses),
            Piece::Wrapped(text) => {
                text_block(list, text);
                Ok(())
            }
        }
    }

    fn block(&mut self, list: &mut Array<'_>, block: &Block<'_>, losses: &mut Losses) -> Result<(), Refusal> {
        match block {
            Block::Text(text) => {
                list.object(|it| {
                    it.str("type", "text").text("text", &text.text);
                    self.marks.write(it, text.cache);
                });
            }
            Block::Refusal(text) => text_block(list, text),
            Block::Image(image) => self.image(list, image)?,
            Block::Document(document) => self.document(list, document, losses)?,
            Block::Audio(_) => {
                return Err(Refusal::unsupported(
                    "messages.content.input_audio",
                    "Sound cannot be heard by this model's backends; send its text.",
                ));
            }
            Block::Reasoning(reasoning) => thought(list, reasoning),
            Block::ToolCall(call) => self.call(list, call, losses),
            Block::ToolResult(result) => self.result(list, result, losses)?,
            Block::SearchResult { source, title, texts } => {
                list.object(|it| {
                    it.str("type", "search_result")
                        .text("source", source)
                        .text("title", title);
                    it.array("content", |list| {
                        for text in texts {
                            text_block(list, text);
                        }
                    });
                });
            }
            Block::ToolReference(name) => text_block(list, name),
            Block::WebSearch(_) | Block::Foreign { .. } => {}
        }
        Ok(())
    }

    fn image(&mut self, list: &mut Array<'_>, image: &Image<'_>) -> Result<(), Refusal> {
        if let Source::Data { media_type, .. } = &image.source
            && !PICTURES.contains(&&**media_type)
        {
            let message =
                format!("A picture of the type '{media_type}' cannot be read; send JPEG, PNG, GIF or WebP.");
            return Err(Refusal::unsupported("messages.content.image_url", message));
        }
        let source = file(&image.source)?;
        list.object(|it| {
            it.str("type", "image").raw("source", &source);
            self.marks.write(it, image.cache);
        });
        Ok(())
    }

    fn document(
        &mut self,
        list: &mut Array<'_>,
        document: &Document<'_>,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        let source = match &document.source {
            DocumentSource::File(source) => file(source)?,
            DocumentSource::Text(text) => {
                format!(
                    r#"{{"type":"text","media_type":"text/plain","data":"{}"}}"#,
                    text.spelling()
                )
            }
            DocumentSource::Blocks(blocks) => {
                return blocks
                    .iter()
                    .try_for_each(|block| self.block(list, block, losses));
            }
        };
        list.object(|it| {
            it.str("type", "document").raw("source", &source);
            for (key, value) in [("title", &document.title), ("context", &document.context)] {
                if let Some(value) = value.as_ref().filter(|it| !it.is_empty()) {
                    it.text(key, value);
                }
            }
            self.marks.write(it, document.cache);
        });
        Ok(())
    }

    fn call(&self, list: &mut Array<'_>, call: &ToolCall<'_>, losses: &mut Losses) {
        let (input, changed) = arguments::of_call(call);
        if changed {
            losses.note("messages.tool_calls.arguments");
        }
        list.object(|it| {
            it.str("type", "tool_use")
                .str("id", &names::anthropic_id(&call.id.read()));
            it.str(
                "name",
                &self.names.outgoing(&call.name, call.namespace.as_deref()),
            );
            it.raw("input", input.get());
        });
    }

    fn result(
        &mut self,
        list: &mut Array<'_>,
        result: &ToolResult<'_>,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        let mut failed = None;
        list.object(|it| {
            it.str("type", "tool_result")
                .str("tool_use_id", &names::anthropic_id(&result.id.read()));
            match result.content.as_slice() {
                [] => {}
                [Block::Text(text)] if result.plain => {
                    it.text("content", &text.text);
                }
                blocks => {
                    it.array("content", |list| {
                        for block in blocks.iter().filter(|block| !is_blank(block)) {
                            failed = failed.take().or(self.block(list, block, losses).err());
                        }
                    });
                }
            }
            if let Some(is_error) = result.is_error {
                it.bool("is_error", is_error);
            }
            self.marks.write(it, result.cache);
        });
        failed.map_or(Ok(()), Err)
    }
}

fn is_blank(block: &Block<'_>) -> bool {
    matches!(block, Block::Text(text) if text.text.is_blank())
}

fn text_block(list: &mut Array<'_>, text: &JsonStr<'_>) {
    list.object(|it| {
        it.str("type", "text").text("text", text);
    });
}

/// Instructions in the middle of a conversation, for models that know them only at its head: marked as what they are, in
/// their place.
fn wrapped<'b>(blocks: &'b [Block<'b>]) -> Vec<Piece<'b>> {
    let texts = blocks.iter().filter_map(|block| match block {
        Block::Text(text) if !text.text.is_blank() => Some(&text.text),
        _ => None,
    });
    texts
        .map(|text| {
            let (open, close) = (JsonStr::spelled_so("<system>"), JsonStr::spelled_so("</system>"));
            Piece::Wrapped(JsonStr::joined([&open, text, &close], ""))
        })
        .collect()
}

fn thought(list: &mut Array<'_>, reasoning: &Reasoning<'_>) {
    match &reasoning.seal {
        Some(Seal::Redacted(data)) => {
            list.object(|it| {
                it.str("type", "redacted_thinking").text("data", data);
            });
        }
        Some(Seal::Signature(signature)) => {
            list.object(|it| {
                it.str("type", "thinking")
                    .text("thinking", &JsonStr::joined(&reasoning.parts, ""));
                it.text("signature", signature);
            });
        }
        _ => {}
    }
}

fn file(source: &Source<'_>) -> Result<String, Refusal> {
    match source {
        Source::Data { media_type, data } => Ok(format!(
            r#"{{"type":"base64","media_type":"{media_type}","data":"{}"}}"#,
            data.spelling()
        )),
        Source::Url(url) => Ok(format!(r#"{{"type":"url","url":"{}"}}"#, url.spelling())),
        Source::File(_) => Err(Refusal::unsupported(
            "messages.content.file_id",
            "A file's id belongs to one provider alone; send the file itself.",
        )),
    }
}
