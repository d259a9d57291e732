//! The proxy's own errors, written in the dialect of the client that gets them.
//!
//! One table says what each kind of error is called on each side; statuses and names are the contract's.
//! Two forms exist: a body for an answer that has not begun, and an event for a stream that has.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::sse;
use crate::watch::StreamPosition;

/// What went wrong, from the client's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No key, a wrong key, or two different valid keys.
    InvalidApiKey,
    /// No such path.
    UnknownUrl,
    /// The path is known, its method is another.
    MethodNotAllowed,
    /// The key may not use the model.
    ModelNotAllowed,
    /// A web page from elsewhere asks a proxy that wants no key.
    ForeignOrigin,
    /// The body is no JSON, or a field is missing or of the wrong type.
    InvalidBody,
    /// A field that the backend's dialect cannot express and that changes the answer.
    UnsupportedParameter,
    /// A content type or encoding that the proxy does not read.
    UnsupportedMediaType,
    /// The body is over the limit.
    RequestTooLarge,
    /// The request did not arrive in time.
    RequestTimeout,
    /// The request's head is over the limit.
    HeadersTooLarge,
    /// No such model.
    ModelNotFound,
    /// A rate limit of the proxy.
    RateLimited,
    /// A budget of the proxy is used up.
    BudgetExceeded,
    /// The proxy's queue is full, or the wait in it was too long.
    Overloaded,
    /// The proxy is going down.
    ShuttingDown,
    /// The conversation does not fit the model's context.
    ContextLength,
    /// The backend refused the request for the caller's own fault.
    UpstreamRejected,
    /// No connection to the backend, or it broke before the answer.
    UpstreamUnavailable,
    /// Every backend rests after failures.
    UpstreamCooling,
    /// The backend was silent for too long.
    UpstreamTimeout,
    /// The backend does not take the proxy's key. Never a 401: the client's key is fine.
    UpstreamAuth,
    /// The account at the backend is used up.
    UpstreamQuota,
    /// A rate limit of the backend.
    UpstreamRate,
    /// The backend is overloaded.
    UpstreamOverloaded,
    /// The backend's answer is no answer.
    UpstreamBadResponse,
    /// Every backend said that it does not know the model.
    UpstreamNotFound,
    /// The backend reported a conflict.
    UpstreamConflict,
    /// A defect of the proxy.
    Internal,
}

/// How one kind of error looks on the wire.
struct Look {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    anthropic: &'static str,
    /// Whether the same request may succeed later.
    passing: bool,
}

/// An error that will be the same however often the request is repeated.
const fn lasting(status: u16, kind: &'static str, code: &'static str, anthropic: &'static str) -> Look {
    Look {
        status,
        kind,
        code: Some(code),
        anthropic,
        passing: false,
    }
}

/// An error that time may heal.
const fn passing(status: u16, kind: &'static str, code: &'static str, anthropic: &'static str) -> Look {
    Look {
        passing: true,
        ..lasting(status, kind, code, anthropic)
    }
}

