//! A place among the requests that are served, or a wait for one: after authentication, so that no stranger ever waits,
//! and before the body is read, so that memory is bounded by places.

use std::time::Duration;

use llm_dialect::wire_error::ErrorKind;
use tokio::time::timeout_at;

use super::deadline;
use super::failure::Failure;
use super::verdict;
use crate::base::Address;
use crate::limits::queue::Refused;
use crate::limits::who::cost;
use crate::limits::{KeyId, Who};
use crate::state::Context;

/// Waits for a place, which the request then holds to its last byte. Dropped, it leaves the queue. `length` is the
/// announced one of its body.
///
/// # Errors
/// The queue is full, or the wait was too long, for us or for its client.
pub async fn wait(ctx: &mut Context, length: Option<u64>) -> Result<(), Failure> {
    let waiting = ctx.live.places.enter(who(ctx, length), ctx.entry.started());
    let entered = match deadline::of_client(ctx) {
        // Whoever has given up by then holds up those behind it.
        Some(end) => timeout_at(end.into(), waiting)
            .await
            .map_err(|_elapsed| verdict::out_of_time())?,
        None => waiting.await,
    };
    let place = entered.map_err(|refused| match refused {
        Refused::Full { retry_after } => {
            let message = "Too many requests are being served and waiting; try again later.";
            overloaded(message, retry_after)
        }
        Refused::WaitedTooLong { retry_after } => {
            let message =
                "Too many requests are being served, and no place came free in time; try again later.";
            overloaded(message, retry_after)
        }
    })?;
    ctx.entry.record.queued = place.waited();
    ctx.held.place = Some(place);
    Ok(())
}

#[cold]
fn overloaded(message: &'static str, retry_after: Duration) -> Failure {
    Failure::local(ErrorKind::Overloaded, message).after(Some(retry_after))
}

fn who(ctx: &Context, length: Option<u64>) -> Who {
    let client = ctx.client.as_ref();
    Who {
        address: ctx.entry.record.ip.map(Address::of),
        key: client.map(|client| KeyId(client.id)),
        key_max: client.and_then(|client| client.max_concurrent),
        priority: client.map_or(0, |client| client.priority),
        class: ctx.hints.class,
        cost: cost(length),
    }
}
