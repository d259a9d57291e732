//! What tells one conversation from another: the session id that an agent sends, else how it began.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use http::HeaderMap;
use llm_dialect::inject::Speaker;

use crate::base::conversation::Agent;
pub use crate::base::conversation::Whose;

/// A conversation. It stays the same as the conversation grows.
///
/// A digest by a seed of this process. Two of 16,384 are taken for one another once in 10^11 such crowds, and all that
/// comes of it is that one is told the prompts of the other; so it may be a quick one. One that takes longer would be felt:
/// it reads all of a first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConversationId(u64);

impl ConversationId {
    /// By the session id among a request's headers, if there is one. The session of an agent has one conversation with
    /// each model that it uses.
    pub fn of_session(whose: Whose<'_>, headers: &HeaderMap) -> Option<Self> {
        let session = Agent::of(headers).session?;
        let mut digest = Digest::of(whose);
        digest.part(Kind::Session, session);
        Some(digest.id())
    }

    /// By how it began: `tell` is given something to tell the client's system text and its first user message to, as
    /// bytes that are the same in each of its requests.
    pub fn of_opening<'b>(whose: Whose<'_>, tell: impl FnOnce(&mut dyn FnMut(Speaker, &'b [u8]))) -> Self {
        let mut digest = Digest::of(whose);
        tell(&mut |speaker, words| {
            let kind = match speaker {
                Speaker::System => Kind::System,
                Speaker::User => Kind::User,
            };
            digest.part(kind, words);
        });
        digest.id()
    }
}

/// What a part of a digest is.
#[derive(Clone, Copy)]
enum Kind {
    Key,
    NoKey,
    Model,
    Session,
    System,
    User,
}

/// An id in the making.
struct Digest(FoldHasher<'static>);

impl Digest {
    fn of(whose: Whose<'_>) -> Self {
        // The seed is drawn once in a process, as that of a hash map is.
        let mut digest = Self(FoldHasher::with_seed(0, SharedSeed::global_random()));
        let kind = if whose.key.is_some() {
            Kind::Key
        } else {
            Kind::NoKey
        };
        digest.part(kind, whose.key.unwrap_or_default().as_bytes());
        digest.part(Kind::Model, whose.model.as_bytes());
        digest
    }

    /// What it is and how long stand before each part, so that no two cuts of the same bytes meet.
    fn part(&mut self, kind: Kind, bytes: &[u8]) {
        self.0.write_u8(kind as u8);
        self.0.write_usize(bytes.len());
        self.0.write(bytes);
    }

    fn id(self) -> ConversationId {
        ConversationId(self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const WHOSE: Whose<'_> = Whose {
        key: Some("team"),
        model: "m",
    };

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    fn opening(whose: Whose<'_>, system: &str, user: &str) -> ConversationId {
        ConversationId::of_opening(whose, |tell| {
            tell(Speaker::System, system.as_bytes());
            tell(Speaker::User, user.as_bytes());
        })
    }

    #[test]
    fn agents_name_their_sessions() {
        let id = |pairs: &[_]| ConversationId::of_session(WHOSE, &headers(pairs));
        let one = id(&[("x-claude-code-session-id", "s1")]);
        assert!(one.is_some());
        assert_ne!(one, id(&[("x-claude-code-session-id", "s2")]));
        for other in [
            [("session-id", "s1"), ("thread-id", "t1")],
            [("session_id", "s1"), ("conversation_id", "c1")],
            [("session-id", ""), ("conversation_id", "s1")],
        ] {
            assert_eq!(id(&other), one, "{other:?}");
        }
        assert_eq!(id(&[]), None);
        assert_eq!(id(&[("x-request-id", "r1"), ("session_id", "")]), None);
    }

    #[test]
    fn another_key_or_model_or_beginning_is_another_conversation() {
        let of = |key, model, system: &str, user: &str| opening(Whose { key, model }, system, user);
        let all = [
            of(Some("a"), "m", "s", "u"),
            of(Some("b"), "m", "s", "u"),
            of(Some(""), "m", "s", "u"),
            of(None, "m", "s", "u"),
            of(Some("a"), "n", "s", "u"),
            of(Some("a"), "m", "su", ""),
            of(Some("a"), "m", "", "su"),
            of(Some("am"), "", "s", "u"),
            of(Some("a"), "m", "s", "v"),
        ];
        for (n, one) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|other| other == one), Some(n), "{n}");
        }
    }

    proptest! {
        #[test]
        fn a_session_is_never_taken_for_a_beginning(session in "[ -~]{1,20}", system in ".{0,20}") {
            let mut headers = HeaderMap::new();
            headers.insert("session_id", HeaderValue::from_str(&session).unwrap());
            let by_session = ConversationId::of_session(WHOSE, &headers).unwrap();
            let by_opening = opening(WHOSE, &system, &session);
            prop_assert_ne!(by_session, by_opening);
        }
    }
}
