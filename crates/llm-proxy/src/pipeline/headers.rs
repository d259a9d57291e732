//! Which headers go on to a backend, and which come back to the client.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_TYPE, HOST, HeaderName,
    RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, HeaderValue};

use crate::state::{Backend, BackendKey};
use crate::upstream::Lines;

/// Request headers that go on by name.
const ON_BY_NAME: [HeaderName; 3] = [ACCEPT, CONTENT_TYPE, USER_AGENT];
/// Request headers that go on by name, which `http` has no constants for.
const ON_BY_TEXT: [&str; 4] = [
    "idempotency-key",
    "traceparent",
    "tracestate",
    "x-client-request-id",
];
/// Request headers that go on by prefix: open lists, since clients' next releases bring new ones.
const ON_BY_PREFIX: [&str; 3] = ["anthropic-", "openai-", "x-claude-code-"];
/// Response headers that come back by name.
const BACK_BY_NAME: [HeaderName; 4] = [CONTENT_TYPE, CACHE_CONTROL, CONTENT_DISPOSITION, RETRY_AFTER];
/// Response headers that come back by name, which `http` has no constants for.
const BACK_BY_TEXT: [&str; 5] = [
    "retry-after-ms",
    "x-should-retry",
    "request-id",
    "openai-processing-ms",
    "openai-version",
];
/// Response headers that come back by prefix.
const BACK_BY_PREFIX: [&str; 2] = ["anthropic-ratelimit-", "x-ratelimit-"];
/// How many headers an answer may get beside a backend's, so that its map does not grow: the type of its content.
const OWN: usize = 1;
/// How many most requests have.
const USUAL_ONWARDS: usize = 8;
/// What we call ourselves where a client has no name.
const OURSELVES: HeaderValue = HeaderValue::from_static(concat!("llm-proxy/", env!("CARGO_PKG_VERSION")));
/// Whose trace it is.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// The headers of a request to a backend. Those of a dialect stay behind where the backend speaks another: they switch on
/// fields of a body that is no longer theirs.
pub(super) fn onwards(client: &HeaderMap, backend: &Backend, key: &BackendKey, same_dialect: bool) -> Lines {
    let mut out = Lines::with_capacity(USUAL_ONWARDS);
    out.append(HOST, backend.host.clone());
    let hop_by_hop = named_in_connection(client);
    for (name, value) in client {
        if goes_on(name, same_dialect)
            && !hop_by_hop
                .iter()
                .any(|hop| hop.eq_ignore_ascii_case(name.as_str()))
        {
            out.append(name.clone(), value.clone());
        }
    }
    out.insert_if_missing(USER_AGENT, OURSELVES);
    // Answers come unfolded: a tap cannot look into a compressed stream. (The client's own wish is none that goes on.)
    out.append(ACCEPT_ENCODING, IDENTITY);
    if let Some((name, value)) = &key.header {
        out.insert(name.clone(), value.clone());
    }
    for (name, value) in &backend.config.headers {
        out.insert(name.clone(), value.clone());
    }
    out
}

fn goes_on(name: &HeaderName, same_dialect: bool) -> bool {
    let text = name.as_str();
    ON_BY_NAME.contains(name)
        || (same_dialect && ON_BY_PREFIX.iter().any(|prefix| text.starts_with(prefix)))
        || ON_BY_TEXT.contains(&text)
}

/// Headers that `connection` names are meant for us alone.
fn named_in_connection(headers: &HeaderMap) -> Vec<&str> {
    let values = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).collect()
}

/// Those headers of a backend's answer that the client may see.
pub(super) fn back(backend: &Lines) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(OWN + backend.len());
    for (name, value) in backend.iter() {
        if comes_back(name) {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

fn comes_back(name: &HeaderName) -> bool {
    let text = name.as_str();
    BACK_BY_NAME.contains(name)
        || BACK_BY_PREFIX.iter().any(|prefix| text.starts_with(prefix))
        || BACK_BY_TEXT.contains(&text)
}

/// The backend's own id of the request.
pub(super) fn upstream_request_id(backend: &Lines) -> Option<&HeaderValue> {
    let mut fallback = None;
    // One pass: most answers have neither.
    for (name, value) in backend.iter() {
        match name.as_str() {
            "request-id" => return Some(value),
            "x-request-id" => fallback = fallback.or(Some(value)),
            _ => {}
        }
    }
    fallback
}
