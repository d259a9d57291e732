//! The access record: one line a request, written when its last byte is out or its client is gone.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;
use llm_dialect::usage::Usage;
use llm_dialect::{Api, Dialect};

use super::finished::Finished;
use super::ledger::Ledger;
use super::line::Line;
use super::log::Form;
use super::meters::{AliasMeters, BackendMeters, Totals};
use super::outbox::Outbox;
use super::recent::Recent;
use super::series::Series;
use super::trace::Trace;
use super::{Bodies, Logs, logs};
use crate::base::gauge::{Gauge, GaugeGuard};
use crate::base::trace::SpanId;
use crate::base::{Class, Cost, clock};
use crate::config::types::{self, Logging};
use crate::health::Scope;
use crate::prices::Price;

/// The status of a request whose handling panicked.
const BROKEN: u16 = 500;

/// How many of those that were passed over are told.
pub const MAX_SKIPPED: usize = 8;

/// One attempt of a request.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The backend: its name, and what is counted of it.
    pub backend: Arc<BackendMeters>,
    /// The name of the backend's key: never the key.
    pub key: Arc<str>,
    /// The backend's model.
    pub model: Arc<str>,
    /// The backend's call: another one than the client's where the request was converted.
    pub api: Api,
    /// Its span; none where the request has no trace.
    pub span: Option<SpanId>,
    /// How long after the request's arrival it began.
    pub after: Duration,
    /// What it came to; none where it answered.
    pub class: Option<Class>,
    /// What of the backend is used up, by its name in logs; none where that is not told.
    pub kind: Option<&'static str>,
    /// The backend's status, if a response head came.
    pub status: Option<u16>,
    /// How long it took, to the commit point where it answered.
    pub took: Duration,
    /// What began to cool for it, and for how long.
    pub cooldown: Option<(Scope, Duration)>,
}

impl Attempt {
    /// What it came to, in a word.
    pub fn outcome(&self) -> &'static str {
        self.class.map_or("ok", Class::name)
    }
}

/// A candidate that was passed over, since it could not be asked.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// The backend.
    pub backend: Arc<BackendMeters>,
    /// The name of the backend's key: never the key.
    pub key: Arc<str>,
    /// The backend's model.
    pub model: Arc<str>,
    /// Why.
    pub why: Obstacle,
}

impl Skipped {
    /// Whether it is the one with this key, whose name has the backend's in it, and this model.
    fn is_of(&self, key: &str, model: &str) -> bool {
        (&*self.key, &*self.model) == (key, model)
    }
}

/// Why a candidate could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It cooled for that, and so long from then on.
    Cooling(Class, Duration),
    /// Another request was finding out whether it is well again.
    Probed(Class),
    /// It had no place free.
    Full,
}

/// What happens to a request's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is written and counted.
    Logged,
    /// It is only counted: there is no access log.
    Counted,
    /// A health probe or the like: nothing.
    Probe,
}

/// Who writes the records, and counts them.
#[derive(Debug)]
pub struct Access {
    logs: Arc<Logs>,
    /// Requests that are being served.
    in_flight: Gauge,
    /// Requests that have been served.
    finished: AtomicU64,
    totals: Totals,
    recent: Recent,
    ledger: Ledger,
    outbox: Outbox,
    series: Series,
}

impl Access {
    /// A writer of records into `logs`.
    pub fn new(logs: Arc<Logs>) -> Arc<Self> {
        Arc::new(Self {
            logs,
            in_flight: Gauge::default(),
            finished: AtomicU64::new(0),
            totals: Totals::default(),
            recent: Recent::default(),
            ledger: Ledger::default(),
            outbox: Outbox::default(),
            series: Series::default(),
        })
    }

    /// Where they are written.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Requests that are being served now.
    pub fn in_flight(&self) -> &Gauge {
        &self.in_flight
    }

    /// Requests that have been served.
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    /// What is counted of all requests together.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The requests that ended last.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Where records wait that become spans.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The last quarter of an hour in numbers.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Begins the record of a request, of which nothing is known yet.
    pub fn begin(self: &Arc<Self>, kind: Kind) -> Entry {
        let counted = self.in_flight.enter();
        Entry {
            access: Arc::clone(self),
            record: Box::default(),
            started: clock::now(),
            kind,
            bodies: None,
            _counted: counted,
        }
    }
}

impl Access {
    fn count(&self, record: &Record, (status, failed): (u16, bool), at: SystemTime) {
        self.series.note(record, (status, failed), self.in_flight.count());
        let alias = record.alias.as_deref().unwrap_or(&self.totals.other);
        alias.request(record.dialect, status);
        alias.used(&record.usage, record.cost);
        if let (Some(cost), Some(last)) = (record.cost, record.attempts.last()) {
            last.backend.spent(cost);
        }
        let queued = record.queued.unwrap_or_default();
        // Where two overlap, nobody can say what of the time was neither's.
        let first_byte = record.first_byte.filter(|_| !record.hedged);
        self.totals.attempts(&record.attempts, first_byte, queued);
        if record.hedged {
            self.totals.hedge();
        }
        for attempt in &record.attempts {
            attempt.backend.lately.attempt(attempt, at);
        }
    }
}

