//! Responses streams, as the `OpenAI` SDKs accumulate them (by `output_index` and `content_index`) and as Codex runs
//! them: everything is announced before it grows, and whole before it is told as done.

use serde_json::Value;

use super::responses_item::{self as item, Item};
use super::value::{
    Checked, Within, all_there, count, ensure, fault, filled, is, list, member, number, object, one_of,
    parse, present, short, some, text,
};
use super::{Block, State, Transcript};
use crate::usage::Usage;

/// What the typed SDKs have as members that are always there, be they null.
const MEMBERS: [&str; 7] = [
    "error",
    "incomplete_details",
    "instructions",
    "metadata",
    "temperature",
    "top_p",
    "tool_choice",
];

#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) state: State,
    next: u64,
    id: String,
    model: String,
    in_progress: bool,
    items: Vec<Item>,
    /// The event `error` has come: only `response.failed` may follow.
    broken: bool,
    end: Option<Value>,
}

impl Reader {
    pub(super) fn event(&mut self, name: Option<&str>, data: &str) -> Checked {
        let event = parse(data)?;
        let kind = filled(&event, "type")?;
        ensure(
            name == Some(kind),
            format_args!("`event` is {}, but `type` is {kind}", name.unwrap_or("missing")),
        )?;
        self.number(&event).within(kind)?;
        if self.broken {
            ensure(
                kind == "response.failed" && self.end.is_none(),
                "only response.failed may follow an error",
            )?;
        }
        match kind {
            "error" => self.error(&event),
            "response.created" => self.created(&event),
            _ if self.id.is_empty() => fault("response.created must come first"),
            "response.in_progress" => self.progress(&event),
            "response.completed" | "response.incomplete" | "response.failed" => self.terminal(kind, &event),
            "response.output_item.added" => self.added(&event),
            _ => self.on_item(kind, &event),
        }
        .within(kind)
    }

    /// Numbers run from 0 without a gap.
    fn number(&mut self, event: &Value) -> Checked {
        let number = count(event, "sequence_number")?;
        ensure(
            number == self.next,
            format_args!("`sequence_number` is {number}, but {} is next", self.next),
        )?;
        self.next += 1;
        Ok(())
    }

    fn error(&mut self, event: &Value) -> Checked {
        filled(event, "message")?;
        all_there(event, &["code", "param"])?;
        self.broken = true;
        self.state = State::Failed;
        Ok(())
    }

    fn created(&mut self, event: &Value) -> Checked {
        ensure(self.id.is_empty(), "it comes a second time")?;
        let response = object(event, "response")?;
        frame(response)?;
        begun(response)?;
        filled(response, "id")?.clone_into(&mut self.id);
        filled(response, "model")?.clone_into(&mut self.model);
        Ok(())
    }

    fn progress(&mut self, event: &Value) -> Checked {
        ensure(
            self.items.is_empty() && !self.in_progress,
            "it comes once, before the first item",
        )?;
        self.in_progress = true;
        let response = object(event, "response")?;
        frame(response)?;
        begun(response)?;
        self.same(response)
    }

    fn same(&self, response: &Value) -> Checked {
        is(response, "id", self.id.as_str())?;
        is(response, "model", self.model.as_str())
    }

    fn added(&mut self, event: &Value) -> Checked {
        let index = count(event, "output_index")?;
        ensure(
            usize::try_from(index) == Ok(self.items.len()),
            format_args!(
                "`output_index` is {index}, but {} items came before",
                self.items.len()
            ),
        )?;
        let item = Item::begin(object(event, "item")?).within("item")?;
        ensure(
            self.items.iter().all(|known| known.id != item.id),
            "two items have one `id`",
        )?;
        self.items.push(item);
        Ok(())
    }

    fn on_item(&mut self, kind: &str, event: &Value) -> Checked {
        let index = count(event, "output_index")?;
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(item) = self.items.get_mut(at).filter(|item| item.done.is_none()) else {
            return fault(format!("item {index} is not open"));
        };
        if kind == "response.output_item.done" {
            return item.end(object(event, "item")?).within("item");
        }
        is(event, "item_id", item.id.as_str())?;
        item.event(kind, event)
    }

