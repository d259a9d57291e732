//! Which conversation a request belongs to, as its agent says in headers: Claude Code and Codex name their session, which
//! of its conversations this is, and that its context has been compacted.
//!
//! Claude Code's: <https://code.claude.com/docs/en/llm-gateway-protocol>; the hints about compaction come where its user
//! sets `CLAUDE_CODE_GATEWAY_HINT_HEADERS`. Codex's are those of its requests as recorded.

use http::HeaderMap;

use super::identity::Identity;

/// How many names of [`NAMES`] are of a session, the first of them counting most.
const SESSIONS: usize = 5;
/// The headers that are looked at.
const NAMES: [&str; SESSIONS + 5] = [
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "conversation-id",
    "conversation_id",
    "x-claude-code-agent-id",
    "thread-id",
    "x-codex-window-id",
    "x-claude-code-compaction",
    "x-claude-code-context-compacted",
];

/// Whose conversation, with whom: another key's or another model's is another one, whatever the rest says.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The name of the client's key.
    pub key: Option<&'a str>,
    /// The model as the client calls it.
    pub model: &'a str,
}

impl<'a> Whose<'a> {
    /// What it is made of, for a hash: that there is no key is not a key without a name.
    pub fn parts(self) -> [&'a [u8]; 3] {
        let key = self.key.map(str::as_bytes);
        [
            if key.is_some() { b"key".as_slice() } else { b"" },
            key.unwrap_or_default(),
            self.model.as_bytes(),
        ]
    }

    /// An identity in the making that begins with them.
    pub fn identity(self) -> Identity {
        let mut made = Identity::default();
        for part in self.parts() {
            made.part(part);
        }
        made
    }
}

/// What an agent says of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agent<'a> {
    /// Its session.
    pub session: Option<&'a [u8]>,
    /// Which of the session's conversations: a subagent has its own, and so has each context window of Codex, which
    /// begins one with each compaction. Empty where the session is but one.
    pub thread: &'a [u8],
    /// Whether it asks for the summary that a long conversation is to be replaced by.
    pub compacts: bool,
    /// Whether the conversation has been replaced by a summary, and what came before is no longer sent.
    pub compacted: bool,
}

impl<'a> Agent<'a> {
    /// Reads it from a request's headers.
    pub fn of(headers: &'a HeaderMap) -> Self {
        // One pass over the headers: ten look-ups would hash ten names.
        let mut said = [b"".as_slice(); NAMES.len()];
        for (name, value) in headers {
            let known = NAMES
                .iter()
                .zip(&mut said)
                .find(|(own, _)| **own == name.as_str());
            if let Some((_, said)) = known
                && said.is_empty()
            {
                *said = value.as_bytes();
            }
        }
        let (sessions, rest) = said.split_at(SESSIONS);
        let [agent, thread, window, compaction, compacted] = rest else {
            return Self::default();
        };
        Self {
            session: sessions.iter().copied().find(|said| !said.is_empty()),
            thread: if agent.is_empty() {
                window_of(thread, window)
            } else {
                agent
            },
            compacts: is_said(compaction),
            compacted: is_said(compacted),
        }
    }
}

/// Codex's window, which is its thread's id and a number; whoever writes something else there may write it anew each time.
fn window_of<'a>(thread: &'a [u8], window: &'a [u8]) -> &'a [u8] {
    match window.strip_prefix(thread) {
        Some([b':', ..]) if !thread.is_empty() => window,
        _ => thread,
    }
}

fn is_said(value: &[u8]) -> bool {
    !matches!(value, b"" | b"0" | b"false")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn v18_each_agent_says_it_its_own_way() {
        type Row = (
            &'static [(&'static str, &'static str)],
            Option<&'static str>,
            &'static str,
        );
        let table: [Row; 10] = [
            (&[], None, ""),
            (&[("x-request-id", "r"), ("session_id", "")], None, ""),
            (&[("x-claude-code-session-id", "s")], Some("s"), ""),
            (
                &[("x-claude-code-session-id", "s"), ("x-claude-code-agent-id", "a")],
                Some("s"),
                "a",
            ),
            (&[("session-id", "s"), ("thread-id", "t")], Some("s"), "t"),
            (
                &[
                    ("session-id", "s"),
                    ("thread-id", "t"),
                    ("x-codex-window-id", "t:3"),
                ],
                Some("s"),
                "t:3",
            ),
            (
                &[
                    ("session-id", "s"),
                    ("thread-id", "t"),
                    ("x-codex-window-id", "random"),
                ],
                Some("s"),
                "t",
            ),
            (&[("session-id", "s"), ("x-codex-window-id", ":3")], Some("s"), ""),
            (&[("session_id", "s"), ("conversation_id", "c")], Some("s"), ""),
            (&[("session-id", ""), ("conversation_id", "c")], Some("c"), ""),
        ];
        for (pairs, session, thread) in table {
            let headers = headers(pairs);
            let agent = Agent::of(&headers);
            assert_eq!(agent.session, session.map(str::as_bytes), "{pairs:?}");
            assert_eq!(agent.thread, thread.as_bytes(), "{pairs:?}");
        }
    }

    #[test]
    fn v18_compaction_is_said_by_a_header_that_says_no_no() {
        for (value, said) in [
            ("auto", true),
            ("manual", true),
            ("", false),
            ("0", false),
            ("false", false),
        ] {
            let compaction = headers(&[("x-claude-code-compaction", value)]);
            let compacted = headers(&[("x-claude-code-context-compacted", value)]);
            assert_eq!(Agent::of(&compaction).compacts, said, "{value}");
            assert_eq!(Agent::of(&compacted).compacted, said, "{value}");
            assert!(!Agent::of(&compaction).compacted && !Agent::of(&compacted).compacts);
        }
    }

    #[test]
    fn of_a_header_that_is_there_twice_the_first_counts() {
        let mut headers = headers(&[("session-id", "one")]);
        headers.append("session-id", HeaderValue::from_static("two"));
        assert_eq!(Agent::of(&headers).session, Some(b"one".as_slice()));
    }

    #[test]
    fn no_key_is_not_a_key_without_a_name() {
        let of = |key| Whose { key, model: "m" }.parts();
        assert_ne!(of(None), of(Some("")));
    }
}