/// What is known of a request so far.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Its id.
    pub request_id: String,
    /// The name of the key that it came with.
    pub key: Option<Arc<str>>,
    /// Where it came from.
    pub ip: Option<IpAddr>,
    /// Its dialect.
    pub dialect: Dialect,
    /// Its place in a trace; none where there are no traces.
    pub trace: Option<Box<Trace>>,
    /// Which call it is; none as long as that is not sure.
    pub api: Option<Api>,
    /// Whether it wants a stream.
    pub stream: bool,
    /// The alias that it asked for; none as long as that is not sure.
    pub alias: Option<Arc<AliasMeters>>,
    /// The model that it named, where that is not the alias' own name.
    pub asked: Option<Arc<str>>,
    /// The status that the client got.
    pub status: Option<u16>,
    /// Told if a head, a 200, went out before there was an answer; none where that cannot be.
    pub begun: Option<Arc<AtomicBool>>,
    /// Why it failed.
    pub class: Option<Class>,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// The attempt that is under way beside the last of them.
    pub beside: OnceLock<Box<Attempt>>,
    /// Whether there was one.
    pub hedged: bool,
    /// Who was passed over and not asked later, at most [`MAX_SKIPPED`] of them.
    pub skipped: Vec<Skipped>,
    /// How long it waited for a place; none where it did not.
    pub queued: Option<Duration>,
    /// From its arrival to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// Tokens.
    pub usage: Usage,
    /// What the model that answered costs; none where nobody knows.
    pub price: Option<Arc<Price>>,
    /// What those tokens cost; none where there are none, or nobody knows their price.
    pub cost: Option<Cost>,
    /// What a conversion could not carry.
    pub warnings: Vec<String>,
    /// Whether the answer is whole: set with the last byte.
    pub complete: bool,
    /// The generation of the config that it was served by.
    pub generation: u64,
}

impl Record {
    /// So many tokens were used, and that is what they cost.
    pub fn used(&mut self, usage: Usage) {
        self.usage = usage;
        self.cost = self.price.as_ref().and_then(|price| price.of(&usage));
    }

    /// A candidate is passed over. The first reason stays.
    pub fn skip(&mut self, skipped: Skipped) {
        let known = self
            .skipped
            .iter()
            .any(|own| own.is_of(&skipped.key, &skipped.model));
        if !known && self.skipped.len() < MAX_SKIPPED {
            self.skipped.push(skipped);
        }
    }

    /// An attempt begins: its candidate was not passed over after all.
    pub fn attempt(&mut self, attempt: Attempt) {
        self.skipped
            .retain(|own| !own.is_of(&attempt.key, &attempt.model));
        // Most requests need one: a vector that grows by itself makes room for four.
        self.attempts.reserve_exact(1);
        self.attempts.push(attempt);
    }

    /// The attempt beside the last one is no longer under way: it is one of the list now.
    pub fn join(&mut self) {
        if let Some(beside) = self.beside.take() {
            self.hedged = true;
            self.attempt(*beside);
        }
    }

    /// The model that it asked for, as long as that is an alias.
    pub fn alias(&self) -> Option<&str> {
        let own = self.alias.as_ref().map(|alias| &*alias.name);
        self.asked.as_deref().or(own)
    }

    /// Whether it came with a key of the config, or got as far as an alias. What strangers send is logged, but nobody adds
    /// it up or keeps it for long: they could fill a disk with it.
    pub fn is_known(&self) -> bool {
        self.key.is_some() || self.alias.is_some()
    }

    /// What the backend of the last attempt is told of the trace; none where there is no trace of ours.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        let beside = self.beside.get().map(|beside| &**beside);
        let span = beside.or(self.attempts.last())?.span?;
        self.trace.as_ref()?.below(span).header()
    }
}

/// The record of a request in the making. Dropping it writes it: a request cannot end without its line.
#[derive(Debug)]
pub struct Entry {
    access: Arc<Access>,
    /// What is known so far. Boxed: it is large, and moves with every response.
    pub record: Box<Record>,
    started: Instant,
    kind: Kind,
    /// The bodies, where they are kept.
    bodies: Option<Box<Bodies>>,
    _counted: GaugeGuard,
}

impl Entry {
    /// When the request arrived.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Keeps the request's body if these settings ask for it, and what it will be answered.
    pub fn asked(&mut self, body: &[u8], logging: &Logging) {
        if logging.bodies != types::Bodies::Off {
            let only_errors = logging.bodies == types::Bodies::Errors;
            let mut bodies = Bodies::new(&logging.bodies_dir, only_errors);
            bodies.asked(body);
            self.bodies = Some(Box::new(bodies));
        }
    }

    /// A part of the answer goes out.
    pub fn answered(&mut self, bytes: &[u8]) {
        if let Some(bodies) = &mut self.bodies {
            bodies.answered(bytes);
        }
    }

    /// Marks `now` as the time of the first byte towards the client.
    pub fn first_byte(&mut self, now: Instant) {
        self.record.first_byte = Some(now.saturating_duration_since(self.started));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.record.status = Some(BROKEN);
            self.record.class = Some(Class::Local);
        }
        self.access.finished.fetch_add(1, Ordering::Relaxed);
        if self.kind == Kind::Probe {
            return;
        }
        self.record.join();
        let elapsed = clock::now().duration_since(self.started);
        let at = clock::wall();
        let line = Line::of(&self.record, elapsed, at);
        // Counted first: whoever has read the line finds it in the numbers.
        let told = (line.status, line.is_failure());
        self.access.count(&self.record, told, at);
        if self.access.ledger.is_on() && self.record.is_known() {
            self.access.ledger.take(&line);
        }
        let logs = &self.access.logs;
        if self.kind == Kind::Logged {
            logs.line(|form, room| match form {
                Form::Json => line.write_json(room),
                Form::Pretty => logs::copied(&line.pretty(), room),
            });
        }
        if let Some(bodies) = self.bodies.take() {
            logs.bodies().take(*bodies, || line.value(), told.1);
        }
        if self.record.trace.is_some() {
            self.access.outbox.put(Finished::of(&self.record, elapsed, at));
        }
        self.access.recent.keep(&mut self.record, (elapsed, at), told.1);
    }
}
