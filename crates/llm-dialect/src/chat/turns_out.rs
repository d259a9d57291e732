//! Turns as messages, for a backend that speaks chat.

use std::borrow::Cow;

use super::plan::{Line, is_media, plan};
use super::{parts_out, reasoning};
use crate::canon::seal::{self, Admitted};
use crate::canon::write::{Array, Object};
use crate::canon::{
    Block, JsonStr, Losses, Reasoning, Refusal, Request, Target, ToolCall, ToolInput, ToolResult, Turn,
};
use crate::names::{self, Names};

/// Writes the messages of a request.
pub(super) struct Writer<'w> {
    pub(super) target: &'w Target<'w>,
    pub(super) names: &'w Names,
}

impl Writer<'_> {
    /// Writes `messages`.
    pub(super) fn messages(
        &self,
        all: &mut Object<'_>,
        request: &Request<'_>,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        let lines = plan(request, self.target);
        let mut failed = None;
        all.array("messages", |list| {
            for (at, line) in lines.iter().enumerate() {
                let is_last = at + 1 == lines.len();
                failed = failed.take().or(self.line(list, line, is_last, losses).err());
            }
        });
        failed.map_or(Ok(()), Err)
    }

    fn line(
        &self,
        list: &mut Array<'_>,
        line: &Line<'_>,
        is_last: bool,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        match line {
            Line::Instructions(texts) => self.instructions(list, texts),
            Line::User(blocks) => self.user(list, blocks, losses)?,
            Line::Result(result, media) => self.result(list, result, *media, losses),
            Line::Assistant(turn) => self.assistant(list, turn, is_last, losses),
        }
        Ok(())
    }

    /// `OpenAI` takes several texts apart; to other hosts they are one.
    fn instructions(&self, list: &mut Array<'_>, texts: &[&JsonStr<'_>]) {
        let developer = self.target.openai && !self.target.traits.sampling;
        let role = if developer { "developer" } else { "system" };
        list.object(|it| {
            it.str("role", role);
            self.texts(it, texts, "\n\n");
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
                        parts_out::write_text(parts, text);
                    }
                });
            }
            several => {
                it.text("content", &JsonStr::joined(several.iter().copied(), between));
            }
        }
    }

    fn user(
        &self,
        list: &mut Array<'_>,
        blocks: &[Cow<'_, Block<'_>>],
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        let words: Option<Vec<Cow<'_, JsonStr<'_>>>> = blocks.iter().map(|it| parts_out::words(it)).collect();
        if let Some(words) = words {
            let texts: Vec<&JsonStr<'_>> = words.iter().map(AsRef::as_ref).collect();
            list.object(|it| {
                it.str("role", "user");
                self.texts(it, &texts, "\n\n");
            });
            return Ok(());
        }
        let is_known = |it: &Cow<'_, Block<'_>>| is_media(it) || parts_out::words(it).is_some();
        if !blocks.iter().any(is_known) {
            for block in blocks {
                parts_out::note(block, losses);
            }
            return Ok(());
        }
        let mut failed = None;
        list.object(|it| {
            it.str("role", "user").array("content", |parts| {
                for block in blocks {
                    failed = failed.take().or(parts_out::part(parts, block, losses).err());
                }
            });
        });
        failed.map_or(Ok(()), Err)
    }

    /// What a tool gave. So many pictures of its turn were `before` it.
    fn result(&self, list: &mut Array<'_>, result: &ToolResult<'_>, before: usize, losses: &mut Losses) {
        let mut texts: Vec<Cow<'_, JsonStr<'_>>> = Vec::new();
        let mut media = before;
        for block in &result.content {
            if is_media(block) {
                media += 1;
                let mark = format!("[{} {media} below]", parts_out::kind(block));
                texts.push(Cow::Owned(JsonStr::spelled_so(mark)));
            } else if let Some(words) = parts_out::words(block) {
                texts.push(words);
            } else {
                parts_out::note(block, losses);
            }
        }
        if result.is_error == Some(true) && !says_error(&texts) {
            let first = texts.first().map(|it| it.borrowed()).unwrap_or_default();
            let told = JsonStr::joined([&JsonStr::spelled_so("Error: "), &first], "");
            texts.splice(..texts.len().min(1), [Cow::Owned(told)]);
        }
        let texts: Vec<&JsonStr<'_>> = texts.iter().map(AsRef::as_ref).collect();
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

    fn assistant(&self, list: &mut Array<'_>, turn: &Turn<'_>, is_last: bool, losses: &mut Losses) {
        let text = spoken(&turn.blocks);
        let calls: Vec<&ToolCall<'_>> = turn.blocks.iter().filter_map(call_of).collect();
        let thought: Vec<&Reasoning<'_>> = turn.blocks.iter().filter_map(reasoning_of).collect();
        for block in &turn.blocks {
            parts_out::note(block, losses);
        }
        if text.is_none() && calls.is_empty() {
            return;
        }
        list.object(|it| {
            it.str("role", "assistant");
            self.thought(it, &thought, !calls.is_empty());
            match &text {
                Some(text) => it.text("content", text),
                None => it.null("content"),
            };
            if !calls.is_empty() {
                it.array("tool_calls", |list| {
                    for call in &calls {
                        self.call(list, call);
                    }
                });
            } else if is_last && self.target.traits.short_ids {
                // Mistral takes the beginning of an answer only if it is said to be one.
                it.bool("prefix", true);
            }
        });
    }

    /// Reasoning that the host may have back: its own details, or, with a call, its text where it wants that.
    fn thought(&self, it: &mut Object<'_>, thought: &[&Reasoning<'_>], with_calls: bool) {
        let admitted = |it: &&&Reasoning<'_>| seal::admit(it, self.target) != Admitted::Nothing;
        if with_calls && self.target.traits.reasoning_text {
            let words = thought.iter().filter(admitted).flat_map(|it| &it.parts);
            // Such hosts refuse a call without it, if only for its absence.
            it.text("reasoning_content", &JsonStr::joined(words, "\n\n"));
        }
        let is_sealed = |it: &&&Reasoning<'_>| matches!(seal::admit(it, self.target), Admitted::Sealed(_));
        let mut sealed = thought.iter().filter(is_sealed).peekable();
        // No model of OpenAI itself makes details, so these are none of its own.
        if sealed.peek().is_some() && !self.target.openai {
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
                let arguments = call.arguments();
                let nothing = JsonStr::spelled_so("{}");
                let arguments = if arguments.is_empty() {
                    &nothing
                } else {
                    &arguments
                };
                it.str("id", &id)
                    .str("type", "function")
                    .object("function", |it| {
                        it.str("name", &name).text("arguments", arguments);
                    });
            }
        });
    }
}

