//! Free memory goes back to the system, even if nothing happens any more.
//!
//! mimalloc gives back what has been free for a second, but it looks for that while it is asked for memory: after a load
//! that has ended at once nobody asks, and all of it would stay. There are calls for that, which are not safe ones; what is
//! done here leads to the same. It takes a third of a millisecond of each worker.

use std::hint::black_box;
use std::thread;

use tokio::runtime::Handle;

/// After so many requests that are not tiny, mimalloc looks through what the thread that asks holds: memory that another
/// thread has freed is noticed only then.
const REQUESTS: usize = 10_000;
const NOT_TINY: usize = 2048;

/// Has all workers look through what they hold, and gives back what was found free the time before.
pub(super) fn give_back() {
    let runtime = Handle::current();
    // While one worker is busy with the first, others wake up for the rest.
    for _ in 0..runtime.metrics().num_workers() {
        runtime.spawn(async { look_through() });
    }
    let ending = thread::Builder::new().name("memory".to_owned());
    // At a thread's end, all that has been free for long enough is given back at once, not a part of it. Without a thread
    // it stays until the next time.
    let _ended_alone = ending.spawn(|| drop(black_box(Vec::<u8>::with_capacity(NOT_TINY))));
}

fn look_through() {
    for _ in 0..REQUESTS {
        drop(black_box(Vec::<u8>::with_capacity(NOT_TINY)));
    }
}
