//! What tells one conversation from another: the session id that an agent sends, else how it began.

use http::HeaderMap;
use sha2::{Digest, Sha256};

use crate::base::conversation::Agent;
pub use crate::base::conversation::Whose;

/// A conversation. It stays the same as the conversation grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConversationId([u8; 32]);

impl ConversationId {
    /// By the session id among a request's headers, if there is one. The session of an agent has one conversation with
    /// each model that it uses.
    pub fn of_session(whose: Whose<'_>, headers: &HeaderMap) -> Option<Self> {
        let session = Agent::of(headers).session?;
        Some(Self::of(whose, &[b"session", session]))
    }

    /// By how it began: the client's system text and its first user message, as bytes that are the same in each of its
    /// requests.
    pub fn of_opening(whose: Whose<'_>, system: &[u8], first_user: &[u8]) -> Self {
        Self::of(whose, &[b"opening", system, first_user])
    }

    fn of(whose: Whose<'_>, parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in whose.parts().iter().chain(parts) {
            // The length before each part, so that no two cuts of the same bytes meet.
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
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
        let of = |key, model, system: &str, user: &str| {
            ConversationId::of_opening(Whose { key, model }, system.as_bytes(), user.as_bytes())
        };
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
            let by_opening = ConversationId::of_opening(WHOSE, system.as_bytes(), session.as_bytes());
            prop_assert_ne!(by_session, by_opening);
        }
    }
}
