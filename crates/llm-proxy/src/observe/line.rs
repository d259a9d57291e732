//! The access line: written by hand, since it is on the way of every request.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::access::{Attempt, Obstacle, Record, Skipped};
use super::escape::{self, one_line};
use super::log::{clock_time, push_timestamp};
use crate::base::{Class, Cost, address};

/// The status that stands for a client that left before its answer was whole.
const CLIENT_GONE: u16 = 499;
/// The status of a response that began before there was an answer.
const BEGUN: u16 = 200;
/// What most lines are shorter than, in bytes.
const USUAL: usize = 768;

/// A member's name as it stands in the line: one literal, one copy.
macro_rules! name {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

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
        serde_json::from_str(&self.json()).unwrap_or_default()
    }

    /// The line of programs.
    pub(super) fn json(&self) -> String {
        let mut text = String::new();
        self.write_json(&mut text);
        text
    }

    /// The line of programs, at the end of `text`: one JSON object with the fields of the contract (section 7), and a
    /// newline.
    pub(super) fn write_json(&self, text: &mut String) {
        let record = self.record;
        text.reserve(USUAL);
        let mut out = Json { text };
        out.text.push_str("{\"time\":\"");
        push_timestamp(out.text, self.at);
        out.text.push_str("\",\"level\":\"info\",\"msg\":\"request\"");
        out.string(name!("request_id"), Some(&record.request_id));
        if let Some(trace) = &record.trace {
            out.string(name!("trace_id"), Some(&trace.id.hex()));
        }
        out.string(name!("key"), record.key.as_deref());
        out.address(name!("ip"), record.ip);
        out.string(name!("dialect"), Some(record.dialect.name()));
        out.string(name!("alias"), record.alias());
        let last = record.attempts.last();
        out.string(name!("backend"), last.map(|last| &*last.backend.name));
        out.string(name!("model"), last.map(|last| &*last.model));
        out.number(name!("status"), Some(u64::from(self.status)));
        out.string(name!("class"), self.class);
        out.attempts(&record.attempts);
        if !record.skipped.is_empty() {
            out.skipped(&record.skipped);
        }
        if record.queued.is_some() {
            out.milliseconds(name!("queue_ms"), record.queued);
        }
        out.milliseconds(name!("first_byte_ms"), record.first_byte);
        out.milliseconds(name!("duration_ms"), Some(self.elapsed));
        out.number(name!("input_tokens"), record.usage.input);
        out.number(name!("output_tokens"), record.usage.output);
        out.number(name!("cached_tokens"), record.usage.cache_read);
        // What few requests have, only those say.
        if record.usage.cache_write.is_some() {
            out.number(name!("cache_write_tokens"), record.usage.cache_write);
        }
        if record.usage.reasoning.is_some() {
            out.number(name!("reasoning_tokens"), record.usage.reasoning);
        }
        if !record.warnings.is_empty() {
            out.strings(",\"warnings\":[", &record.warnings);
        }
        out.money(name!("cost_usd"), record.cost);
        out.text.push_str(if self.cancelled {
            ",\"cancelled\":true"
        } else {
            ",\"cancelled\":false"
        });
        out.number(name!("generation"), Some(record.generation));
        out.text.push_str("}\n");
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

/// The members of a JSON object in the making, the first of them already there. A line calls each kind several times: copies
/// of their code would only take room in the processor's caches.
struct Json<'a> {
    text: &'a mut String,
}

