//! One item of a Responses answer: as it grows in a stream, and as it is when it is whole.

use serde_json::Value;

use super::responses::same_text;
use super::value::{
    Checked, Within, count, ensure, fault, filled, is, list, maybe_list, maybe_text, object, one_of, present,
    text,
};
use super::{Block, Call};

/// An item that has begun.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) done: Option<Value>,
    kind: String,
    /// Arguments of a call, and whether they were told as done.
    words: Words,
    /// The parts of its content.
    content: Vec<Part>,
    /// The parts of its summary.
    summary: Vec<Part>,
}

#[derive(Debug, Default)]
struct Words {
    text: String,
    done: bool,
}

#[derive(Debug)]
struct Part {
    kind: String,
    words: Words,
    annotations: Vec<Value>,
    done: bool,
}

/// Where a kind of part keeps its words.
fn key_of(kind: &str) -> &'static str {
    if kind == "refusal" { "refusal" } else { "text" }
}

impl Item {
    pub(super) fn begin(item: &Value) -> Checked<Self> {
        let kind = filled(item, "type")?;
        match kind {
            "message" => {
                is(item, "role", "assistant")?;
                is(item, "status", "in_progress")?;
                ensure(list(item, "content")?.is_empty(), "`content` must be empty")?;
            }
            "function_call" => {
                call_head(item)?;
                is(item, "status", "in_progress")?;
                is(item, "arguments", "")?;
            }
            "custom_tool_call" => {
                call_head(item)?;
                is(item, "input", "")?;
            }
            "reasoning" => ensure(list(item, "summary")?.is_empty(), "`summary` must be empty")?,
            _ => {}
        }
        Ok(Self {
            id: filled(item, "id")?.to_owned(),
            done: None,
            kind: kind.to_owned(),
            words: Words::default(),
            content: Vec::new(),
            summary: Vec::new(),
        })
    }

    /// An event between `added` and `done`.
    pub(super) fn event(&mut self, kind: &str, event: &Value) -> Checked {
        let name = kind.strip_prefix("response.").unwrap_or(kind);
        match name {
            "content_part.added" => return self.part_added(event),
            "content_part.done" => return part(&mut self.content, event, "content_index")?.end(event),
            "reasoning_summary_part.added" => return self.summary_added(event),
            "reasoning_summary_part.done" => {
                return part(&mut self.summary, event, "summary_index")?.end(event);
            }
            "output_text.annotation.added" => {
                return part(&mut self.content, event, "content_index")?.annotation(event);
            }
            _ => {}
        }
        match name.rsplit_once('.') {
            Some((what, step @ ("delta" | "done"))) => self.words(what, step, event),
            _ => self.own(name),
        }
    }

    /// A step of an item that only the provider knows.
    fn own(&self, name: &str) -> Checked {
        let known = ["message", "function_call", "custom_tool_call", "reasoning"];
        let own = name.starts_with(&self.kind) && !known.contains(&self.kind.as_str());
        ensure(own, format_args!("it does not belong to a {} item", self.kind))
    }

    fn words(&mut self, what: &str, step: &str, event: &Value) -> Checked {
        let (kind, key) = match what {
            "function_call_arguments" => ("function_call", "arguments"),
            "custom_tool_call_input" => ("custom_tool_call", "input"),
            "reasoning_summary_text" => {
                return part(&mut self.summary, event, "summary_index")?.words("summary_text", step, event);
            }
            "output_text" | "refusal" | "reasoning_text" => {
                return part(&mut self.content, event, "content_index")?.words(what, step, event);
            }
            _ => return self.own(what),
        };
        ensure(
            self.kind == kind,
            format_args!("it does not belong to a {} item", self.kind),
        )?;
        self.words.take(step, event, key)
    }

    fn part_added(&mut self, event: &Value) -> Checked {
        let kinds: &[&str] = match self.kind.as_str() {
            "message" => &["output_text", "refusal"],
            "reasoning" => &["reasoning_text"],
            _ => return fault(format!("a {} item has no content", self.kind)),
        };
        let part = Part::begin(event, kinds, "content_index", &self.content)?;
        self.content.push(part);
        Ok(())
    }

