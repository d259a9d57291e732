//! The numbers, as whoever wants them takes them: `GET /metrics` in Prometheus' text format, version 0.0.4, and OTLP.
//!
//! Every label is a name of the config or one of ours, so there are never more series than those allow.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::families::{self, Family};
use crate::base::{Cost, clock};
use crate::health::{CoolingView, Scope};
use crate::limits::{Buckets, Unit};
use crate::observe::meters::Seen;
use crate::observe::panics;
use crate::state::{Backend, Live, Phase, Snapshot};

/// The page's type.
pub(super) const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page.
pub(super) fn metrics(snapshot: &Snapshot, live: &Live) -> String {
    let mut page = Page::default();
    tell(&mut page, snapshot, live);
    page.text
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// A whole one.
    Whole(u64),
    /// Any other.
    Real(f64),
    /// An amount of dollars.
    Money(Cost),
}

/// Who is told the numbers.
pub(crate) trait Numbers {
    /// What follows are samples of this metric.
    fn family(&mut self, family: &'static Family);

    /// A number, with the values of its labels in their order.
    fn sample(&mut self, values: &[&str], value: impl Into<Number>);

    /// What a histogram has seen.
    fn histogram(&mut self, values: &[&str], seen: &Seen);

    /// A metric of one number.
    fn single(&mut self, family: &'static Family, value: impl Into<Number>) {
        self.family(family);
        self.sample(&[], value);
    }
}

/// Tells all of them.
pub(crate) fn tell(page: &mut impl Numbers, snapshot: &Snapshot, live: &Live) {
    program(page, live);
    requests(page, snapshot, live);
    backends(page, snapshot, live);
    places(page, live);
    limits(page, snapshot);
    budgets(page, snapshot);
    config(page, snapshot, live);
    trouble(page, live);
}

fn budgets(page: &mut impl Numbers, snapshot: &Snapshot) {
    let clients = || snapshot.keys.clients();
    let budgets = || clients().filter_map(|client| Some((&client.name, client.budget.as_ref()?)));
    page.family(&families::BUDGET);
    for (name, budget) in budgets() {
        page.sample(&[name], budget.allowance.amount);
    }
    page.family(&families::BUDGET_SPENT);
    for (name, budget) in budgets() {
        page.sample(&[name], budget.balance().spent);
    }
}

fn program(page: &mut impl Numbers, live: &Live) {
    page.family(&families::INFO);
    page.sample(&[env!("CARGO_PKG_VERSION")], 1_u32);
    page.single(&families::STARTED, live.reloads.started);
    let draining = live.lifecycle.phase() != Phase::Serving;
    page.single(&families::DRAINING, u32::from(draining));
}

fn requests(page: &mut impl Numbers, snapshot: &Snapshot, live: &Live) {
    let totals = live.access.totals();
    let aliases = || {
        let own = snapshot.aliases.values().map(|alias| &*alias.meters);
        own.chain([&totals.other])
    };
    page.family(&families::REQUESTS);
    for alias in aliases() {
        for (dialect, status, count) in alias.requests() {
            page.sample(&[dialect, &alias.name, status], count);
        }
    }
    page.single(&families::IN_FLIGHT, live.access.in_flight().count());
    page.family(&families::ADDED);
    page.histogram(&[], &totals.added.seen());
    page.family(&families::TOKENS);
    for alias in aliases() {
        for (kind, count) in alias.tokens() {
            page.sample(&[&alias.name, kind], count);
        }
    }
    page.family(&families::COST);
    for alias in aliases() {
        page.sample(&[&alias.name], alias.cost());
    }
    page.family(&families::UNPRICED);
    for alias in aliases() {
        page.sample(&[&alias.name], alias.unpriced());
    }
}

fn backends(page: &mut impl Numbers, snapshot: &Snapshot, live: &Live) {
    let backends = &snapshot.backends;
    page.family(&families::ATTEMPTS);
    for backend in backends {
        for (class, count) in backend.meters.attempts() {
            page.sample(&[&backend.name, class], count);
        }
    }
    page.single(&families::HEDGES, live.access.totals().hedges());
    page.family(&families::FIRST_BYTE);
    for backend in backends {
        page.histogram(&[&backend.name], &backend.meters.first_byte.seen());
    }
    page.family(&families::BACKEND_IN_FLIGHT);
    for backend in backends {
        page.sample(&[&backend.name], backend.vitals.in_flight());
    }
    page.family(&families::BACKEND_ENABLED);
    for backend in backends {
        page.sample(&[&backend.name], u32::from(backend.is_on()));
    }
    page.family(&families::BACKEND_COST);
    for backend in backends {
        page.sample(&[&backend.name], backend.meters.cost());
    }
    page.family(&families::COOLDOWNS);
    for backend in backends {
        for (class, count) in backend.meters.cooldowns() {
            page.sample(&[&backend.name, class], count);
        }
    }
    let cooling = live.health.lock().cooling(clock::now());
    page.family(&families::COOLING);
    for backend in backends {
        for scope in Scope::ALL {
            let count = cooling.iter().filter(|view| is_of(view, backend, scope)).count();
            page.sample(&[&backend.name, scope.name()], count);
        }
    }
}

/// Whether a cooldown holds up that backend in that scope. One of a key that the config no longer has does not.
fn is_of(view: &CoolingView, backend: &Backend, scope: Scope) -> bool {
    let is_there = |key| backend.keys.iter().any(|own| own.id == key);
    view.backend == backend.id && view.scope == scope && view.key.is_none_or(is_there)
}

fn places(page: &mut impl Numbers, live: &Live) {
    let view = live.places.view();
    page.single(&families::IN_SERVICE, view.now.in_service);
    page.single(&families::PLACES, view.now.max);
    page.single(&families::WAITING, view.now.waiting);
    page.family(&families::REFUSED);
    page.sample(&["full"], view.full);
    page.sample(&["timeout"], view.timed_out);
}

fn limits(page: &mut impl Numbers, snapshot: &Snapshot) {
    let global = snapshot
        .global_rates
        .as_deref()
        .map(|rates| ("global", "", rates));
    let keys = snapshot.keys.clients();
    let keys = keys.filter_map(|client| Some(("key", &*client.name, client.rates.as_deref()?)));
    let models = snapshot.aliases.values();
    let models = models.filter_map(|alias| Some(("model", &*alias.name, alias.rates.as_deref()?)));
    let all: Vec<(&str, &str, &Buckets)> = global.into_iter().chain(keys).chain(models).collect();
    let now = clock::nanos(clock::now());
    for (family, of_limit) in [(&families::LIMIT, true), (&families::REMAINING, false)] {
        page.family(family);
        for (scope, name, buckets) in &all {
            for (unit, what) in [("requests", Unit::Requests), ("tokens", Unit::Tokens)] {
                if let Some(standing) = buckets.standing(what, now) {
                    let value = if of_limit {
                        standing.limit
                    } else {
                        standing.remaining
                    };
                    page.sample(&[scope, name, unit], value);
                }
            }
        }
    }
    page.family(&families::ADDRESSES);
    if let Some(addresses) = &snapshot.address_rates {
        page.sample(&[], addresses.len());
    }
}

fn config(page: &mut impl Numbers, snapshot: &Snapshot, live: &Live) {
    let reloads = &live.reloads;
    page.single(&families::GENERATION, snapshot.generation);
    page.family(&families::RELOADS);
    page.sample(&["taken"], reloads.taken.load(Ordering::Relaxed));
    page.sample(&["refused"], reloads.refused.load(Ordering::Relaxed));
    let well = live.last_reload_error.load().is_none();
    page.single(&families::RELOADED, u32::from(well));
    page.single(&families::SINCE, reloads.since.load(Ordering::Relaxed));
}

fn trouble(page: &mut impl Numbers, live: &Live) {
    let dropped = live.access.logs().dropped();
    page.family(&families::DROPPED);
    page.sample(&["stderr"], dropped.stderr);
    page.sample(&["file"], dropped.file);
    page.sample(&["bodies"], dropped.bodies);
    let ledger = live.access.ledger().state();
    page.single(&families::LEDGER_PENDING, ledger.pending);
    page.single(&families::LEDGER_DROPPED, ledger.dropped);
    page.single(&families::LEDGER_FAILING, u32::from(ledger.error.is_some()));
    let outbox = live.access.outbox();
    page.single(&families::SPANS_SENT, outbox.sent());
    page.single(&families::SPANS_DROPPED, outbox.dropped());
    page.single(&families::PANICS, panics::count());
}

/// The page in the making. Writing to a `String` cannot fail.
#[derive(Default)]
struct Page {
    text: String,
    family: Option<&'static Family>,
}

impl Numbers for Page {
    fn family(&mut self, family: &'static Family) {
        let (name, kind) = (family.name, family.kind.name());
        let _ = writeln!(self.text, "# HELP {name} {}.\n# TYPE {name} {kind}", family.help);
        self.family = Some(family);
    }