impl Json<'_> {
    #[inline(never)]
    fn string(&mut self, name: &str, value: Option<&str>) {
        self.text.push_str(name);
        match value {
            None => self.text.push_str("null"),
            Some(value) if is_plain(value) => {
                self.text.push('"');
                self.text.push_str(value);
                self.text.push('"');
            }
            // A string always serialises.
            Some(value) => self
                .text
                .push_str(&escape::json(serde_json::to_string(value).unwrap_or_default())),
        }
    }

    fn strings(&mut self, opening: &str, values: &[String]) {
        self.text.push_str(opening);
        for (n, value) in values.iter().enumerate() {
            self.string(if n == 0 { "" } else { "," }, Some(value));
        }
        self.text.push(']');
    }

    fn address(&mut self, name: &str, value: Option<IpAddr>) {
        self.text.push_str(name);
        match value {
            Some(ip) => {
                self.text.push('"');
                address::push(self.text, ip);
                self.text.push('"');
            }
            None => self.text.push_str("null"),
        }
    }

    #[inline(never)]
    fn number(&mut self, name: &str, value: Option<u64>) {
        self.text.push_str(name);
        match value {
            Some(number) => self.text.push_str(itoa::Buffer::new().format(number)),
            None => self.text.push_str("null"),
        }
    }

    fn money(&mut self, name: &str, value: Option<Cost>) {
        self.text.push_str(name);
        let _ = match value {
            Some(cost) => cost.write(self.text),
            None => self.text.write_str("null"),
        };
    }

    /// In milliseconds, to the microsecond.
    #[inline(never)]
    fn milliseconds(&mut self, name: &str, value: Option<Duration>) {
        self.text.push_str(name);
        let Some(value) = value else {
            return self.text.push_str("null");
        };
        // Not in the 128 bits that it comes in: those take five times as long to divide.
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let mut buffer = itoa::Buffer::new();
        self.text.push_str(buffer.format(micros / 1_000));
        // A thousand more gives the leading zeros, and a digit in the place of the point.
        let fraction = buffer.format(1_000 + micros % 1_000);
        self.text.push('.');
        self.text.push_str(fraction.get(1..).unwrap_or_default());
    }

    fn attempts(&mut self, attempts: &[Attempt]) {
        self.text.push_str(",\"attempts\":[");
        for (n, attempt) in attempts.iter().enumerate() {
            self.text.push_str(if n == 0 { "{\"n\":1" } else { ",{\"n\":" });
            if n > 0 {
                let _ = write!(self.text, "{}", n + 1);
            }
            self.string(name!("backend"), Some(&attempt.backend.name));
            self.string(name!("key"), Some(&attempt.key));
            self.string(name!("model"), Some(&attempt.model));
            self.string(name!("class"), Some(attempt.outcome()));
            if attempt.kind.is_some() {
                self.string(name!("kind"), attempt.kind);
            }
            self.number(name!("status"), attempt.status.map(u64::from));
            self.milliseconds(name!("ms"), Some(attempt.took));
            if let Some((scope, rest)) = attempt.cooldown {
                self.text.push_str(",\"cooldown\":{\"scope\":\"");
                self.text.push_str(scope.name());
                self.text.push('"');
                self.milliseconds(name!("ms"), Some(rest));
                self.text.push('}');
            }
            self.text.push('}');
        }
        self.text.push(']');
    }
}

impl Json<'_> {
    #[cold]
    fn skipped(&mut self, skipped: &[Skipped]) {
        self.text.push_str(",\"skipped\":[");
        for (n, one) in skipped.iter().enumerate() {
            self.string(
                if n == 0 { "{\"backend\":" } else { ",{\"backend\":" },
                Some(&one.backend.name),
            );
            self.string(name!("key"), Some(&one.key));
            self.string(name!("model"), Some(&one.model));
            let (why, class) = match one.why {
                Obstacle::Cooling(class, _) => ("cooling", Some(class)),
                Obstacle::Probed(class) => ("probed", Some(class)),
                Obstacle::Full => ("full", None),
            };
            self.string(name!("why"), Some(why));
            if let Some(class) = class {
                self.string(name!("class"), Some(class.name()));
            }
            if let Obstacle::Cooling(_, left) = one.why {
                self.milliseconds(name!("ms_left"), Some(left));
            }
            self.text.push('}');
        }
        self.text.push(']');
    }
}

/// Whether a text needs no escaping. Whatever is beyond plain ASCII is left to the JSON writer.
fn is_plain(text: &str) -> bool {
    let word = |word: &[u8; 8]| is_plain_word(u64::from_le_bytes(*word));
    let Some(last) = text.as_bytes().last_chunk() else {
        let plain = |byte: u8| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
        return text.bytes().all(plain);
    };
    // The last eight bytes are looked at together, though some of them may have been already.
    let (words, _) = text.as_bytes().as_chunks();
    words.iter().all(word) && word(last)
}

/// The same for eight bytes together. Each subtraction leaves the high bit in the lowest byte that it is meant for: in
/// quotes (which one flipped bit makes a neighbour of the control characters) and those, in backslashes, and in DEL. It
/// may be there in a byte above such a one, but nowhere else.
fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let quote_or_control = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5C)).wrapping_sub(ONES);
    let del = (word ^ (ONES * 0x7F)).wrapping_sub(ONES);
    (word | quote_or_control | backslash | del) & (ONES * 0x80) == 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::health::Scope;
    use llm_dialect::Api;

    use crate::observe::BackendMeters;

    #[test]
    fn a_text_is_plain_unless_a_byte_of_it_anywhere_is_not() {
        for special in 0..=u8::MAX {
            let plain = matches!(special, b' '..=b'~') && special != b'"' && special != b'\\';
            for (length, offset) in [3, 8, 16, 19]
                .into_iter()
                .flat_map(|length| (0..length).map(move |at| (length, at)))
            {
                let mut bytes = vec![b'~'; length];
                bytes[offset] = special;
                // Latin-1, so that every byte has a character.
                let text: String = bytes.iter().copied().map(char::from).collect();
                assert_eq!(is_plain(&text), plain, "byte {special} at {offset} of {length}");
            }
        }
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
        let json = line.json();
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
        let json = Line::of(&record, Duration::ZERO, SystemTime::UNIX_EPOCH).json();
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