    fn summary_added(&mut self, event: &Value) -> Checked {
        ensure(self.kind == "reasoning", "only a reasoning item has a summary")?;
        let part = Part::begin(event, &["summary_text"], "summary_index", &self.summary)?;
        self.summary.push(part);
        Ok(())
    }

    /// The item is whole: it must be what was streamed.
    pub(super) fn end(&mut self, item: &Value) -> Checked {
        is(item, "id", self.id.as_str())?;
        is(item, "type", self.kind.as_str())?;
        match self.kind.as_str() {
            "message" => same_parts(item, "content", &self.content)?,
            "reasoning" => {
                same_parts(item, "summary", &self.summary)?;
                same_parts(item, "content", &self.content)?;
            }
            "function_call" => {
                ensure(self.words.done, "function_call_arguments.done did not come")?;
                same_text(item, "arguments", &self.words.text)?;
            }
            "custom_tool_call" => same_text(item, "input", &self.words.text)?,
            _ => {}
        }
        blocks(item)?;
        self.done = Some(item.clone());
        Ok(())
    }
}

/// The part that an event names, which must be open.
fn part<'p>(parts: &'p mut [Part], event: &Value, key: &str) -> Checked<&'p mut Part> {
    let index = count(event, key)?;
    let at = usize::try_from(index).unwrap_or(usize::MAX);
    match parts.get_mut(at).filter(|part| !part.done) {
        Some(part) => Ok(part),
        None => fault(format!("part {index} is not open")),
    }
}

impl Part {
    fn begin(event: &Value, kinds: &[&str], key: &str, before: &[Self]) -> Checked<Self> {
        let index = count(event, key)?;
        ensure(
            usize::try_from(index) == Ok(before.len()),
            format_args!("`{key}` is {index}, but {} parts came before", before.len()),
        )?;
        ensure(
            before.iter().all(|part| part.done),
            "the part before is still open",
        )?;
        let part = object(event, "part")?;
        let kind = one_of(part, "type", kinds).within("part")?;
        is(part, key_of(kind), "").within("part")?;
        if kind == "output_text" {
            ensure(
                list(part, "annotations")?.is_empty(),
                "`annotations` must be empty",
            )
            .within("part")?;
        }
        Ok(Self {
            kind: kind.to_owned(),
            words: Words::default(),
            annotations: Vec::new(),
            done: false,
        })
    }

    fn words(&mut self, what: &str, step: &str, event: &Value) -> Checked {
        ensure(
            self.kind == what,
            format_args!("it does not belong into a part of type {}", self.kind),
        )?;
        if what == "output_text" {
            list(event, "logprobs")?;
        }
        self.words.take(step, event, key_of(what))
    }

    fn annotation(&mut self, event: &Value) -> Checked {
        ensure(self.kind == "output_text", "only text has annotations")?;
        let index = count(event, "annotation_index")?;
        ensure(
            usize::try_from(index) == Ok(self.annotations.len()),
            format_args!(
                "`annotation_index` is {index}, but {} came before",
                self.annotations.len()
            ),
        )?;
        self.annotations.push(object(event, "annotation")?.clone());
        Ok(())
    }

    fn end(&mut self, event: &Value) -> Checked {
        let part = object(event, "part")?;
        self.done = true;
        // A summary part of one piece may end without the text's own `done`: no recording shows it, and no client waits.
        ensure(self.words.done, "the `done` of its text did not come")?;
        self.same(part).within("part")
    }

    fn same(&self, part: &Value) -> Checked {
        is(part, "type", self.kind.as_str())?;
        same_text(part, key_of(&self.kind), &self.words.text)?;
        ensure(
            maybe_list(part, "annotations")? == self.annotations,
            "`annotations` are not those that were added",
        )
    }
}

