//! One frame: everything on one screen, as a function of what is known and of the screen.

use std::time::Instant;

use serde_json::Value;

use super::board::{Board, list, number, text};
use super::health;
use super::numbers::Stretch;
use super::paint::{Column, Line, Tone, table};
use super::words::{count, span, took};

/// The lines that the table of requests needs to be worth its head.
const LEAST_REQUESTS: usize = 4;

/// What the screen shows: at most `height` lines of at most `width` columns, without a newline at the end.
pub(super) fn frame(board: &Board, width: usize, height: usize, now: Instant) -> String {
    let mut lines = head(board, now);
    if board.read.is_some() {
        lines.push(Line::default());
        let backends = backends(board, width, now);
        let room = height.saturating_sub(lines.len());
        lines.extend(shortened(
            backends,
            room.saturating_sub(LEAST_REQUESTS).max(room.div_ceil(2)),
        ));
        lines.push(Line::default());
        lines.extend(requests(board, width));
    }
    lines.truncate(height);
    let shown: Vec<String> = lines.iter().map(|line| line.shown(width, board.colour)).collect();
    shown.join("\n")
}

/// Where we look, how it is, and what it does.
fn head(board: &Board, now: Instant) -> Vec<Line> {
    let title = Line::of(Tone::Strong, "llm-proxy ").add(Tone::Plain, text(&board.status, "/version"));
    let mut lines = Vec::new();
    let Some((at, uptime)) = board.read else {
        lines.push(Line::of(Tone::Strong, "llm-proxy").add(Tone::Dim, &format!("  {}", board.address)));
        lines.push(lost(board).unwrap_or_else(|| Line::of(Tone::Dim, "Asking...")));
        return lines;
    };
    let uptime = uptime + now.saturating_duration_since(at).as_secs_f64();
    let generation = count(number(&board.status, "/config/generation"));
    let rest = format!("  up {}, config {generation}, {}", span(uptime), board.address);
    lines.push(title.add(Tone::Dim, &rest));
    let (tone, said) = health::sentence(&board.status);
    lines.push(match lost(board) {
        Some(line) => line.add(
            Tone::Dim,
            &format!(" What follows is {} old.", span(board.age(now))),
        ),
        None => Line::of(tone, &said),
    });
    let refused = text(&board.status, "/config/last_reload_error");
    if !refused.is_empty() {
        lines.push(Line::of(Tone::Bad, "The last reload was refused: ").add(Tone::Plain, refused));
    }
    lines.extend(pace(board));
    lines
}

fn lost(board: &Board) -> Option<Line> {
    let why = board.fault.as_deref()?;
    Some(Line::of(Tone::Bad, &format!("No answer: {why}; asking again.")))
}

/// What flows through it.
fn pace(board: &Board) -> Vec<Line> {
    let uptime = board.read.map_or(0.0, |(_, uptime)| uptime);
    let Some((now, minute)) = board.history.moment(uptime).zip(board.history.minute(uptime)) else {
        return Vec::new();
    };
    let rate = |name: &str, labels: &[(&str, &str)]| count(now.rate(name, labels));
    let tokens = |kind| rate("llm_proxy_tokens_total", &[("kind", kind)]);
    let flow = format!(
        "{} requests/s, {} tokens/s in, {} tokens/s out",
        rate("llm_proxy_requests_total", &[]),
        tokens("input"),
        tokens("output")
    );
    let of_backends = |share| quantile(&minute, share, None);
    let [half, most, worst] = [0.5, 0.9, 0.99].map(of_backends);
    let since = if minute.is_all() {
        "since the start"
    } else {
        "of the last minute"
    };
    let status = |pointer: &str| count(number(&board.status, pointer));
    let places = format!(
        "{} in flight, {} of {} places taken, {} waiting",
        status("/in_flight"),
        status("/concurrency/in_service"),
        status("/concurrency/max"),
        status("/concurrency/waiting"),
    );
    vec![
        Line::of(Tone::Plain, &flow),
        Line::of(
            Tone::Plain,
            &format!("first byte p50 {half}, p90 {most}, p99 {worst}"),
        )
        .add(Tone::Dim, &format!("  {since}")),
        Line::of(Tone::Plain, &places),
    ]
}

fn quantile(stretch: &Stretch<'_>, share: f64, backend: Option<&str>) -> String {
    let labels: Vec<(&str, &str)> = backend.map(|name| ("backend", name)).into_iter().collect();
    let seconds = stretch.quantile(share, "llm_proxy_first_byte_seconds", &labels);
    seconds.map_or_else(|| "-".to_owned(), took)
}

/// At most so many lines; the last one says how many more there are.
fn shortened(mut lines: Vec<Line>, room: usize) -> Vec<Line> {
    if lines.len() > room.max(2) {
        let more = lines.len() - room.max(2) + 1;
        lines.truncate(room.max(2) - 1);
        lines.push(Line::of(Tone::Dim, &format!("and {more} more")));
    }
    lines
}

const fn column(head: &'static str, right: bool, from: usize, most: usize) -> Column {
    Column {
        head,
        right,
        from,
        most,
    }
}

