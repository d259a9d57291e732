//! One request's surroundings: the config that it started with, the live state, its record.

use std::sync::Arc;

use http::HeaderMap;

use super::affinity::Conversation;
use super::alone::Alone;
use super::auth::Client;
use super::compile::Snapshot;
use super::early::Early;
use super::held::Held;
use super::hints::Hints;
use super::live::Live;
use super::pins::Origin;
use super::signals::Follower;
use crate::observe::Entry;
use crate::prompts::Rendered;

/// What a request carries through its journey.
#[derive(Debug)]
pub struct Context {
    /// The config that it started with, and finishes with.
    pub snapshot: Arc<Snapshot>,
    /// What outlives configs.
    pub live: Arc<Live>,
    /// Its record; writes the access line when it is dropped.
    ///
    /// Boxed: it is large, and goes on with the body of the answer, which moves many times on its way out.
    pub entry: Box<Entry>,
    /// Whose key it came with; none where no keys are configured.
    pub client: Option<Arc<Client>>,
    /// Its connection.
    pub connection: Follower,
    /// Its headers.
    pub headers: HeaderMap,
    /// What they tell us.
    pub hints: Hints,
    /// Its query, without the question mark.
    pub query: Option<String>,
    /// The operator's texts that were put into it.
    pub told: Option<Arc<[Rendered]>>,
    /// Its conversation, where it matters who answers that.
    pub conversation: Option<Conversation>,
    /// What it goes on from, which only its maker knows.
    pub origin: Option<Origin>,
    /// Where its response may begin before there is an answer; none where that is not configured.
    pub early: Option<Arc<Early>>,
    /// Where a backend may be read to its end though its client has left; none where no backend wants that.
    pub alone: Option<Arc<Alone>>,
    /// What it holds until its last byte.
    pub held: Held,
}

impl Context {
    /// Whether its client has left, and it goes on for its usage alone.
    pub fn has_left(&self) -> bool {
        self.alone.as_ref().is_some_and(|alone| alone.has_left())
    }

    /// Whether its response has begun before there was an answer.
    pub fn has_begun(&self) -> bool {
        self.early.as_ref().is_some_and(|early| early.has_begun())
    }

    /// Whether its key may use that alias.
    pub fn may_use(&self, alias: &str) -> bool {
        self.client.as_ref().is_none_or(|client| client.may_use(alias))
    }
}
