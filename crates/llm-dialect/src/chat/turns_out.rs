//! Turns as messages, for a backend that speaks chat.

use super::reasoning;
use crate::canon::seal::{self, Admitted};
use crate::canon::write::{Array, Object};
use crate::canon::{
    Block, Document, DocumentSource, Image, JsonStr, Losses, Reasoning, Refusal, Request, Role, Source,
    Target, Text, ToolCall, ToolInput, ToolResult, Turn,
};
use crate::names::{self, Names};

/// Writes the messages of a request.
pub(super) struct Writer<'w> {
    pub(super) target: &'w Target<'w>,
    pub(super) names: &'w Names,
}

/// Media of tool results: chat has no place for them there, so they follow in a message of the user.
#[derive(Default)]
struct Media<'b> {
    blocks: Vec<&'b Block<'b>>,
}

impl Writer<'_> {
    /// Writes `messages`.
    pub(super) fn messages(
        &self,
        all: &mut Object<'_>,
        request: &Request<'_>,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        let mut failed = None;
        all.array("messages", |list| {
            for turn in &request.system {
                self.instructions(list, turn);
            }
            for turn in &request.turns {
                failed = failed.take().or(self.turn(list, turn, losses).err());
            }
        });
        failed.map_or(Ok(()), Err)
    }

    fn turn(&self, list: &mut Array<'_>, turn: &Turn<'_>, losses: &mut Losses) -> Result<(), Refusal> {
        match turn.role {
            Role::System | Role::Developer if self.target.traits.system_anywhere => {
                self.instructions(list, turn);
                Ok(())
            }
            Role::System | Role::Developer => {
                wrapped_instructions(list, turn);
                Ok(())
            }
            Role::User => self.user(list, turn, losses),
            Role::Assistant => {
                self.assistant(list, turn, losses);
                Ok(())
            }
        }
    }

    /// `OpenAI` takes several texts apart; to other hosts they are one.
    fn instructions(&self, list: &mut Array<'_>, turn: &Turn<'_>) {
        let texts = texts(&turn.blocks);
        let developer = self.target.openai && !self.target.traits.sampling;
        let role = if developer { "developer" } else { "system" };
        list.object(|it| {
            it.str("role", role);
            self.texts(it, &texts, "\n\n");
        });
    }

    /// The content of a message that holds only texts.
    fn texts(&self, it: &mut Object<'_>, texts: &[&JsonStr<'_>], between: &str) {
        match texts {
            [] => {
                it.str("content", "");
            }
            [one] => {
                it.text("content", one);
            }
            several if self.target.openai => {
                it.array("content", |parts| {
                    for text in several {
                        write_text(parts, text);
                    }
                });
            }
            several => {
                it.text("content", &JsonStr::joined(several.iter().copied(), between));
            }
        }
    }

    /// Results first, since they must follow their calls; then what they cannot hold; then the user's own words.
    fn user(&self, list: &mut Array<'_>, turn: &Turn<'_>, losses: &mut Losses) -> Result<(), Refusal> {
        let mut media = Media::default();
        for block in &turn.blocks {
            if let Block::ToolResult(result) = block {
                self.result(list, result, &mut media, losses);
            }
        }
        let own = turn
            .blocks
            .iter()
            .filter(|block| !matches!(block, Block::ToolResult(_)));
        let blocks: Vec<&Block<'_>> = media.blocks.into_iter().chain(own).collect();
        if blocks.is_empty() {
            return Ok(());
        }
        self.user_message(list, &blocks, losses)
    }

    fn user_message(
        &self,
        list: &mut Array<'_>,
        blocks: &[&Block<'_>],
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        let only_texts: Option<Vec<&JsonStr<'_>>> = blocks.iter().map(|block| text_of(block)).collect();
        if let Some(texts) = only_texts {
            list.object(|it| {
                it.str("role", "user");
                self.texts(it, &texts, "\n\n");
            });
            return Ok(());
        }
        let mut failed = None;
        list.object(|it| {
            it.str("role", "user").array("content", |parts| {
                for block in blocks {
                    failed = failed.take().or(self.part(parts, block, losses).err());
                }
            });
        });
        failed.map_or(Ok(()), Err)
    }

    fn part(&self, parts: &mut Array<'_>, block: &Block<'_>, losses: &mut Losses) -> Result<(), Refusal> {
        match block {
            Block::Text(text) => write_text(parts, &text.text),
            Block::Refusal(text) | Block::ToolReference(text) => write_text(parts, text),
            Block::Image(image) => Self::image(parts, image)?,
            Block::Document(document) => self.document(parts, document, losses)?,
            Block::Audio(raw) => {
                parts.object(|it| {
                    it.str("type", "input_audio").raw("input_audio", raw.get());
                });
            }
            Block::SearchResult { source, title, texts } => {
                let head = [title.borrowed(), source.borrowed()];
                let all: Vec<&JsonStr<'_>> = head.iter().chain(texts).filter(|it| !it.is_empty()).collect();
                write_text(parts, &JsonStr::joined(all, "\n"));
            }
            Block::Foreign { kind, .. } => losses.note(format!("messages.content.{kind}")),
            Block::WebSearch(_) => losses.note("messages.content.web_search"),
            Block::Reasoning(_) | Block::ToolCall(_) | Block::ToolResult(_) => {}
        }
        Ok(())
    }

    fn image(parts: &mut Array<'_>, image: &Image<'_>) -> Result<(), Refusal> {
        let url = image.source.to_url().ok_or_else(|| {
            Refusal::unsupported(
                "messages.content.source",
                "A file's id belongs to one provider alone; send the picture itself.",
            )
        })?;
        parts.object(|it| {
            it.str("type", "image_url").object("image_url", |it| {
                it.text("url", &url);
                if let Some(detail) = &image.detail {
                    it.text("detail", detail);
                }
            });
        });
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
            DocumentSource::File(source @ Source::Data { .. }) => {
                let data = source.to_url().unwrap_or_default();
                parts.object(|it| {
                    it.str("type", "file").object("file", |it| {
                        it.text(
                            "filename",
                            document
                                .title
                                .as_ref()
                                .unwrap_or(&JsonStr::spelled_so("document.pdf")),
                        );
                        it.text("file_data", &data);
                    });
                });
                Ok(())
            }
            DocumentSource::File(_) => Err(Refusal::unsupported(
                "messages.content.source",
                "Chat has no place for a file's address or id; send the file itself.",
            )),
            DocumentSource::Text(text) => {
                write_text(parts, &titled(document, text));
                Ok(())
            }
            DocumentSource::Blocks(blocks) => {
                let head = titled(document, &JsonStr::EMPTY);
                if !head.is_empty() {
                    write_text(parts, &head);
                }
                blocks
                    .iter()
                    .try_for_each(|block| self.part(parts, block, losses))
            }
        }
    }

    fn result<'b>(
        &self,
        list: &mut Array<'_>,
        result: &'b ToolResult<'b>,
        media: &mut Media<'b>,
        losses: &mut Losses,
    ) {
        let mut texts: Vec<JsonStr<'_>> = Vec::new();
        for block in &result.content {
            match block {
                Block::Image(_) | Block::Document(_) | Block::Audio(_) => {
                    media.blocks.push(block);
                    texts.push(JsonStr::spelled_so(format!(
                        "[image {} below]",
                        media.blocks.len()
                    )));
                }
                Block::Foreign { kind, .. } => losses.note(format!("messages.content.{kind}")),
                other => texts.extend(flat(other)),
            }
        }
        if result.is_error == Some(true) && !says_error(&texts) {
            match texts.first_mut() {
                Some(first) => *first = JsonStr::joined([&JsonStr::spelled_so("Error: "), &*first], ""),
                None => texts.push(JsonStr::spelled_so("Error: ")),
            }
        }
        let texts: Vec<&JsonStr<'_>> = texts.iter().collect();
        list.object(|it| {
            it.str("role", "tool").str("tool_call_id", &self.id(&result.id));
            self.texts(it, &texts, "\n");
        });
    }

    fn id(&self, id: &JsonStr<'_>) -> String {
        let plain = id.read();
        if self.target.traits.short_ids {
            names::mistral_id(&plain).into_owned()
        } else {
            names::openai_id(&plain).into_owned()
        }
    }

    fn assistant(&self, list: &mut Array<'_>, turn: &Turn<'_>, losses: &mut Losses) {
        let texts = texts(&turn.blocks);
        let calls: Vec<&ToolCall<'_>> = turn.blocks.iter().filter_map(call_of).collect();
        let thought: Vec<&Reasoning<'_>> = turn.blocks.iter().filter_map(reasoning_of).collect();
        let left_out = turn.blocks.iter().filter_map(foreign);
        left_out.for_each(|kind| losses.note(format!("messages.content.{kind}")));
        if texts.is_empty() && calls.is_empty() {
            return;
        }
        list.object(|it| {
            it.str("role", "assistant");
            self.thought(it, &thought, !calls.is_empty());
            match (texts.is_empty(), calls.is_empty()) {
                (true, false) => {
                    it.null("content");
                }
                _ => {
                    it.text("content", &JsonStr::joined(texts.iter().copied(), ""));
                }
            }
            if !calls.is_empty() {
                it.array("tool_calls", |list| {
                    for call in &calls {
                        self.call(list, call);
                    }
                });
            }
        });
    }

    /// Reasoning that the host may have back: its own details, or its text where it wants that.
    fn thought(&self, it: &mut Object<'_>, thought: &[&Reasoning<'_>], with_calls: bool) {
        let admitted = |reasoning: &&&Reasoning<'_>| seal::admit(reasoning, self.target) != Admitted::Nothing;
        let back: Vec<&&Reasoning<'_>> = thought.iter().filter(admitted).collect();
        let words: Vec<&JsonStr<'_>> = back.iter().flat_map(|it| &it.parts).collect();
        let wants = self.target.traits.reasoning_text;
        if !words.is_empty() {
            it.text("reasoning_content", &JsonStr::joined(words, "\n\n"));
        } else if wants && with_calls {
            // Such hosts refuse a call without it, if only for its absence.
            it.str("reasoning_content", "");
        }
        let sealed: Vec<&&Reasoning<'_>> = back.into_iter().filter(|it| it.seal.is_some()).collect();
        let sealed = sealed
            .iter()
            .filter(|it| matches!(seal::admit(it, self.target), Admitted::Sealed(_)));
        let sealed: Vec<_> = sealed.collect();
        if !sealed.is_empty() {
            it.array("reasoning_details", |list| {
                let mut index = 0;
                for reasoning in sealed {
                    reasoning::write_details(list, reasoning, &mut index);
                }
            });
        }
    }

    fn call(&self, list: &mut Array<'_>, call: &ToolCall<'_>) {
        let name = self.names.outgoing(&call.name, call.namespace.as_deref());
        let id = self.id(&call.id);
        list.object(|it| match &call.input {
            ToolInput::Custom(text) if self.target.openai => {
                it.str("id", &id).str("type", "custom").object("custom", |it| {
                    it.str("name", &name).text("input", text);
                });
            }
            _ => {
                it.str("id", &id)
                    .str("type", "function")
                    .object("function", |it| {
                        let arguments = call.arguments();
                        let nothing = JsonStr::spelled_so("{}");
                        let arguments = if arguments.is_empty() {
                            &nothing
                        } else {
                            &arguments
                        };
                        it.str("name", &name).text("arguments", arguments);
                    });
            }
        });
    }
}

