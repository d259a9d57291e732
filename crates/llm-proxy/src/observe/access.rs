//! The access record: one line a request, written when its last byte is out or its client is gone.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use llm_dialect::usage::Usage;
use serde::Serialize;

use super::Sink;
use super::escape::{self, readable};
use super::log::{Form, clock_time, timestamp};
use crate::base::gauge::{Gauge, GaugeGuard};
use crate::base::{Class, clock};

/// The status that stands for a client that left before its answer was whole.
const CLIENT_GONE: u16 = 499;
/// The status of a request whose handling panicked.
const BROKEN: u16 = 500;

/// One attempt of a request.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// The backend's name.
    pub backend: Arc<str>,
    /// The name of the backend's key: never the key.
    pub key: Arc<str>,
    /// The backend's model.
    pub model: Arc<str>,
    /// What it came to; `ok` where it answered.
    pub class: &'static str,
    /// The backend's status, if a response head came.
    pub status: Option<u16>,
    /// How long it took, to the commit point where it answered.
    pub ms: f64,
}

/// Who writes the records, and counts them.
#[derive(Debug)]
pub struct Access {
    sink: Sink,
    form: Form,
    /// Requests that are being served.
    in_flight: Gauge,
    /// Requests that have been served.
    finished: AtomicU64,
}

impl Access {
    /// A writer of records into `sink`.
    pub fn new(sink: Sink, form: Form) -> Arc<Self> {
        Arc::new(Self {
            sink,
            form,
            in_flight: Gauge::default(),
            finished: AtomicU64::new(0),
        })
    }

    /// Requests that are being served now.
    pub fn in_flight(&self) -> &Gauge {
        &self.in_flight
    }

    /// Requests that have been served.
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    /// Begins the record of a request. `quiet` requests (health probes) are counted but leave no line.
    pub fn begin(self: &Arc<Self>, record: Record, quiet: bool) -> Entry {
        let counted = self.in_flight.enter();
        Entry {
            access: Arc::clone(self),
            record,
            started: clock::now(),
            quiet,
            _counted: counted,
        }
    }
}

/// What is known of a request so far.
#[derive(Debug, Default)]
pub struct Record {
    /// Its id.
    pub request_id: String,
    /// The name of the key that it came with.
    pub key: Option<Arc<str>>,
    /// Where it came from.
    pub ip: Option<IpAddr>,
    /// Its dialect.
    pub dialect: &'static str,
    /// The model that it asked for, as long as that is an alias.
    pub alias: Option<Arc<str>>,
    /// The backend that answered, or was tried last.
    pub backend: Option<Arc<str>>,
    /// That backend's model.
    pub model: Option<Arc<str>>,
    /// The status that the client got.
    pub status: Option<u16>,
    /// Why it failed.
    pub class: Option<Class>,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// From its arrival to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// Tokens.
    pub usage: Usage,
    /// Whether the answer is whole: set with the last byte.
    pub complete: bool,
    /// The generation of the config that it was served by.
    pub generation: u64,
}

/// The record of a request in the making. Dropping it writes it: a request cannot end without its line.
#[derive(Debug)]
pub struct Entry {
    access: Arc<Access>,
    /// What is known so far.
    pub record: Record,
    started: Instant,
    quiet: bool,
    _counted: GaugeGuard,
}

impl Entry {
    /// When the request arrived.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Marks the time of the first byte towards the client.
    pub fn first_byte(&mut self) {
        self.record.first_byte = Some(clock::now().duration_since(self.started));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.record.status = Some(BROKEN);
            self.record.class = Some(Class::Local);
        }
        if !self.quiet {
            let elapsed = clock::now().duration_since(self.started);
            let line = Line::of(&self.record, elapsed);
            match self.access.form {
                Form::Json => self.access.sink.line(&line.json()),
                Form::Pretty => self.access.sink.line(line.pretty().as_bytes()),
            }
        }
        self.access.finished.fetch_add(1, Ordering::Relaxed);
    }
}

/// The line as the contract lists its fields (section 7).
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    msg: &'static str,
    request_id: &'a str,
    key: Option<&'a str>,
    ip: Option<IpAddr>,
    dialect: &'static str,
    alias: Option<&'a str>,
    backend: Option<&'a str>,
    model: Option<&'a str>,
    status: u16,
    class: Option<&'static str>,
    attempts: &'a [Attempt],
    first_byte_ms: Option<f64>,
    duration_ms: f64,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    cost_usd: Option<f64>,
    cancelled: bool,
    generation: u64,
}

impl<'a> Line<'a> {
    fn of(record: &'a Record, elapsed: Duration) -> Self {
        let cancelled = !record.complete && record.class.is_none();
        let class = if cancelled {
            Some(Class::ClientGone)
        } else {
            record.class
        };
        Self {
            time: timestamp(),
            level: "info",
            msg: "request",
            request_id: &record.request_id,
            key: record.key.as_deref(),
            ip: record.ip,
            dialect: record.dialect,
            alias: record.alias.as_deref(),
            backend: record.backend.as_deref(),
            model: record.model.as_deref(),
            status: record.status.unwrap_or(CLIENT_GONE),
            class: class.map(Class::name),
            attempts: &record.attempts,
            first_byte_ms: record.first_byte.map(milliseconds),
            duration_ms: milliseconds(elapsed),
            input_tokens: record.usage.input,
            output_tokens: record.usage.output,
            cached_tokens: record.usage.cache_read,
            // Prices come with the ledger.
            cost_usd: None,
            cancelled,
            generation: record.generation,
        }
    }

    fn json(&self) -> Vec<u8> {
        let mut line = escape::json(serde_json::to_string(self).unwrap_or_default());
        line.push('\n');
        line.into_bytes()
    }

    fn pretty(&self) -> String {
        let colour = if self.status < 400 { "32" } else { "31" };
        let mut line = format!(
            "\x1b[2m{}\x1b[0m \x1b[{colour}m{}\x1b[0m {} {} \x1b[2m→\x1b[0m {} {}",
            clock_time(),
            self.status,
            self.dialect,
            readable(self.alias.unwrap_or("-")),
            self.backend.unwrap_or("-"),
            readable(self.model.unwrap_or("-")),
        );
        self.pretty_attempts(&mut line);
        let _ = write!(line, " {:.0} ms", self.duration_ms);
        if let (Some(input), Some(output)) = (self.input_tokens, self.output_tokens) {
            let _ = write!(line, " \x1b[2m{input}+{output} tokens\x1b[0m");
        }
        if let Some(class) = self.class {
            let _ = write!(line, " \x1b[31m{class}\x1b[0m");
        }
        let _ = writeln!(
            line,
            " \x1b[2m{} {}\x1b[0m",
            self.key.unwrap_or("-"),
            self.request_id
        );
        line
    }

    /// The failed attempts before the answer: why it went where it went.
    fn pretty_attempts(&self, line: &mut String) {
        for attempt in self.attempts.iter().filter(|attempt| attempt.class != "ok") {
            let _ = write!(
                line,
                " \x1b[33m[{}: {} after {:.0} ms]\x1b[0m",
                attempt.backend, attempt.class, attempt.ms
            );
        }
    }
}

/// In milliseconds, to the microsecond.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
