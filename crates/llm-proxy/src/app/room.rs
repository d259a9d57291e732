//! How many connections there is room for: each takes a file of the system, and so does each to a backend.

use crate::base::clock;
use crate::base::gauge::{Gauge, GaugeGuard};
use crate::base::rarely::Rarely;

/// Files that the program needs for itself: listeners, log, signals, the admin's connections.
const OWN: u64 = 64;
/// As many connections are taken however few files there are.
const LEAST: usize = 16;
/// No more are taken unless the config says so: each costs memory too.
const MOST: usize = 65_536;
/// What a system allows that does not tell.
const UNTOLD: u64 = 1024;

/// Lets the program open as many files as the system allows at all; how many that are.
pub(super) fn raised_file_limit() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!(error = %error, "cannot raise the limit of open files");
        rlimit::Resource::NOFILE.get_soft().unwrap_or(UNTOLD)
    })
}

/// How many connections go with so many files: half of them, since each may need another to a backend.
pub(super) fn for_connections(files: u64) -> usize {
    let half = usize::try_from(files.saturating_sub(OWN) / 2).unwrap_or(MOST);
    half.clamp(LEAST, MOST)
}

/// The room of a kind of listener.
#[derive(Debug)]
pub(super) struct Room {
    open: Gauge,
    /// Where the config names no number.
    usual: usize,
    full: Rarely,
}

impl Room {
    /// For that many connections, if the config names no other number.
    pub(super) fn new(usual: usize) -> Self {
        Self {
            open: Gauge::default(),
            usual,
            full: Rarely::default(),
        }
    }

    /// Takes a place, if one is left of those that the config allows.
    pub(super) fn enter(&self, allowed: Option<usize>) -> Option<GaugeGuard> {
        let max = allowed.unwrap_or(self.usual);
        let place = self.open.enter_below(max);
        if place.is_none() && self.full.is_due(clock::now()) {
            tracing::warn!(
                "{max} connections are open, as many as there is room for (`limits.max_connections`): further ones \
                 are closed"
            );
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l17_half_of_the_files_are_for_clients_within_bounds() {
        for (files, connections) in [
            (0, LEAST),
            (64, LEAST),
            (256, 96),
            (1024, 480),
            (20_000, 9_968),
            (1_073_741_816, MOST),
            (u64::MAX, MOST),
        ] {
            assert_eq!(for_connections(files), connections, "{files}");
        }
    }

    #[test]
    fn l17_a_place_is_free_again_when_its_connection_ends() {
        let room = Room::new(2);
        let (first, _second) = (room.enter(None).unwrap(), room.enter(None).unwrap());
        assert!(room.enter(None).is_none(), "full");
        assert!(room.enter(Some(3)).is_some(), "the config may allow more");
        drop(first);
        assert!(room.enter(Some(1)).is_none(), "or less, from the next on");
        assert!(room.enter(None).is_some());
    }
}
