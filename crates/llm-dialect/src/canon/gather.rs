//! From a stream to a whole answer, and back.

use super::answer::{Response, Stop};
use super::block::{Block, Reasoning, Seal, Text, ToolCall, ToolInput};
use super::delta::{Delta, Head, Piece};
use super::json::Json;
use super::text::JsonStr;
use std::borrow::Cow;

/// Gathers the deltas of a stream into the answer that they make.
#[derive(Debug, Default)]
pub struct Gather {
    response: Response<'static>,
    /// Kinds of what was left out.
    lost: Vec<String>,
}

impl Gather {
    /// Takes the next delta.
    pub fn delta(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Start { id, model, created } => {
                self.response.id = Cow::Owned(id.clone().into_owned());
                self.response.model = Cow::Owned(model.clone().into_owned());
                self.response.created = *created;
            }
            Delta::Open { head, .. } => self.response.blocks.push(opened(head)),
            Delta::More { at, piece } => {
                let block = usize::try_from(*at)
                    .ok()
                    .and_then(|at| self.response.blocks.get_mut(at));
                if let Some(block) = block {
                    add(block, piece);
                }
            }
            Delta::Usage(usage) => self.response.usage = *usage,
            Delta::Stop(stop) => self.response.stop = stop.clone().into_owned(),
            Delta::Lost(kind) => self.lost.push(kind.clone().into_owned()),
            Delta::Close { .. } | Delta::End | Delta::Fault(_) => {}
        }
    }

    /// The answer, and the kinds of what was left out of it.
    pub fn finish(self) -> (Response<'static>, Vec<String>) {
        (self.response, self.lost)
    }
}

fn opened(head: &Head<'_>) -> Block<'static> {
    match head {
        Head::Text => Block::Text(Text::default()),
        Head::Refusal => Block::Refusal(JsonStr::EMPTY),
        Head::Reasoning { summary } => Block::Reasoning(Reasoning {
            summary: *summary,
            ..Reasoning::default()
        }),
        Head::ToolCall {
            id,
            name,
            namespace,
            custom,
        } => Block::ToolCall(ToolCall {
            id: id.clone().into_owned(),
            name: Cow::Owned(name.clone().into_owned()),
            namespace: namespace.clone().map(|it| Cow::Owned(it.into_owned())),
            input: if *custom {
                ToolInput::Custom(JsonStr::EMPTY)
            } else {
                ToolInput::Arguments(JsonStr::EMPTY)
            },
        }),
        Head::WebSearch(search) => Block::WebSearch(search.clone().into_owned()),
    }
}

fn add(block: &mut Block<'static>, piece: &Piece<'_>) {
    match (block, piece) {
        (Block::Text(text), Piece::Words(words)) => text.text.push(words),
        (Block::Text(text), Piece::Citation(citation)) => text.citations.push(citation.clone().into_owned()),
        (Block::Text(text), Piece::Logprobs(more)) => {
            let all = text.logprobs.get_or_insert_with(|| Json::spelled_so("[]"));
            all.push_items(more);
        }
        (Block::Refusal(text), Piece::Words(words)) => text.push(words),
        (Block::Reasoning(reasoning), Piece::Words(words)) => match reasoning.parts.last_mut() {
            Some(part) => part.push(words),
            None => reasoning.parts.push(words.clone().into_owned()),
        },
        (Block::Reasoning(reasoning), Piece::NextPart) => reasoning.parts.push(JsonStr::EMPTY),
        (Block::Reasoning(reasoning), Piece::Seal(seal)) => reasoning.seal = Some(seal.clone().into_owned()),
        (Block::ToolCall(call), Piece::Words(words)) => match &mut call.input {
            ToolInput::Arguments(text) | ToolInput::Custom(text) => text.push(words),
            ToolInput::Json(_) => {}
        },
        _ => {}
    }
}

impl Response<'_> {
    /// The answer as the deltas of a stream: each block at once.
    pub fn replay(&self, out: &mut dyn FnMut(Delta<'_>)) {
        out(Delta::Start {
            id: Cow::Borrowed(&self.id),
            model: Cow::Borrowed(&self.model),
            created: self.created,
        });
        let mut at = 0;
        for block in &self.blocks {
            if replay_block(block, at, out) {
                at += 1;
            }
        }
        if !self.usage.is_unknown() {
            out(Delta::Usage(self.usage));
        }
        out(Delta::Stop(Stop {
            reason: self.stop.reason,
            sequence: self.stop.sequence.as_ref().map(JsonStr::borrowed),
            explanation: self.stop.explanation.as_ref().map(JsonStr::borrowed),
        }));
        out(Delta::End);
    }
}

/// Replays a block as number `at`; whether it is one that a stream can hold.
fn replay_block(block: &Block<'_>, at: u32, out: &mut dyn FnMut(Delta<'_>)) -> bool {
    match block {
        Block::Text(text) => {
            out(Delta::Open { at, head: Head::Text });
            for citation in &text.citations {
                let piece = Piece::Citation(citation.clone());
                out(Delta::More { at, piece });
            }
            words(at, &text.text, out);
            let items = text
                .logprobs
                .as_ref()
                .map(|all| all.get().trim_start_matches('[').trim_end_matches(']'));
            if let Some(items) = items.filter(|items| !items.trim().is_empty()) {
                let piece = Piece::Logprobs(Cow::Borrowed(items));
                out(Delta::More { at, piece });
            }
        }
        Block::Refusal(text) => {
            out(Delta::Open {
                at,
                head: Head::Refusal,
            });
            words(at, text, out);
        }
        Block::Reasoning(reasoning) => replay_reasoning(reasoning, at, out),
        Block::ToolCall(call) => replay_call(call, at, out),
        Block::WebSearch(search) => out(Delta::Open {
            at,
            head: Head::WebSearch(search.clone()),
        }),
        Block::Foreign { kind, .. } => {
            out(Delta::Lost(Cow::Borrowed(kind)));
            return false;
        }
        _ => return false,
    }
    out(Delta::Close { at });
    true
}

