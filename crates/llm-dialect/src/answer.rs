//! Judges a whole JSON answer with a good status: is it one at all, and what did it cost?
//!
//! One pass over the body; content is skipped, not built. Answers that are no JSON by their nature
//! (audio, images as bytes, subtitles) are not for this module.

use crate::dialect::Api;
use crate::fault::{self, BackendError};
use crate::lenient::Items;
use crate::scan::{self, Member};
use crate::usage::{Reported, Usage};

/// Why a body under a 2xx is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// The backend says that it failed.
    Error(BackendError),
    /// The body is no JSON: HTML, text, cut off, empty.
    NotJson,
    /// Sound JSON without what makes it an answer to this call.
    Empty,
}

/// How deep an answer may nest: as deep as the scanner can follow.
const DEPTH: usize = scan::DEEPEST;

/// The members that tell an answer from something else, of all dialects together, as raw values. Nothing is built:
/// most of an answer is text that nobody here reads. A null counts as absent.
#[derive(Default)]
struct Answer<'a> {
    error: Option<&'a [u8]>,
    object: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    status: Option<&'a [u8]>,
    choices: Option<&'a [u8]>,
    content: Option<&'a [u8]>,
    stop_reason: Option<&'a [u8]>,
    output: Option<&'a [u8]>,
    usage: Option<&'a [u8]>,
    input_tokens: Option<&'a [u8]>,
}

/// Finds the token counts of an answer to `api`.
///
/// # Errors
/// [`AnswerFault`] if the body is no answer to that call.
pub fn inspect(api: Api, body: &[u8]) -> Result<Usage, AnswerFault> {
    if body.trim_ascii_start().starts_with(b"[") {
        return inspect_array(api, body);
    }
    let mut answer = Answer::default();
    let count = match scan::members(body, DEPTH, |member| answer.take_over(body, member)) {
        Ok(Some(count)) => count,
        Ok(None) => return Err(AnswerFault::Empty),
        Err(_) => return Err(AnswerFault::NotJson),
    };
    if answer.may_be_error()
        && let Some(error) = fault::in_answer(body)
    {
        return Err(AnswerFault::Error(error));
    }
    if !answer.suits(api) || count == 0 {
        return Err(AnswerFault::Empty);
    }
    Ok(answer.usage(api))
}

impl<'a> Answer<'a> {
    /// Keeps the member if it is one of these. No backend spells these names with escapes.
    #[inline]
    fn take_over(&mut self, body: &'a [u8], member: Member) {
        let place = match member.key.of(body) {
            br#""error""# => &mut self.error,
            br#""object""# => &mut self.object,
            br#""type""# => &mut self.kind,
            br#""status""# => &mut self.status,
            br#""choices""# => &mut self.choices,
            br#""content""# => &mut self.content,
            br#""stop_reason""# => &mut self.stop_reason,
            br#""output""# => &mut self.output,
            br#""usage""# => &mut self.usage,
            br#""input_tokens""# => &mut self.input_tokens,
            _ => return,
        };
        *place = Some(member.value.of(body)).filter(|value| *value != b"null");
    }

