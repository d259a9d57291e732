//! A backend's error as the client may read it: word for word where it is one of the client's dialect, else in our
//! envelope. Pages and plain texts come from the web servers before a backend; no SDK can read them.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use llm_dialect::Dialect;
use llm_dialect::fault;
use llm_dialect::wire_error::{ErrorKind, WireError};

use super::failure::Relay;
use crate::base::Class;

/// Whom an error is for, and what it is judged to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct To<'a> {
    /// The client's dialect.
    pub dialect: Dialect,
    /// The backend's dialect.
    pub spoken: Dialect,
    /// The request's id.
    pub request_id: &'a str,
    /// Its class.
    pub class: Class,
}

/// The error with that status and body, and those of its headers that pass.
pub(super) fn relay(
    To {
        dialect,
        spoken,
        request_id,
        class,
    }: To<'_>,
    status: StatusCode,
    mut headers: HeaderMap,
    body: Bytes,
) -> Relay {
    // Chat and Responses share their envelope.
    let anthropic = |dialect| dialect == Dialect::Messages;
    if anthropic(dialect) == anthropic(spoken) && fault::is_enveloped(dialect, &body) {
        return Relay {
            status,
            headers,
            body,
        };
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let message = match fault::read(&body).message {
        empty if empty.is_empty() => "The backend refused the request without a reason.".to_owned(),
        message => message,
    };
    let error = WireError {
        kind: kind(status, class),
        message: message.into(),
        param: None,
        request_id,
    };
    Relay {
        status: status_for(dialect, status),
        headers,
        body: error.body(dialect).into(),
    }
}

/// Anthropic has no 422: its clients know the fault of a body as 400.
fn status_for(dialect: Dialect, status: StatusCode) -> StatusCode {
    match (dialect, status) {
        (Dialect::Messages, StatusCode::UNPROCESSABLE_ENTITY) => StatusCode::BAD_REQUEST,
        _ => status,
    }
}

/// What the status says, for `type` and `code`.
pub(super) fn kind(status: StatusCode, class: Class) -> ErrorKind {
    match status {
        _ if class == Class::ContextLength => ErrorKind::ContextLength,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::RequestTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorKind::UnsupportedMediaType,
        StatusCode::CONFLICT => ErrorKind::UpstreamConflict,
        _ => ErrorKind::UpstreamRejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relayed(dialect: Dialect, status: u16, body: &'static str) -> (HeaderMap, String) {
        let theirs = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/html"))]);
        let status = StatusCode::from_u16(status).unwrap();
        let relay = relay(
            To {
                dialect,
                spoken: dialect,
                request_id: "req-1",
                class: Class::Client,
            },
            status,
            theirs,
            Bytes::from_static(body.as_bytes()),
        );
        assert_eq!(relay.status, status, "the status is always the backend's");
        (relay.headers, String::from_utf8(relay.body.to_vec()).unwrap())
    }

    #[test]
    fn an_error_of_the_dialect_stays_as_it_is() {
        let body = r#"{ "error": {"x":1.50,"message":"no"} }"#;
        let (headers, relayed) = relayed(Dialect::Chat, 400, body);
        assert_eq!(relayed, body);
        assert_eq!(headers[CONTENT_TYPE], "text/html");
    }

    #[test]
    fn anything_else_gets_our_envelope_around_its_words() {
        let page = "<html><title>413 Request Entity Too Large</title></html>";
        for (dialect, body, message, kind) in [
            (
                Dialect::Chat,
                page,
                "413 Request Entity Too Large",
                "invalid_request_error",
            ),
            (
                Dialect::Messages,
                page,
                "413 Request Entity Too Large",
                "request_too_large",
            ),
            (
                Dialect::Messages,
                r#"{"error":{"message":"no"}}"#,
                "no",
                "request_too_large",
            ),
            (
                Dialect::Chat,
                "",
                "The backend refused the request without a reason.",
                "invalid_request_error",
            ),
        ] {
            let (headers, relayed) = relayed(dialect, 413, body);
            let json: serde_json::Value = serde_json::from_str(&relayed).unwrap();
            assert_eq!(json["error"]["message"], message);
            assert_eq!(json["error"]["type"], kind);
            assert_eq!(headers[CONTENT_TYPE], "application/json");
        }
    }
}
