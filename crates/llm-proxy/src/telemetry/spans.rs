//! From the record of a request to its spans: one of its own, one for each attempt, one for its wait.
//!
//! Nothing of what was asked or answered is in them, and no secret; what a client chose, a model's name and an id, goes
//! through the mask of the log.

use std::borrow::Cow;
use std::time::Duration;

use super::attributes::nanos;
use super::fields::{Attributes, Fields, Number};
use super::names::{operation, provider};
use super::proto::{SpanKind, event, span, status};
use crate::base::trace::SpanId;
use crate::base::{Class, address};
use crate::health::Scope;
use crate::observe::finished::Finished;
use crate::observe::logs::Mask;
use crate::observe::{Attempt, Record, Trace};

/// In a span's flags: it is known whether its parent is somebody else's.
const HAS_IS_REMOTE: u32 = 0x100;
/// It is.
const IS_REMOTE: u32 = 0x200;
/// The flag of W3C: recorded.
const SAMPLED: u32 = 1;

/// Writes all spans of a request, each as that field of `out`, and tells how many they are; none if it is not sampled.
/// `mask` blots out secrets in words of others.
pub(super) fn spans(finished: &Finished, mask: Option<&Mask>, out: &mut Fields, field: Number) -> u64 {
    let record = &finished.record;
    let Some(trace) = record.trace.as_deref().filter(|trace| trace.sampled) else {
        return 0;
    };
    let request = Request {
        finished,
        trace,
        began: nanos(finished.at).saturating_sub(length(finished.elapsed)),
        mask,
    };
    out.message(field, |span| request.own(span));
    if let Some(waited) = record.queued {
        out.message(field, |span| request.wait(span, waited));
    }
    let last = record.attempts.len().saturating_sub(1);
    for (n, attempt) in record.attempts.iter().enumerate() {
        out.message(field, |span| request.attempt(span, (n, attempt), n == last));
    }
    finished.spans()
}

struct Request<'a> {
    finished: &'a Finished,
    trace: &'a Trace,
    /// When it arrived, in nanoseconds since 1970.
    began: u64,
    mask: Option<&'a Mask>,
}