    /// A cheap test that misses no error; [`fault::in_answer`] then decides.
    fn may_be_error(&self) -> bool {
        self.error.is_some()
            || self.kind == Some(br#""error""#)
            || self.object == Some(br#""error""#)
            || self.status == Some(br#""failed""#)
    }

    fn suits(&self, api: Api) -> bool {
        match api {
            Api::Chat | Api::Completions => has_items(self.choices) == Some(true),
            // A refusal or a plain end of turn may have no content at all.
            Api::Messages => match has_items(self.content) {
                Some(false) => self.stop_reason.is_some(),
                content => content.is_some(),
            },
            Api::Responses => has_items(self.output).is_some(),
            Api::CountTokens => self.input_tokens.is_some(),
            Api::Embeddings | Api::Moderations | Api::Images | Api::Audio | Api::Rerank => true,
        }
    }

    fn usage(&self, api: Api) -> Usage {
        let reported = self.usage.and_then(Reported::read);
        reported.map_or_else(Usage::default, |reported| reported.usage(api.dialect()))
    }
}

/// Whether an array has items; `None`: it is no array.
fn has_items(value: Option<&[u8]>) -> Option<bool> {
    let inside = value?.strip_prefix(b"[")?.strip_suffix(b"]")?;
    Some(!inside.trim_ascii().is_empty())
}

/// Gemini wraps its errors in an array; some rerankers and embedders answer with one.
fn inspect_array(api: Api, body: &[u8]) -> Result<Usage, AnswerFault> {
    let Ok(items) = serde_json::from_slice::<Items>(body) else {
        return Err(AnswerFault::NotJson);
    };
    match fault::in_answer(body) {
        Some(error) => Err(AnswerFault::Error(error)),
        None if api.is_generation() || items.0 == Some(0) => Err(AnswerFault::Empty),
        None => Ok(Usage::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(api: Api, body: &str) -> &'static str {
        match inspect(api, body.as_bytes()) {
            Ok(_) => "answer",
            Err(AnswerFault::Error(_)) => "error",
            Err(AnswerFault::NotJson) => "not json",
            Err(AnswerFault::Empty) => "empty",
        }
    }

    #[test]
    fn an_answer_has_what_its_dialect_promises() {
        #[rustfmt::skip]
        let table = [
            (Api::Chat, r#"{"choices":[{"message":{"content":null,"tool_calls":[{}]}}]}"#, "answer"),
            (Api::Chat, r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}],"error":null}"#, "answer"),
            (Api::Chat, r#"{"choices":[{"message":{"content":"\ud800"}}]}"#, "answer"),
            (Api::Chat, r#"{"choices":[]}"#, "empty"),
            (Api::Chat, r#"{"choices":null}"#, "empty"),
            (Api::Chat, r#"{"detail":"hm"}"#, "empty"),
            (Api::Chat, "{}", "empty"),
            (Api::Chat, "null", "empty"),
            (Api::Chat, "", "not json"),
            (Api::Chat, "<html></html>", "not json"),
            (Api::Chat, r#"{"choices":[{"message":"#, "not json"),
            (Api::Chat, r#"{"error":{"message":"m","code":429}}"#, "error"),
            (Api::Chat, r#"{"error":"m"}"#, "error"),
            (Api::Chat, r#"{"object":"error","message":"m"}"#, "error"),
            (Api::Chat, r#"[{"error":{"message":"m"}}]"#, "error"),
            (Api::Chat, r#"[{"a":1}]"#, "empty"),
            (Api::Completions, r#"{"choices":[{"text":"a"}]}"#, "answer"),
            (Api::Completions, r#"{"object":"text_completion"}"#, "empty"),
            (Api::Messages, r#"{"type":"message","content":[{"type":"text","text":"a"}]}"#, "answer"),
            (Api::Messages, r#"{"content":[],"stop_reason":"end_turn"}"#, "answer"),
            (Api::Messages, r#"{"content":[],"stop_reason":null}"#, "empty"),
            (Api::Messages, r#"{"content":"text"}"#, "empty"),
            (Api::Messages, r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#, "error"),
            (Api::Responses, r#"{"object":"response","status":"completed","output":[]}"#, "answer"),
            (Api::Responses, r#"{"object":"response","status":"incomplete","output":[{}]}"#, "answer"),
            (Api::Responses, r#"{"object":"response","status":"failed","output":[],"error":{"code":"server_error","message":"m"}}"#, "error"),
            (Api::Responses, r#"{"object":"response","status":"failed","output":[],"error":null}"#, "error"),
            (Api::Responses, r#"{"object":"response","status":"completed"}"#, "empty"),
            (Api::CountTokens, r#"{"input_tokens":5}"#, "answer"),
            (Api::CountTokens, r#"{"ok":true}"#, "empty"),
            (Api::Embeddings, r#"{"data":[]}"#, "answer"),
            (Api::Embeddings, " { } ", "empty"),
            (Api::Rerank, r#"[{"index":0,"score":1}]"#, "answer"),
            (Api::Rerank, "[]", "empty"),
        ];
        for (api, body, expected) in table {
            assert_eq!(verdict(api, body), expected, "{api}: {body}");
        }
    }

    #[test]
    fn the_usage_is_that_of_the_dialect() {
        let usage = |api, body: &str| inspect(api, body.as_bytes()).unwrap();
        let chat = usage(
            Api::Chat,
            r#"{"choices":[{}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
        );
        assert_eq!((chat.input, chat.output), (Some(3), Some(4)));
        let messages = usage(
            Api::Messages,
            r#"{"content":[{}],"usage":{"input_tokens":3,"cache_read_input_tokens":2,"output_tokens":4}}"#,
        );
        assert_eq!((messages.input, messages.output), (Some(5), Some(4)));
        assert!(usage(Api::Embeddings, r#"{"data":[],"usage":null}"#).is_unknown());
    }
}