    fn sample(&mut self, values: &[&str], value: impl Into<Number>) {
        self.write("", values, None, value.into());
    }

    fn histogram(&mut self, values: &[&str], seen: &Seen) {
        for (bound, count) in &seen.buckets {
            self.write("_bucket", values, Some(&bound.to_string()), count);
        }
        self.write("_bucket", values, Some("+Inf"), seen.count);
        self.write("_sum", values, None, seen.sum);
        self.write("_count", values, None, seen.count);
    }
}

impl Page {
    fn write(&mut self, ending: &str, values: &[&str], bound: Option<&str>, value: impl std::fmt::Display) {
        let Some(family) = self.family else { return };
        self.text.push_str(family.name);
        self.text.push_str(ending);
        let labels = family.labels.iter().copied().zip(values.iter().copied());
        let mut separator = '{';
        for (label, value) in labels.chain(bound.map(|bound| ("le", bound))) {
            let _ = write!(self.text, "{separator}{label}=\"{}\"", escaped(value));
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Real(number) => number.fmt(f),
            Self::Money(cost) => cost.fmt(f),
        }
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<Cost> for Number {
    fn from(cost: Cost) -> Self {
        Self::Money(cost)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::families::ALL;
    use super::*;

    const ABOUT: &str = "<!-- Made from crates/llm-proxy/src/admin/families.rs; a test keeps it so. -->

# Metrics

`GET /metrics` on the [admin listener](../guide/operations.md#status) answers in Prometheus' text format. [Logs and
metrics](../guide/logs.md#metrics) tells how to scrape it, and what to watch.

Every label is a name of the config, or one of a fixed set; whatever clients name that is no alias counts as `other`. So
there are never more series than the config allows. Numbers of an alias, or of a backend at the same URL, live on over a
reload; those of one that the config no longer has are gone.

| label | is |
| --- | --- |
| `alias` | the alias' name in the config, a glob's own pattern; `other`: no alias, or none that the key may use |
| `backend` | the backend's name |
| `class` | as in the access line: `ok`, or a [class of failure](../concepts/failover.md#what-a-failure-is) |
| `dialect` | `chat` (all other calls of OpenAI's too), `responses`, `messages` |
| `kind` | `input`, `output`, `cache_read`, `cache_write`, `reasoning` |
| `name` | the key's or the alias' name; empty for the global limit |
| `outlet` | `stderr`, `file`, `bodies` |
| `reason` | `full`, `timeout` |
| `result` | `taken`, `refused` |
| `scope` | of a cooldown: `backend`, `backend_model`, `key`, `key_model`; of a limit: `global`, `key`, `model` |
| `status` | those that are common, else `other` |
| `unit` | `requests`, `tokens` |

| metric | kind | labels | meaning |
| --- | --- | --- | --- |
";

    #[test]
    fn the_page_of_metrics_is_the_one_that_the_table_makes() {
        let mut page = ABOUT.to_owned();
        for family in ALL {
            let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} |",
                family.name,
                family.kind.name(),
                labels.join(", "),
                family.help
            );
            for label in family.labels.iter().filter(|label| **label != "version") {
                assert!(
                    ABOUT.contains(&format!("| `{label}` | ")),
                    "`{label}` means nothing"
                );
            }
        }
        crate::config::stale::check("docs/reference/metrics.md", &page);
    }

    #[test]
    fn a_label_keeps_to_its_quotes_whatever_it_is() {
        let mut page = Page::default();
        page.family(&families::BACKEND_IN_FLIGHT);
        page.sample(&["a\"} 9\n\\"], 1_u32);
        let last = page.text.lines().last().unwrap();
        assert_eq!(last, r#"llm_proxy_backend_in_flight{backend="a\"} 9\n\\"} 1"#);
    }
}
