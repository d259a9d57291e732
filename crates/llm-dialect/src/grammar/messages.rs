//! Messages streams, as Claude Code and the Anthropic SDKs read them: blocks one after another, without gaps, and no
//! delta in a block of another kind.

use serde_json::{Value, json};

use super::value::{
    Checked, Within, all_there, count, ensure, fault, filled, is, list, maybe_count, maybe_list, maybe_text,
    member, object, one_of, parse, present, some, text,
};
use super::{Block, Call, State, Transcript};
use crate::usage::Usage;

const REASONS: [&str; 8] = [
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "compaction",
];
/// Blocks that arrive whole, beside the results of tools.
const WHOLE: [&str; 3] = ["redacted_thinking", "container_upload", "fallback"];
const CALLS: [&str; 3] = ["tool_use", "server_tool_use", "mcp_tool_use"];

#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) state: State,
    begun: bool,
    id: String,
    model: String,
    begin_usage: Usage,
    blocks: Vec<Block>,
    open: Option<Open>,
    /// What a cut call would need as its excuse.
    cut: Option<String>,
    stop: Option<Stop>,
}

#[derive(Debug)]
struct Stop {
    reason: String,
    sequence: Option<String>,
    usage: Usage,
}

/// A block that has begun.
#[derive(Debug)]
struct Open {
    kind: String,
    start: Value,
    text: String,
    seal: Option<String>,
    citations: Vec<String>,
}

impl Reader {
    pub(super) fn event(&mut self, name: Option<&str>, data: &str) -> Checked {
        let event = parse(data)?;
        let kind = filled(&event, "type")?;
        match name {
            None => return fault("the SDKs pass over an event without an `event` line"),
            Some(name) => ensure(
                name == kind,
                format_args!("`event` is {name}, but `type` is {kind}"),
            )?,
        }
        ensure(self.state == State::Open, "nothing may follow an error")?;
        match kind {
            "ping" => return Ok(()),
            "error" => return self.error(&event),
            "message_start" => return self.start(&event).within(kind),
            _ => ensure(self.begun, format_args!("{kind} comes before message_start"))?,
        }
        self.begun_event(kind, &event).within(kind)
    }

    fn begun_event(&mut self, kind: &str, event: &Value) -> Checked {
        match (kind, &self.stop) {
            ("message_stop", Some(_)) => self.state = State::Whole,
            ("message_stop", None) => return fault("there was no message_delta"),
            (_, Some(_)) => return fault("only message_stop may follow message_delta"),
            ("content_block_start", None) => return self.block_start(event),
            ("content_block_delta", None) => return self.block_delta(event),
            ("content_block_stop", None) => return self.block_stop(event),
            ("message_delta", None) => return self.message_delta(event),
            _ => return fault("no client knows this event"),
        }
        Ok(())
    }

    fn error(&mut self, event: &Value) -> Checked {
        let error = object(event, "error")?;
        filled(error, "type").within("error")?;
        filled(error, "message").within("error")?;
        self.state = State::Failed;
        Ok(())
    }

    fn start(&mut self, event: &Value) -> Checked {
        ensure(!self.begun, "it comes a second time")?;
        let message = object(event, "message")?;
        envelope(message)?;
        ensure(list(message, "content")?.is_empty(), "`content` must be empty")?;
        is(message, "stop_reason", Value::Null)?;
        is(message, "stop_sequence", Value::Null)?;
        self.begin_usage = usage(object(message, "usage")?, true).within("usage")?;
        filled(message, "id")?.clone_into(&mut self.id);
        filled(message, "model")?.clone_into(&mut self.model);
        self.begun = true;
        Ok(())
    }

    fn block_start(&mut self, event: &Value) -> Checked {
        ensure(self.open.is_none(), "the block before is still open")?;
        let index = count(event, "index")?;
        ensure(
            usize::try_from(index) == Ok(self.blocks.len()),
            format_args!("`index` is {index}, but {} blocks came before", self.blocks.len()),
        )?;
        let block = object(event, "content_block")?;
        self.open = Some(Open::begin(block).within("content_block")?);
        Ok(())
    }

    /// The open block, which the event must name.
    fn named(&mut self, event: &Value) -> Checked<&mut Open> {
        let index = count(event, "index")?;
        let is_open = usize::try_from(index) == Ok(self.blocks.len());
        match self.open.as_mut().filter(|_| is_open) {
            Some(open) => Ok(open),
            None => fault(format!("block {index} is not open (Content block not found)")),
        }
    }

    fn block_delta(&mut self, event: &Value) -> Checked {
        let open = self.named(event)?;
        open.delta(object(event, "delta")?)
    }

    fn block_stop(&mut self, event: &Value) -> Checked {
        self.named(event)?;
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let (block, cut) = open.end()?;
        self.cut = self.cut.take().or(cut);
        self.blocks.push(block);
        Ok(())
    }

