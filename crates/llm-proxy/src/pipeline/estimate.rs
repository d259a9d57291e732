//! `count_tokens` where no backend counts: an honest estimate, which says that it is one.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response};
use llm_dialect::canon::Losses;
use llm_dialect::{Api, estimate, messages};

use super::ask::Ask;
use super::body::AnswerBody;
use super::failure::{Failure, Says};
use crate::base::clock;
use crate::state::Context;

/// The header that tells what is not as it would be at the provider itself.
const WARNINGS: HeaderName = HeaderName::from_static("x-llm-proxy-warnings");

/// What is not so here.
const ESTIMATED: &str = "input_tokens:estimated";

/// Answers a `count_tokens` call in place of a backend that cannot; every other failure stays what it is.
///
/// # Errors
/// The failure that it was given, or that the request is not sound.
pub(super) fn instead(
    ctx: &mut Context,
    ask: &Ask,
    failure: Failure,
) -> Result<Response<AnswerBody>, Failure> {
    if ask.api != Api::CountTokens || is_the_callers(&failure) {
        return Err(failure);
    }
    let body = ask.told();
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let request = messages::request_in(text, &mut Losses::default()).map_err(super::cross::refused)?;
    let tokens = estimate::input_tokens(&request);
    let mut response = Response::new(AnswerBody::whole(format!("{{\"input_tokens\":{tokens}}}")));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if ctx.snapshot.config.expose_headers {
        headers.insert(WARNINGS, HeaderValue::from_static(ESTIMATED));
    }
    ctx.entry.record.warnings = vec![ESTIMATED.to_owned()];
    ctx.entry.record.status = Some(200);
    ctx.entry.first_byte(clock::now());
    Ok(response)
}

/// A refusal that the client has to hear: its own fault, in a backend's words or in ours.
fn is_the_callers(failure: &Failure) -> bool {
    matches!(*failure.says, Says::Theirs(_))
}
