//! Gives the client back its own tools: names that were changed for the backend, custom tools for which functions stood
//! in, and the answer that came as the arguments of a tool.

use std::borrow::Cow;
use std::sync::Arc;

use super::answer::{Response, StopReason};
use super::block::{Block, Text, ToolCall, ToolInput};
use super::delta::{Delta, Head, Piece};
use super::terms::Terms;
use super::text::JsonStr;
use super::unwrap::Unwrap;

/// The name of the tool that stands in for a JSON schema.
pub const JSON_TOOL: &str = "json_output";

/// Stands between a stream's decoder and its encoder.
#[derive(Debug)]
pub struct Restore {
    terms: Arc<Terms>,
    /// Open calls of custom tools.
    custom: Vec<(u32, Unwrap)>,
    /// Whether the client sees any call.
    calls: bool,
}

impl Restore {
    /// A restorer by the terms of the request.
    pub fn new(terms: Arc<Terms>) -> Self {
        Self {
            terms,
            custom: Vec::new(),
            calls: false,
        }
    }

    /// Whether there is anything to restore. If not, deltas may go past it.
    pub fn is_needed(terms: &Terms) -> bool {
        terms.json_tool || !terms.names.is_plain()
    }

    /// Passes a delta on, in the client's terms.
    pub fn delta(&mut self, delta: Delta<'_>, out: &mut dyn FnMut(Delta<'_>)) {
        match delta {
            Delta::Open {
                at,
                head:
                    Head::ToolCall {
                        id,
                        name,
                        namespace,
                        custom,
                    },
            } => {
                let head = self.call(at, (id, name, namespace, custom));
                out(Delta::Open { at, head });
            }
            Delta::More {
                at,
                piece: Piece::Words(words),
            } => self.words(at, words, out),
            Delta::Close { at } => {
                self.close(at, out);
                out(Delta::Close { at });
            }
            Delta::Stop(mut stop) => {
                if self.terms.json_tool && !self.calls && stop.reason == StopReason::ToolCalls {
                    stop.reason = StopReason::End;
                }
                out(Delta::Stop(stop));
            }
            other => out(other),
        }
    }

    fn call<'a>(
        &mut self,
        at: u32,
        call: (JsonStr<'a>, Cow<'a, str>, Option<Cow<'a, str>>, bool),
    ) -> Head<'a> {
        let (id, name, namespace, custom) = call;
        if self.terms.json_tool && name == JSON_TOOL {
            return Head::Text;
        }
        self.calls = true;
        let Some(original) = self.terms.names.original(&name) else {
            return Head::ToolCall {
                id,
                name,
                namespace,
                custom,
            };
        };
        if original.custom && !custom {
            self.custom.push((at, Unwrap::default()));
        }
        Head::ToolCall {
            id,
            name: Cow::Owned(original.name.clone()),
            namespace: original.namespace.clone().map(Cow::Owned),
            custom: custom || original.custom,
        }
    }

    fn words(&mut self, at: u32, words: JsonStr<'_>, out: &mut dyn FnMut(Delta<'_>)) {
        let unwrap = self.custom.iter_mut().find(|(own, _)| *own == at);
        let words = match unwrap {
            Some((_, unwrap)) => unwrap.feed(&words),
            None => words,
        };
        say(at, words, out);
    }

    fn close(&mut self, at: u32, out: &mut dyn FnMut(Delta<'_>)) {
        if let Some(place) = self.custom.iter().position(|(own, _)| *own == at) {
            let (_, mut unwrap) = self.custom.swap_remove(place);
            say(at, unwrap.finish(), out);
        }
    }
}

fn say(at: u32, words: JsonStr<'_>, out: &mut dyn FnMut(Delta<'_>)) {
    if !words.is_empty() {
        let piece = Piece::Words(words);
        out(Delta::More { at, piece });
    }
}