    fn message_delta(&mut self, event: &Value) -> Checked {
        ensure(self.open.is_none(), "a block is still open")?;
        let delta = object(event, "delta")?;
        let (reason, sequence) = stop(delta, &self.blocks, self.cut.as_deref()).within("delta")?;
        let usage = usage(object(event, "usage")?, false).within("usage")?;
        self.stop = Some(Stop {
            reason,
            sequence,
            usage,
        });
        Ok(())
    }

    pub(super) fn transcript(self) -> Transcript {
        let (stop, sequence, end) = match self.stop {
            Some(stop) => (stop.reason, stop.sequence, stop.usage),
            None => Default::default(),
        };
        let counts = Counts::later(Counts::of(self.begin_usage), Counts::of(end));
        Transcript {
            id: self.id,
            model: self.model,
            blocks: self.blocks,
            stop,
            sequence,
            usage: counts.inclusive(),
        }
    }
}

impl Open {
    fn begin(block: &Value) -> Checked<Self> {
        let kind = filled(block, "type")?;
        match kind {
            "text" => is(block, "text", "")?,
            "thinking" => {
                is(block, "thinking", "")?;
                is(block, "signature", "")?;
            }
            "compaction" => member(block, "content").map(drop)?,
            _ if CALLS.contains(&kind) => {
                call_head(block)?;
                is(block, "input", json!({}))?;
            }
            _ => complete(kind, block)?,
        }
        Ok(Self {
            kind: kind.to_owned(),
            start: block.clone(),
            text: String::new(),
            seal: None,
            citations: Vec::new(),
        })
    }

    fn delta(&mut self, delta: &Value) -> Checked {
        let kind = filled(delta, "type")?;
        let fits = match kind {
            "text_delta" | "citations_delta" => self.kind == "text",
            "thinking_delta" | "signature_delta" => self.kind == "thinking",
            "input_json_delta" => CALLS.contains(&self.kind.as_str()),
            "compaction_delta" => self.kind == "compaction",
            _ => return fault(format!("no client knows {kind}")),
        };
        ensure(
            fits,
            format_args!("{kind} does not belong into a {} block", self.kind),
        )?;
        ensure(
            self.seal.is_none(),
            format_args!("{kind} comes after the signature"),
        )?;
        match kind {
            "text_delta" => self.text.push_str(text(delta, "text")?),
            "thinking_delta" => self.text.push_str(text(delta, "thinking")?),
            "input_json_delta" => self.text.push_str(text(delta, "partial_json")?),
            "signature_delta" => self.seal = Some(filled(delta, "signature")?.to_owned()),
            "citations_delta" => self.citations.push(citation(object(delta, "citation")?)?),
            _ => {}
        }
        Ok(())
    }

    /// The block, and the arguments of a call if they are cut off.
    fn end(self) -> Checked<(Block, Option<String>)> {
        let mut cut = None;
        let block = match self.kind.as_str() {
            "text" => Block::Text {
                text: self.text,
                citations: self.citations,
            },
            "thinking" => Block::Reasoning {
                text: self.text,
                seal: match self.seal {
                    Some(seal) => seal,
                    None => return fault("a thinking block ends without a signature"),
                },
            },
            "redacted_thinking" => sealed(&self.start)?,
            "tool_use" => {
                cut = is_cut(&self.text).then(|| self.text.clone());
                call(&self.start, &self.text)?
            }
            _ => Block::Other(self.kind),
        };
        Ok((block, cut))
    }
}

fn is_cut(arguments: &str) -> bool {
    !arguments.trim().is_empty() && !serde_json::from_str::<Value>(arguments).is_ok_and(|it| it.is_object())
}

/// A block that comes whole with its start.
fn complete(kind: &str, block: &Value) -> Checked {
    if kind.ends_with("_tool_result") {
        filled(block, "tool_use_id")?;
        return member(block, "content").map(drop);
    }
    ensure(
        WHOLE.contains(&kind),
        format_args!("no client knows a block of type `{kind}`"),
    )?;
    match kind {
        "redacted_thinking" => filled(block, "data").map(drop),
        _ => Ok(()),
    }
}

fn sealed(block: &Value) -> Checked<Block> {
    Ok(Block::Reasoning {
        text: String::new(),
        seal: filled(block, "data")?.to_owned(),
    })
}

fn call_head(block: &Value) -> Checked {
    let legal = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let (id, name) = (filled(block, "id")?, filled(block, "name")?);
    ensure(
        legal(id),
        format_args!("the id {id} would be refused when it comes back"),
    )?;
    ensure(
        legal(name) && name.len() <= 128,
        format_args!("the name {name} would be refused when it comes back"),
    )
}

fn call(block: &Value, arguments: &str) -> Checked<Block> {
    let (id, name) = (filled(block, "id")?, filled(block, "name")?);
    Ok(Block::Call(Call::function(id, name, arguments)))
}

fn citation(citation: &Value) -> Checked<String> {
    filled(citation, "type")?;
    text(citation, "cited_text")?;
    let named = ["url", "document_title", "title", "source"]
        .iter()
        .find_map(|key| citation.get(key)?.as_str());
    Ok(named.unwrap_or_default().to_owned())
}

