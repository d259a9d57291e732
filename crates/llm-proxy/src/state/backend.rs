//! A backend ready for use: its connections, keys, paths and counters.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue};
use llm_dialect::Api;

use super::vitals::Vitals;
use crate::base::Secret;
use crate::config::types;
use crate::observe::BackendMeters;
use crate::prices::Seller;
use crate::upstream::Endpoint;

/// A backend of the running config.
#[derive(Debug)]
pub struct Backend {
    /// Its settings.
    pub config: types::Backend,
    /// Its name, shared with records.
    pub name: Arc<str>,
    /// Its name as a header value.
    pub label: HeaderValue,
    /// Its identity: the same address and credentials after a reload are the same backend.
    pub id: u64,
    /// Its connections.
    pub endpoint: Arc<Endpoint>,
    /// Its keys; one nameless entry where none is sent.
    pub keys: Vec<BackendKey>,
    /// Counters that survive a reload.
    pub vitals: Arc<Vitals>,
    /// What is counted of it for metrics.
    pub meters: Arc<BackendMeters>,
    /// `https` or `http`.
    pub scheme: Scheme,
    /// Host and port as they go into `host`.
    pub authority: Authority,
    /// The same as a header value.
    pub host: HeaderValue,
    /// Where each of its calls goes.
    pub targets: BTreeMap<Api, PathAndQuery>,
    /// What must never reach a client in an error text.
    pub secrets: Vec<Secret>,
    /// Whose models it serves: reasoning that one family has sealed is of no use to another.
    pub family: Arc<str>,
    /// Whether it is `OpenAI` itself, or Azure, not one of the many hosts that speak its dialects.
    pub is_openai: bool,
}

/// A key of a backend.
#[derive(Debug)]
pub struct BackendKey {
    /// Its name in records: the backend's with a number.
    pub name: Arc<str>,
    /// Its identity.
    pub id: u64,
    /// The header that carries it, if one does.
    pub header: Option<(HeaderName, HeaderValue)>,
}

impl Backend {
    /// It, as whose prices those of its models are.
    pub fn seller(&self) -> Seller<'_> {
        Seller {
            backend: &self.name,
            host: self.authority.host(),
        }
    }

    /// Whether its answers are read to their end where the client leaves.
    pub fn is_drained(&self) -> bool {
        self.config.on_disconnect == types::OnDisconnect::Drain
    }

    /// Whether it has this call.
    pub fn speaks(&self, api: Api) -> bool {
        self.is_on() && self.config.apis.contains(&api)
    }

    /// Whether it takes requests: the config and the operator let it.
    pub fn is_on(&self) -> bool {
        self.config.enabled && !self.vitals.is_off()
    }

    /// The call by which it serves a client's `api`: the same, or one of another dialect that the request is converted
    /// into; none if it has neither.
    ///
    /// Responses carries more of Anthropic's dialect than chat does (reasoning, order), but many hosts that say nothing of
    /// their calls have chat alone: Messages clients get it where the config names it, or the host is `OpenAI`.
    pub fn serves(&self, api: Api) -> Option<Api> {
        if self.speaks(api) {
            return Some(api);
        }
        let sure = self.is_openai || self.config.apis_named;
        let instead: &[Api] = match api {
            Api::Chat => &[Api::Messages, Api::Responses],
            Api::Responses => &[Api::Messages, Api::Chat],
            Api::Messages if sure => &[Api::Responses, Api::Chat],
            Api::Messages => &[Api::Chat, Api::Responses],
            _ => &[],
        };
        instead.iter().copied().find(|other| self.speaks(*other))
    }

    /// Whether it has a place free at the moment (`max_concurrent`).
    pub fn has_room(&self) -> bool {
        let max = self.config.max_concurrent;
        max.is_none_or(|max| self.vitals.in_flight() < max)
    }
}
