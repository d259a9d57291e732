//! The rows of work: what is asked of whom, and what it cost.

use anyhow::Result;

use super::Options;
use super::configs::KEY;
use super::load;
use super::rig::Rig;
use super::table::{Line, median};

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The simulated backend itself.
    Direct,
    Nginx,
    Proxy,
    /// The proxy without rate limits.
    Unlimited,
    /// The proxy with a system prompt.
    Prompted,
    /// The proxy with a ledger in a file.
    Ledgered,
    /// The proxy without an access log.
    Silent,
    /// The proxy with its access log in a file, and nobody who keeps what it says to standard error.
    Filed,
    /// The proxy with its access log in a file, and what it says to standard error in another.
    FiledTwice,
    /// The proxy with telemetry.
    Traced,
}

impl Target {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Proxy => "llm-proxy",
            Self::Unlimited => "llm-proxy-unlimited",
            Self::Prompted => "llm-proxy-prompted",
            Self::Ledgered => "llm-proxy-ledger",
            Self::Silent => "llm-proxy-silent",
            Self::Filed => "llm-proxy-filed",
            Self::FiledTwice => "llm-proxy-filed-twice",
            Self::Traced => "llm-proxy-traced",
        }
    }
}

/// A request: the same work under an alias for the proxy and under the backend's own name for the others.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    /// `None`: only the proxy can do this.
    model: Option<&'static str>,
    alias: &'static str,
    path: &'static str,
    stream: bool,
    /// Bytes of the prompt.
    prompt: usize,
}

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

impl Ask {
    /// The smallest work: a prompt of 1 KB, an answer in JSON.
    pub(super) fn small() -> Self {
        Self {
            model: Some("sim-small"),
            alias: "small",
            path: CHAT,
            stream: false,
            prompt: 1000,
        }
    }

    /// A stream that says its first word within two seconds and goes on for minutes.
    pub(super) fn slow() -> Self {
        Self {
            model: Some("sim-slow-100-2000"),
            alias: "slow",
            stream: true,
            ..Self::small()
        }
    }

    /// A stream of a few events with pauses: what it takes is the backend's doing.
    pub(super) fn delayed() -> Self {
        Self {
            alias: "delayed",
            stream: true,
            ..Self::small()
        }
    }

    /// The same work for a client of another dialect than the backend's: only the proxy can do this.
    pub(super) fn converted(self) -> Self {
        Self {
            model: None,
            path: MESSAGES,
            ..self
        }
    }

