//! From the record of a request to its spans: one of its own, one for each attempt, one for its wait.
//!
//! Nothing of what was asked or answered is in them, and no secret; what a client chose, a model's name and an id, goes
//! through the mask of the log.

use std::time::Duration;

use super::attributes::{Attributes, nanos};
use super::names::{operation, provider};
use super::proto::{Event, Span, SpanKind, Status, StatusCode};
use crate::base::Class;
use crate::base::trace::SpanId;
use crate::health::Scope;
use crate::observe::finished::Finished;
use crate::observe::{Attempt, Record, Trace};

/// In a span's flags: it is known whether its parent is somebody else's.
const HAS_IS_REMOTE: u32 = 0x100;
/// It is.
const IS_REMOTE: u32 = 0x200;
/// The flag of W3C: recorded.
const SAMPLED: u32 = 1;

/// What blots out secrets in words of others.
pub(super) type Mask<'a> = &'a dyn Fn(&str) -> String;

/// All spans of a request; none if it is not sampled.
pub(super) fn spans(finished: &Finished, mask: Mask<'_>) -> Vec<Span> {
    let record = &finished.record;
    let Some(trace) = record.trace.as_deref().filter(|trace| trace.sampled) else {
        return Vec::new();
    };
    let request = Request {
        finished,
        trace,
        began: nanos(finished.at).saturating_sub(length(finished.elapsed)),
        mask,
    };
    let mut spans = Vec::with_capacity(2 + record.attempts.len());
    spans.push(request.own());
    spans.extend(record.queued.map(|waited| request.wait(waited)));
    let last = record.attempts.len().saturating_sub(1);
    for (n, attempt) in record.attempts.iter().enumerate() {
        spans.push(request.attempt(n, attempt, n == last));
    }
    spans
}

struct Request<'a> {
    finished: &'a Finished,
    trace: &'a Trace,
    /// When it arrived, in nanoseconds since 1970.
    began: u64,
    mask: Mask<'a>,
}

