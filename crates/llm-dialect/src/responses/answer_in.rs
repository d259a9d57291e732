//! A whole Responses answer in the canonical form.

use super::stream_in::StreamIn;
use super::wire::Response as Wire;
use crate::answer::AnswerFault;
use crate::canon::{Gather, Json, Response};
use crate::fault;

/// Reads an answer. It is the last word of a stream that said nothing before.
///
/// # Errors
/// It is no answer.
pub fn answer_in(body: &str) -> Result<Response<'_>, AnswerFault> {
    let wire: Wire<'_> = serde_json::from_str(body).map_err(|_why| AnswerFault::NotJson)?;
    if wire.has_failed() {
        return Err(AnswerFault::Error(fault::read(body.as_bytes())));
    }
    if wire.items().is_none() {
        return Err(AnswerFault::Empty);
    }
    let (mut decode, mut gather) = (StreamIn::default(), Gather::default());
    decode.complete(&wire, &mut |delta| gather.delta(&delta));
    let (mut response, _) = gather.finish();
    response.service_tier = wire
        .service_tier
        .filter(|tier| tier.get() != "null")
        .map(|tier| Json::from(tier).into_owned());
    Ok(response)
}
