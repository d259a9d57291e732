//! Wake-ups that are known to tell a task nothing, held back.
//!
//! Whoever takes a piece out of a request's body wakes the connection that it came over, for it to read the next one;
//! hyper does so with the last piece too. Over HTTP/1.1 both are polled by one task, which would be polled once more
//! for nothing at every request.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Wake, Waker};

thread_local! {
    static HEARING: Cell<Hearing> = const { Cell::new(Hearing::All) };
}

/// What becomes of a wake-up by a muffled waker on this thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// It wakes.
    All,
    /// It is held back, and none has been.
    Nothing,
    /// One has been held back.
    Missed,
}

/// A waker that does what `task` does, but within [`quietly`].
pub fn muffled(task: &Waker) -> Waker {
    Waker::from(Arc::new(Muffled(task.clone())))
}

struct Muffled(Waker);

impl Wake for Muffled {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match HEARING.get() {
            Hearing::All => self.0.wake_by_ref(),
            Hearing::Nothing | Hearing::Missed => HEARING.set(Hearing::Missed),
        }
    }
}

/// Runs `work` while muffled wakers wake nobody on this thread; what other threads wake meanwhile is woken. Says
/// whether anything was held back: unless that is known to be for nothing, it is the caller's to wake.
pub fn quietly<T>(work: impl FnOnce() -> T) -> (T, bool) {
    /// Ends the quiet however `work` ends.
    struct Quiet;
    impl Drop for Quiet {
        fn drop(&mut self) {
            HEARING.set(Hearing::All);
        }
    }
    HEARING.set(Hearing::Nothing);
    let _quiet = Quiet;
    let done = work();
    (done, HEARING.get() == Hearing::Missed)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counted() -> (Waker, Arc<Count>) {
        let count = Arc::<Count>::default();
        (muffled(&Waker::from(Arc::clone(&count))), count)
    }

    #[test]
    fn it_wakes_but_within_the_quiet_which_says_what_it_held_back() {
        let (waker, count) = counted();
        waker.wake_by_ref();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(quietly(|| waker.wake_by_ref()).1);
        assert!(!quietly(|| ()).1, "nothing of the last time is left");
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        waker.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn other_threads_are_heard_in_the_quiet() {
        let (waker, count) = counted();
        let ((), missed) = quietly(|| {
            std::thread::scope(|scope| scope.spawn(|| waker.wake_by_ref()).join()).unwrap();
        });
        assert!(!missed);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_panic_ends_the_quiet() {
        let (waker, count) = counted();
        let broken = catch_unwind(AssertUnwindSafe(|| quietly(|| panic!("in the quiet"))));
        assert!(broken.is_err());
        waker.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
