//! The end of the program: its requests are finished, and how long that may take.

use std::time::Duration;

use tokio::time::timeout;

use super::reload::Reloader;
use super::run::Fatal;
use super::signals::Signals;
use super::systemd;
use crate::base::clock;
use crate::base::gauge::Gauge;
use crate::state::{Live, Phase};

/// What connections get at least to write their last words, even where the grace is over.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Another program has the addresses. Nothing presses, so nothing is cut: what is in flight goes on to its own end, within
/// `timeout.total` as ever. Each answer that begins now is the last on its connection, and a connection that asks nothing
/// more ends by the clock that it always has; so no request meets a connection that has just been closed for this. A
/// signal makes it an ordinary drain.
pub(super) async fn see_out(
    reloader: &mut Reloader,
    signals: &mut Signals,
    live: &Live,
    connections: &Gauge,
) -> Result<(), Fatal> {
    live.lifecycle.advance(Phase::HandedOver);
    reloader.listeners.keep(&[]);
    reloader.admin_listeners.keep(&[]);
    let all_done = async {
        connections.until_zero().await;
        // What is read on for its usage has no connection any longer.
        live.access.in_flight().until_zero().await;
    };
    tokio::select! {
        () = all_done => {
            tracing::info!("stopped");
            Ok(())
        }
        () = signals.end() => drain(reloader, signals, live, connections).await,
    }
}

/// Stops accepting, lets what is in flight finish within `shutdown_grace`, then ends the rest with an error event.
pub(super) async fn drain(
    reloader: &mut Reloader,
    signals: &mut Signals,
    live: &Live,
    connections: &Gauge,
) -> Result<(), Fatal> {
    let began = clock::now();
    let grace = reloader.front.snapshot.load().config.shutdown_grace;
    let in_flight = live.access.in_flight();
    if live.lifecycle.phase() == Phase::Serving {
        systemd::tell("STOPPING=1");
    }
    live.lifecycle.advance(Phase::Draining);
    reloader.listeners.keep(&[]);
    tracing::info!(
        "draining: {} requests in flight have {grace:?} to finish",
        in_flight.count()
    );
    let last_words = async {
        if timeout(grace, in_flight.until_zero()).await.is_err() {
            tracing::warn!("the grace is over: ending {} requests", in_flight.count());
        }
        // From here on an idle connection is closed, and any other after what it is writing: a request is done once its
        // last byte is handed to its connection, which a slow reader has yet to take.
        live.lifecycle.advance(Phase::Ending);
        let left = grace.saturating_sub(clock::now().duration_since(began));
        let _ = timeout(left.max(LAST_WORDS), connections.until_zero()).await;
    };
    tokio::select! {
        () = last_words => {
            tracing::info!("stopped");
            Ok(())
        }
        () = signals.end() => {
            let (requests, connections) = (in_flight.count(), connections.count());
            tracing::warn!("told twice: ending at once with {requests} requests and {connections} connections");
            Err(Fatal::Runtime("ended before all requests were finished".to_owned()))
        }
    }
}
