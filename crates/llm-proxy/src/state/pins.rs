//! Which backend and key made what a request goes on from: a response or a conversation that only its maker knows.

use parking_lot::Mutex;

use crate::base::identity::identity;
use crate::base::recent::Recent;

/// How many are remembered at least; twice as many at most.
const REMEMBERED: usize = 10_000;

/// A backend and one of its keys, by identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The backend.
    pub backend: u64,
    /// The key.
    pub key: u64,
}

/// What a request goes on from, by identity: the names are a client's or a backend's, and may be long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin(u64);

impl Origin {
    /// A response, by its id: what `previous_response_id` names.
    pub fn response(id: &str) -> Self {
        Self(identity(&[b"response", id.as_bytes()]))
    }

    /// A conversation that the provider keeps, by its id: what `conversation` names.
    pub fn conversation(id: &str) -> Self {
        Self(identity(&[b"conversation", id.as_bytes()]))
    }
}

/// Who made what: bounded, the longest unused is forgotten first.
#[derive(Debug)]
pub struct Pins(Mutex<Recent<Pin>>);

impl Default for Pins {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(REMEMBERED)))
    }
}

impl Pins {
    /// Remembers who made it.
    pub fn remember(&self, origin: Origin, maker: Pin) {
        self.0.lock().insert(origin.0, maker);
    }

    /// Who made it, if that is still known.
    pub fn find(&self, origin: Origin) -> Option<Pin> {
        self.0.lock().get(origin.0).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered_and_memory_is_bounded() {
        let pins = Pins::default();
        let pin = Pin { backend: 1, key: 2 };
        let name = |n: usize| Origin::response(&format!("resp_{n}"));
        for n in 0..10 * REMEMBERED {
            pins.remember(name(n), pin);
        }
        assert_eq!(pins.find(name(0)), None, "the first one made room");
        for n in 9 * REMEMBERED..10 * REMEMBERED {
            assert_eq!(pins.find(name(n)), Some(pin), "{n}");
        }
        assert!(pins.0.lock().len() <= 2 * REMEMBERED);
    }

    #[test]
    fn a_response_is_no_conversation() {
        let pins = Pins::default();
        pins.remember(Origin::response("x"), Pin { backend: 1, key: 2 });
        assert_eq!(pins.find(Origin::conversation("x")), None);
    }
}
