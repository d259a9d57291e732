//! What the queue knows of a request: whose it is, from where, how urgent, and how much work.

use std::cmp::Reverse;

use crate::base::address::Address;

/// A body of this length makes a request cost one more.
const COST_STEP: u64 = 64 * 1024;
/// The most that a request costs: one with a huge body must not wait for ever.
const MAX_COST: u32 = 16;

/// A client key, by its identity (`base::identity`): cheaper to copy and to compare than its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub u64);

/// Who asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// The client's address; none over a Unix socket, which has no bound of its own.
    pub address: Option<Address>,
    /// Its key; none where no keys are configured.
    pub key: Option<KeyId>,
    /// How many requests of the key may be in service (`max_concurrent`), above zero; what its latest request says
    /// holds for all.
    pub key_max: Option<u32>,
    /// The key's priority: higher goes first.
    pub priority: i32,
    /// What the client says that the request is for.
    pub class: RequestClass,
    /// How much work it is, see [`cost`].
    pub cost: u32,
}

impl Who {
    /// Its place in the order of levels.
    pub(super) fn rank(&self) -> Rank {
        Rank {
            priority: Reverse(self.priority),
            class: self.class,
        }
    }
}

/// A level of the queue; the least is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) priority: Reverse<i32>,
    class: RequestClass,
}

/// What a request is for, the most urgent first. It only orders keys of one priority, and saying nothing is the best
/// that one can say: a client may step back, but never gain by lying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestClass {
    /// Somebody waits for the answer, or nothing else is known.
    #[default]
    Main,
    /// An agent that works for another one.
    Subagent,
    /// What nobody would miss: titles, summaries, suggestions.
    Auxiliary,
}

impl RequestClass {
    /// The header in which Claude Code names the class.
    pub const HEADER: &str = "x-claude-code-request-class";

    /// The class of a header's value; `compaction` holds up a conversation, so it is as urgent as `main`.
    pub fn named(value: Option<&[u8]>) -> Self {
        match value {
            Some(b"subagent" | b"workflow") => Self::Subagent,
            Some(b"auxiliary") => Self::Auxiliary,
            _ => Self::Main,
        }
    }
}

/// What a request with a body of that announced length costs: what it takes of its key's turns.
pub fn cost(length: Option<u64>) -> u32 {
    let steps = length.unwrap_or_default() / COST_STEP;
    u32::try_from(steps).map_or(MAX_COST, |steps| steps.saturating_add(1).min(MAX_COST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_can_only_lower_a_request() {
        for (value, class) in [
            (None, RequestClass::Main),
            (Some("main"), RequestClass::Main),
            (Some("compaction"), RequestClass::Main),
            (Some("something new"), RequestClass::Main),
            (Some("subagent"), RequestClass::Subagent),
            (Some("workflow"), RequestClass::Subagent),
            (Some("auxiliary"), RequestClass::Auxiliary),
        ] {
            assert_eq!(RequestClass::named(value.map(str::as_bytes)), class, "{value:?}");
            assert!(
                class >= RequestClass::named(None),
                "{value:?} must not go before silence"
            );
        }
    }

    #[test]
    fn priority_goes_before_class() {
        let who = |priority, class| Who {
            address: None,
            key: None,
            key_max: None,
            priority,
            class,
            cost: 1,
        };
        let high = who(1, RequestClass::Auxiliary).rank();
        let low = who(0, RequestClass::Main).rank();
        assert!(high < low && low < who(0, RequestClass::Subagent).rank());
    }

    #[test]
    fn a_long_body_costs_more_up_to_a_point() {
        for (length, expected) in [
            (None, 1),
            (Some(0), 1),
            (Some(65_535), 1),
            (Some(65_536), 2),
            (Some(1 << 20), 16),
            (Some(u64::MAX), 16),
        ] {
            assert_eq!(cost(length), expected, "{length:?}");
        }
    }
}
