//! A backend: where it is, what it speaks, how it is reached.

use std::collections::BTreeMap;
use std::path::PathBuf;

use llm_dialect::Api;

use super::TimeoutOverrides;
use crate::base::Secret;

/// The protocol family of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `OpenAI`: chat, responses and the plain calls.
    #[default]
    Openai,
    /// Anthropic: messages.
    Anthropic,
}

/// How a backend wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// By protocol: `Bearer` for `OpenAI`, `x-api-key` for Anthropic.
    Auto,
    /// `authorization: Bearer`.
    Bearer,
    /// `x-api-key`.
    XApiKey,
    /// `api-key` (Azure).
    ApiKey,
    /// No key is sent.
    None,
}

/// Which HTTP version a backend is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// ALPN over TLS, 1.1 in the clear.
    Auto,
    /// 1.1
    Http1,
    /// 2 (in the clear: with prior knowledge)
    Http2,
}

/// How a backend is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutboundProxy {
    /// Directly.
    None,
    /// As `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say.
    Env,
    /// Through this proxy: `http://`, `https://` or `socks5://`, perhaps with user info.
    Url(Secret),
}

/// What happens to a backend's request when its client goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnDisconnect {
    /// It is cancelled at once.
    Cancel,
    /// It is read to its end, for exact usage.
    Drain,
}

/// A backend.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its name; unique.
    pub name: String,
    /// Its protocol family.
    pub protocol: Protocol,
    /// Its base URL as the file has it, without a trailing slash. `http` or `https`; no user info.
    pub url: http::Uri,
    /// Whether its host may be one at which clouds hand out credentials.
    pub allow_metadata: bool,
    /// Its keys; empty: none is sent.
    pub api_keys: Vec<Secret>,
    /// The calls that it has.
    pub apis: Vec<Api>,
    /// Whether the file lists them, so that each of them is known to be there.
    pub apis_named: bool,
    /// Whether it may be used.
    pub enabled: bool,
    /// Headers that each request gets (valid names and values).
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Query parameters that each request gets.
    pub query: Vec<(String, String)>,
    /// How it wants its key.
    pub auth: Auth,
    /// Paths below `url` that differ from the protocol's own.
    pub paths: BTreeMap<Api, String>,
    /// HTTP version.
    pub http: HttpVersion,
    /// How it is reached.
    pub http_proxy: OutboundProxy,
    /// Requests at once; above that it is skipped.
    pub max_concurrent: Option<u32>,
    /// Clocks that differ from the general ones.
    pub timeout: TimeoutOverrides,
    /// Its TLS.
    pub tls: ClientTls,
    /// What happens when a client goes away.
    pub on_disconnect: OnDisconnect,
}

/// TLS towards a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientTls {
    /// A PEM file of authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Whether certificates go unchecked.
    pub insecure: bool,
}
