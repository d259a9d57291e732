//! A whole chat answer in the canonical form.

use super::stream_in::StreamIn;
use super::wire_answer::Completion;
use crate::answer::AnswerFault;
use crate::canon::{Decode, Gather, Json, Response, WireEvent};
use crate::fault;

/// Reads an answer. It is read as a stream of one chunk: a message and a delta are of one shape, and what hosts make of
/// either is understood in one place.
///
/// # Errors
/// It is no answer.
pub fn answer_in(body: &str) -> Result<Response<'_>, AnswerFault> {
    let whole: Completion<'_> = serde_json::from_str(body).map_err(|_why| AnswerFault::NotJson)?;
    if whole.error.is_some()
        && let Some(error) = fault::in_answer(body.as_bytes())
    {
        return Err(AnswerFault::Error(error));
    }
    if whole.choices.as_ref().is_none_or(Vec::is_empty) {
        return Err(AnswerFault::Empty);
    }
    let mut decode = StreamIn::default();
    let mut gather = Gather::default();
    for data in [body, "[DONE]"] {
        decode.event(WireEvent { name: None, data }, &mut |delta| gather.delta(&delta));
    }
    let (mut response, _) = gather.finish();
    response.service_tier = whole
        .service_tier
        .filter(|tier| tier.get() != "null")
        .map(|tier| Json::from(tier).into_owned());
    Ok(response)
}