    /// The bytes to send.
    pub(super) fn for_target(&self, target: Target) -> Vec<u8> {
        let model = match target {
            Target::Direct | Target::Nginx => self.model.unwrap_or(self.alias),
            _ => self.alias,
        };
        let prompt = "lorem ipsum ".repeat(self.prompt / 12);
        let stream = self.stream;
        let body = format!(
            r#"{{"model":"{model}","max_tokens":100,"stream":{stream},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
        );
        let (path, length) = (self.path, body.len());
        let version = if path == MESSAGES {
            "anthropic-version: 2023-06-01\r\n"
        } else {
            ""
        };
        format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\n{version}\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// A row of the table: its work, and the row of nginx that it is held against.
struct Row {
    name: &'static str,
    ask: Ask,
    /// Whose figure of nginx is the pair; itself for a pass-through.
    pair: &'static str,
    /// At most this many times the pair.
    bar: f64,
}

/// What rate limits may cost of a request without them.
const LIMITS_BAR: f64 = 1.03;
/// What a ledger may cost of a request without one, its writing included.
const LEDGER_BAR: f64 = 1.05;
/// What the access log, in a file and on standard error, may cost of a request that is only counted.
const LOG_BAR: f64 = 1.05;
/// What spans of every request may cost of one without them.
const TRACES_BAR: f64 = 1.25;
/// What one system prompt may cost, in microseconds.
const PROMPT_BAR: f64 = 3.0;

const JSON: &str = "JSON, 1 KB prompt";
const SSE: &str = "SSE, 100 events in one write";

fn all_rows() -> Vec<Row> {
    let small = Ask::small();
    let burst = Ask {
        model: Some("sim-burst-100"),
        alias: "burst",
        stream: true,
        ..small
    };
    let paced = Ask {
        model: Some("sim-paced-100"),
        alias: "paced",
        ..burst
    };
    let row = |name, ask, pair, bar| Row { name, ask, pair, bar };
    vec![
        row(JSON, small, JSON, 1.0),
        row(
            "JSON, 100 KB prompt",
            Ask {
                prompt: 100_000,
                ..small
            },
            "JSON, 100 KB prompt",
            1.0,
        ),
        row(SSE, burst, SSE, 1.0),
        row(
            "SSE, 100 events, a write each",
            paced,
            "SSE, 100 events, a write each",
            1.0,
        ),
        row("JSON converted, messages to chat", small.converted(), JSON, 2.0),
        row("SSE converted, 100 events", burst.converted(), SSE, 2.0),
        row(
            "fallback after a failed first backend",
            Ask {
                model: None,
                alias: "falls",
                ..small
            },
            JSON,
            2.2,
        ),
    ]
}

/// The cells of one row: microseconds a request, one figure a round.
#[derive(Default)]
struct Cells {
    nginx: Vec<f64>,
    proxy: Vec<f64>,
}

/// Runs every wanted row, round by round, and holds each against nginx.
pub(super) fn measure(rig: &Rig, options: &Options) -> Result<Vec<Line>> {
    let rows = all_rows();
    let wanted: Vec<&Row> = rows.iter().filter(|row| options.wants(row.name)).collect();
    // A row of our own is told beside nginx's figure of its pair, so the pair runs as well.
    let runs: Vec<&Row> = rows
        .iter()
        .filter(|row| wanted.iter().any(|w| w.name == row.name || w.pair == row.name))
        .collect();
    let mut cells: Vec<Cells> = runs.iter().map(|_| Cells::default()).collect();
    for _ in 0..options.turns() {
        for (row, cells) in runs.iter().zip(&mut cells) {
            one_round(rig, options, row, cells)?;
        }
    }
    let nginx_of = |pair: &str| {
        let found = runs.iter().zip(&cells).find(|(row, _)| row.name == pair);
        found.and_then(|(_, cells)| median(&cells.nginx))
    };
    let told = runs.iter().zip(&cells).filter(|(row, _)| options.wants(row.name));
    Ok(told
        .map(|(row, cells)| line(row, nginx_of(row.pair), median(&cells.proxy)))
        .collect())
}

fn one_round(rig: &Rig, options: &Options, row: &Row, cells: &mut Cells) -> Result<()> {
    let span = options.turn();
    if row.ask.model.is_some() {
        cells.nginx.push(load::cost(rig, Target::Nginx, &row.ask, span)?);
    }
    if load::is_served(rig, Target::Proxy, &row.ask)? {
        cells.proxy.push(load::cost(rig, Target::Proxy, &row.ask, span)?);
    }
    Ok(())
}

/// What single features cost: the proxy without one stands where nginx does.
pub(super) fn features(rig: &Rig, options: &Options) -> Result<Vec<Line>> {
    let limits = "rate limits, JSON, 1 KB prompt (left: without them)";
    let prompt = "one system prompt, JSON, 1 KB prompt (left: without it)";
    let ledger = "ledger, JSON, 1 KB prompt (left: without it)";
    let log = "access log to a file, JSON, 1 KB prompt (left: without it)";
    let twice = "access log to a file and standard error to another, JSON, 1 KB prompt (left: without)";
    let traces = "traces of all requests, JSON, 1 KB prompt (left: without them)";
    let all = [
        (log, [Target::Silent, Target::Filed], LOG_BAR, 0.0),
        (twice, [Target::Silent, Target::FiledTwice], LOG_BAR, 0.0),
        (ledger, [Target::Proxy, Target::Ledgered], LEDGER_BAR, 0.0),
        (limits, [Target::Unlimited, Target::Proxy], LIMITS_BAR, 0.0),
        (prompt, [Target::Proxy, Target::Prompted], 1.0, PROMPT_BAR),
        (traces, [Target::Proxy, Target::Traced], TRACES_BAR, 0.0),
    ];
    let wanted = all.into_iter().filter(|(name, ..)| options.wants(name));
    wanted
        .map(|(name, targets, times, more)| {
            let [without, with] = side_by_side(rig, options, targets)?;
            Ok(Line {
                work: format!("{name}, us CPU"),
                nginx: without,
                proxy: with,
                bar: without.map(|without| without * times + more),
            })
        })
        .collect()
}

/// What the smallest work costs two targets. They differ by little, so they take turns more often than others.
fn side_by_side(rig: &Rig, options: &Options, targets: [Target; 2]) -> Result<[Option<f64>; 2]> {
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..3 * options.turns() {
        for (target, figures) in targets.into_iter().zip(&mut figures) {
            figures.push(load::cost(rig, target, &Ask::small(), options.turn())?);
        }
    }
    Ok(figures.each_ref().map(|figures| median(figures)))
}

fn line(row: &Row, nginx: Option<f64>, proxy: Option<f64>) -> Line {
    Line {
        work: format!("{}, us CPU", row.name),
        nginx,
        proxy,
        bar: nginx.map(|pair| pair * row.bar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_a_pair_that_nginx_can_do() {
        let rows = all_rows();
        for row in &rows {
            let pair = rows.iter().find(|other| other.name == row.pair);
            assert!(
                pair.is_some_and(|pair| pair.ask.model.is_some()),
                "{} has no figure beside it",
                row.name
            );
        }
    }

    #[test]
    fn the_proxy_gets_the_alias_and_the_others_the_backends_name() {
        for (target, model) in [
            (Target::Proxy, "small"),
            (Target::Nginx, "sim-small"),
            (Target::Direct, "sim-small"),
        ] {
            let request = String::from_utf8(Ask::small().for_target(target)).expect("text");
            let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
            assert!(
                head.contains(&format!("content-length: {}", body.len())),
                "{target:?}"
            );
            let body: serde_json::Value = serde_json::from_str(body).expect("a body of JSON");
            assert_eq!(
                body.get("model").and_then(|m| m.as_str()),
                Some(model),
                "{target:?}"
            );
        }
    }
}
