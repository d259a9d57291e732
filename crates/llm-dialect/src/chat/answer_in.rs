//! A whole chat answer in the canonical form.

use serde::de::IgnoredAny;

use super::stream_in::StreamIn;
use super::wire_answer::Completion;
use crate::answer::AnswerFault;
use crate::canon::{Decode, Delta, Gather, Json, Response, WireEvent};
use crate::fault;

/// Reads an answer. It is read as a stream of one chunk: a message and a delta are of one shape, and what hosts make of
/// either is understood in one place.
///
/// # Errors
/// It is no answer.
pub fn answer_in(body: &str) -> Result<Response<'_>, AnswerFault> {
    let Ok(whole) = serde_json::from_str::<Completion<'_>>(body) else {
        return Err(no_answer(body));
    };
    let is_empty = whole.choices.as_ref().is_none_or(Vec::is_empty);
    if is_empty || whole.error.is_some() {
        match fault::in_answer(body.as_bytes()) {
            Some(error) => return Err(AnswerFault::Error(error)),
            None if is_empty => return Err(AnswerFault::Empty),
            None => {}
        }
    }
    let mut decode = StreamIn::default();
    let (mut gather, mut failed) = (Gather::default(), None);
    for data in [body, "[DONE]"] {
        decode.event(WireEvent { name: None, data }, &mut |delta| match delta {
            Delta::Fault(error) => failed = Some(error),
            delta => gather.delta(&delta),
        });
    }
    if let Some(error) = failed {
        return Err(AnswerFault::Error(error));
    }
    let (mut response, _) = gather.finish();
    response.service_tier = whole
        .service_tier
        .filter(|tier| tier.get() != "null")
        .map(|tier| Json::from(tier).into_owned());
    Ok(response)
}

/// What a body is that has not the form of an answer.
fn no_answer(body: &str) -> AnswerFault {
    match fault::in_answer(body.as_bytes()) {
        Some(error) => AnswerFault::Error(error),
        None if serde_json::from_str::<IgnoredAny>(body).is_ok() => AnswerFault::Empty,
        None => AnswerFault::NotJson,
    }
}
