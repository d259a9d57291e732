//! Which backend and key made a response, so that `previous_response_id` finds its way back.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

/// How many responses are remembered; the oldest is forgotten first.
const REMEMBERED: usize = 10_000;

/// A backend and one of its keys, by identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The backend.
    pub backend: u64,
    /// The key.
    pub key: u64,
}

/// Responses and who made them: bounded.
#[derive(Debug, Default)]
pub struct Pins(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    by_id: HashMap<String, Pin>,
    order: VecDeque<String>,
}

impl Pins {
    /// Remembers who made a response.
    pub fn remember(&self, response_id: &str, pin: Pin) {
        let mut table = self.0.lock();
        if table.by_id.insert(response_id.to_owned(), pin).is_some() {
            return;
        }
        table.order.push_back(response_id.to_owned());
        if table.order.len() > REMEMBERED
            && let Some(oldest) = table.order.pop_front()
        {
            table.by_id.remove(&oldest);
        }
    }

    /// Who made it, if that is still known.
    pub fn find(&self, response_id: &str) -> Option<Pin> {
        self.0.lock().by_id.get(response_id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_and_memory_is_bounded() {
        let pins = Pins::default();
        let pin = Pin { backend: 1, key: 2 };
        for n in 0..=REMEMBERED {
            pins.remember(&format!("resp_{n}"), pin);
        }
        assert_eq!(pins.find("resp_0"), None, "the first one made room");
        assert_eq!(pins.find("resp_1"), Some(pin));
        assert_eq!(pins.0.lock().order.len(), REMEMBERED);
    }
}
