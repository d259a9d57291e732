//! Budgets learn from the ledger what was spent: before this start, and on other nodes.

use std::time::Duration;

use crate::base::{Day, clock};
use crate::observe::ledger;
use crate::state::Live;

/// How long the ledger may take at the start, and each time after that.
const PATIENCE: Duration = Duration::from_secs(3);

/// Before the first request is served: what the day and the month have cost so far. A ledger that does not answer in time
/// holds nothing up.
pub(super) async fn at_start(live: &Live) {
    if let Err(why) = recall(live).await {
        tracing::warn!("budgets begin with nothing spent until the ledger can be read: {why}");
    }
}

/// Tells each budget what the ledger knows of it.
pub(super) async fn recall(live: &Live) -> Result<(), String> {
    let wanted = live.spendings.wanted();
    let (Some(at), Some(first)) = (
        live.access.ledger().at(),
        wanted.iter().map(|wanted| wanted.since).min(),
    ) else {
        return Ok(());
    };
    let days = (Day::of(first), Day::of(clock::wall()));
    let sums = ledger::read_apart(at, days, PATIENCE).await?;
    for wanted in &wanted {
        live.spendings
            .seed(wanted, sums.spent(&wanted.key, Day::of(wanted.since)));
    }
    Ok(())
}
