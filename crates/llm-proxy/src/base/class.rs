//! The classes of what one attempt at a backend came to: the vocabulary that config, health and logs share.

use std::fmt;

/// What an attempt came to, other than success (`reliability.md` 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// DNS, refused, unreachable, TLS, connect timeout.
    Connect,
    /// A reused connection was closed before any byte of the answer.
    StaleConn,
    /// A fresh connection was closed before the response head.
    Reset,
    /// No response head, or no real content, within `timeout.first_byte`.
    TtftTimeout,
    /// 500, 502, 504, 52x, or the same said inside a 200.
    Server,
    /// 503.
    Unavailable,
    /// 529, or `overloaded_error` inside a 200.
    Overloaded,
    /// 429 of a rate: it passes within minutes.
    Rate,
    /// The account is used up: balance, quota, weekly limit.
    Quota,
    /// 401, or 403 that blames the key.
    Auth,
    /// 403 for this model or region.
    ForbiddenModel,
    /// 404, or the backend does not know the model.
    NotFound,
    /// A 2xx (or 3xx) that is no answer.
    BadResponse,
    /// The conversation does not fit the model's context.
    ContextLength,
    /// 400 for the signature of a thinking block.
    Signature,
    /// A parameter that this very backend does not take (only by `detection.error_map`).
    Unsupported,
    /// The caller's own fault: other 400, 413, 415, 422.
    Client,
    /// A content filter refused.
    Policy,
    /// 409 or 425.
    Conflict,
    /// The stream broke after the commit point.
    Midstream,
    /// Another backend, asked beside it because it was silent, answered first.
    Overtaken,
    /// The client went away.
    ClientGone,
    /// Our own refusal: limits, validation, drain.
    Local,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 23] = [
        Self::Connect,
        Self::StaleConn,
        Self::Reset,
        Self::TtftTimeout,
        Self::Server,
        Self::Unavailable,
        Self::Overloaded,
        Self::Rate,
        Self::Quota,
        Self::Auth,
        Self::ForbiddenModel,
        Self::NotFound,
        Self::BadResponse,
        Self::ContextLength,
        Self::Signature,
        Self::Unsupported,
        Self::Client,
        Self::Policy,
        Self::Conflict,
        Self::Midstream,
        Self::Overtaken,
        Self::ClientGone,
        Self::Local,
    ];

    /// The name in config, logs and `/api/status`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::StaleConn => "stale_conn",
            Self::Reset => "reset",
            Self::TtftTimeout => "ttft_timeout",
            Self::Server => "server",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Rate => "rate",
            Self::Quota => "quota",
            Self::Auth => "auth",
            Self::ForbiddenModel => "forbidden_model",
            Self::NotFound => "not_found",
            Self::BadResponse => "bad_response",
            Self::ContextLength => "context_length",
            Self::Signature => "signature",
            Self::Unsupported => "unsupported",
            Self::Client => "client",
            Self::Policy => "policy",
            Self::Conflict => "conflict",
            Self::Midstream => "midstream",
            Self::Overtaken => "overtaken",
            Self::ClientGone => "client_gone",
            Self::Local => "local",
        }
    }

    /// What it means for what failed, in a person's words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Connect => "no connection comes about",
            Self::StaleConn | Self::Reset => "closes connections without an answer",
            Self::TtftTimeout => "does not answer in time",
            Self::Server => "fails by itself",
            Self::Unavailable => "says that it is unavailable",
            Self::Overloaded => "has too much to do",
            Self::Rate => "rate limit reached",
            Self::Quota => "quota used up",
            Self::Auth => "the key is refused",
            Self::ForbiddenModel => "the key may not use this model",
            Self::NotFound => "it does not know this model",
            Self::BadResponse => "its answers are none",
            Self::Midstream => "its streams break",
            Self::ContextLength
            | Self::Signature
            | Self::Unsupported
            | Self::Client
            | Self::Policy
            | Self::Conflict => "it refuses the request",
            Self::Overtaken => "another answered first",
            Self::ClientGone => "the client left",
            Self::Local => "refused by the proxy",
        }
    }

    /// The class of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
