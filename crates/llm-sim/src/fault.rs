//! Errors as the real providers write them: as a body, and as an event inside a stream.

use crate::api::{Api, Envelope};
use crate::json::{Json, NULL, object};

/// An error that a simulated backend gives, before it has a dialect's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// OpenAI's `code`; the status's usual one where there is none.
    pub(crate) code: Option<&'static str>,
    /// The field at fault, in OpenAI's `param`.
    pub(crate) param: Option<String>,
    /// Sent as the `allow` header of a 405.
    pub(crate) allow: Option<&'static str>,
}

impl Fault {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            code: None,
            param: None,
            allow: None,
        }
    }

    /// What a provider says with this status when it has nothing special to say.
    pub(crate) fn of_status(status: u16) -> Self {
        let message = match status {
            401 => "Incorrect API key provided.",
            402 => "Insufficient balance.",
            403 => "Your key may not use this model.",
            404 => "The model does not exist or you do not have access to it.",
            408 | 504 => "The request timed out.",
            413 => "The request is too large.",
            429 => "Rate limit reached for requests.",
            503 | 529 => "Overloaded",
            500.. => "The server had an error while processing your request.",
            _ => "The request is invalid.",
        };
        Self::new(status, message)
    }

    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(crate) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The whole error body.
    pub(crate) fn body(&self, envelope: Envelope) -> Json {
        match envelope {
            Envelope::OpenAi => object! {"error": self.openai()},
            Envelope::Anthropic => object! {
                "type": "error",
                "error": object! {"type": anthropic_type(self.status), "message": self.message},
                "request_id": "req_sim",
            },
        }
    }

    /// The events that tell of this error inside a stream, after `told` others; none of them ends it as if
    /// it were whole.
    pub(crate) fn events(&self, api: Api, told: usize) -> Vec<String> {
        match api {
            Api::Messages => {
                vec![format!(
                    "event: error\ndata: {}\n\n",
                    self.body(Envelope::Anthropic).as_str()
                )]
            }
            Api::Responses => self.responses_events(told),
            _ => vec![format!("data: {}\n\n", self.body(Envelope::OpenAi).as_str())],
        }
    }

    /// OpenAI nests the error in the `error` event and repeats it in `response.failed`.
    fn responses_events(&self, told: usize) -> Vec<String> {
        let code = self.code.or(openai_code(self.status)).unwrap_or("server_error");
        let error = object! {"type": "error", "sequence_number": told, "error": self.openai()};
        let failed = object! {
            "type": "response.failed",
            "sequence_number": told + 1,
            "response": object! {
                "id": "resp_sim", "object": "response", "status": "failed", "model": "sim",
                "error": object! {"code": code, "message": self.message},
                "output": crate::json::NONE, "usage": NULL,
            },
        };
        vec![
            format!("event: error\ndata: {}\n\n", error.as_str()),
            format!("event: response.failed\ndata: {}\n\n", failed.as_str()),
        ]
    }

    fn openai(&self) -> Json {
        object! {
            "message": self.message,
            "type": openai_type(self.status),
            "param": self.param,
            "code": self.code.or(openai_code(self.status)),
        }
    }
}

fn openai_type(status: u16) -> &'static str {
    match status {
        402 => "insufficient_quota",
        408 => "timeout",
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

fn openai_code(status: u16) -> Option<&'static str> {
    match status {
        401 => Some("invalid_api_key"),
        402 => Some("insufficient_quota"),
        404 => Some("model_not_found"),
        429 => Some("rate_limit_exceeded"),
        503 | 529 => Some("overloaded"),
        _ => None,
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_shape_of_its_provider() {
        let fault = Fault::of_status(529);
        assert_eq!(
            fault.body(Envelope::OpenAi).as_str(),
            r#"{"error":{"message":"Overloaded","type":"server_error","param":null,"code":"overloaded"}}"#
        );
        assert_eq!(
            fault.body(Envelope::Anthropic).as_str(),
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_sim"}"#
        );
    }

    #[test]
    fn an_error_inside_a_stream_is_told_in_the_streams_dialect() {
        let fault = Fault::of_status(429);
        let heads = |api| {
            fault
                .events(api, 3)
                .iter()
                .map(|e| e.lines().next().unwrap_or("")[..12].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(heads(Api::Chat), [r#"data: {"erro"#]);
        assert_eq!(heads(Api::Messages), ["event: error"]);
        assert_eq!(heads(Api::Responses), ["event: error", "event: respo"]);
    }
}
