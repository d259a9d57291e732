//! Panics: each is counted and logged with its place and a backtrace. Its message is not: it may hold what a request
//! holds.

use std::backtrace::Backtrace;
use std::panic::{Location, PanicHookInfo};
use std::sync::atomic::{AtomicU64, Ordering};

/// The hook belongs to the whole process, and so does the count.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// From now on panics go to the log instead of straight to standard error.
pub fn install() {
    std::panic::set_hook(Box::new(note));
}

/// How many there were.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

fn note(panic: &PanicHookInfo<'_>) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    // The place needs no symbols, so it is there in a stripped binary too.
    let location = panic.location().map(Location::to_string).unwrap_or_default();
    let backtrace = Backtrace::force_capture().to_string();
    tracing::error!(location, backtrace, "a panic was caught");
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_counted_and_logged_with_its_place_but_without_its_message() {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let before = count();
        tracing::subscriber::with_default(subscriber, || {
            install();
            let caught = std::panic::catch_unwind(|| panic!("sk-canary-in-a-panic"));
            let _ = std::panic::take_hook();
            assert!(caught.is_err());
        });
        let text = String::from_utf8(page.0.lock().clone()).unwrap();
        assert!(count() > before);
        assert!(text.contains("a panic was caught"), "{text}");
        assert!(text.contains("location=\"crates"), "{text}");
        assert!(text.contains("backtrace="), "{text}");
        assert!(!text.contains("sk-canary"), "{text}");
    }
}
