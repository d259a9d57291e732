//! The access line: written by hand, since it is on the way of every request.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::access::{Attempt, Obstacle, Record, Skipped};
use super::escape::one_line;
use super::json::{Json, name};
use super::log::{clock_time, push_timestamp};
use crate::base::Class;

/// The status that stands for a client that left before its answer was whole.
const CLIENT_GONE: u16 = 499;
/// The status of a response that began before there was an answer.
const BEGUN: u16 = 200;
/// What most lines are shorter than, in bytes.
const USUAL: usize = 1_024;

/// A record with what is only known at its end.
pub(super) struct Line<'a> {
    pub(super) record: &'a Record,
    pub(super) elapsed: Duration,
    /// When it ended.
    pub(super) at: SystemTime,
    pub(super) cancelled: bool,
    pub(super) class: Option<&'static str>,
    /// What the client got.
    pub(super) status: u16,
}

/// The status that the client was sent, if it was sent one.
fn sent(record: &Record) -> Option<u16> {
    let begun = record.begun.as_ref();
    let begun = begun.is_some_and(|begun| begun.load(Ordering::Acquire));
    if begun { Some(BEGUN) } else { record.status }
}

impl<'a> Line<'a> {
    pub(super) fn of(record: &'a Record, elapsed: Duration, at: SystemTime) -> Self {
        let cancelled = !record.complete && record.class.is_none();
        let class = if cancelled {
            Some(Class::ClientGone)
        } else {
            record.class
        };
        Self {
            record,
            elapsed,
            at,
            cancelled,
            class: class.map(Class::name),
            status: sent(record).unwrap_or(CLIENT_GONE),
        }
    }

    /// Whether the client did not get what it asked for, through no doing of its own leaving.
    pub(super) fn is_failure(&self) -> bool {
        let of_its_own = Some(Class::ClientGone.name());
        self.class != of_its_own && (self.class.is_some() || self.status >= 400)
    }

    /// The line of programs, as a value.
    pub(super) fn value(&self) -> Value {
        let mut room = Vec::new();
        let length = self.write_json(&mut room);
        room.truncate(length);
        serde_json::from_slice(&room).unwrap_or_default()
    }

    /// The line of programs, from the beginning of `room` on, which grows where it has to: one JSON object with the fields of
    /// the contract (section 7), and a newline. Says how long it is.
    pub(super) fn write_json(&self, room: &mut Vec<u8>) -> usize {
        room.resize(room.len().max(USUAL), 0);
        loop {
            if let Some(left) = self.put_json(Json::new(room)) {
                return room.len() - left;
            }
            room.resize(2 * room.len(), 0);
        }
    }

    /// Says how much room is left behind it; none if there is too little.
    fn put_json(&self, mut out: Json<'_>) -> Option<usize> {
        out = out.text("{\"time\":\"");
        push_timestamp(&mut out, self.at);
        out = out.text("\",\"level\":\"info\",\"msg\":\"request\"");
        out = self.put_whose(out);
        out = put_attempts(out, &self.record.attempts);
        if !self.record.skipped.is_empty() {
            out = put_skipped(out, &self.record.skipped);
        }
        self.put_figures(out).end(b"}\n")
    }