/// The words of a turn as one text; nothing if there are none. Pieces of one text stand side by side, texts around a call
/// do not.
fn spoken(blocks: &[Block<'_>]) -> Option<JsonStr<'static>> {
    let mut all: Option<JsonStr<'static>> = None;
    let mut apart = false;
    for block in blocks {
        match block {
            Block::Text(_) | Block::Refusal(_) => {
                let words = parts_out::words(block).unwrap_or_default();
                let text = all.get_or_insert_default();
                if apart && !text.is_empty() && !words.is_empty() {
                    text.push(&JsonStr::of("\n\n"));
                }
                text.push(&words);
                apart = false;
            }
            Block::ToolCall(_) | Block::WebSearch(_) => apart = true,
            _ => {}
        }
    }
    all
}

fn says_error(texts: &[Cow<'_, JsonStr<'_>>]) -> bool {
    let first = texts.first();
    first.is_some_and(|first| first.read().to_lowercase().contains("error"))
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

#[cfg(test)]
mod tests {
    use super::super::asked::{messages, refused_messages};
    use crate::canon::{Reasoning, Seal};
    use serde_json::{Value, json};

    const CALL: &str = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]}"#;

    #[test]
    fn messages_take_the_form_that_the_target_knows() {
        let system = r#"{"role":"system","content":"a"},{"role":"system","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]},{"role":"user","content":"d"},{"role":"system","content":"e"},{"role":"user","content":[{"type":"text","text":"f"},{"type":"text","text":"g"}]}"#;
        #[rustfmt::skip]
        let table: [(&str, &str, &str, Value); 14] = [
            ("OpenAI takes texts apart", "openai:gpt-4.1", system, json!([{"role":"system","content":"a"},{"role":"system","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]},{"role":"user","content":"d"},{"role":"system","content":"e"},{"role":"user","content":[{"type":"text","text":"f"},{"type":"text","text":"g"}]}])),
            ("its models that reason have a developer", "openai:gpt-5", r#"{"role":"system","content":"a"},{"role":"user","content":"b"}"#, json!([{"role":"developer","content":"a"},{"role":"user","content":"b"}])),
            ("hosts take strings", "llama", system, json!([{"role":"system","content":"a"},{"role":"system","content":"b\n\nc"},{"role":"user","content":"d"},{"role":"system","content":"e"},{"role":"user","content":"f\n\ng"}])),
            ("some take instructions only at the head, and turns", "qwen3-32b", system, json!([{"role":"system","content":"a\n\nb\n\nc"},{"role":"user","content":"d\n\n<system>e</system>\n\nf\n\ng"}])),
            ("results before words", "llama", &format!(r#"{CALL},{{"role":"user","content":[{{"type":"text","text":"and?"}},{{"type":"tool_result","tool_use_id":"call_1","content":"a"}}]}}"#),
                json!([{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"a"},{"role":"user","content":"and?"}])),
            ("pictures behind the results", "llama", r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":"https://a/1"}]},{"type":"tool_result","tool_use_id":"y","content":[{"type":"image_url","image_url":"https://a/2"},{"type":"file","file":{"file_data":"AA=="}}]},{"type":"text","text":"b"}]}"#,
                json!([{"role":"tool","tool_call_id":"x","content":"a\n[image 1 below]"},{"role":"tool","tool_call_id":"y","content":"[image 2 below]\n[file 3 below]"},
                    {"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a/1"}},{"type":"image_url","image_url":{"url":"https://a/2"}},{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,AA=="}},{"type":"text","text":"b"}]}])),
            ("errors are told", "llama", r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"no such file","is_error":true},{"type":"tool_result","tool_use_id":"y","content":"An error.","is_error":true},{"type":"tool_result","tool_use_id":"z","is_error":true}]}"#,
                json!([{"role":"tool","tool_call_id":"x","content":"Error: no such file"},{"role":"tool","tool_call_id":"y","content":"An error."},{"role":"tool","tool_call_id":"z","content":"Error: "}])),
            ("Mistral's short ids", "mistral-large", &format!(r#"{CALL},{{"role":"tool","tool_call_id":"call_1","content":"a"}}"#),
                json!([{"role":"assistant","content":null,"tool_calls":[{"id":"74196fe72","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"74196fe72","content":"a"}])),
            ("Mistral's prefix", "mistral-large", r#"{"role":"user","content":"a"},{"role":"assistant","content":"b"}"#, json!([{"role":"user","content":"a"},{"role":"assistant","content":"b","prefix":true}])),
            ("no arguments are an object", "llama", r#"{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f","arguments":""}}]}"#, json!([{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]}])),
            ("free text becomes a function's", "llama", r#"{"role":"assistant","tool_calls":[{"id":"x","type":"custom","custom":{"name":"p","input":"a\n"}}]}"#, json!([{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"p","arguments":"{\"input\":\"a\\n\"}"}}]}])),
            ("but not for OpenAI", "openai:gpt-4.1", r#"{"role":"assistant","tool_calls":[{"id":"x","type":"custom","custom":{"name":"p","input":"a"}}]}"#, json!([{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":"custom","custom":{"name":"p","input":"a"}}]}])),
            ("texts around a call stand apart", "llama", r#"{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"tool_use","id":"x","name":"f","input":{}},{"type":"text","text":"c"}]}"#, json!([{"role":"assistant","content":"ab\n\nc","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]}])),
            ("a turn of nothing but reasoning is left out", "llama", r#"{"role":"user","content":"a"},{"role":"assistant","content":null,"reasoning_content":"t"}"#, json!([{"role":"user","content":"a"}])),
        ];
        for (case, model, list, expected) in table {
            assert_eq!(messages(model, list), expected, "{case}");
        }
    }

    #[test]
    fn reasoning_goes_back_to_those_who_want_it() {
        let thought = CALL.replace(r#""content":null"#, r#""content":null,"reasoning_content":"t""#);
        let words = r#"{"role":"assistant","content":"a","reasoning_content":"t"}"#;
        let details = r#"[{"type":"reasoning.encrypted","data":"d","format":"x"}]"#;
        let sealed = format!(r#"{{"role":"assistant","content":"a","reasoning_details":{details}}}"#);
        let signed = CALL.replace(
            r#""content":null"#,
            r#""content":null,"reasoning_details":[{"type":"reasoning.text","text":"t","signature":"s","format":"anthropic-claude-v1"}]"#,
        );
        let member = |model: &str, list: &str, name: &str| messages(model, list)[0].get(name).cloned();
        for (case, model, list, expected) in [
            ("with a call", "deepseek-chat", thought.as_str(), Some("t")),
            ("a call without it", "deepseek-chat", CALL, Some("")),
            ("without a call", "deepseek-chat", words, None),
            ("signed by another maker", "deepseek-chat", &signed, Some("t")),
            ("a host that does not want it", "llama", &thought, None),
        ] {
            let found = member(model, list, "reasoning_content");
            assert_eq!(found, expected.map(Value::from), "{case}");
            assert_eq!(member(model, list, "reasoning_details"), None, "{case}");
        }
        let back = member("llama", &sealed, "reasoning_details");
        assert_eq!(back, Some(serde_json::from_str(details).unwrap()));
        assert_eq!(member("openai:gpt-4.1", &sealed, "reasoning_details"), None);
    }

    #[test]
    fn what_belongs_to_one_provider_is_refused() {
        for list in [
            r#"{"role":"user","content":[{"type":"file","file":{"file_id":"f1"}}]}"#,
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":[{"type":"file","file":{"file_id":"f1"}}]}]}"#,
        ] {
            assert_eq!(refused_messages("llama", list), "messages.content.source");
        }
    }

    #[test]
    fn another_hosts_details_stay_here() {
        let theirs = Reasoning {
            seal: Some(Seal::Details(crate::canon::Json::spelled_so("[{}]"))),
            family: Some("elsewhere".into()),
            ..Reasoning::default()
        };
        let target = super::super::asked::target("llama");
        assert_eq!(
            crate::canon::seal::admit(&theirs, &target),
            super::Admitted::Nothing
        );
    }
}
