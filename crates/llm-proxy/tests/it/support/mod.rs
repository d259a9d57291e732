//! What makes a test a sentence: a proxy, a client, and the wait for a thing to be so.

pub mod client;
pub mod collector;
pub mod hand;
pub mod proxy;
pub mod rig;
pub mod schema;
pub mod script;
pub mod tls;

use std::time::Duration;

pub use client::{Client, Reply, Streaming};
pub use collector::Collector;
pub use hand::Hand;
pub use proxy::Proxy;
pub use rig::Rig;
pub use script::Tongue;

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The time, for lower bounds on how long something took.
#[expect(
    clippy::disallowed_methods,
    reason = "a test looks at the real clock, as its proxy does"
)]
pub fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Waits for a future, but not for ever; `what` says what did not happen.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("waited in vain for: {what}"))
}

/// Waits for what has to come at once, where without it a clock of a minute or more would decide.
pub async fn promptly<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(5), future).await;
    done.unwrap_or_else(|_| panic!("not at once: {what}"))
}

/// Asks again and again until there is an answer.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        loop {
            pause.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    })
    .await
}
