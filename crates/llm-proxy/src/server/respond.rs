//! Errors as responses: in the caller's dialect, with the headers that make its SDK act rightly.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use llm_dialect::Dialect;
use llm_dialect::wire_error::{ErrorKind, WireError};

use crate::pipeline::{AnswerBody, Failure, Says};

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// To whom an error is written.
#[derive(Clone, Copy, Debug)]
pub struct Wire<'a> {
    /// In which dialect.
    pub dialect: Dialect,
    /// The request's id.
    pub request_id: &'a str,
}

/// The response that tells the client of a failure.
#[cold]
pub fn refusal(wire: Wire<'_>, failure: Failure) -> Response<AnswerBody> {
    let Failure {
        says,
        retry_after,
        close,
        ..
    } = failure;
    let mut response = match *says {
        Says::Theirs(relay) => {
            let mut response = Response::new(AnswerBody::whole(relay.body));
            *response.status_mut() = relay.status;
            *response.headers_mut() = relay.headers;
            response
        }
        Says::Ours {
            kind,
            message,
            param,
            headers,
        } => {
            let error = WireError {
                kind,
                message,
                param: param.as_deref(),
                request_id: wire.request_id,
            };
            let mut response = Response::new(AnswerBody::whole(Bytes::from(error.body(wire.dialect))));
            *response.status_mut() =
                StatusCode::from_u16(kind.status(wire.dialect)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            *response.headers_mut() = headers;
            ours(wire, kind, &mut response);
            response
        }
    };
    if let Some(wait) = retry_after {
        set_retry_after(&mut response, wait);
    }
    if close {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn ours(wire: Wire<'_>, kind: ErrorKind, response: &mut Response<AnswerBody>) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if kind == ErrorKind::InvalidApiKey {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(retry) = kind.should_retry() {
        headers.insert(
            SHOULD_RETRY,
            HeaderValue::from_static(if retry { "true" } else { "false" }),
        );
    }
    if wire.dialect == Dialect::Messages
        && let Ok(id) = HeaderValue::from_str(wire.request_id)
    {
        headers.entry(REQUEST_ID).or_insert(id);
    }
}

/// Whole seconds, rounded up, and milliseconds beside them: no wait is rounded to none.
fn set_retry_after(response: &mut Response<AnswerBody>, wait: Duration) {
    let milliseconds = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(milliseconds.div_ceil(1_000)));
    headers.insert(RETRY_AFTER_MS, HeaderValue::from(milliseconds));
}

/// A 405 with the methods that would do.
#[cold]
pub(super) fn wrong_method(wire: Wire<'_>, allowed: &[&str]) -> Response<AnswerBody> {
    let allow = allowed.join(", ");
    let message = format!("This path does not take that method; it takes {allow}.");
    let mut response = refusal(wire, Failure::local(ErrorKind::MethodNotAllowed, message));
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_the_next_millisecond_and_second() {
        for (nanoseconds, seconds, milliseconds) in [
            (0, "0", "0"),
            (1, "1", "1"),
            (300_000, "1", "1"),
            (999_999_999, "1", "1000"),
            (1_000_000_001, "2", "1001"),
        ] {
            let mut response = Response::new(AnswerBody::whole(Bytes::new()));
            set_retry_after(&mut response, Duration::from_nanos(nanoseconds));
            let header = |name: &HeaderName| response.headers()[name].clone();
            assert_eq!(header(&RETRY_AFTER), seconds, "{nanoseconds} ns");
            assert_eq!(header(&RETRY_AFTER_MS), milliseconds, "{nanoseconds} ns");
        }
    }
}