fn write_text(parts: &mut Array<'_>, text: &JsonStr<'_>) {
    parts.object(|it| {
        it.str("type", "text").text("text", text);
    });
}

/// Instructions in the middle of a conversation, for models that take them only at its head.
fn wrapped_instructions(list: &mut Array<'_>, turn: &Turn<'_>) {
    let text = JsonStr::joined(texts(&turn.blocks), "\n\n");
    let open = JsonStr::spelled_so("<system>");
    let close = JsonStr::spelled_so("</system>");
    list.object(|it| {
        it.str("role", "user");
        it.text("content", &JsonStr::joined([&open, &text, &close], ""));
    });
}

fn titled(document: &Document<'_>, text: &JsonStr<'_>) -> JsonStr<'static> {
    let parts = [document.title.as_ref(), document.context.as_ref(), Some(text)];
    JsonStr::joined(parts.into_iter().flatten().filter(|it| !it.is_empty()), "\n")
}

fn texts<'b>(blocks: &'b [Block<'b>]) -> Vec<&'b JsonStr<'b>> {
    blocks.iter().filter_map(text_of).collect()
}

fn text_of<'b>(block: &'b Block<'b>) -> Option<&'b JsonStr<'b>> {
    match block {
        Block::Text(Text { text, .. }) | Block::Refusal(text) => Some(text),
        _ => None,
    }
}

