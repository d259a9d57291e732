//! What a backend's prompt cache has been worth since the program began. Counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use llm_dialect::usage::Usage;

/// The counters of one backend.
#[derive(Debug, Default)]
pub struct CacheCount {
    input: AtomicU64,
    cached: AtomicU64,
    moves: AtomicU64,
    anew: AtomicU64,
}

/// What they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheView {
    /// Input tokens of its answers, cached ones among them.
    pub input: u64,
    /// Those of them that came from its cache.
    pub cached: u64,
    /// How often an answer to one of its conversations came from elsewhere.
    pub moves: u64,
    /// The tokens that its cache held of those conversations, as far as it had said: elsewhere they were read anew.
    pub anew: u64,
}

impl CacheCount {
    /// An answer of the backend had these tokens, as far as it says.
    pub fn answer(&self, usage: &Usage) {
        add(&self.input, usage.input);
        add(&self.cached, usage.cache_read);
    }

    /// A conversation of the backend was answered elsewhere, and so many tokens of it were in its cache.
    pub fn moved(&self, cached: u64) {
        add(&self.moves, Some(1));
        add(&self.anew, Some(cached));
    }

    /// The counts now.
    pub fn view(&self) -> CacheView {
        CacheView {
            input: self.input.load(Ordering::Relaxed),
            cached: self.cached.load(Ordering::Relaxed),
            moves: self.moves.load(Ordering::Relaxed),
            anew: self.anew.load(Ordering::Relaxed),
        }
    }
}

/// A backend may say anything: no answer counts for more than four billion.
fn add(counter: &AtomicU64, tokens: Option<u64>) {
    let tokens = tokens.unwrap_or(0).min(u64::from(u32::MAX));
    counter.fetch_add(tokens, Ordering::Relaxed);
}

impl CacheView {
    /// The part of the input that came from the cache, from 0 to 1; none before there was any input.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub fn hit_ratio(&self) -> Option<f64> {
        (self.input > 0).then(|| self.cached as f64 / self.input as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_of_all_input_so_far() {
        let count = CacheCount::default();
        assert_eq!(count.view().hit_ratio(), None);
        for (input, cache_read) in [(Some(1_000), None), (Some(3_000), Some(3_000)), (None, None)] {
            count.answer(&Usage {
                input,
                cache_read,
                ..Usage::default()
            });
        }
        count.moved(700);
        let view = count.view();
        assert_eq!(
            (view.input, view.cached, view.moves, view.anew),
            (4_000, 3_000, 1, 700)
        );
        assert_eq!(view.hit_ratio(), Some(0.75));
    }
}
