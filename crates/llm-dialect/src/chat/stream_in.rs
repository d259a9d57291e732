//! A chat stream as deltas.

use std::borrow::Cow;

use super::calls::Calls;
use super::details::Details;
use super::mere_words::{Mere, mere_words};
use super::wire_answer::{
    Called, Choice, Completion, Content, Finish, Logprobs, Said, citations, finish, plain, string, whole,
};
use crate::alike::Alike;
use crate::canon::{Decode, Delta, Head, JsonStr, Piece, Seal, Stop, StopReason, WireEvent};
use crate::dialect::Dialect;
use crate::fault::{self, BackendError};
use crate::usage::Reported;

/// Where the deltas go.
type Out<'o> = &'o mut dyn FnMut(Delta<'_>);

/// The state of a stream of chunks.
#[derive(Debug, Default)]
pub struct StreamIn {
    started: bool,
    over: bool,
    /// The id of the answer, from which ids of calls are made that have none.
    id: String,
    /// The index of the choice that counts: the first one seen.
    choice: Option<u64>,
    blocks: u32,
    /// The open block of words or thoughts.
    open: Option<(u32, Kind)>,
    calls: Calls,
    details: Details,
    /// Whether reasoning was told beside the details, which then only repeat it.
    thought: bool,
    refused: bool,
    finish: Option<Finish>,
    usage: Reported,
    /// The last chunk of mere words.
    alike: Alike<Of>,
}

/// What mere words belong to.
#[derive(Clone, Copy, Debug)]
enum Of {
    Block(Kind),
    Call(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thought,
}

impl Decode for StreamIn {
    fn again(&mut self, data: &[u8], out: Out<'_>) -> bool {
        let Some((of, words)) = self.alike.words(data) else {
            return false;
        };
        let words = JsonStr::spelled_so(words);
        match of {
            Of::Block(kind) => self.words(kind, words, out),
            Of::Call(place) => self.calls.words(place, words, out),
        }
        true
    }

    fn event(&mut self, event: WireEvent<'_>, out: Out<'_>) {
        let data = event.data.trim();
        if self.over {
            return;
        }
        if event.name == Some("error") {
            return self.fault(fault::read(data.as_bytes()), out);
        }
        self.alike.forget();
        match data {
            "" => {}
            "[DONE]" if self.started => self.finish(out),
            "[DONE]" => self.end(out),
            data => match serde_json::from_str::<Completion<'_>>(data) {
                Ok(chunk) => self.chunk(&chunk, data, out),
                Err(_) => self.no_chunk(data, out),
            },
        }
    }

    fn end(&mut self, out: Out<'_>) {
        if self.over {
            return;
        }
        match self.finish {
            Some(_) => self.finish(out),
            None => self.fault(broken("The stream ended before the answer did."), out),
        }
    }

    fn held(&self) -> usize {
        self.id.len() + self.calls.held() + self.details.held()
    }
}

fn broken(message: &str) -> BackendError {
    BackendError {
        message: message.to_owned(),
        ..BackendError::default()
    }
}

impl StreamIn {
    fn fault(&mut self, error: BackendError, out: Out<'_>) {
        self.over = true;
        out(Delta::Fault(error));
    }

    /// What is no chunk is an error of some form, a chunk that nobody can read, or a mere sign of life.
    fn no_chunk(&mut self, data: &str, out: Out<'_>) {
        match fault::in_answer(data.as_bytes()) {
            Some(error) => self.fault(error, out),
            None if data.starts_with(['{', '[']) => {
                self.fault(broken("The backend sent a chunk that cannot be read."), out);
            }
            None => {}
        }
    }

    fn chunk(&mut self, chunk: &Completion<'_>, data: &str, out: Out<'_>) {
        if (chunk.error.is_some() || chunk.choices.is_none())
            && let Some(error) = fault::in_answer(data.as_bytes())
        {
            return self.fault(error, out);
        }
        let groq = chunk.x_groq.0.as_ref().and_then(|it| it.usage);
        for report in [groq, chunk.usage].into_iter().flatten() {
            self.count(report.get());
        }
        for choice in chunk.choices.iter().flatten() {
            self.start(chunk, out);
            let index = whole(choice.index).unwrap_or(0);
            if *self.choice.get_or_insert(index) == index && !self.over {
                self.choice(choice, out);
                self.keep(chunk, data);
            }
        }
    }

    /// Nearly all chunks differ from the one before in their words alone.
    fn keep(&mut self, chunk: &Completion<'_>, data: &str) {
        let Some((mere, words)) = mere_words(chunk) else {
            return;
        };
        let of = match mere {
            Mere::Text => Of::Block(Kind::Text),
            Mere::Thought => Of::Block(Kind::Thought),
            // It is known by now.
            Mere::Call(call) => Of::Call(self.calls.place(call)),
        };
        let padding = chunk.obfuscation.map(|raw| raw.get().as_bytes());
        let words = words.spelling().as_bytes();
        self.alike.keep(of, data.as_bytes(), words, &[padding]);
    }

    fn count(&mut self, usage: &str) {
        if let Some(report) = Reported::read(usage.as_bytes()) {
            self.usage.merge(report);
        }
    }

    fn start(&mut self, chunk: &Completion<'_>, out: Out<'_>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = plain(chunk.id);
        self.id = id.clone().into_owned();
        out(Delta::Start {
            id,
            model: plain(chunk.model),
            created: whole(chunk.created),
        });
    }

    fn choice(&mut self, choice: &Choice<'_>, out: Out<'_>) {
        if let Some(usage) = choice.usage {
            self.count(usage.get());
        }
        if let Some(said) = choice.delta.as_ref().or(choice.message.as_ref()) {
            self.said(said, out);
        }
        if let Some(logprobs) = &choice.logprobs.0 {
            self.logprobs(logprobs, out);
        }
        let finish = finish(&plain(choice.finish_reason));
        if finish == Some(Finish::Failure) {
            return self.fault(broken("The backend broke the answer off."), out);
        }
        // Some hosts repeat the reason: the first one counts.
        self.finish = self.finish.or(finish);
    }

    fn logprobs(&mut self, logprobs: &Logprobs<'_>, out: Out<'_>) {
        let list = logprobs.content.and_then(|raw| raw.get().strip_prefix('['));
        let items = list.and_then(|list| list.strip_suffix(']')).map(str::trim);
        if let (Some(items), Some((at, Kind::Text))) = (items.filter(|it| !it.is_empty()), self.open) {
            let piece = Piece::Logprobs(Cow::Borrowed(items));
            out(Delta::More { at, piece });
        }
    }

    fn said(&mut self, said: &Said<'_>, out: Out<'_>) {
        let told = self.details.add(said.reasoning_details);
        if let Some(thought) = said.thought() {
            self.thought = true;
            self.words(Kind::Thought, thought, out);
        } else if let Some(told) = told.filter(|_| !self.thought) {
            self.words(Kind::Thought, told, out);
        }
        said.contents(&mut |content| match content {
            Content::Words(words) => self.words(Kind::Text, words, out),
            Content::Thought(words) => self.words(Kind::Thought, words, out),
        });
        for citation in citations(said.annotations) {
            self.cited(Piece::Citation(citation), out);
        }
        if let Some(refusal) = string(said.refusal) {
            self.refused = true;
            self.words(Kind::Refusal, refusal, out);
        }
        for call in said.tool_calls.iter().flatten() {
            let place = self.calls.place(call);
            if let Some(called) = call.function.as_ref().or(call.custom.as_ref()) {
                self.feed(place, called, out);
            }
        }
        if let Some(function) = &said.function_call {
            let place = self.calls.legacy();
            self.feed(place, function, out);
        }
    }

    /// A source belongs to the words before it; without any it is of no use.
    fn cited(&self, piece: Piece<'_>, out: Out<'_>) {
        match self.open {
            Some((at, Kind::Text)) => out(Delta::More { at, piece }),
            _ => out(Delta::Lost(Cow::Borrowed("annotations"))),
        }
    }

    fn words(&mut self, kind: Kind, words: JsonStr<'_>, out: Out<'_>) {
        let at = self.opened(kind, out);
        let piece = Piece::Words(words);
        out(Delta::More { at, piece });
    }

    /// The number of the open block of that kind; another one is closed first.
    fn opened(&mut self, kind: Kind, out: Out<'_>) -> u32 {
        if let Some((at, open)) = self.open
            && open == kind
        {
            return at;
        }
        self.close(out);
        if kind != Kind::Thought {
            self.seal_alone(out);
        }
        self.calls.settle(out);
        let at = self.next();
        self.open = Some((at, kind));
        let head = match kind {
            Kind::Text => Head::Text,
            Kind::Refusal => Head::Refusal,
            Kind::Thought => Head::Reasoning { summary: false },
        };
        out(Delta::Open { at, head });
        at
    }

    fn next(&mut self) -> u32 {
        let at = self.blocks;
        self.blocks += 1;
        at
    }

    /// Closes the open block of words; reasoning gets its seal.
    fn close(&mut self, out: Out<'_>) {
        let Some((at, kind)) = self.open.take() else {
            return;
        };
        if kind == Kind::Thought {
            let seal = self.seal();
            let piece = Piece::Seal(seal);
            out(Delta::More { at, piece });
        }
        out(Delta::Close { at });
    }

    fn seal(&mut self) -> Seal<'static> {
        if self.details.are_sealed() {
            Seal::Details(self.details.take_all())
        } else {
            Seal::Plain
        }
    }

    fn feed(&mut self, place: usize, called: &Called<'_>, out: Out<'_>) {
        if self.calls.named(place, called) {
            self.close(out);
            self.seal_alone(out);
            self.calls.settle(out);
            let at = self.next();
            self.calls.open(place, at, &self.id, out);
        }
        self.calls.words(place, called.text(), out);
    }

    /// The answer is whole.
    fn finish(&mut self, out: Out<'_>) {
        self.over = true;
        self.close(out);
        self.calls.close(out);
        self.seal_alone(out);
        let usage = self.usage.usage(Dialect::Chat);
        if !usage.is_unknown() {
            out(Delta::Usage(usage));
        }
        out(Delta::Stop(Stop::because(self.stop())));
        out(Delta::End);
    }

    /// A seal without words, or one that came after those were closed, goes into a block of its own: before what it led
    /// to, where there is still something to come.
    fn seal_alone(&mut self, out: Out<'_>) {
        if self.details.are_sealed() {
            let at = self.next();
            let seal = Seal::Details(self.details.take_all());
            out(Delta::Open {
                at,
                head: Head::Reasoning { summary: false },
            });
            out(Delta::More {
                at,
                piece: Piece::Seal(seal),
            });
            out(Delta::Close { at });
        }
    }

    /// Calls beat the reason that was told, but for a limit; a refusal in words is one.
    fn stop(&self) -> StopReason {
        let told = match self.finish {
            Some(Finish::Because(reason)) => reason,
            _ => StopReason::End,
        };
        match told {
            StopReason::MaxTokens => StopReason::MaxTokens,
            _ if self.calls.any() => StopReason::ToolCalls,
            StopReason::End | StopReason::ToolCalls if self.refused => StopReason::Refusal,
            StopReason::ToolCalls => StopReason::End,
            reason => reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Gather;
    use crate::chat::told::told;
    use proptest::prelude::*;

    /// What comes of data lines and of what follows them, with the law of deltas watched.
    fn run(lines: &[&str]) -> (String, Option<BackendError>) {
        let (mut decode, mut gather) = (StreamIn::default(), Gather::default());
        let (mut law, mut failed) = (Law::default(), None);
        let mut sink = |delta: Delta<'_>| {
            law.watch(&delta);
            gather.delta(&delta);
            if let Delta::Fault(error) = delta {
                failed = Some(error);
            }
        };
        for data in lines {
            decode.event(WireEvent { name: None, data }, &mut sink);
        }
        decode.end(&mut sink);
        assert!(law.over, "every stream ends: {lines:?}");
        (told(&gather.finish().0), failed)
    }

    /// The law that the deltas of every stream keep to.
    #[derive(Default)]
    struct Law {
        started: bool,
        opened: u32,
        open: Vec<u32>,
        stopped: bool,
        over: bool,
    }

    impl Law {
        fn watch(&mut self, delta: &Delta<'_>) {
            assert!(!self.over, "nothing after the end: {delta:?}");
            match delta {
                Delta::Start { .. } => assert!(!std::mem::replace(&mut self.started, true), "one start"),
                Delta::Fault(_) => self.over = true,
                _ => assert!(self.started, "nothing before the start: {delta:?}"),
            }
            self.block(delta);
            if let Delta::Stop(_) = delta {
                assert!(self.open.is_empty(), "all is closed before the stop");
                assert!(!std::mem::replace(&mut self.stopped, true), "one stop");
            }
            if *delta == Delta::End {
                assert!(self.stopped, "a stop before the end");
                self.over = true;
            }
        }

        fn block(&mut self, delta: &Delta<'_>) {
            match delta {
                Delta::Open { at, head } => {
                    assert_eq!(*at, self.opened, "blocks are counted");
                    assert!(!self.stopped, "no block after the stop");
                    if let Head::ToolCall { id, name, .. } = head {
                        assert!(!id.is_empty() && !name.is_empty(), "a call can be answered");
                    }
                    self.opened += 1;
                    self.open.push(*at);
                }
                Delta::More { at, piece } => {
                    assert!(self.open.contains(at), "only an open block has more: {delta:?}");
                    assert_ne!(*piece, Piece::Words(JsonStr::EMPTY), "never empty");
                }
                Delta::Close { at } => {
                    assert!(self.open.contains(at), "a block is closed once");
                    self.open.retain(|open| open != at);
                }
                _ => {}
            }
        }
    }

    fn delta(inside: &str) -> String {
        format!(r#"{{"id":"c1","choices":[{{"index":0,"delta":{inside}}}]}}"#)
    }

    fn stop(reason: &str) -> String {
        format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":{reason}}}]}}"#)
    }

    /// A stream of these deltas that ends as it should.
    fn said(deltas: &[&str], reason: &str) -> String {
        let mut lines: Vec<String> = deltas.iter().map(|it| delta(it)).collect();
        lines.push(stop(reason));
        lines.push("[DONE]".to_owned());
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (told, failed) = run(&lines);
        assert_eq!(failed, None, "{deltas:?}");
        told
    }

    #[test]
    fn whatever_form_hosts_give_to_it_is_understood() {
        #[rustfmt::skip]
        let table: [(&str, &[&str], &str, &str); 21] = [
            ("words", &[r#"{"role":"assistant","content":""}"#, r#"{"content":"a"}"#, r#"{"content":"b"}"#], r#""stop""#, "text ab | end"),
            ("Mistral's list", &[r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"a"}]}"#], r#""stop""#, "thought t plain | text a | end"),
            ("DeepSeek's reasoning", &[r#"{"content":null,"reasoning_content":"t"}"#, r#"{"content":"a","reasoning_content":null}"#], r#""stop""#, "thought t plain | text a | end"),
            ("Groq's, Ollama's", &[r#"{"reasoning":"t"}"#, r#"{"content":"a"}"#], r#""stop""#, "thought t plain | text a | end"),
            ("both spellings at once", &[r#"{"reasoning":"t","reasoning_content":"t"}"#], r#""stop""#, "thought t plain | end"),
            ("details alone", &[r#"{"reasoning_details":[{"type":"reasoning.text","text":"t","index":0}]}"#, r#"{"content":"a"}"#], r#""stop""#, "thought t plain | text a | end"),
            ("a seal beside the words", &[r#"{"reasoning":"t","reasoning_details":[{"type":"reasoning.text","text":"t","index":0}]}"#, r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]}"#, r#"{"content":"a"}"#], r#""stop""#,
                r#"thought t [{"type":"reasoning.text","text":"t","signature":"s","index":0}] | text a | end"#),
            ("a seal before a call", &[r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d"}]}"#, r#"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}}]}"#], r#""tool_calls""#,
                r#"thought  [{"type":"reasoning.encrypted","data":"d"}] | call x f() | calls"#),
            ("a seal after the words", &[r#"{"content":"a"}"#, r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d"}]}"#], r#""stop""#,
                r#"text a | thought  [{"type":"reasoning.encrypted","data":"d"}] | end"#),
            ("Perplexity's message beside the delta", &[r#"{"content":"a"},"message":{"role":"assistant","content":"a"}"#, r#"{"content":"b"},"message":{"role":"assistant","content":"ab"}"#], r#""stop""#, "text ab | end"),
            ("a message in place of the delta", &[r#"null,"message":{"content":"ab"}"#], r#""stop""#, "text ab | end"),
            ("no delta", &["null", r#"{"content":"a"}"#], r#""stop""#, "text a | end"),
            ("a refusal", &[r#"{"content":null,"refusal":""}"#, r#"{"refusal":"no"}"#], r#""stop""#, "refusal no | refusal"),
            ("a legacy function", &[r#"{"function_call":{"name":"f","arguments":""}}"#, r#"{"function_call":{"arguments":"{\"a\":1}"}}"#], r#""function_call""#, "call call_94bf5b05ac5c12e4db5e93e9 f({\\\"a\\\":1}) | calls"),
            ("a custom tool", &[r#"{"tool_calls":[{"index":0,"id":"x","type":"custom","custom":{"name":"p","input":""}}]}"#, r#"{"tool_calls":[{"index":0,"custom":{"input":"{} a"}}]}"#], r#""tool_calls""#, "call x p<{} a> | calls"),
            ("a limit", &[r#"{"content":"a"}"#], r#""length""#, "text a | limit"),
            ("Mistral's limit", &[r#"{"content":"a"}"#], r#""model_length""#, "text a | limit"),
            ("a filter", &[r#"{"content":"a"}"#], r#""content_filter""#, "text a | filter"),
            ("a reason that nobody knows", &[r#"{"content":"a"}"#], r#""eos_token_42""#, "text a | end"),
            ("calls without the reason for them", &[r#"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f"}}]}"#], r#""stop""#, "call x f() | calls"),
            ("a limit within a call", &[r#"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\": "}}]}"#], r#""length""#, "call x f({\\\"a\\\": ) | limit"),
        ];
        for (case, deltas, reason, expected) in table {
            assert_eq!(said(deltas, reason), expected, "{case}");
        }
    }

    #[test]
    fn calls_are_told_apart_however_they_are_marked() {
        #[rustfmt::skip]
        let table: [(&str, &[&str], &str); 14] = [
            ("by index", &[r#"{"index":0,"id":"x","function":{"name":"f","arguments":""}}"#, r#"{"index":0,"function":{"arguments":"{}"}}"#, r#"{"index":1,"id":"y","function":{"name":"g","arguments":"{\"a\":1}"}}"#],
                "call x f() | call y g({\\\"a\\\":1}) | calls"),
            ("interleaved", &[r#"{"index":0,"id":"x","function":{"name":"f"}}"#, r#"{"index":1,"id":"y","function":{"name":"g"}}"#, r#"{"index":0,"function":{"arguments":"{\"a\""}}"#, r#"{"index":1,"function":{"arguments":"{\"b\""}}"#, r#"{"index":0,"function":{"arguments":":1}"}}"#, r#"{"index":1,"function":{"arguments":":2}"}}"#],
                "call x f({\\\"a\\\":1}) | call y g({\\\"b\\\":2}) | calls"),
            ("by id alone (Gemini)", &[r#"{"id":"x","function":{"name":"f","arguments":"{\"a\":1}"}}"#, r#"{"id":"y","function":{"name":"f","arguments":"{\"a\":2}"}}"#],
                "call x f({\\\"a\\\":1}) | call y f({\\\"a\\\":2}) | calls"),
            ("a new id on the same index", &[r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\":1}"}}"#, r#"{"index":0,"id":"y","function":{"name":"f","arguments":"{\"a\":2}"}}"#],
                "call x f({\\\"a\\\":1}) | call y f({\\\"a\\\":2}) | calls"),
            ("by nothing, each at once", &[r#"{"function":{"name":"f","arguments":"{\"a\":1}"}}"#, r#"{"function":{"name":"f","arguments":"{\"a\":2}"}}"#],
                "call call_94bf5b05ac5c12e4db5e93e9 f({\\\"a\\\":1}) | call call_cbe81b05d5870af729689c0b f({\\\"a\\\":2}) | calls"),
            ("an empty id on the same index, each at once", &[r#"{"index":0,"id":"","function":{"name":"f","arguments":"{\"a\":1}"}}"#, r#"{"index":0,"id":"","function":{"name":"g","arguments":"{\"a\":2}"}}"#],
                "call call_94bf5b05ac5c12e4db5e93e9 f({\\\"a\\\":1}) | call call_cbe81b05d5870af729689c0b g({\\\"a\\\":2}) | calls"),
            ("one id for two", &[r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}}"#, r#"{"index":1,"id":"x","function":{"name":"g","arguments":"{}"}}"#],
                "call x f() | call call_cbe81b05d5870af729689c0b g() | calls"),
            ("a name that is repeated", &[r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\""}}"#, r#"{"index":0,"id":"x","function":{"name":"f","arguments":":1}"}}"#],
                "call x f({\\\"a\\\":1}) | calls"),
            ("an empty name that follows (Mistral)", &[r#"{"index":0,"id":"x","function":{"name":"f","arguments":""}}"#, r#"{"index":0,"function":{"name":"","arguments":"{\"a\":1}"}}"#],
                "call x f({\\\"a\\\":1}) | calls"),
            ("a new id with every piece (old vLLM)", &[r#"{"index":0,"id":"x","function":{"name":"f","arguments":""}}"#, r#"{"index":0,"id":"y","function":{"name":null,"arguments":"{\"a\":1}"}}"#],
                "call x f({\\\"a\\\":1}) | calls"),
            ("a call sent twice", &[r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\":1}"}}"#, r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\":1}"}}"#],
                "call x f({\\\"a\\\":1}) | calls"),
            ("an empty object before the arguments", &[r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}}"#, r#"{"index":0,"function":{"arguments":"{\"a\":1}"}}"#],
                "call x f({\\\"a\\\":1}) | calls"),
            ("arguments before the name", &[r#"{"index":0,"id":"x","function":{"arguments":"{\"a\""}}"#, r#"{"index":0,"function":{"name":"f","arguments":":1}"}}"#],
                "call x f({\\\"a\\\":1}) | calls"),
            ("arguments that are no string", &[r#"{"index":0,"id":"x","function":{"name":"f","arguments":{"a":"b"}}}"#],
                "call x f({\\\"a\\\":\\\"b\\\"}) | calls"),
        ];
        for (case, calls, expected) in table {
            let deltas: Vec<String> = calls
                .iter()
                .map(|it| format!(r#"{{"tool_calls":[{it}]}}"#))
                .collect();
            let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
            assert_eq!(said(&deltas, r#""tool_calls""#), expected, "{case}");
            let at_once = format!(r#"{{"tool_calls":[{}]}}"#, calls.join(","));
            assert_eq!(
                said(&[&at_once], r#""tool_calls""#),
                expected,
                "{case}, in one chunk"
            );
        }
    }

    #[test]
    fn only_what_ended_is_whole() {
        let a = delta(r#"{"content":"a"}"#);
        let (length, none, blank) = (stop("\"length\""), stop("null"), stop("\"\""));
        let (done, usage) = ("[DONE]", r#"{"choices":[],"usage":{"prompt_tokens":3}}"#);
        let prologue = r#"{"choices":[],"id":"","model":"","prompt_filter_results":[]}"#;
        #[rustfmt::skip]
        let table: [(&str, &[&str], Option<&str>); 20] = [
            ("as it should", &[&a, &length, usage, done], None),
            ("without the last line", &[&a, &length], None),
            ("without a reason, but with the last line", &[&a, done], None),
            ("Azure's first chunk", &[prologue, &a, &length, done], None),
            ("a repeated reason", &[&a, &length, &stop("\"stop\""), done], None),
            ("a sign of life", &["ping", "", &a, &length, done], None),
            ("lines behind the last", &[&a, &length, done, &a, done], None),
            ("an error that is none", &[&a, r#"{"error":null,"choices":[{"delta":{},"finish_reason":"length"}]}"#], None),
            ("cut off", &[&a], Some("ended before")),
            ("a reason of no words", &[&a, &none, &blank], Some("ended before")),
            ("nothing", &[], Some("ended before")),
            ("nothing but its end", &[done], Some("ended before")),
            ("nothing but a count", &[usage, done], Some("ended before")),
            ("a cut chunk", &[&a, r#"{"choices":[{"del"#, done], Some("cannot be read")),
            ("a chunk of another shape", &[&a, r#"{"choices":{"delta":5}}"#, done], Some("cannot be read")),
            ("an error", &[&a, r#"{"error":{"message":"m","code":429}}"#, done], Some("m")),
            ("an error beside choices (OpenRouter)", &[&a, &length, r#"{"error":{"message":"m"},"choices":[{"delta":{"content":""}}]}"#, done], Some("m")),
            ("an error without an envelope (vLLM)", &[&a, r#"{"object":"error","message":"m","code":400}"#, done], Some("m")),
            ("an error in a list (Gemini)", &[&a, r#"[{"error":{"message":"m"}}]"#, done], Some("m")),
            ("an error as the reason", &[&a, &stop("\"error\""), done], Some("broke the answer off")),
        ];
        for (case, lines, fault) in table {
            let (_, failed) = run(lines);
            let message = failed.map(|error| error.message);
            match (fault, &message) {
                (None, None) => {}
                (Some(part), Some(message)) => assert!(message.contains(part), "{case}: {message}"),
                _ => panic!("{case}: {message:?}"),
            }
        }
        let mut failed = false;
        let event = WireEvent {
            name: Some("error"),
            data: "",
        };
        StreamIn::default().event(event, &mut |delta| failed |= matches!(delta, Delta::Fault(_)));
        assert!(failed, "an event that is named an error is one");
    }

    #[test]
    fn usage_is_found_wherever_it_stands() {
        let counted = r#"{"prompt_tokens":9,"completion_tokens":12}"#;
        for (case, line) in [
            (
                "in a chunk of its own",
                format!(r#"{{"choices":[],"usage":{counted}}}"#),
            ),
            (
                "beside a choice",
                format!(r#"{{"choices":[{{"delta":{{}}}}],"usage":{counted}}}"#),
            ),
            (
                "in a choice (Moonshot)",
                format!(r#"{{"choices":[{{"delta":{{}},"usage":{counted}}}]}}"#),
            ),
            (
                "in Groq's corner",
                format!(r#"{{"choices":[],"x_groq":{{"usage":{counted}}}}}"#),
            ),
        ] {
            let mut usage = None;
            let mut decode = StreamIn::default();
            let (a, end) = (delta(r#"{"content":"a"}"#), stop("\"stop\""));
            for data in [a.as_str(), end.as_str(), line.as_str(), "[DONE]"] {
                decode.event(WireEvent { name: None, data }, &mut |delta| {
                    if let Delta::Usage(told) = delta {
                        usage = Some((told.input, told.output));
                    }
                });
            }
            assert_eq!(usage, Some((Some(9), Some(12))), "{case}");
        }
    }

    #[test]
    fn sources_and_probabilities_belong_to_the_words() {
        let lines = [
            r#"{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","top_logprobs":[]}],"refusal":null}}]}"#,
            r#"{"choices":[{"delta":{"content":"b","annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t","start_index":0,"end_index":2}}]},"logprobs":{"content":[{"token":"b"}]}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"stop","logprobs":[1]}]}"#,
        ];
        let (mut decode, mut gather) = (StreamIn::default(), Gather::default());
        for data in lines.into_iter().chain(["[DONE]"]) {
            decode.event(WireEvent { name: None, data }, &mut |delta| gather.delta(&delta));
        }
        let (response, lost) = gather.finish();
        let crate::canon::Block::Text(text) = &response.blocks[0] else {
            panic!("words")
        };
        let logprobs = text.logprobs.as_ref().unwrap();
        assert_eq!(
            logprobs.get(),
            r#"[{"token":"a","top_logprobs":[]},{"token":"b"}]"#
        );
        assert_eq!((text.citations[0].span, lost.len()), (Some((0, 2)), 0));
    }

    proptest! {
        #[test]
        fn the_law_holds_whatever_a_backend_sends(picks in prop::collection::vec((0..14_usize, 0..4_usize), 0..12)) {
            const PIECES: [&str; 14] = [
                r#"{"content":"a"}"#,
                r#"{"content":""}"#,
                r#"{"reasoning":"t"}"#,
                r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d"}]}"#,
                r#"{"refusal":"no"}"#,
                r#"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f"}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}"#,
                r#"{"tool_calls":[{"index":1,"id":"x","function":{"name":"g","arguments":"{}"}}]}"#,
                r#"{"tool_calls":[{"id":"y","function":{"arguments":"{"}},{"function":{"name":"h"}}]}"#,
                r#"{"tool_calls":[{"index":-1},{"custom":{"name":"c","input":"i"}},{}]}"#,
                r#"{"function_call":{"name":"l","arguments":"{}"}}"#,
                r#"{"annotations":[{"url_citation":{"url":"u"}}],"content":[{"text":"p"},{"thinking":"q","type":"thinking"}]}"#,
                r#"{"annotations":[{"url_citation":{"url":"u"}}]}"#,
                "null",
            ];
            const REASONS: [&str; 4] = ["null", "null", "\"stop\"", "\"length\""];
            let lines: Vec<String> = picks.iter().map(|(piece, reason)| {
                format!(r#"{{"choices":[{{"delta":{},"finish_reason":{}}}]}}"#, PIECES[*piece], REASONS[*reason])
            }).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            run(&lines);
        }
    }
}