fn flat<'b>(block: &'b Block<'b>) -> Option<JsonStr<'b>> {
    match block {
        Block::Text(Text { text, .. }) | Block::Refusal(text) | Block::ToolReference(text) => {
            Some(text.borrowed())
        }
        Block::SearchResult { source, title, texts } => {
            let head = [title.borrowed(), source.borrowed()];
            let all: Vec<&JsonStr<'_>> = head.iter().chain(texts).filter(|it| !it.is_empty()).collect();
            Some(JsonStr::joined(all, "\n"))
        }
        _ => None,
    }
}

fn says_error(texts: &[JsonStr<'_>]) -> bool {
    texts
        .first()
        .is_some_and(|first| first.read().to_lowercase().contains("error"))
}

fn call_of<'b>(block: &'b Block<'b>) -> Option<&'b ToolCall<'b>> {
    match block {
        Block::ToolCall(call) => Some(call),
        _ => None,
    }
}

fn reasoning_of<'b>(block: &'b Block<'b>) -> Option<&'b Reasoning<'b>> {
    match block {
        Block::Reasoning(reasoning) => Some(reasoning),
        _ => None,
    }
}

fn foreign<'b>(block: &'b Block<'b>) -> Option<&'b str> {
    match block {
        Block::Foreign { kind, .. } => Some(kind),
        Block::WebSearch(_) => Some("web_search"),
        _ => None,
    }
}