    fn terminal(&mut self, kind: &str, event: &Value) -> Checked {
        let response = object(event, "response")?;
        frame(response)?;
        self.same(response)?;
        let status = kind.rsplit('.').next().unwrap_or_default();
        is(response, "status", status)?;
        self.state = if status == "failed" {
            State::Failed
        } else {
            State::Whole
        };
        self.broken = true;
        self.end = Some(response.clone());
        if status == "failed" {
            let error = object(response, "error")?;
            filled(error, "code").within("error")?;
            return filled(error, "message").map(drop).within("error");
        }
        self.output(list(response, "output")?)?;
        finished(response).map(drop)
    }

    /// The output at the end is what was told as done.
    fn output(&self, output: &[Value]) -> Checked {
        for (at, item) in self.items.iter().enumerate() {
            let Some(done) = &item.done else {
                return fault(format!("item {at} is still open"));
            };
            let told = output.get(at).unwrap_or(&Value::Null);
            ensure(
                told == done,
                format_args!("output[{at}] is not what output_item.done said: {}", short(told)),
            )?;
        }
        ensure(
            output.len() == self.items.len(),
            "`output` has an item that was never streamed",
        )
    }

    pub(super) fn transcript(self) -> Checked<Transcript> {
        finished(&self.end.unwrap_or_default())
    }
}

/// What a response has, whatever its status.
fn frame(response: &Value) -> Checked {
    filled(response, "id")?;
    is(response, "object", "response")?;
    number(response, "created_at")?;
    filled(response, "model")?;
    list(response, "output")?;
    list(response, "tools")?;
    all_there(response, &MEMBERS)?;
    let parallel = member(response, "parallel_tool_calls")?;
    ensure(
        parallel.is_boolean(),
        "`parallel_tool_calls` must be true or false",
    )
}

/// A response at its beginning.
fn begun(response: &Value) -> Checked {
    one_of(response, "status", &["in_progress", "queued"])?;
    ensure(list(response, "output")?.is_empty(), "`output` must be empty")
}

/// A response at its end.
fn finished(response: &Value) -> Checked<Transcript> {
    let status = one_of(response, "status", &["completed", "incomplete"])?;
    let stop = if status == "incomplete" {
        let details = object(response, "incomplete_details")?;
        format!("incomplete/{}", filled(details, "reason")?)
    } else {
        is(response, "incomplete_details", Value::Null)?;
        status.to_owned()
    };
    is(response, "error", Value::Null)?;
    let mut blocks: Vec<Block> = Vec::new();
    for (at, item) in list(response, "output")?.iter().enumerate() {
        blocks.extend(item::blocks(item).within(format_args!("output[{at}]"))?);
    }
    Ok(Transcript {
        id: filled(response, "id")?.to_owned(),
        model: filled(response, "model")?.to_owned(),
        blocks,
        stop,
        sequence: None,
        usage: usage(object(response, "usage")?).within("usage")?,
    })
}

/// A whole answer.
pub(super) fn whole(body: &Value) -> Checked<Transcript> {
    frame(body)?;
    finished(body)
}

/// Counts as Responses reports them: everything inclusive, both details always there.
fn usage(usage: &Value) -> Checked<Usage> {
    let (input, output) = (count(usage, "input_tokens")?, count(usage, "output_tokens")?);
    ensure(
        count(usage, "total_tokens")? == input + output,
        "`total_tokens` is not the sum of the others",
    )?;
    let inputs = object(usage, "input_tokens_details")?;
    let outputs = object(usage, "output_tokens_details")?;
    let written = match present(inputs, "cache_write_tokens") {
        Some(_) => count(inputs, "cache_write_tokens")?,
        None => 0,
    };
    let read = count(inputs, "cached_tokens")?;
    let reasoning = count(outputs, "reasoning_tokens")?;
    ensure(read + written <= input, "more tokens are cached than were read")?;
    ensure(reasoning <= output, "more tokens are reasoning than were written")?;
    Ok(Usage {
        input: Some(input),
        output: Some(output),
        cache_read: some(Some(read)),
        cache_write: some(Some(written)),
        cache_write_1h: None,
        reasoning: some(Some(reasoning)),
    })
}

/// A text that must be the sum of its deltas.
pub(super) fn same_text(of: &Value, key: &str, sum: &str) -> Checked {
    let told = text(of, key)?;
    ensure(
        told == sum,
        format_args!(
            "`{key}` is not the sum of its deltas: {} against {}",
            cut(told),
            cut(sum)
        ),
    )
}

fn cut(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}