    /// Who asked for what, and what came of it.
    fn put_whose<'r>(&self, mut out: Json<'r>) -> Json<'r> {
        let record = self.record;
        out = out.string(name!("request_id"), &record.request_id);
        if let Some(trace) = &record.trace {
            out = out.string(name!("trace_id"), &trace.id.hex());
        }
        let last = record.attempts.last();
        out.string_or_null(name!("key"), record.key.as_deref())
            .address(name!("ip"), record.ip)
            .string(name!("dialect"), record.dialect.name())
            .string_or_null(name!("alias"), record.alias())
            .string_or_null(name!("backend"), last.map(|last| &*last.backend.name))
            .string_or_null(name!("model"), last.map(|last| &*last.model))
            .number(name!("status"), self.status.into())
            .string_or_null(name!("class"), self.class)
    }

    /// How long it took, and what was used.
    fn put_figures<'r>(&self, mut out: Json<'r>) -> Json<'r> {
        let record = self.record;
        if let Some(queued) = record.queued {
            out = out.milliseconds(name!("queue_ms"), queued);
        }
        out = out
            .milliseconds_or_null(name!("first_byte_ms"), record.first_byte)
            .milliseconds(name!("duration_ms"), self.elapsed)
            .number_or_null(name!("input_tokens"), record.usage.input)
            .number_or_null(name!("output_tokens"), record.usage.output)
            .number_or_null(name!("cached_tokens"), record.usage.cache_read);
        // What few requests have, only those say.
        if let Some(tokens) = record.usage.cache_write {
            out = out.number(name!("cache_write_tokens"), tokens);
        }
        if let Some(tokens) = record.usage.reasoning {
            out = out.number(name!("reasoning_tokens"), tokens);
        }
        if !record.warnings.is_empty() {
            out = out.strings(",\"warnings\":[", &record.warnings);
        }
        out.money(name!("cost_usd"), record.cost)
            .text(if self.cancelled {
                ",\"cancelled\":true"
            } else {
                ",\"cancelled\":false"
            })
            .number(name!("generation"), record.generation)
    }

    /// One line for eyes.
    #[inline(never)]
    pub(super) fn pretty(&self) -> String {
        let record = self.record;
        let last = record.attempts.last();
        let colour = if self.status < 400 { "32" } else { "31" };
        let mut line = format!(
            "\x1b[2m{}\x1b[0m \x1b[{colour}m{}\x1b[0m {} {} \x1b[2m→\x1b[0m {} {}",
            clock_time(),
            self.status,
            record.dialect,
            one_line(record.alias().unwrap_or("-")),
            last.map_or("-", |last| &*last.backend.name),
            one_line(last.map_or("-", |last| &*last.model)),
        );
        // The failed attempts before the answer: why it went where it went.
        for attempt in record.attempts.iter().filter(|attempt| attempt.class.is_some()) {
            let took = attempt.took.as_secs_f64() * 1e3;
            let _ = write!(
                line,
                " \x1b[33m[{}: {}{}{} after {took:.0} ms]\x1b[0m",
                attempt.backend.name,
                attempt.outcome(),
                attempt.kind.map_or("", |_| "/"),
                attempt.kind.unwrap_or_default()
            );
        }
        let _ = write!(line, " {:.0} ms", self.elapsed.as_secs_f64() * 1e3);
        if let Some(first_byte) = record.first_byte {
            let _ = write!(
                line,
                " \x1b[2m(first byte {:.0} ms)\x1b[0m",
                first_byte.as_secs_f64() * 1e3
            );
        }
        if let Some(queued) = record.queued {
            let _ = write!(
                line,
                " \x1b[33m({:.0} ms in the queue)\x1b[0m",
                queued.as_secs_f64() * 1e3
            );
        }
        if let (Some(input), Some(output)) = (record.usage.input, record.usage.output) {
            let _ = write!(line, " \x1b[2m{input}+{output} tokens\x1b[0m");
        }
        if let Some(cost) = record.cost {
            let _ = write!(line, " \x1b[2m${cost}\x1b[0m");
        }
        if let Some(class) = self.class {
            let _ = write!(line, " \x1b[31m{class}\x1b[0m");
        }
        let _ = writeln!(
            line,
            " \x1b[2m{} {}\x1b[0m",
            record.key.as_deref().unwrap_or("-"),
            record.request_id
        );
        line
    }
}

fn put_attempts<'a>(out: Json<'a>, attempts: &[Attempt]) -> Json<'a> {
    let mut out = out.text(",\"attempts\":[");
    for (attempt, n) in attempts.iter().zip(1..) {
        out = if n == 1 {
            out.text("{\"n\":1")
        } else {
            out.number(",{\"n\":", n)
        };
        out = out
            .string(name!("backend"), &attempt.backend.name)
            .string(name!("key"), &attempt.key)
            .string(name!("model"), &attempt.model)
            .string(name!("class"), attempt.outcome());
        if let Some(kind) = attempt.kind {
            out = out.string(name!("kind"), kind);
        }
        out = out
            .number_or_null(name!("status"), attempt.status.map(u64::from))
            .milliseconds(name!("ms"), attempt.took);
        if let Some((scope, rest)) = attempt.cooldown {
            out = out
                .string(",\"cooldown\":{\"scope\":", scope.name())
                .milliseconds(name!("ms"), rest)
                .text("}");
        }
        out = out.text("}");
    }
    out.text("]")
}