fn words(at: u32, text: &JsonStr<'_>, out: &mut dyn FnMut(Delta<'_>)) {
    if !text.is_empty() {
        let piece = Piece::Words(text.borrowed());
        out(Delta::More { at, piece });
    }
}

fn replay_reasoning(reasoning: &Reasoning<'_>, at: u32, out: &mut dyn FnMut(Delta<'_>)) {
    let summary = reasoning.summary;
    out(Delta::Open {
        at,
        head: Head::Reasoning { summary },
    });
    for (number, part) in reasoning.parts.iter().enumerate() {
        if number > 0 {
            out(Delta::More {
                at,
                piece: Piece::NextPart,
            });
        }
        words(at, part, out);
    }
    if let Some(seal) = &reasoning.seal {
        let piece = Piece::Seal(seal.clone());
        out(Delta::More { at, piece });
    }
}

fn replay_call(call: &ToolCall<'_>, at: u32, out: &mut dyn FnMut(Delta<'_>)) {
    let head = Head::ToolCall {
        id: call.id.borrowed(),
        name: Cow::Borrowed(&call.name),
        namespace: call.namespace.as_deref().map(Cow::Borrowed),
        custom: matches!(call.input, ToolInput::Custom(_)),
    };
    out(Delta::Open { at, head });
    words(at, &call.input.spelled(), out);
}

impl ToolInput<'_> {
    /// It as a text, as chat and responses carry it: arguments as JSON in a string, free text as it is.
    pub fn spelled(&self) -> JsonStr<'_> {
        match self {
            Self::Json(value) => JsonStr::of(value.get()).into_owned(),
            Self::Arguments(text) | Self::Custom(text) => text.borrowed(),
        }
    }
}

impl Seal<'_> {
    /// The same, independent of what it was borrowed from.
    pub fn into_owned(self) -> Seal<'static> {
        match self {
            Self::Signature(text) => Seal::Signature(text.into_owned()),
            Self::Redacted(text) => Seal::Redacted(text.into_owned()),
            Self::Encrypted { id, data } => Seal::Encrypted {
                id: id.into_owned(),
                data: data.into_owned(),
            },
            Self::Details(raw) => Seal::Details(raw.into_owned()),
            Self::Plain => Seal::Plain,
        }
    }
}

impl super::WebSearch<'_> {
    /// The same, independent of what it was borrowed from.
    pub fn into_owned(self) -> super::WebSearch<'static> {
        let sources = self.sources.into_iter();
        super::WebSearch {
            id: self.id.into_owned(),
            query: self.query.into_owned(),
            sources: sources
                .map(|(url, title)| (url.into_owned(), title.into_owned()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{Citation, StopReason, WebSearch};
    use crate::usage::Usage;

    #[test]
    fn what_is_replayed_is_gathered_again() {
        let response = Response {
            id: "msg_1".into(),
            model: "m".into(),
            created: Some(5),
            blocks: vec![
                Block::Reasoning(Reasoning {
                    parts: vec![JsonStr::of("one"), JsonStr::of("two")],
                    summary: true,
                    seal: Some(Seal::Encrypted {
                        id: JsonStr::of("rs_1"),
                        data: JsonStr::of("x"),
                    }),
                    family: None,
                }),
                Block::Text(Text {
                    text: JsonStr::spelled_so(r"a\n"),
                    citations: vec![Citation::default()],
                    logprobs: Some(Json::spelled_so(r#"[{"token":"a"}]"#)),
                    ..Text::default()
                }),
                Block::ToolCall(ToolCall {
                    id: JsonStr::of("call_1"),
                    name: "f".into(),
                    namespace: None,
                    input: ToolInput::Arguments(JsonStr::spelled_so(r#"{\"a\":1}"#)),
                }),
                Block::WebSearch(WebSearch::default()),
                Block::Refusal(JsonStr::of("no")),
            ],
            stop: Stop::because(StopReason::ToolCalls),
            usage: Usage {
                input: Some(1),
                ..Usage::default()
            },
            service_tier: None,
        };
        let mut gather = Gather::default();
        response.replay(&mut |delta| gather.delta(&delta));
        assert_eq!(gather.finish(), (response, Vec::new()));
    }
}
