//! A connection that tells its requests to end.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use loom::future::block_on;
use loom::thread;
use races::state::signals::Signals;

use super::in_every_order;

#[test]
fn a_request_hears_of_the_end_however_late_it_begins_to_listen() {
    in_every_order(|| {
        let signals = Arc::new(Signals::default());
        signals.set_multiplexed();
        let ended = Arc::clone(&signals);
        let end = thread::spawn(move || ended.end());
        let other = Arc::clone(&signals);
        let other = thread::spawn(move || hears(&other));
        hears(&signals);
        end.join().unwrap();
        other.join().unwrap();
    });
}

/// Ends when it is told to; never, if it is not told: loom sees that nobody can go on.
fn hears(signals: &Arc<Signals>) {
    let follower = signals.follow();
    block_on(poll_fn(|cx| {
        if follower.must_end(cx) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
}