#[cold]
fn put_skipped<'a>(out: Json<'a>, skipped: &[Skipped]) -> Json<'a> {
    let mut out = out.text(",\"skipped\":[");
    for (n, one) in skipped.iter().enumerate() {
        let (why, class) = match one.why {
            Obstacle::Cooling(class, _) => ("cooling", Some(class)),
            Obstacle::Probed(class) => ("probed", Some(class)),
            Obstacle::Full => ("full", None),
        };
        let opening = if n == 0 { "{\"backend\":" } else { ",{\"backend\":" };
        out = out
            .string(opening, &one.backend.name)
            .string(name!("key"), &one.key)
            .string(name!("model"), &one.model)
            .string(name!("why"), why);
        if let Some(class) = class {
            out = out.string(name!("class"), class.name());
        }
        if let Obstacle::Cooling(_, left) = one.why {
            out = out.milliseconds(name!("ms_left"), left);
        }
        out = out.text("}");
    }
    out.text("]")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::health::Scope;
    use llm_dialect::Api;

    use crate::base::Cost;
    use crate::observe::BackendMeters;

    fn json_of(line: &Line<'_>) -> String {
        let mut room = Vec::new();
        let length = line.write_json(&mut room);
        String::from_utf8(room[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_cost_is_a_number_of_dollars_for_programs_and_an_amount_for_eyes() {
        for (nanos, json, pretty) in [
            (Some(12_500_000), json!(0.0125), Some("$0.0125")),
            (Some(0), json!(0), Some("$0")),
            (None, Value::Null, None),
        ] {
            let record = Record {
                cost: nanos.map(Cost::from_nanos),
                ..Record::default()
            };
            let line = Line::of(&record, Duration::ZERO, SystemTime::UNIX_EPOCH);
            assert_eq!(line.value()["cost_usd"], json);
            let told = line.pretty().contains('$');
            assert_eq!(told, pretty.is_some());
            assert!(pretty.is_none_or(|pretty| line.pretty().contains(pretty)));
        }
    }

    #[test]
    fn a15_a_line_is_one_json_object_whatever_is_in_it() {
        let hostile = "m\n{\"level\":\"fatal\"}\u{1b}[31m\u{202e}\"\\";
        let attempt = |status: Option<u16>| Attempt {
            backend: Arc::new(BackendMeters::new("a")),
            key: Arc::from("a#1"),
            model: Arc::from(hostile),
            api: Api::Chat,
            span: None,
            after: Duration::ZERO,
            class: Some(Class::Server),
            kind: status.map(|_| "tokens"),
            status,
            took: Duration::from_micros(1_500),
            cooldown: Some((Scope::BackendModel, Duration::from_secs(15))),
        };
        let record = Record {
            request_id: "r1".to_owned(),
            asked: Some(Arc::from(hostile)),
            warnings: vec!["seed".to_owned(), hostile.to_owned()],
            ip: Some("::1".parse().unwrap()),
            attempts: vec![attempt(Some(500)), attempt(None)],
            ..Record::default()
        };
        let line = Line::of(&record, Duration::from_millis(12), SystemTime::UNIX_EPOCH);
        assert_eq!(line.pretty().matches('\n').count(), 1, "one line for eyes too");
        let json = json_of(&line);
        assert!(!json.contains('\u{202e}'), "nothing that turns the text");
        assert_eq!(json.matches('\n').count(), 1, "one line");
        let line: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(line["alias"], hostile);
        assert_eq!(line["attempts"][1]["n"], 2);
        assert_eq!(line["attempts"][0]["ms"], 1.5);
        assert_eq!(
            line["attempts"][0]["cooldown"],
            json!({"scope": "backend_model", "ms": 15_000.0})
        );
        assert_eq!(line["warnings"], json!(["seed", hostile]));
        assert_eq!(line["attempts"][0]["kind"], "tokens");
        assert_eq!(line["attempts"][1].get("kind"), None, "only where it is told");
        assert_eq!(line["duration_ms"], 12.0);
        assert_eq!(
            (&line["status"], &line["class"]),
            (&Value::from(499), &Value::from("client_gone"))
        );
        assert_eq!(line["cancelled"], true);
    }
    #[test]
    fn whom_a_request_passed_over_is_told_with_the_reason() {
        let skipped = |key: &str, why| Skipped {
            backend: Arc::new(BackendMeters::new("b")),
            key: Arc::from(key),
            model: Arc::from("\u{202e}m"),
            why,
        };
        let cooling = Obstacle::Cooling(Class::Rate, Duration::from_millis(2_500));
        let record = Record {
            skipped: vec![
                skipped("b#1", cooling),
                skipped("b#2", Obstacle::Probed(Class::Server)),
                skipped("b#3", Obstacle::Full),
            ],
            ..Record::default()
        };
        let json = json_of(&Line::of(&record, Duration::ZERO, SystemTime::UNIX_EPOCH));
        assert!(!json.contains('\u{202e}'));
        let line: Value = serde_json::from_str(&json).unwrap();
        let model = "\u{202e}m";
        assert_eq!(
            line["skipped"],
            json!([
                {"backend": "b", "key": "b#1", "model": model, "why": "cooling", "class": "rate", "ms_left": 2_500.0},
                {"backend": "b", "key": "b#2", "model": model, "why": "probed", "class": "server"},
                {"backend": "b", "key": "b#3", "model": model, "why": "full"},
            ])
        );
    }
}