impl Words {
    fn take(&mut self, step: &str, event: &Value, key: &str) -> Checked {
        ensure(!self.done, "it comes after its `done`")?;
        if step == "delta" {
            self.text.push_str(text(event, "delta")?);
            return Ok(());
        }
        self.done = true;
        same_text(event, key, &self.text)
    }
}

fn same_parts(item: &Value, key: &str, parts: &[Part]) -> Checked {
    let told = maybe_list(item, key)?;
    ensure(
        told.len() == parts.len(),
        format_args!(
            "`{key}` has {} parts, but {} were streamed",
            told.len(),
            parts.len()
        ),
    )?;
    for (at, (told, part)) in told.iter().zip(parts).enumerate() {
        ensure(part.done, format_args!("part {at} is still open"))?;
        part.same(told).within(format_args!("{key}[{at}]"))?;
    }
    Ok(())
}

fn call_head(item: &Value) -> Checked {
    filled(item, "call_id")?;
    filled(item, "name").map(drop)
}

/// What a whole item says.
pub(super) fn blocks(item: &Value) -> Checked<Vec<Block>> {
    let kind = filled(item, "type")?;
    match kind {
        "message" => {
            filled(item, "id")?;
            is(item, "role", "assistant")?;
            one_of(item, "status", &["completed", "incomplete"])?;
            list(item, "content")?.iter().map(said).collect()
        }
        "reasoning" => reasoning(item).map(|block| vec![block]),
        "function_call" => function_call(item).map(|call| vec![Block::Call(call)]),
        "custom_tool_call" => custom_call(item).map(|call| vec![Block::Call(call)]),
        _ => Ok(vec![Block::Other(kind.to_owned())]),
    }
}

fn said(part: &Value) -> Checked<Block> {
    if one_of(part, "type", &["output_text", "refusal"])? == "refusal" {
        return text(part, "refusal").map(|text| Block::Refusal(text.to_owned()));
    }
    let mut citations = Vec::new();
    for annotation in list(part, "annotations")? {
        let named = ["url", "filename", "file_id"]
            .iter()
            .find_map(|key| annotation.get(key)?.as_str());
        filled(annotation, "type").within("annotations")?;
        citations.push(named.unwrap_or_default().to_owned());
    }
    Ok(Block::Text {
        text: text(part, "text")?.to_owned(),
        citations,
    })
}

fn reasoning(item: &Value) -> Checked<Block> {
    filled(item, "id")?;
    let texts = |parts: &[Value], kind: &str| -> Checked<Vec<String>> {
        let read = |part: &Value| is(part, "type", kind).and_then(|()| text(part, "text").map(str::to_owned));
        parts.iter().map(read).collect()
    };
    let summary = texts(list(item, "summary")?, "summary_text").within("summary")?;
    let content = texts(maybe_list(item, "content")?, "reasoning_text").within("content")?;
    let shown = if summary.is_empty() { content } else { summary };
    Ok(Block::Reasoning {
        text: shown.join("\n\n"),
        seal: maybe_text(item, "encrypted_content")?
            .unwrap_or_default()
            .to_owned(),
    })
}

fn function_call(item: &Value) -> Checked<Call> {
    call_head(item)?;
    let status = one_of(item, "status", &["completed", "incomplete"])?;
    let arguments = text(item, "arguments")?;
    let sound = serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok();
    ensure(
        sound || status == "incomplete",
        format_args!("the arguments are no JSON: {arguments}"),
    )?;
    let mut call = Call::function(filled(item, "call_id")?, filled(item, "name")?, arguments);
    call.namespace = match present(item, "namespace") {
        Some(_) => Some(filled(item, "namespace")?.to_owned()),
        None => None,
    };
    Ok(call)
}

fn custom_call(item: &Value) -> Checked<Call> {
    call_head(item)?;
    Ok(Call {
        id: filled(item, "call_id")?.to_owned(),
        name: filled(item, "name")?.to_owned(),
        namespace: maybe_text(item, "namespace")?.map(str::to_owned),
        custom: true,
        arguments: text(item, "input")?.to_owned(),
    })
}
