//! Chat streams, as the `OpenAI` SDKs accumulate them and the Vercel AI SDK validates them.
//!
//! Accumulators join strings: a role, an id or a name that is repeated becomes `assistantassistant`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::value::{
    Checked, Within, count, ensure, fault, filled, is, list, maybe_count, maybe_list, maybe_text, member,
    number, object, one_of, parse, present, some, text,
};
use super::{Block, Call, State, Transcript};
use crate::usage::Usage;

/// The reasons that the official types have.
const REASONS: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "function_call"];

#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) state: State,
    id: String,
    model: String,
    choices: BTreeMap<u64, Choice>,
    usage: Option<Usage>,
}

#[derive(Debug, Default)]
struct Choice {
    message: Message,
    finish: Option<String>,
}

impl Reader {
    pub(super) fn event(&mut self, name: Option<&str>, data: &str) -> Checked {
        ensure(name.is_none(), "chat events have no name")?;
        ensure(self.state == State::Open, "nothing may follow an error")?;
        if data == "[DONE]" {
            return self.done();
        }
        let chunk = parse(data)?;
        if present(&chunk, "error").is_some() {
            self.state = State::Failed;
            let error = object(&chunk, "error")?;
            return filled(error, "message").map(drop).within("error");
        }
        ensure(self.usage.is_none(), "only [DONE] may follow the usage")?;
        self.head(&chunk)?;
        let choices = list(&chunk, "choices")?;
        choices.iter().try_for_each(|choice| self.choice(choice))?;
        self.usage(&chunk, choices.is_empty())
    }

    fn done(&mut self) -> Checked {
        ensure(self.finished(), "[DONE] comes before a `finish_reason`")?;
        self.state = State::Whole;
        Ok(())
    }

    fn finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.values().all(|choice| choice.finish.is_some())
    }

    /// What every chunk repeats.
    fn head(&mut self, chunk: &Value) -> Checked {
        is(chunk, "object", "chat.completion.chunk")?;
        number(chunk, "created")?;
        for (key, known) in [("id", &mut self.id), ("model", &mut self.model)] {
            let found = filled(chunk, key)?;
            ensure(
                known.is_empty() || known == found,
                format_args!("`{key}` changes within the stream"),
            )?;
            found.clone_into(known);
        }
        Ok(())
    }

    fn choice(&mut self, choice: &Value) -> Checked {
        let index = count(choice, "index").within("choices")?;
        let delta = object(choice, "delta")?;
        let reason = member(choice, "finish_reason")?;
        let first = !self.choices.contains_key(&index);
        let known = self.choices.entry(index).or_default();
        ensure(
            known.finish.is_none(),
            "a choice goes on after its `finish_reason`",
        )?;
        match (first, present(delta, "role")) {
            (true, _) => is(delta, "role", "assistant").within("the first delta of a choice")?,
            (false, Some(_)) => return fault("`role` stands in a later delta, accumulators would join it"),
            (false, None) => {}
        }
        known.message.take(delta).within("delta")?;
        if !reason.is_null() {
            let reason = one_of(choice, "finish_reason", &REASONS)?;
            known.message.suits(reason)?;
            known.finish = Some(reason.to_owned());
        }
        Ok(())
    }

    fn usage(&mut self, chunk: &Value, alone: bool) -> Checked {
        if present(chunk, "usage").is_none() {
            return ensure(!alone, "a chunk has neither choice nor usage");
        }
        ensure(alone, "`usage` stands in a chunk that has choices")?;
        ensure(self.finished(), "`usage` comes before the `finish_reason`")?;
        self.usage = Some(usage(object(chunk, "usage")?).within("usage")?);
        Ok(())
    }

    pub(super) fn transcript(mut self) -> Transcript {
        let choice = self.choices.remove(&0).unwrap_or_default();
        Transcript {
            id: self.id,
            model: self.model,
            blocks: choice.message.blocks(),
            stop: choice.finish.unwrap_or_default(),
            sequence: None,
            usage: self.usage.unwrap_or_default(),
        }
    }
}