const BAD: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const RATE: &str = "rate_limit_error";
const BUSY: &str = "overloaded_error";

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 29] = [
        Self::InvalidApiKey,
        Self::UnknownUrl,
        Self::MethodNotAllowed,
        Self::ModelNotAllowed,
        Self::ForeignOrigin,
        Self::InvalidBody,
        Self::UnsupportedParameter,
        Self::UnsupportedMediaType,
        Self::RequestTooLarge,
        Self::RequestTimeout,
        Self::HeadersTooLarge,
        Self::ModelNotFound,
        Self::RateLimited,
        Self::BudgetExceeded,
        Self::Overloaded,
        Self::ShuttingDown,
        Self::ContextLength,
        Self::UpstreamRejected,
        Self::UpstreamUnavailable,
        Self::UpstreamCooling,
        Self::UpstreamTimeout,
        Self::UpstreamAuth,
        Self::UpstreamQuota,
        Self::UpstreamRate,
        Self::UpstreamOverloaded,
        Self::UpstreamBadResponse,
        Self::UpstreamNotFound,
        Self::UpstreamConflict,
        Self::Internal,
    ];

    /// The HTTP status for a client of that dialect. Only overload differs: Anthropic has 529 for it.
    pub fn status(self, dialect: Dialect) -> u16 {
        match (self, dialect) {
            (Self::Overloaded | Self::ShuttingDown | Self::UpstreamOverloaded, Dialect::Messages) => 529,
            _ => self.look().status,
        }
    }

    /// The error's `type` in that dialect.
    pub fn type_name(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Chat | Dialect::Responses => self.look().kind,
            Dialect::Messages => self.look().anthropic,
        }
    }

    /// The error's `code` for `OpenAI` clients; logs and metrics use it too.
    pub fn code(self) -> Option<&'static str> {
        self.look().code
    }

    /// What `x-should-retry` says: `false` on errors that a repetition cannot heal, else nothing.
    ///
    /// The official SDKs obey it, and would otherwise repeat a 409, a 429 or any 5xx.
    pub fn should_retry(self) -> Option<bool> {
        (!self.look().passing).then_some(false)
    }

    /// The code in a Responses stream, from the closed set that clients of it know.
    ///
    /// A passing overload is a `server_error` there: `server_is_overloaded` makes Codex give up at once.
    fn stream_code(self) -> &'static str {
        match self {
            Self::RateLimited | Self::UpstreamRate => "rate_limit_exceeded",
            Self::BudgetExceeded | Self::UpstreamQuota => "insufficient_quota",
            Self::ContextLength => "context_length_exceeded",
            Self::InvalidBody | Self::UnsupportedParameter | Self::UpstreamRejected => "invalid_prompt",
            _ => "server_error",
        }
    }

    fn look(self) -> Look {
        match self {
            Self::InvalidApiKey => lasting(
                401,
                "authentication_error",
                "invalid_api_key",
                "authentication_error",
            ),
            Self::UnknownUrl => lasting(404, BAD, "unknown_url", "not_found_error"),
            Self::MethodNotAllowed => lasting(405, BAD, "method_not_allowed", BAD),
            Self::ModelNotAllowed => {
                lasting(403, "permission_error", "model_not_allowed", "permission_error")
            }
            Self::ForeignOrigin => lasting(403, "permission_error", "foreign_origin", "permission_error"),
            Self::InvalidBody => lasting(400, BAD, "invalid_body", BAD),
            Self::UnsupportedParameter => lasting(400, BAD, "unsupported_parameter", BAD),
            Self::UnsupportedMediaType => lasting(415, BAD, "unsupported_media_type", BAD),
            Self::RequestTooLarge => lasting(413, BAD, "request_too_large", "request_too_large"),
            Self::RequestTimeout => passing(408, "timeout", "request_timeout", "timeout_error"),
            Self::HeadersTooLarge => lasting(431, BAD, "headers_too_large", BAD),
            Self::ModelNotFound => lasting(404, BAD, "model_not_found", "not_found_error"),
            Self::RateLimited => passing(429, RATE, "rate_limit_exceeded", RATE),
            Self::BudgetExceeded => lasting(429, RATE, "budget_exceeded", RATE),
            Self::Overloaded => passing(503, SERVER, "overloaded", BUSY),
            Self::ShuttingDown => passing(503, SERVER, "shutting_down", BUSY),
            Self::ContextLength => lasting(400, BAD, "context_length_exceeded", BAD),
            Self::Internal => passing(500, SERVER, "internal_error", "api_error"),
            _ => self.upstream_look(),
        }
    }

    fn upstream_look(self) -> Look {
        match self {
            Self::UpstreamRejected => Look {
                code: None,
                ..lasting(400, BAD, "", BAD)
            },
            Self::UpstreamCooling => passing(503, SERVER, "upstream_cooling", BUSY),
            Self::UpstreamTimeout => passing(504, SERVER, "upstream_timeout", "timeout_error"),
            Self::UpstreamAuth => lasting(502, SERVER, "upstream_auth", "api_error"),
            Self::UpstreamQuota => lasting(429, "insufficient_quota", "quota_exceeded", "billing_error"),
            Self::UpstreamRate => passing(429, RATE, "rate_limit_exceeded", RATE),
            Self::UpstreamOverloaded => passing(503, SERVER, "overloaded", BUSY),
            Self::UpstreamBadResponse => passing(502, SERVER, "bad_upstream_response", "api_error"),
            Self::UpstreamNotFound => lasting(404, BAD, "model_not_found", "not_found_error"),
            Self::UpstreamConflict => passing(409, "conflict", "upstream_conflict", "conflict_error"),
            _ => passing(502, SERVER, "upstream_unavailable", "api_error"),
        }
    }
}

