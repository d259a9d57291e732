//! How the limits stand, for `GET /api/status`.

use serde_json::{Map, Value, json};

use crate::base::clock;
use crate::config::types::Period;
use crate::limits::{Buckets, Unit};
use crate::state::{Live, Snapshot};

/// Who is served, and who waits.
pub(super) fn places(live: &Live) -> Value {
    let view = live.places.view();
    let waiting = view.now.by_priority.iter();
    let by_priority: Map<String, Value> = waiting
        .map(|(priority, count)| (priority.to_string(), json!(count)))
        .collect();
    json!({
        "in_service": view.now.in_service,
        "max": view.now.max,
        "waiting": view.now.waiting,
        "waiting_by_priority": by_priority,
        "refused_full": view.full,
        "refused_timeout": view.timed_out,
    })
}

/// Each limit that is set, with what is left of it; addresses only as a count.
pub(super) fn standing(snapshot: &Snapshot) -> Value {
    let keys = snapshot.keys.clients();
    let keys = keys.filter_map(|client| Some((client.name.to_string(), client.rates.as_deref()?)));
    let models = snapshot.aliases.iter();
    let models = models.filter_map(|(name, alias)| Some((name.clone(), alias.rates.as_deref()?)));
    json!({
        "global": snapshot.global_rates.as_deref().map(one),
        "addresses": snapshot.address_rates.as_ref().map(|addresses| addresses.len()),
        "keys": all(keys),
        "budgets": budgets(snapshot),
        "models": all(models),
    })
}

/// What each key with a budget has spent, by the name of the key.
fn budgets(snapshot: &Snapshot) -> Value {
    let now = clock::wall();
    let clients = snapshot.keys.clients();
    let each = clients.filter_map(|client| {
        let budget = client.budget.as_ref()?;
        let balance = budget.balance();
        let left = balance.span.end().duration_since(now).unwrap_or_default();
        let per = match budget.allowance.per {
            Period::Day => "day",
            Period::Month => "month",
        };
        let value = json!({
            "usd": budget.allowance.amount,
            "per": per,
            "spent_usd": balance.spent,
            "reserved_usd": balance.reserved,
            "period_end": clock::in_utc(left),
            "seconds_left": left.as_secs(),
        });
        Some((client.name.to_string(), value))
    });
    Value::Object(each.collect())
}

fn all<'a>(limits: impl Iterator<Item = (String, &'a Buckets)>) -> Value {
    Value::Object(limits.map(|(name, buckets)| (name, one(buckets))).collect())
}

fn one(buckets: &Buckets) -> Value {
    let now = clock::nanos(clock::now());
    let mut out = Map::new();
    for (name, unit) in [("requests", Unit::Requests), ("tokens", Unit::Tokens)] {
        if let Some(standing) = buckets.standing(unit, now) {
            let seconds = standing.reset.as_secs_f64();
            let value = json!({"limit": standing.limit, "remaining": standing.remaining, "seconds_to_reset": seconds});
            out.insert(name.to_owned(), value);
        }
    }
    Value::Object(out)
}
