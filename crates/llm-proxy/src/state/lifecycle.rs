//! The program's phases: serving, handed over, draining, ending.

use tokio::sync::watch;

use crate::base::atomic::{AtomicBool, Ordering};

/// Where the program is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It serves.
    Serving,
    /// Another program serves its addresses; what is in flight here goes on, however long it takes.
    HandedOver,
    /// It accepts nothing new; what is in flight goes on.
    Draining,
    /// Time is up, or nothing is left: every connection ends now.
    Ending,
}

/// The phase, and those who wait for it to change. It only ever moves forward.
#[derive(Debug)]
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
    /// Whether it is the first, for those who only ask that, once a request: a look at the phase takes a lock.
    serves: AtomicBool,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            serves: AtomicBool::new(true),
        }
    }
}

impl Lifecycle {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Whether it serves, and is to go on serving.
    pub fn serves(&self) -> bool {
        self.serves.load(Ordering::Acquire)
    }

    /// Moves on to `phase`; never back.
    pub fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let forward = phase > *now;
            if forward {
                self.serves.store(false, Ordering::Release);
                *now = phase;
            }
            forward
        });
    }

    /// To be told of changes.
    pub fn subscribe(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }
}
