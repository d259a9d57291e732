//! Chunks that say nothing but words, as nearly all of a stream do.

use super::wire_answer::{Call, Choice, Completion, Said, string};
use crate::canon::JsonStr;

/// What mere words are.
pub(super) enum Mere<'w> {
    Text,
    Thought,
    /// Arguments of a call that has its name already.
    Call(&'w Call<'w>),
}

/// The words of a chunk that says nothing else; they are not empty.
pub(super) fn mere_words<'w>(chunk: &'w Completion<'w>) -> Option<(Mere<'w>, JsonStr<'w>)> {
    let [choice] = chunk.choices.as_deref()? else {
        return None;
    };
    let counts = chunk.usage.is_some() || chunk.x_groq.0.is_some();
    if counts || chunk.error.is_some() || says_more(choice) {
        return None;
    }
    choice.delta.as_ref().and_then(Said::mere_words)
}

fn says_more(choice: &Choice<'_>) -> bool {
    choice.message.is_some()
        || choice.logprobs.0.is_some()
        || choice.usage.is_some()
        || string(choice.finish_reason).is_some()
}

impl<'w> Said<'w> {
    fn mere_words(&'w self) -> Option<(Mere<'w>, JsonStr<'w>)> {
        let is_list = self.content.is_some_and(|raw| raw.get().starts_with('['));
        let more = self.reasoning_details.or(self.annotations).is_some() || self.function_call.is_some();
        if is_list || more || string(self.refusal).is_some() {
            return None;
        }
        let calls = self.tool_calls.as_deref().unwrap_or_default();
        match (string(self.content), self.thought(), calls) {
            (Some(words), None, []) => Some((Mere::Text, words)),
            (None, Some(words), []) => Some((Mere::Thought, words)),
            (None, None, [call]) => Some((Mere::Call(call), call.mere_words()?)),
            _ => None,
        }
    }
}

impl<'w> Call<'w> {
    fn mere_words(&self) -> Option<JsonStr<'w>> {
        let called = self.function.as_ref().or(self.custom.as_ref())?;
        string(called.arguments).filter(|_| called.name().is_empty())
    }
}