/// What a message has, streamed or not.
fn envelope(message: &Value) -> Checked {
    filled(message, "id")?;
    is(message, "type", "message")?;
    is(message, "role", "assistant")?;
    filled(message, "model")?;
    all_there(message, &["stop_reason", "stop_sequence"])
}

/// The reason of the end, which must fit what was said.
fn stop(of: &Value, blocks: &[Block], cut: Option<&str>) -> Checked<(String, Option<String>)> {
    let reason = one_of(of, "stop_reason", &REASONS)?;
    member(of, "stop_sequence")?;
    let sequence = maybe_text(of, "stop_sequence")?;
    ensure(
        sequence.is_none() || reason == "stop_sequence",
        "`stop_sequence` is filled, but it was not the reason",
    )?;
    let calls = blocks.iter().any(|block| matches!(block, Block::Call(_)));
    match (reason, calls) {
        ("tool_use", false) => return fault("`stop_reason` is `tool_use`, but there is no call"),
        ("end_turn" | "stop_sequence", true) => {
            return fault(format!("`stop_reason` is `{reason}`, but there are calls"));
        }
        _ => {}
    }
    match cut.filter(|_| reason != "max_tokens") {
        Some(arguments) => fault(format!("the input of a call is no object: {arguments}")),
        None => Ok((reason.to_owned(), sequence.map(str::to_owned))),
    }
}

/// Counts as Messages reports them: input without the cached tokens. The start of a message must tell the input.
fn usage(usage: &Value, start: bool) -> Checked<Usage> {
    let input = if start {
        Some(count(usage, "input_tokens")?)
    } else {
        maybe_count(usage, "input_tokens")?
    };
    let details = present(usage, "output_tokens_details");
    Ok(Usage {
        input,
        output: Some(count(usage, "output_tokens")?),
        cache_read: maybe_count(usage, "cache_read_input_tokens")?,
        cache_write: maybe_count(usage, "cache_creation_input_tokens")?,
        cache_write_1h: None,
        reasoning: details.map_or(Ok(None), |details| maybe_count(details, "thinking_tokens"))?,
    })
}

/// Exclusive counts.
struct Counts(Usage);

impl Counts {
    fn of(usage: Usage) -> Self {
        Self(usage)
    }

    /// As Claude Code does it: a number that is not zero replaces the one before.
    fn later(before: Self, after: Self) -> Self {
        let (old, new) = (before.0, after.0);
        Self(Usage {
            input: some(new.input).or(old.input),
            output: new.output.or(old.output),
            cache_read: some(new.cache_read).or(old.cache_read),
            cache_write: some(new.cache_write).or(old.cache_write),
            cache_write_1h: None,
            reasoning: some(new.reasoning).or(old.reasoning),
        })
    }

    fn inclusive(self) -> Usage {
        let usage = self.0;
        let cached = usage.cache_read.unwrap_or(0) + usage.cache_write.unwrap_or(0);
        Usage {
            input: usage.input.map(|input| input + cached),
            output: usage.output,
            cache_read: some(usage.cache_read),
            cache_write: some(usage.cache_write),
            cache_write_1h: None,
            reasoning: some(usage.reasoning),
        }
    }
}

/// A whole answer.
pub(super) fn whole(body: &Value) -> Checked<Transcript> {
    envelope(body)?;
    let mut blocks = Vec::new();
    for (at, block) in list(body, "content")?.iter().enumerate() {
        blocks.push(whole_block(block).within(format_args!("content[{at}]"))?);
    }
    let (stop, sequence) = stop(body, &blocks, None)?;
    Ok(Transcript {
        id: filled(body, "id")?.to_owned(),
        model: filled(body, "model")?.to_owned(),
        blocks,
        stop,
        sequence,
        usage: Counts::of(usage(object(body, "usage")?, true).within("usage")?).inclusive(),
    })
}

fn whole_block(block: &Value) -> Checked<Block> {
    let kind = filled(block, "type")?;
    match kind {
        "text" => {
            let cited = maybe_list(block, "citations")?.iter().map(citation);
            Ok(Block::Text {
                text: text(block, "text")?.to_owned(),
                citations: cited.collect::<Checked<_>>().within("citations")?,
            })
        }
        "thinking" => Ok(Block::Reasoning {
            text: text(block, "thinking")?.to_owned(),
            seal: filled(block, "signature")?.to_owned(),
        }),
        "redacted_thinking" => sealed(block),
        "tool_use" => {
            call_head(block)?;
            call(block, &object(block, "input")?.to_string())
        }
        _ if CALLS.contains(&kind) => {
            call_head(block)?;
            object(block, "input").map(|_| Block::Other(kind.to_owned()))
        }
        "compaction" => Ok(Block::Other(kind.to_owned())),
        _ => complete(kind, block).map(|()| Block::Other(kind.to_owned())),
    }
}