impl Request<'_> {
    /// The request itself, as its client sees it.
    fn own(&self, span: &mut Fields) {
        let Finished { record, status, .. } = self.finished;
        let route = self.trace.route.map(with_version);
        self.begin(span, self.trace.span, (Duration::ZERO, self.finished.elapsed));
        span.joined(span::NAME, &name(record, self.trace, route.as_ref()));
        span.whole(span::KIND, SpanKind::Server as u64);
        let remote = self.trace.parent.map_or(0, |parent| {
            span.bytes(span::PARENT, &parent.bytes());
            IS_REMOTE
        });
        span.fixed32(span::FLAGS, SAMPLED | HAS_IS_REMOTE | remote);
        let mut attributes = span.attributes(span::ATTRIBUTES);
        self.http(&mut attributes, route.as_ref());
        self.generation(&mut attributes);
        self.ours(&mut attributes);
        if *status >= 500 || (self.finished.failed && *status < 400) {
            failed(span);
        }
    }

    fn http(&self, attributes: &mut Attributes<'_>, route: Option<&[&str; 2]>) {
        let Finished {
            record,
            status,
            class,
            ..
        } = self.finished;
        attributes.text("http.request.method", method(self.trace));
        if let Some(route) = route {
            attributes.joined("http.route", route);
        }
        attributes.whole("http.response.status_code", *status).text(
            "network.protocol.version",
            if self.trace.http2 { "2" } else { "1.1" },
        );
        if let Some(ip) = record.ip {
            let mut text = String::with_capacity(16);
            address::push(&mut text, ip);
            attributes.text("client.address", &self.masked(&text));
        }
        attributes.maybe_text("error.type", *class);
    }

    fn generation(&self, attributes: &mut Attributes<'_>) {
        let record = &self.finished.record;
        let Some(api) = record.api else { return };
        attributes.text("gen_ai.operation.name", operation(api));
        if let Some(alias) = record.alias() {
            attributes.text("gen_ai.request.model", &self.masked(alias));
        }
        if api.is_generation() {
            attributes.truth("gen_ai.request.stream", record.stream);
        }
        if let Some(last) = record.attempts.last() {
            attributes.text("gen_ai.provider.name", provider(&last.backend.server));
            if last.class.is_none() {
                attributes.text("gen_ai.response.model", &self.masked(&last.model));
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

    fn ours(&self, attributes: &mut Attributes<'_>) {
        let record = &self.finished.record;
        attributes
            .text("llm_proxy.request_id", &self.masked(&record.request_id))
            .text("llm_proxy.dialect", record.dialect.name())
            .maybe_text("llm_proxy.key", record.key.as_deref())
            .maybe_text("llm_proxy.alias", record.alias.as_ref().map(|alias| &*alias.name))
            .maybe_text(
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
            let warnings: Vec<_> = record.warnings.iter().map(|text| self.masked(text)).collect();
            attributes.texts("llm_proxy.warnings", warnings.iter().map(|text| &**text));
        }
    }

    /// The wait for a place, which begins with the request but for what it takes to know whose it is.
    fn wait(&self, span: &mut Fields, waited: Duration) {
        // One bit away from the request's own: the two belong together, and no chance has to be asked.
        let id = SpanId::of(!u64::from_be_bytes(self.trace.span.bytes()));
        self.child(span, id, SpanKind::Internal, (Duration::ZERO, waited));
        span.text(span::NAME, "queue");
    }

    /// An attempt at a backend. The last one lasts as long as its answer does.
    fn attempt(&self, span: &mut Fields, (n, attempt): (usize, &Attempt), is_last: bool) {
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
        let model = self.masked(&attempt.model);
        let id = attempt.span.unwrap_or(self.trace.span);
        self.child(span, id, SpanKind::Client, (attempt.after, end));
        span.joined(span::NAME, &[operation(attempt.api), " ", &model]);
        span.attributes(span::ATTRIBUTES)
            .text("gen_ai.operation.name", operation(attempt.api))
            .text("gen_ai.provider.name", provider(&attempt.backend.server))
            .text("gen_ai.request.model", &model)
            .text("server.address", &attempt.backend.server.host)
            .whole("server.port", attempt.backend.server.port)
            .maybe_whole("http.response.status_code", attempt.status)
            .maybe_text("error.type", class)
            .whole("llm_proxy.attempt", n + 1)
            .text("llm_proxy.backend", &attempt.backend.name)
            .text("llm_proxy.backend.key", &attempt.key)
            .text("llm_proxy.dialect", attempt.api.dialect().name())
            .maybe_text("llm_proxy.quota", attempt.kind);
        if answered {
            span.message(span::EVENTS, |event| self.event(event, "first_byte", spoke));
        }
        if let Some(cooldown) = attempt.cooldown {
            span.message(span::EVENTS, |event| self.cooldown(event, spoke, cooldown));
        }
        let cut = [Class::ClientGone, Class::Overtaken].map(|cut| Some(cut.name()));
        if class.is_some() && !cut.contains(&class) {
            failed(span);
        }
    }

    fn cooldown(&self, event: &mut Fields, after: Duration, (scope, rest): (Scope, Duration)) {
        self.event(event, "cooldown", after);
        event
            .attributes(event::ATTRIBUTES)
            .text("llm_proxy.cooldown.scope", scope.name())
            .seconds("llm_proxy.cooldown.seconds", rest);
    }

    fn event(&self, event: &mut Fields, name: &str, after: Duration) {
        event.fixed64(event::TIME, self.at(after));
        event.text(event::NAME, name);
    }

    /// What a span below the request's own has before its name.
    fn child(&self, span: &mut Fields, id: SpanId, kind: SpanKind, between: (Duration, Duration)) {
        self.begin(span, id, between);
        span.bytes(span::PARENT, &self.trace.span.bytes());
        span.whole(span::KIND, kind as u64);
        span.fixed32(span::FLAGS, SAMPLED | HAS_IS_REMOTE);
    }

    /// So long after its arrival, in nanoseconds since 1970.
    fn at(&self, after: Duration) -> u64 {
        self.began.saturating_add(length(after))
    }

    /// What every span has.
    fn begin(&self, span: &mut Fields, id: SpanId, (start, end): (Duration, Duration)) {
        span.bytes(span::TRACE, &self.trace.id.bytes());
        span.bytes(span::ID, &id.bytes());
        span.fixed64(span::START, self.at(start));
        span.fixed64(span::END, self.at(end));
    }

    /// A text of others without what looks like a secret.
    fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.mask.map(|mask| mask.apply(text.as_bytes())) {
            Some(Cow::Owned(masked)) => Cow::Owned(String::from_utf8_lossy(&masked).into_owned()),
            _ => Cow::Borrowed(text),
        }
    }
}

/// What the request does, and for which alias, by the alias' own name: a client cannot make names of spans.
fn name<'a>(record: &'a Record, trace: &Trace, route: Option<&[&'a str; 2]>) -> [&'a str; 4] {
    match (record.api, &record.alias, route) {
        (Some(api), Some(alias), _) => [operation(api), " ", &alias.name, ""],
        (Some(api), None, _) => [operation(api), "", "", ""],
        (None, _, Some([version, route])) => [method(trace), " ", version, route],
        (None, _, None) => [method(trace), "", "", ""],
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

/// The path of a route, in two pieces.
fn with_version(route: &'static str) -> [&'static str; 2] {
    if route == "/" { ["", route] } else { ["/v1", route] }
}

fn failed(span: &mut Fields) {
    span.message(span::STATUS, |status| status.whole(status::CODE, status::ERROR));
}
