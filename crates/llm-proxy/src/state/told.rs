//! What conversations were told, for the requests that run at the same time.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::base::atomic::{AtomicBool, Ordering};
use crate::prompts::{ConversationId, Memo, Rendered};

/// The memo, and whether there is anything in it: who uses no prompts takes no lock to know that.
#[derive(Debug, Default)]
pub struct Told {
    memo: Mutex<Memo>,
    /// Written under the lock, so that two writers never leave the older word.
    is_used: AtomicBool,
}

impl Told {
    /// What a conversation was told first, if that is known. It has been used now.
    pub fn recall(&self, id: ConversationId, now: Instant) -> Option<Arc<[Rendered]>> {
        self.memo.lock().recall(id, now)
    }

    /// Keeps what a conversation is told, and returns it; what it was told before, if another of its requests was
    /// quicker.
    pub fn keep(&self, id: ConversationId, prompts: Vec<Rendered>, now: Instant) -> Arc<[Rendered]> {
        let mut memo = self.memo.lock();
        let kept = memo.keep(id, prompts, now);
        self.is_used.store(!memo.is_empty(), Ordering::Relaxed);
        kept
    }

    /// Forgets the conversations that are over.
    pub fn sweep(&self, now: Instant) {
        let mut memo = self.memo.lock();
        memo.sweep(now);
        self.is_used.store(!memo.is_empty(), Ordering::Relaxed);
    }

    /// Whether no conversation is remembered.
    pub fn is_empty(&self) -> bool {
        !self.is_used.load(Ordering::Relaxed)
    }
}