/// The same for a whole answer.
pub fn restore(response: &mut Response<'_>, terms: &Terms) {
    if !Restore::is_needed(terms) {
        return;
    }
    let mut calls = false;
    for block in &mut response.blocks {
        let Block::ToolCall(call) = block else { continue };
        if terms.json_tool && call.name == JSON_TOOL {
            *block = Block::Text(Text::plain(call.input.spelled().into_owned()));
            continue;
        }
        calls = true;
        restore_call(call, terms);
    }
    if terms.json_tool && !calls && response.stop.reason == StopReason::ToolCalls {
        response.stop.reason = StopReason::End;
    }
}

fn restore_call(call: &mut ToolCall<'_>, terms: &Terms) {
    let Some(original) = terms.names.original(&call.name) else {
        return;
    };
    call.name = Cow::Owned(original.name.clone());
    call.namespace = original.namespace.clone().map(Cow::Owned);
    if original.custom && !matches!(call.input, ToolInput::Custom(_)) {
        let mut unwrap = Unwrap::default();
        let mut text = unwrap.feed(&call.input.spelled());
        text.push(&unwrap.finish());
        call.input = ToolInput::Custom(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{Gather, Stop, Tool, ToolKind};
    use crate::names::Names;

    fn terms(json_tool: bool) -> Arc<Terms> {
        let tool = |name: &'static str, namespace: Option<&'static str>, kind| Tool {
            name: name.into(),
            namespace: namespace.map(Cow::Borrowed),
            description: None,
            kind,
            strict: None,
            cache: None,
        };
        let tools = [
            tool("apply_patch", None, ToolKind::Custom(None)),
            tool("spawn", Some("agents"), ToolKind::Function(None)),
            tool("plain", None, ToolKind::Function(None)),
        ];
        Arc::new(Terms {
            names: Names::of(&tools, 64, false),
            json_tool,
            ..Terms::default()
        })
    }

    fn call(name: &'static str, arguments: &'static str) -> Block<'static> {
        Block::ToolCall(ToolCall {
            id: JsonStr::of("c"),
            name: name.into(),
            namespace: None,
            input: ToolInput::Arguments(JsonStr::of(arguments)),
        })
    }

    fn answer(blocks: Vec<Block<'static>>) -> Response<'static> {
        Response {
            blocks,
            stop: Stop::because(StopReason::ToolCalls),
            ..Response::default()
        }
    }

    #[test]
    fn a_stream_and_a_whole_answer_are_restored_alike() {
        let tables = [
            (
                false,
                vec![
                    call("apply_patch", r#"{"input":"*** Begin\n"}"#),
                    call("agents__spawn", "{}"),
                    call("plain", "{}"),
                ],
            ),
            (true, vec![call(JSON_TOOL, r#"{"a":1}"#)]),
            (true, vec![call(JSON_TOOL, r#"{"a":1}"#), call("plain", "{}")]),
        ];
        for (json_tool, blocks) in tables {
            let mut whole = answer(blocks);
            let mut gather = Gather::default();
            let mut stream = Restore::new(terms(json_tool));
            whole.replay(&mut |delta| stream.delta(delta, &mut |delta| gather.delta(&delta)));
            restore(&mut whole, &terms(json_tool));
            assert_eq!(gather.finish().0, whole);
        }
    }

    #[test]
    fn a_custom_tool_gets_its_text_and_a_namespace_its_tool() {
        let mut whole = answer(vec![
            call("apply_patch", r#"{"input":"*** Begin\n"}"#),
            call("agents__spawn", "{}"),
        ]);
        restore(&mut whole, &terms(false));
        let Block::ToolCall(patch) = &whole.blocks[0] else {
            panic!("a call")
        };
        assert_eq!(patch.input, ToolInput::Custom(JsonStr::of("*** Begin\n")));
        let Block::ToolCall(spawn) = &whole.blocks[1] else {
            panic!("a call")
        };
        assert_eq!(
            (&*spawn.name, spawn.namespace.as_deref()),
            ("spawn", Some("agents"))
        );
    }

    #[test]
    fn arguments_in_place_of_a_schema_are_the_answer() {
        let mut whole = answer(vec![call(JSON_TOOL, r#"{"a":1}"#)]);
        restore(&mut whole, &terms(true));
        assert_eq!(whole.blocks, [Block::text(JsonStr::of(r#"{"a":1}"#))]);
        assert_eq!(whole.stop.reason, StopReason::End);
    }
}