/// An assistant's message as it grows.
#[derive(Debug, Default)]
pub(super) struct Message {
    reasoning: String,
    seal: String,
    text: String,
    citations: Vec<String>,
    refusal: String,
    calls: Vec<RawCall>,
}

#[derive(Debug, Default)]
struct RawCall {
    id: String,
    name: String,
    custom: bool,
    arguments: String,
}

impl Message {
    /// A delta, or a message as the one delta of itself.
    pub(super) fn take(&mut self, delta: &Value) -> Checked {
        self.text
            .push_str(maybe_text(delta, "content")?.unwrap_or_default());
        self.refusal
            .push_str(maybe_text(delta, "refusal")?.unwrap_or_default());
        for key in ["reasoning_content", "reasoning"] {
            self.reasoning
                .push_str(maybe_text(delta, key)?.unwrap_or_default());
        }
        for detail in maybe_list(delta, "reasoning_details")? {
            self.detail(detail).within("reasoning_details")?;
        }
        for annotation in maybe_list(delta, "annotations")? {
            self.citations.push(citation(annotation).within("annotations")?);
        }
        for call in maybe_list(delta, "tool_calls")? {
            self.call(call).within("tool_calls")?;
        }
        Ok(())
    }

    fn detail(&mut self, detail: &Value) -> Checked {
        filled(detail, "type")?;
        for key in ["signature", "data"] {
            self.seal.push_str(maybe_text(detail, key)?.unwrap_or_default());
        }
        Ok(())
    }

    fn call(&mut self, call: &Value) -> Checked {
        let at = usize::try_from(count(call, "index")?).unwrap_or(usize::MAX);
        ensure(at <= self.calls.len(), "`index` leaves one out")?;
        match self.calls.get_mut(at) {
            Some(known) => known.more(call),
            None => self.open(call),
        }
    }

    fn open(&mut self, call: &Value) -> Checked {
        let call = RawCall::head(call)?;
        ensure(
            self.calls.iter().all(|known| known.id != call.id),
            "two calls have one `id`",
        )?;
        self.calls.push(call);
        Ok(())
    }

    /// The calls of a whole message, which have no index.
    pub(super) fn take_whole(&mut self, message: &Value) -> Checked {
        let mut rest = message.clone();
        let calls = rest.as_object_mut().and_then(|rest| rest.remove("tool_calls"));
        self.take(&rest)?;
        let calls = calls.unwrap_or_default();
        let calls = calls.as_array().map(Vec::as_slice).unwrap_or_default();
        calls
            .iter()
            .try_for_each(|call| self.open(call))
            .within("tool_calls")
    }

    /// Whether the reason fits what was said.
    pub(super) fn suits(&self, reason: &str) -> Checked {
        match (reason, self.calls.is_empty()) {
            ("tool_calls", true) => fault("`finish_reason` is `tool_calls`, but there is no call"),
            ("stop", false) => fault("`finish_reason` is `stop`, but there are calls"),
            ("length" | "content_filter", _) => Ok(()),
            _ => self.calls.iter().try_for_each(RawCall::sound),
        }
    }

    pub(super) fn blocks(self) -> Vec<Block> {
        let (text, citations) = (self.text, self.citations);
        let reasoning = Block::Reasoning {
            text: self.reasoning,
            seal: self.seal,
        };
        let text = (!text.is_empty()).then_some(Block::Text { text, citations });
        let refusal = (!self.refusal.is_empty()).then_some(Block::Refusal(self.refusal));
        let empty = Block::Reasoning {
            text: String::new(),
            seal: String::new(),
        };
        let before = (reasoning != empty).then_some(reasoning);
        let said = before.into_iter().chain(text).chain(refusal);
        said.chain(self.calls.into_iter().map(RawCall::block)).collect()
    }
}

impl RawCall {
    /// The first that is heard of a call.
    fn head(call: &Value) -> Checked<Self> {
        let kind = one_of(call, "type", &["function", "custom"])?;
        let custom = kind == "custom";
        let inner = object(call, kind)?;
        Ok(Self {
            id: filled(call, "id")?.to_owned(),
            name: filled(inner, "name")?.to_owned(),
            custom,
            arguments: text(inner, if custom { "input" } else { "arguments" })?.to_owned(),
        })
    }