/// An error, ready to be written. Whoever makes it sees to it that the message holds no secret, no URL and
/// no backend's name.
#[derive(Clone, Debug)]
pub struct WireError<'a> {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The text for humans.
    pub message: Cow<'a, str>,
    /// The request field to blame, as a path.
    pub param: Option<&'a str>,
    /// The request's id, as in the `x-request-id` header.
    pub request_id: &'a str,
}

#[derive(Serialize)]
struct OpenAiBody<'a> {
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: Option<&'static str>,
}

#[derive(Serialize)]
struct AnthropicBody<'a> {
    #[serde(rename = "type")]
    tag: &'static str,
    error: AnthropicError<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

impl WireError<'_> {
    /// The JSON body of an answer that is this error.
    pub fn body(&self, dialect: Dialect) -> Vec<u8> {
        match dialect {
            Dialect::Chat | Dialect::Responses => encode(&OpenAiBody {
                error: OpenAiError {
                    message: &self.message,
                    kind: self.kind.type_name(dialect),
                    param: self.param,
                    code: self.kind.code(),
                },
            }),
            Dialect::Messages => encode(&AnthropicBody {
                tag: "error",
                error: AnthropicError {
                    kind: self.kind.type_name(dialect),
                    message: &self.message_for_anthropic(),
                },
                request_id: self.request_id,
            }),
        }
    }

    /// The events that end a stream with this error, `at` the place that the stream has come to.
    ///
    /// They are the last bytes of the answer. No marker of success is among them, so that no client takes
    /// the broken answer for a whole one.
    pub fn event(&self, dialect: Dialect, at: &StreamPosition) -> Vec<u8> {
        let mut out = Vec::new();
        match dialect {
            Dialect::Chat => sse::event(&mut out, None, &self.body(dialect)),
            Dialect::Messages => sse::event(&mut out, Some("error"), &self.body(dialect)),
            Dialect::Responses => self.failed_response(at, &mut out),
        }
        out
    }

    /// Codex ignores the `error` event and acts on `response.failed`; the SDKs raise at the former.
    fn failed_response(&self, at: &StreamPosition, out: &mut Vec<u8>) {
        let (code, number) = (self.kind.stream_code(), at.sequence_number);
        let error = json!({
            "type": "error", "code": code, "message": self.message, "param": self.param,
            "sequence_number": number,
        });
        sse::event(out, Some("error"), &encode(&error));
        let failed = json!({
            "type": "response.failed", "sequence_number": number.saturating_add(1),
            "response": self.failed_object(code, at),
        });
        sse::event(out, Some("response.failed"), &encode(&failed));
    }

    /// A response object with every member that the typed SDKs require.
    fn failed_object(&self, code: &str, at: &StreamPosition) -> Value {
        let id = at.response_id.clone();
        json!({
            "id": id.unwrap_or_else(|| format!("resp_{}", self.request_id)),
            "object": "response",
            "created_at": at.created_at,
            "status": "failed",
            "error": { "code": code, "message": self.message },
            "incomplete_details": null,
            "instructions": null,
            "metadata": {},
            "model": at.model,
            "output": [],
            "parallel_tool_calls": true,
            "temperature": null,
            "tool_choice": "auto",
            "tools": [],
            "top_p": null,
        })
    }

    /// Claude Code compacts a conversation when it reads these words, and only then.
    fn message_for_anthropic(&self) -> Cow<'_, str> {
        const COMPACT: &str = "prompt is too long";
        if self.kind == ErrorKind::ContextLength && !self.message.contains(COMPACT) {
            return format!("{COMPACT}: {}", self.message).into();
        }
        Cow::Borrowed(&self.message)
    }
}

