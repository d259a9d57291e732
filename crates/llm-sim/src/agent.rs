//! An agent's model without a model: it reads a conversation, calls the tools that the task asks for, and
//! says in the end what it was told. It keeps nothing: all it knows stands in the request.

mod heard;
mod task;

use serde_json::Value;

use crate::answer::Answer;
use crate::api::Api;
use crate::fault::Fault;
use crate::speak::speech::THOUGHT;
use heard::{Heard, Turn};
use task::{Call, Task};

/// The model's name that asks for this; after a slash may stand one that the proxy knows quirks of.
const NAME: &str = "sim-agent";
/// Bytes of an answer in one write: a prime, so that events, escapes and characters are cut anywhere.
const AWKWARD: usize = 61;
/// Characters of a tool's result that are repeated in the end.
const REPEATED: usize = 300;

/// Whether a request for this model is one for the agent.
pub(crate) fn is_meant(model: &str, api: Api) -> bool {
    let rest = model.strip_prefix(NAME);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && matches!(api, Api::Chat | Api::Responses | Api::Messages)
}

/// The next turn of this conversation.
///
/// # Errors
/// Reasoning that came back changed, or was left out where the dialect insists on it.
pub(crate) fn answer(api: Api, body: &Value) -> Result<Answer, Fault> {
    let heard = Heard::of(api, body)?;
    let answer = turn(&heard, body, api).chunk_bytes(AWKWARD);
    Ok(if heard.reasons {
        answer.reasoning(THOUGHT)
    } else {
        answer
    })
}

fn turn(heard: &Heard, body: &Value, api: Api) -> Answer {
    let asked = heard.turns.iter().rposition(|turn| match turn {
        Turn::User(text) => !task::tasks(text).is_empty(),
        Turn::Result(_) => false,
    });
    let since = heard.turns.get(asked.unwrap_or(0)..).unwrap_or_default();
    let results: Vec<&heard::Outcome> = since
        .iter()
        .filter_map(|turn| match turn {
            Turn::Result(outcome) => Some(outcome),
            Turn::User(_) => None,
        })
        .collect();
    if !results.is_empty() {
        return said(told(&results), heard);
    }
    let offers = task::offers(api, body);
    let tasks = match since.first() {
        Some(Turn::User(text)) if !offers.is_empty() => task::tasks(text),
        _ => Vec::new(),
    };
    if tasks.is_empty() {
        return said(String::from("There is nothing to do."), heard);
    }
    match tasks.iter().map(|task: &Task<'_>| task.call(&offers)).collect() {
        Ok(calls) => called(calls, heard),
        Err(why) => said(why, heard),
    }
}

/// Text first, then all calls at once.
fn called(calls: Vec<Call>, heard: &Heard) -> Answer {
    calls
        .into_iter()
        .fold(said(String::from("I will do that."), heard), |answer, call| {
            answer.awkward_call(&call.name, &call.arguments, call.is_custom)
        })
}

fn told(results: &[&heard::Outcome]) -> String {
    let words: Vec<String> = results
        .iter()
        .map(|outcome| outcome.text.chars().take(REPEATED).collect())
        .collect();
    let verdict = if results.iter().any(|outcome| outcome.failed) {
        "A tool failed"
    } else {
        "Done"
    };
    format!("{verdict}. The tools said: {}", words.join(" | "))
}

/// A text with what else was noticed, in pieces of about three characters.
fn said(mut text: String, heard: &Heard) -> Answer {
    if !heard.images.is_empty() {
        text.push_str(" I was shown ");
        text.push_str(&heard.images.join(" and "));
        text.push('.');
    }
    if heard.remembers {
        text.push_str(" I remember what I thought.");
    }
    let deltas = text.chars().count().div_ceil(3);
    Answer::healthy().text(text).deltas(deltas)
}