    fn more(&mut self, call: &Value) -> Checked {
        let inner = object(call, if self.custom { "custom" } else { "function" })?;
        let repeated = ["id", "type"].map(|key| present(call, key).is_some());
        ensure(
            repeated == [false, false] && present(inner, "name").is_none(),
            "`id`, `type` or `name` is repeated, accumulators would join it",
        )?;
        let key = if self.custom { "input" } else { "arguments" };
        self.arguments.push_str(text(inner, key)?);
        Ok(())
    }

    /// A call that was not cut off can be made.
    fn sound(&self) -> Checked {
        let sound = self.custom || serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok();
        ensure(
            sound,
            format_args!("the arguments of `{}` are no JSON: {}", self.name, self.arguments),
        )
    }

    fn block(self) -> Block {
        if self.custom {
            return Block::Call(Call {
                id: self.id,
                name: self.name,
                namespace: None,
                custom: true,
                arguments: self.arguments,
            });
        }
        Block::Call(Call::function(&self.id, &self.name, &self.arguments))
    }
}

fn citation(annotation: &Value) -> Checked<String> {
    is(annotation, "type", "url_citation")?;
    let inner = object(annotation, "url_citation")?;
    let (start, end) = (count(inner, "start_index")?, count(inner, "end_index")?);
    ensure(start <= end, "`end_index` stands before `start_index`")?;
    text(inner, "title")?;
    filled(inner, "url").map(str::to_owned)
}

/// Counts as chat reports them: everything inclusive.
pub(super) fn usage(usage: &Value) -> Checked<Usage> {
    let (input, output) = (count(usage, "prompt_tokens")?, count(usage, "completion_tokens")?);
    ensure(
        count(usage, "total_tokens")? == input + output,
        "`total_tokens` is not the sum of the others",
    )?;
    let detail = |group: &str, key: &str| {
        let group = present(usage, group);
        group.map_or(Ok(None), |group| maybe_count(group, key))
    };
    let read = some(detail("prompt_tokens_details", "cached_tokens")?);
    let written = some(detail("prompt_tokens_details", "cache_write_tokens")?);
    let reasoning = some(detail("completion_tokens_details", "reasoning_tokens")?);
    ensure(
        read.unwrap_or(0) + written.unwrap_or(0) <= input,
        "more tokens are cached than were read",
    )?;
    ensure(
        reasoning.unwrap_or(0) <= output,
        "more tokens are reasoning than were written",
    )?;
    Ok(Usage {
        input: Some(input),
        output: Some(output),
        cache_read: read,
        cache_write: written,
        cache_write_1h: None,
        reasoning,
    })
}

/// A whole answer.
pub(super) fn whole(body: &Value) -> Checked<Transcript> {
    filled(body, "id")?;
    is(body, "object", "chat.completion")?;
    number(body, "created")?;
    let choices = list(body, "choices")?;
    let Some(choice) = choices.first() else {
        return fault("`choices` is empty");
    };
    let (message, stop) = whole_choice(choice).within("choices[0]")?;
    let usage = match present(body, "usage") {
        Some(counts) => usage(counts).within("usage")?,
        None => Usage::default(),
    };
    Ok(Transcript {
        id: filled(body, "id")?.to_owned(),
        model: filled(body, "model")?.to_owned(),
        blocks: message.blocks(),
        stop,
        sequence: None,
        usage,
    })
}

fn whole_choice(choice: &Value) -> Checked<(Message, String)> {
    is(choice, "index", 0)?;
    let body = object(choice, "message")?;
    is(body, "role", "assistant")?;
    member(body, "content")?;
    member(body, "refusal")?;
    let mut message = Message::default();
    message.take_whole(body).within("message")?;
    if present(body, "content").is_none() {
        let stands_in = !message.calls.is_empty() || !message.refusal.is_empty();
        ensure(
            stands_in,
            "`content` is null, but there is neither call nor refusal",
        )?;
    }
    let reason = one_of(choice, "finish_reason", &REASONS)?;
    message.suits(reason)?;
    Ok((message, reason.to_owned()))
}