/// These values have string keys and no maps of their own, so that writing them cannot fail.
fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{Chat, Messages, Responses};

    fn error(kind: ErrorKind) -> WireError<'static> {
        WireError {
            kind,
            message: "It \"broke\"".into(),
            param: None,
            request_id: "req-1",
        }
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_contract_names_every_error() {
        use ErrorKind as E;
        type Row = (ErrorKind, u16, &'static str, &'static str, u16, &'static str);
        #[rustfmt::skip]
        let table: [Row; 18] = [
            (E::InvalidApiKey, 401, "authentication_error", "invalid_api_key", 401, "authentication_error"),
            (E::UnknownUrl, 404, BAD, "unknown_url", 404, "not_found_error"),
            (E::MethodNotAllowed, 405, BAD, "method_not_allowed", 405, BAD),
            (E::ModelNotAllowed, 403, "permission_error", "model_not_allowed", 403, "permission_error"),
            (E::InvalidBody, 400, BAD, "invalid_body", 400, BAD),
            (E::UnsupportedParameter, 400, BAD, "unsupported_parameter", 400, BAD),
            (E::RequestTooLarge, 413, BAD, "request_too_large", 413, "request_too_large"),
            (E::ModelNotFound, 404, BAD, "model_not_found", 404, "not_found_error"),
            (E::RateLimited, 429, RATE, "rate_limit_exceeded", 429, RATE),
            (E::BudgetExceeded, 429, RATE, "budget_exceeded", 429, RATE),
            (E::Overloaded, 503, SERVER, "overloaded", 529, BUSY),
            (E::Internal, 500, SERVER, "internal_error", 500, "api_error"),
            (E::UpstreamUnavailable, 502, SERVER, "upstream_unavailable", 502, "api_error"),
            (E::UpstreamTimeout, 504, SERVER, "upstream_timeout", 504, "timeout_error"),
            (E::UpstreamAuth, 502, SERVER, "upstream_auth", 502, "api_error"),
            (E::UpstreamQuota, 429, "insufficient_quota", "quota_exceeded", 429, "billing_error"),
            (E::UpstreamOverloaded, 503, SERVER, "overloaded", 529, BUSY),
            (E::UpstreamBadResponse, 502, SERVER, "bad_upstream_response", 502, "api_error"),
        ];
        for (kind, status, name, code, anthropic_status, anthropic) in table {
            assert_eq!(
                (kind.status(Chat), kind.type_name(Chat)),
                (status, name),
                "{kind:?}"
            );
            assert_eq!(
                (kind.status(Responses), kind.type_name(Responses)),
                (status, name),
                "{kind:?}"
            );
            assert_eq!(kind.code(), Some(code), "{kind:?}");
            let told = (kind.status(Messages), kind.type_name(Messages));
            assert_eq!(told, (anthropic_status, anthropic), "{kind:?}");
        }
    }

    #[test]
    fn an_upstream_fault_never_looks_like_the_clients_key() {
        for kind in ErrorKind::ALL {
            for dialect in Dialect::ALL {
                let blamed = kind.status(dialect) == 401;
                assert_eq!(blamed, kind == ErrorKind::InvalidApiKey, "{kind:?} in {dialect}");
            }
        }
    }

    #[test]
    fn only_what_time_heals_may_be_repeated() {
        use ErrorKind as E;
        for (kind, hint) in [
            (E::InvalidApiKey, Some(false)),
            (E::InvalidBody, Some(false)),
            (E::UpstreamQuota, Some(false)),
            (E::UpstreamAuth, Some(false)),
            (E::UpstreamNotFound, Some(false)),
            (E::RateLimited, None),
            (E::Overloaded, None),
            (E::UpstreamTimeout, None),
            (E::UpstreamUnavailable, None),
        ] {
            assert_eq!(kind.should_retry(), hint, "{kind:?}");
        }
    }

    #[test]
    fn a_body_is_the_dialects_envelope() {
        let broken = WireError {
            param: Some("model"),
            ..error(ErrorKind::InvalidBody)
        };
        let openai = r#"{"error":{"message":"It \"broke\"","type":"invalid_request_error","param":"model","code":"invalid_body"}}"#;
        assert_eq!(text(broken.body(Chat)), openai);
        assert_eq!(text(broken.body(Responses)), openai);
        let anthropic = r#"{"type":"error","error":{"type":"invalid_request_error","message":"It \"broke\""},"request_id":"req-1"}"#;
        assert_eq!(text(broken.body(Messages)), anthropic);
        let rejected = text(error(ErrorKind::UpstreamRejected).body(Chat));
        assert!(rejected.ends_with(r#""param":null,"code":null}}"#), "{rejected}");
    }

    #[test]
    fn chat_and_messages_streams_end_with_one_error_event() {
        let broken = error(ErrorKind::UpstreamUnavailable);
        let at = StreamPosition::default();
        assert_eq!(
            text(broken.event(Chat, &at)),
            "data: {\"error\":{\"message\":\"It \\\"broke\\\"\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream_unavailable\"}}\n\n"
        );
        assert_eq!(
            text(broken.event(Messages, &at)),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"It \\\"broke\\\"\"},\"request_id\":\"req-1\"}\n\n"
        );
    }

    #[test]
    fn a_responses_stream_ends_with_a_failed_response_in_sequence() {
        let at = StreamPosition {
            sequence_number: 7,
            response_id: Some("resp_a".into()),
            model: "m".into(),
            created_at: 5,
        };
        let out = text(error(ErrorKind::UpstreamRate).event(Responses, &at));
        let data: Vec<Value> = out
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert!(out.starts_with("event: error\ndata: "), "{out}");
        assert!(out.contains("\n\nevent: response.failed\ndata: "), "{out}");
        assert_eq!(
            data[0],
            json!({"type":"error","code":"rate_limit_exceeded","message":"It \"broke\"","param":null,"sequence_number":7})
        );
        assert_eq!(data[1]["sequence_number"], 8);
        let response = &data[1]["response"];
        assert_eq!(
            response["error"],
            json!({"code":"rate_limit_exceeded","message":"It \"broke\""})
        );
        assert_eq!(
            (&response["id"], &response["status"]),
            (&json!("resp_a"), &json!("failed"))
        );
        for required in [
            "created_at",
            "model",
            "object",
            "output",
            "parallel_tool_calls",
            "tool_choice",
            "tools",
        ] {
            assert!(!response[required].is_null(), "the SDKs require {required}");
        }
    }

    #[test]
    fn no_error_event_looks_like_a_good_end() {
        for kind in ErrorKind::ALL {
            for dialect in Dialect::ALL {
                let out = text(error(kind).event(dialect, &StreamPosition::default()));
                for marker in ["[DONE]", "message_stop", "response.completed"] {
                    assert!(!out.contains(marker), "{kind:?} in {dialect}: {out}");
                }
            }
        }
    }

    #[test]
    fn a_long_prompt_is_told_in_the_words_that_claude_code_acts_on() {
        let mut long = error(ErrorKind::ContextLength);
        assert!(text(long.body(Messages)).contains("prompt is too long: It"));
        long.message = "prompt is too long: 5 tokens > 4 maximum".into();
        assert!(text(long.body(Messages)).contains("\"prompt is too long: 5 tokens > 4 maximum\""));
        assert!(text(long.body(Chat)).contains("context_length_exceeded"));
    }
}
