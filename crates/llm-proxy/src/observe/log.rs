//! Log lines: `tracing` events as one JSON object or one readable line each.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{EnvFilter, Layer, reload};

use super::escape::{self, lines, one_line};
use super::logs::{self, Logs};
use crate::base::clock;
use crate::config::types::{LogFormat, Logging};

/// The field whose text is a report of our own; pretty lines keep its lines, below their own.
const REPORT: &str = "backtrace";

/// The form that lines have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One line for eyes, coloured.
    Pretty,
    /// One JSON object.
    Json,
}

/// The form for these settings: `auto` is pretty on a terminal.
pub fn form(format: LogFormat) -> Form {
    match format {
        LogFormat::Pretty => Form::Pretty,
        LogFormat::Auto if std::io::stderr().is_terminal() => Form::Pretty,
        LogFormat::Auto | LogFormat::Json => Form::Json,
    }
}

/// Changes the level of a running program.
#[derive(Clone, Debug)]
pub struct LevelHandle(reload::Handle<EnvFilter, tracing_subscriber::Registry>);

impl LevelHandle {
    /// Puts these directives in force (`info,llm_proxy::routing=debug`); wrong ones change nothing.
    pub fn set(&self, level: &str) {
        if let Ok(filter) = EnvFilter::try_new(level) {
            let _ = self.0.reload(filter);
        }
    }
}

/// Sends all events of this process into `logs`. Called once, by `main`'s side of the program.
pub fn install(logging: &Logging, logs: &Arc<Logs>) -> LevelHandle {
    let filter = EnvFilter::try_new(&logging.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let (filter, handle) = reload::Layer::new(filter);
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(Lines(Arc::clone(logs)));
    // A second call (two programs in one test process) keeps the first one's outlets.
    let _ = tracing::subscriber::set_global_default(subscriber);
    LevelHandle(handle)
}

struct Lines(Arc<Logs>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        self.0
            .line(|form, room| logs::copied(&fields.line(form, level), room));
    }
}

/// What the log says of itself: so many of its lines could not be written.
pub(super) fn of_lost(form: Form, lines: u64) -> String {
    let mut fields = Fields {
        message: "lines of the log were lost: whoever reads it was too slow, or its disk was full".to_owned(),
        ..Fields::default()
    };
    fields.rest.insert("lines".to_owned(), Value::from(lines));
    fields.line(form, Level::WARN)
}

/// An event's fields, its message apart.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn line(&self, form: Form, level: Level) -> String {
        let mut line = match form {
            Form::Json => self.json(level),
            Form::Pretty => self.pretty(level),
        };
        line.push('\n');
        line
    }

    fn json(&self, level: Level) -> String {
        let mut line = Map::new();
        line.insert("time".to_owned(), Value::String(timestamp()));
        line.insert(
            "level".to_owned(),
            Value::String(level.as_str().to_ascii_lowercase()),
        );
        line.insert("msg".to_owned(), Value::String(self.message.clone()));
        line.extend(self.rest.clone());
        escape::json(Value::Object(line).to_string())
    }

    fn pretty(&self, level: Level) -> String {
        let colour = match level {
            Level::ERROR => "31",
            Level::WARN => "33",
            Level::INFO => "32",
            _ => "36",
        };
        let mut line = format!(
            "\x1b[2m{}\x1b[0m \x1b[{colour}m{level:>5}\x1b[0m {}",
            clock_time(),
            lines(&self.message)
        );
        for (name, value) in self.rest.iter().filter(|(name, _)| *name != REPORT) {
            let text = value.as_str().map_or_else(|| value.to_string(), one_line);
            let _ = write!(line, " \x1b[2m{name}=\x1b[0m{text}");
        }
        if let Some(report) = self.rest.get(REPORT).and_then(Value::as_str) {
            let _ = write!(line, "\n{}", lines(report.trim_end()));
        }
        line
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.rest
                .insert(field.name().to_owned(), Value::String(value.to_owned()));
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.rest.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.rest.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.rest.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.rest.insert(field.name().to_owned(), Value::from(value));
    }
}

/// Now, as RFC 3339 in UTC with milliseconds.
pub(super) fn timestamp() -> String {
    let mut text = String::with_capacity(32);
    push_timestamp(&mut text, clock::wall());
    text
}

/// Writes a point in time as RFC 3339. The calendar is asked once a second.
pub(super) fn push_timestamp(out: &mut impl fmt::Write, at: SystemTime) {
    static SECOND: Mutex<(u64, String)> = Mutex::new((u64::MAX, String::new()));
    let now = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut second = SECOND.lock();
    if second.0 != now.as_secs() {
        *second = (now.as_secs(), calendar(now.as_secs()));
    }
    // Neither a string nor an access line refuses.
    let _ = out.write_str(&second.1);
    drop(second);
    // A thousand more gives the leading zeros, and a digit in the place of the point.
    let mut buffer = itoa::Buffer::new();
    let millis = buffer.format(1_000 + now.subsec_millis());
    let _ = out.write_str(".");
    let _ = out.write_str(millis.get(1..).unwrap_or_default());
    let _ = out.write_str("Z");
}

/// A second as `2026-11-22T21:38:47`.
fn calendar(seconds: u64) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(|time| format!("{time:.0}").trim_end_matches('Z').to_owned())
        .unwrap_or_default()
}

/// Now, as hours, minutes and seconds in UTC.
pub(super) fn clock_time() -> String {
    let time = timestamp();
    time.get(11..19).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pretty_line_keeps_the_lines_of_our_reports_and_of_nothing_else() {
        let text = |text: &str| Value::String(text.to_owned());
        let mut fields = Fields {
            message: "refused\nline 3".to_owned(),
            ..Fields::default()
        };
        fields.rest.insert("body".to_owned(), text("x\nERROR forged"));
        fields.rest.insert("backtrace".to_owned(), text("0: a\n1: b\n"));
        let line = fields.pretty(Level::ERROR);
        let lines: Vec<&str> = line.lines().collect();
        assert_eq!(lines.len(), 4, "{line:?}");
        assert!(lines[1].starts_with("line 3") && lines[1].ends_with("x\u{fffd}ERROR forged"));
        assert_eq!(&lines[2..], ["0: a", "1: b"]);
    }
}
