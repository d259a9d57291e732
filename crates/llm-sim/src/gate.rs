//! A gate that answers wait behind, for as long as a test likes.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A gate, closed at first. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// Opens it for good: whatever waits behind it goes on, and what comes later does not wait.
    pub fn open(&self) {
        self.0.close();
    }

    /// Waits until it is open.
    pub(crate) async fn passed(&self) {
        // It has no permits to give: this ends when it is closed, which is what opens the gate.
        let _opened = self.0.acquire().await;
    }
}
