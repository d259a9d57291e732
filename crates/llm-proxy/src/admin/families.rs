//! The metrics that there are: their names, kinds, labels and meanings, once. The page that lists them is made from
//! this table.

/// What a metric's numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// They only grow, until the program ends.
    Counter,
    /// They go up and down.
    Gauge,
    /// They fall into buckets.
    Histogram,
}

/// A metric.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    /// One sentence, without a full stop.
    pub(crate) help: &'static str,
}

impl Kind {
    /// Prometheus' word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Makes the families, and a list of them all in their order.
macro_rules! families {
    ($($id:ident $kind:ident $name:literal [$($label:literal),*] $help:literal)*) => {
        $(pub(super) static $id: Family = Family {
            name: concat!("llm_proxy_", $name),
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*
        /// All of them, as they are shown.
        #[cfg(test)]
        pub(super) static ALL: &[&Family] = &[$(&$id),*];
    };
}

families! {
    INFO Gauge "info" ["version"] "Always 1; the version of the program as a label"
    STARTED Gauge "start_time_seconds" [] "When the program started, in Unix seconds"
    DRAINING Gauge "draining" [] "1 while the program drains before its end"
    REQUESTS Counter "requests_total" ["dialect", "alias", "status"]
        "Requests that are over, by what the client was sent; 499: it left before there was anything to send"
    IN_FLIGHT Gauge "requests_in_flight" [] "Requests that are being served, their queueing and streaming included"
    ADDED Histogram "added_seconds" []
        "What the proxy itself takes of the time to the first byte of an answer: neither an attempt nor the queue"
    TOKENS Counter "tokens_total" ["alias", "kind"]
        "Tokens as backends reported them; `cache_read` and `cache_write` are part of `input`, `reasoning` of `output`"
    COST Counter "cost_usd_total" ["alias"] "What answers cost in US dollars, as far as their price is known"
    UNPRICED Counter "unpriced_answers_total" ["alias"]
        "Answers whose tokens are known and whose price is not, so that they are missing in the cost"
    ATTEMPTS Counter "attempts_total" ["backend", "class"] "Attempts at a backend, by what they came to; `ok` answered"
    HEDGES Counter "hedges_total" [] "Attempts that were begun beside a silent one (`timeout.hedge_after`)"
    FIRST_BYTE Histogram "first_byte_seconds" ["backend"]
        "From the beginning of an attempt to the first real content of its answer"
    BACKEND_IN_FLIGHT Gauge "backend_in_flight" ["backend"] "Requests that a backend is working on"
    BACKEND_ENABLED Gauge "backend_enabled" ["backend"] "1 where a backend may be used: neither the config nor the operator has turned it off"
    BACKEND_COST Counter "backend_cost_usd_total" ["backend"]
        "What a backend's answers cost in US dollars, as far as their price is known"
    COOLDOWNS Counter "cooldowns_total" ["backend", "class"] "Cooldowns that began, by the failure that began them"
    COOLING Gauge "cooling" ["backend", "scope"]
        "How much of a backend is cooling at the moment: itself (1), models of it, keys, keys for one model"
    IN_SERVICE Gauge "places_in_service" [] "Requests that have a place (`concurrency`)"
    PLACES Gauge "places_max" [] "How many may have one (`concurrency.max_requests`)"
    WAITING Gauge "queue_waiting" [] "Requests that wait for a place"
    REFUSED Counter "queue_refused_total" ["reason"] "Requests that got none: the queue was full, or the wait too long"
    LIMIT Gauge "rate_limit" ["scope", "name", "unit"] "The size of a rate limit"
    REMAINING Gauge "rate_limit_remaining" ["scope", "name", "unit"] "What is left of it at the moment"
    ADDRESSES Gauge "rate_limit_addresses" [] "Addresses that have used something of their own limit"
    BUDGET Gauge "budget_usd" ["name"] "What a key may spend in its period, in US dollars"
    BUDGET_SPENT Gauge "budget_spent_usd" ["name"] "What it has spent in the period that is running"
    GENERATION Gauge "config_generation" [] "How many configs have been in force since the start"
    RELOADS Counter "reloads_total" ["result"] "Reloads of the config, by whether it was taken"
    RELOADED Gauge "config_last_reload_success" [] "0 where the last reload was refused, else 1"
    SINCE Gauge "config_since_seconds" [] "Since when the config in force has been, in Unix seconds"
    DROPPED Counter "log_dropped_total" ["outlet"]
        "Lines of the log that could not be written, or bodies: its reader was too slow, or its disk full"
    LEDGER_PENDING Gauge "ledger_pending" [] "Rows of the ledger that are not written yet"
    LEDGER_DROPPED Counter "ledger_dropped_total" []
        "Rows of the ledger that were given up: too many waited for a database that could not take them"
    LEDGER_FAILING Gauge "ledger_failing" [] "1 while the ledger cannot be written"
    SPANS_SENT Counter "telemetry_spans_total" [] "Spans that the collector has taken"
    SPANS_DROPPED Counter "telemetry_dropped_total" []
        "Spans that it never got: it was away, too slow, or refused them"
    PANICS Counter "panics_total" [] "Bugs that ended one request each"
}
