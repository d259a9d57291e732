//! A response that may begin before there is an answer (`stream.early_heartbeat_after`): what a request and whoever waits
//! for its answer tell one another.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use llm_dialect::Dialect;
use tokio::time::sleep_until;

/// The two sides' common knowledge.
#[derive(Debug, Default)]
pub struct Early {
    signs: OnceLock<Signs>,
    begun: Arc<AtomicBool>,
}

/// The signs of life that a client is given meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    /// When the first one is due, and the head with it.
    pub due: Instant,
    /// How long after it the next one.
    pub every: Duration,
    /// The client's dialect.
    pub dialect: Dialect,
}

impl Early {
    /// The request wants a stream: its client may be given such signs.
    pub fn allow(&self, signs: Signs) {
        let _ = self.signs.set(signs);
    }

    /// Whether the head is out: a 200, whatever comes.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// The same, for the request's record.
    pub fn begun(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.begun)
    }

    /// Waits for the answer, but not beyond the time of the first sign.
    ///
    /// # Errors
    /// That time has come. The answer is still to be waited for.
    pub async fn wait<F: Future + Unpin>(&self, answer: &mut F) -> Result<F::Output, Signs> {
        let mut timer = None;
        poll_fn(|cx| {
            if let Poll::Ready(done) = Pin::new(&mut *answer).poll(cx) {
                return Poll::Ready(Ok(done));
            }
            let Some(signs) = self.signs.get() else {
                return Poll::Pending;
            };
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(signs.due.into())));
            timer.as_mut().poll(cx).map(|()| {
                self.begun.store(true, Ordering::Release);
                Err(*signs)
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    const AFTER: Duration = Duration::from_secs(20);

    fn signs() -> Signs {
        Signs {
            due: clock::now() + AFTER,
            every: AFTER,
            dialect: Dialect::Chat,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn s23_the_head_goes_out_when_the_time_has_come_and_not_for_who_wants_no_stream() {
        for (allowed, takes, begins) in [
            (true, AFTER * 2, true),
            (true, AFTER / 2, false),
            (false, AFTER * 2, false),
        ] {
            let (early, signs) = (Early::default(), signs());
            let mut answer = Box::pin(async {
                if allowed {
                    early.allow(signs);
                }
                tokio::time::sleep(takes).await;
            });
            let waited = early.wait(&mut answer).await;
            assert_eq!(waited.err(), begins.then_some(signs), "{allowed} {takes:?}");
            assert_eq!(early.has_begun(), begins);
            assert_eq!(early.begun().load(Ordering::Acquire), begins);
        }
    }
}