/// A line a backend, those first that something is wrong with.
fn backends(board: &Board, width: usize, now: Instant) -> Vec<Line> {
    const COLUMNS: [Column; 7] = [
        column("BACKEND", false, 0, 24),
        column("STATE", false, 0, 8),
        column("FLIGHT", true, 60, 7),
        column("OK", true, 40, 6),
        column("P50", true, 80, 7),
        column("P90", true, 70, 7),
        column("WHY", false, 0, usize::MAX),
    ];
    let uptime = board.read.map_or(0.0, |(_, uptime)| uptime);
    let minute = board.history.minute(uptime);
    let mut all: Vec<&Value> = list(&board.status, "backends").collect();
    all.sort_by_key(|backend| match text(backend, "/state") {
        "cooling" => 0,
        "disabled" => 2,
        _ => 1,
    });
    let row = |backend: &&Value| {
        let (state, name) = (text(backend, "/state"), text(backend, "/name"));
        let tone = match state {
            "ok" => Tone::Good,
            "cooling" => Tone::Bad,
            _ => Tone::Dim,
        };
        let plain = |text: &str| Line::of(Tone::Plain, text);
        let first_byte =
            |share| minute.map_or_else(|| "-".to_owned(), |minute| quantile(&minute, share, Some(name)));
        vec![
            plain(name),
            Line::of(tone, state),
            plain(&count(number(backend, "/in_flight"))),
            plain(&minute.map_or_else(|| "-".to_owned(), |minute| success(&minute, name))),
            plain(&first_byte(0.5)),
            plain(&first_byte(0.9)),
            why(backend, board.age(now)),
        ]
    };
    table(&COLUMNS, all.iter().map(row).collect(), width)
}

/// The share of its attempts that answered. What a client's leaving or another's answer ended says nothing of it.
fn success(stretch: &Stretch<'_>, backend: &str) -> String {
    let attempts = |labels: &[(&str, &str)]| stretch.more("llm_proxy_attempts_total", labels);
    let own = ("backend", backend);
    let cut = |class| attempts(&[own, ("class", class)]);
    let all = attempts(&[own]) - cut("client_gone") - cut("overtaken");
    if all < 0.5 {
        return "-".to_owned();
    }
    format!("{:.0} %", 100.0 * attempts(&[own, ("class", "ok")]) / all)
}

/// What it cools for, the longest rest first, and until when.
fn why(backend: &Value, age: f64) -> Line {
    let mut all: Vec<&Value> = list(backend, "cooldowns").collect();
    let left = |cooldown: &Value| number(cooldown, "/seconds_left") - age;
    all.sort_by(|a, b| left(b).total_cmp(&left(a)));
    let Some(first) = all.first() else {
        return Line::default();
    };
    let what = [text(first, "/key"), text(first, "/model")];
    let what: Vec<&str> = what.into_iter().filter(|name| !name.is_empty()).collect();
    let until = match left(first) {
        ..1.0 => "next request tries it".to_owned(),
        seconds => format!("{} left", span(seconds)),
    };
    let more = match all.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let place = if what.is_empty() {
        String::new()
    } else {
        format!(" ({})", what.join(", "))
    };
    Line::of(Tone::Plain, text(first, "/reason")).add(Tone::Dim, &format!("{place}, {until}{more}"))
}

/// A line a request, the newest first, with the way that it went.
fn requests(board: &Board, width: usize) -> Vec<Line> {
    const COLUMNS: [Column; 8] = [
        column("TIME", false, 50, 8),
        column("STATUS", true, 0, 6),
        column("MODEL", false, 0, 28),
        column("KEY", false, 110, 16),
        column("FIRST", true, 90, 7),
        column("TOTAL", true, 60, 7),
        column("TOKENS", true, 100, 13),
        column("WAY", false, 0, usize::MAX),
    ];
    if board.requests.is_empty() {
        return vec![Line::of(Tone::Dim, "No request has ended yet.")];
    }
    table(&COLUMNS, board.requests.iter().map(request).collect(), width)
}

fn request(record: &Value) -> Vec<Line> {
    let plain = |text: &str| Line::of(Tone::Plain, text);
    let or_dash = |text: &str| Line::of(Tone::Plain, if text.is_empty() { "-" } else { text });
    let milliseconds = |name: &str| {
        let ms = record.get(name).and_then(Value::as_f64);
        plain(&ms.map_or_else(|| "-".to_owned(), |ms| took(ms / 1e3)))
    };
    let status = number(record, "/status");
    let tone = match status {
        ..400.0 if record.get("class").is_none_or(Value::is_null) => Tone::Good,
        ..500.0 => Tone::Warn,
        _ => Tone::Bad,
    };
    let tokens = ["/input_tokens", "/output_tokens"].map(|pointer| number(record, pointer));
    vec![
        plain(text(record, "/time").get(11..19).unwrap_or_default()),
        Line::of(tone, &count(status)),
        or_dash(text(record, "/alias")),
        or_dash(text(record, "/key")),
        milliseconds("first_byte_ms"),
        milliseconds("duration_ms"),
        plain(&format!("{}+{}", count(tokens[0]), count(tokens[1]))),
        way(record),
    ]
}

/// The trail of attempts: whom it asked, and what each came to.
fn way(record: &Value) -> Line {
    let mut line = Line::default();
    for (n, attempt) in list(record, "attempts").enumerate() {
        let arrow = if n == 0 { "" } else { " → " };
        let (backend, class) = (text(attempt, "/backend"), text(attempt, "/class"));
        line = line.add(Tone::Dim, arrow).add(Tone::Plain, backend);
        if class != "ok" {
            line = line.add(Tone::Warn, &format!(" {class}"));
        }
    }
    let own = text(record, "/class");
    let of_last = list(record, "attempts").last().map(|last| text(last, "/class"));
    if own.is_empty() || of_last == Some(own) {
        return line;
    }
    let gap = if of_last.is_some() { ", " } else { "" };
    line.add(Tone::Warn, &format!("{gap}{own}"))
}

#[cfg(test)]
mod tests;
