//! Waits that have an end, which comes when a test says so: before, after or in the midst of whatever happens besides.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use crate::base::atomic::{AtomicBool, Ordering};
use crate::sync::Notify;

loom::lazy_static! {
    static ref END: End = End::default();
}

#[derive(Default)]
struct End {
    has_come: AtomicBool,
    told: Notify,
}

/// The time of a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// All waits are over that have an end.
pub fn run_out() {
    END.has_come.store(true, Ordering::SeqCst);
    END.told.notify_waiters();
}

/// Waits for `future`, until [`run_out`].
///
/// # Errors
/// The time was over first.
pub async fn timeout<F: Future + Unpin>(_: Duration, mut future: F) -> Result<F::Output, Elapsed> {
    let mut over = pin!(over());
    poll_fn(|cx| match Pin::new(&mut future).poll(cx) {
        Poll::Ready(done) => Poll::Ready(Ok(done)),
        Poll::Pending => over.as_mut().poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}

async fn over() {
    let told = END.told.notified();
    if !END.has_come.load(Ordering::SeqCst) {
        told.await;
    }
}