impl Request<'_> {
    /// The request itself, as its client sees it.
    fn own(&self) -> Span {
        let Finished { record, status, .. } = self.finished;
        let mut attributes = Attributes::default();
        self.http(&mut attributes);
        self.generation(&mut attributes);
        self.ours(&mut attributes);
        let broken = *status >= 500 || (self.finished.failed && *status < 400);
        let remote = if self.trace.parent.is_some() { IS_REMOTE } else { 0 };
        Span {
            parent_span_id: self
                .trace
                .parent
                .map_or_else(Vec::new, |parent| parent.bytes().to_vec()),
            kind: SpanKind::Server.into(),
            attributes: attributes.0,
            status: broken.then(failed),
            flags: SAMPLED | HAS_IS_REMOTE | remote,
            ..self.span(
                self.trace.span,
                name(record, self.trace),
                (Duration::ZERO, self.finished.elapsed),
            )
        }
    }

    fn http(&self, attributes: &mut Attributes) {
        let Finished {
            record,
            status,
            class,
            ..
        } = self.finished;
        attributes.text("http.request.method", method(self.trace));
        if let Some(route) = self.trace.route {
            attributes.text("http.route", with_version(route));
        }
        attributes.whole("http.response.status_code", *status).text(
            "network.protocol.version",
            if self.trace.http2 { "2" } else { "1.1" },
        );
        if let Some(ip) = record.ip {
            attributes.text("client.address", (self.mask)(&ip.to_string()));
        }
        attributes.maybe_text("error.type", *class);
    }

    fn generation(&self, attributes: &mut Attributes) {
        let record = &self.finished.record;
        let Some(api) = record.api else { return };
        attributes.text("gen_ai.operation.name", operation(api));
        if let Some(alias) = record.alias() {
            attributes.text("gen_ai.request.model", (self.mask)(alias));
        }
        if api.is_generation() {
            attributes.truth("gen_ai.request.stream", record.stream);
        }
        if let Some(last) = record.attempts.last() {
            attributes.text("gen_ai.provider.name", provider(&last.backend.server));
            if last.class.is_none() {
                attributes.text("gen_ai.response.model", (self.mask)(&last.model));
            }
        }
        if let (Some(first_byte), true) = (record.first_byte, record.stream) {
            attributes.seconds("gen_ai.response.time_to_first_chunk", first_byte);
        }
        let usage = &record.usage;
        attributes
            .maybe_whole("gen_ai.usage.input_tokens", usage.input)
            .maybe_whole("gen_ai.usage.output_tokens", usage.output)
            .maybe_whole("gen_ai.usage.cache_read.input_tokens", usage.cache_read)
            .maybe_whole("gen_ai.usage.cache_creation.input_tokens", usage.cache_write)
            .maybe_whole("gen_ai.usage.reasoning.output_tokens", usage.reasoning);
    }

    fn ours(&self, attributes: &mut Attributes) {
        let record = &self.finished.record;
        attributes
            .text("llm_proxy.request_id", (self.mask)(&record.request_id))
            .text("llm_proxy.dialect", record.dialect.name())
            .maybe_name("llm_proxy.key", record.key.as_deref())
            .maybe_name("llm_proxy.alias", record.alias.as_ref().map(|alias| &*alias.name))
            .maybe_name(
                "llm_proxy.backend",
                record.attempts.last().map(|last| &*last.backend.name),
            )
            .whole("llm_proxy.attempts", record.attempts.len())
            .whole("llm_proxy.config.generation", record.generation);
        if let Some(first_byte) = record.first_byte {
            attributes.seconds("llm_proxy.first_byte", first_byte);
        }
        if let Some(cost) = record.cost {
            attributes.real("llm_proxy.cost_usd", cost.dollars());
        }
        if !record.warnings.is_empty() {
            let warnings = record.warnings.iter().map(|warning| (self.mask)(warning));
            attributes.texts("llm_proxy.warnings", warnings);
        }
    }

    /// The wait for a place, which begins with the request but for what it takes to know whose it is.
    fn wait(&self, waited: Duration) -> Span {
        // One bit away from the request's own: the two belong together, and no chance has to be asked.
        let id = SpanId::of(!u64::from_be_bytes(self.trace.span.bytes()));
        Span {
            kind: SpanKind::Internal.into(),
            ..self.child(id, "queue".to_owned(), (Duration::ZERO, waited))
        }
    }

    /// An attempt at a backend. The last one lasts as long as its answer does.
    fn attempt(&self, n: usize, attempt: &Attempt, is_last: bool) -> Span {
        let spoke = attempt.after + attempt.took;
        let answered = attempt.class.is_none();
        let end = if is_last && answered {
            self.finished.elapsed.max(spoke)
        } else {
            spoke
        };
        // What answered may break later, or its client leave: then the request says so.
        let later = self.finished.class.filter(|_| is_last && answered);
        let class = attempt.class.map(Class::name).or(later);
        let mut attributes = Attributes::default();
        attributes
            .text("gen_ai.operation.name", operation(attempt.api))
            .text("gen_ai.provider.name", provider(&attempt.backend.server))
            .text("gen_ai.request.model", (self.mask)(&attempt.model))
            .name("server.address", &attempt.backend.server.host)
            .whole("server.port", attempt.backend.server.port)
            .maybe_whole("http.response.status_code", attempt.status)
            .maybe_text("error.type", class)
            .whole("llm_proxy.attempt", n + 1)
            .name("llm_proxy.backend", &attempt.backend.name)
            .name("llm_proxy.backend.key", &attempt.key)
            .text("llm_proxy.dialect", attempt.api.dialect().name())
            .maybe_text("llm_proxy.quota", attempt.kind);
        let mut events = Vec::new();
        if answered {
            events.push(self.event("first_byte", spoke, Attributes::default()));
        }
        events.extend(attempt.cooldown.map(|cooldown| self.cooldown(spoke, cooldown)));
        let cut = [Class::ClientGone, Class::Overtaken].map(|cut| Some(cut.name()));
        let cut_off = cut.contains(&class);
        let id = attempt.span.unwrap_or(self.trace.span);
        let name = format!("{} {}", operation(attempt.api), (self.mask)(&attempt.model));
        Span {
            kind: SpanKind::Client.into(),
            attributes: attributes.0,
            events,
            status: (class.is_some() && !cut_off).then(failed),
            ..self.child(id, name, (attempt.after, end))
        }
    }

    fn cooldown(&self, after: Duration, (scope, rest): (Scope, Duration)) -> Event {
        let mut attributes = Attributes::default();
        attributes
            .text("llm_proxy.cooldown.scope", scope.name())
            .seconds("llm_proxy.cooldown.seconds", rest);
        self.event("cooldown", after, attributes)
    }

    fn event(&self, name: &str, after: Duration, attributes: Attributes) -> Event {
        Event {
            time_unix_nano: self.at(after),
            name: name.to_owned(),
            attributes: attributes.0,
        }
    }

    /// A span below the request's own.
    fn child(&self, id: SpanId, name: String, between: (Duration, Duration)) -> Span {
        Span {
            parent_span_id: self.trace.span.bytes().to_vec(),
            flags: SAMPLED | HAS_IS_REMOTE,
            ..self.span(id, name, between)
        }
    }

    /// So long after its arrival, in nanoseconds since 1970.
    fn at(&self, after: Duration) -> u64 {
        self.began.saturating_add(length(after))
    }

    fn span(&self, id: SpanId, name: String, (start, end): (Duration, Duration)) -> Span {
        Span {
            trace_id: self.trace.id.bytes().to_vec(),
            span_id: id.bytes().to_vec(),
            name,
            start_time_unix_nano: self.at(start),
            end_time_unix_nano: self.at(end),
            ..Span::default()
        }
    }
}

/// What the request does, and for which alias, by the alias' own name: a client cannot make names of spans.
fn name(record: &Record, trace: &Trace) -> String {
    match (record.api, &record.alias, trace.route) {
        (Some(api), Some(alias), _) => format!("{} {}", operation(api), alias.name),
        (Some(api), None, _) => operation(api).to_owned(),
        (None, _, Some(route)) => format!("{} {}", method(trace), with_version(route)),
        (None, _, None) => method(trace).to_owned(),
    }
}

/// The method, if it is one of those that everybody knows.
fn method(trace: &Trace) -> &'static str {
    let known = [
        "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT",
    ];
    let method = trace.method.as_str();
    known
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("_OTHER")
}

fn length(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn with_version(route: &str) -> String {
    if route == "/" {
        return route.to_owned();
    }
    format!("/v1{route}")
}

fn failed() -> Status {
    Status {
        message: String::new(),
        code: StatusCode::Error.into(),
    }
}
