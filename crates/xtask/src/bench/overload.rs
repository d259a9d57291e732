//! Ten times the load that the proxy has places for, then silence: what `scripts/overload` prints.
//!
//! The load is an open loop: requests are sent at moments that are fixed beforehand, whatever the answers do, as a crowd
//! of clients would. The backend answers after a fixed time, so that the places alone decide how much can be served.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::load::together;
use super::process::Process;
use super::rig::Yard;
use super::rows::{Ask, Target};
use super::table::{figure, float, median};
use super::{clock, configs};
use crate::out;
use flood::Heard;

mod flood;

/// How much more comes than can be served.
const TIMES: f64 = 10.0;

/// Milliseconds that a refusal may take, and that a request may wait that is served at once.
const AT_ONCE: f64 = 50.0;

/// What the command line asks for.
pub(crate) struct Options {
    /// How long the load lasts.
    seconds: u64,
    /// How long it is quiet afterwards.
    rest: u64,
    /// The binary under test.
    proxy: PathBuf,
    /// Configs and logs of the run.
    dir: PathBuf,
}

impl Options {
    /// Reads `--seconds N --rest N --proxy FILE --dir DIR`, in any order.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self {
            seconds: 30,
            rest: 60,
            proxy: PathBuf::from("target/release/llm-proxy"),
            dir: PathBuf::from("target/overload"),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("{word} wants a value"))?;
            match word.as_str() {
                "--seconds" => options.seconds = value.parse()?,
                "--rest" => options.rest = value.parse()?,
                "--proxy" => options.proxy = value.into(),
                "--dir" => options.dir = value.into(),
                _ => bail!("unknown option {word}"),
            }
        }
        if options.seconds <= flood::RAMP.as_secs() {
            bail!("--seconds wants more than {}", flood::RAMP.as_secs());
        }
        Ok(options)
    }
}

/// Loads the proxy, leaves it alone, and prints what became of both.
pub(crate) fn run(options: &Options) -> Result<()> {
    let yard = Yard::start(&options.proxy, &options.dir)?;
    let config = |listen| configs::overload(listen, yard.backend);
    let (mut process, addr) = yard.proxy("llm-proxy", config)?;
    let request = Ask::delayed().for_target(Target::Proxy);
    process.first_answer(addr, &request)?;
    let idle = process.memory()?;

    let calm = Calm::measure(addr, &request)?;
    let span = Duration::from_secs(options.seconds);
    let flooded = flood::flood(addr, &request, calm.capacity * TIMES, span)?;
    let peak = process.peak()?;
    thread::sleep(Duration::from_secs(options.rest));
    let memory = Memory {
        idle,
        peak,
        after: process.memory()?,
    };
    for row in rows(options, &calm, &flooded, &memory) {
        out::line(&row);
    }
    served_again(&mut process, addr, &request)
}

/// Who has been through all this still answers.
fn served_again(process: &mut Process, addr: SocketAddr, request: &[u8]) -> Result<()> {
    let answered = process.first_answer(addr, request);
    answered.map(drop).context("after the rest")
}

/// The proxy without overload.
struct Calm {
    /// What one request takes, in milliseconds.
    took: f64,
    /// Requests a second that all its places together serve.
    capacity: f64,
}

impl Calm {
    fn measure(addr: SocketAddr, request: &[u8]) -> Result<Self> {
        const SPAN: Duration = Duration::from_secs(3);
        let until = clock::now() + SPAN;
        let served = together(configs::PLACES, |_| flood::steadily(addr, request, until))?;
        let times: Vec<f64> = served.into_iter().flatten().collect();
        let took = median(&times).context("no answers")?;
        let places = u32::try_from(configs::PLACES)?;
        Ok(Self {
            took,
            capacity: f64::from(places) * 1e3 / took,
        })
    }
}

/// Resident memory in KiB.
struct Memory {
    idle: u64,
    peak: u64,
    after: u64,
}

fn rows(options: &Options, calm: &Calm, flooded: &flood::Flooded, memory: &Memory) -> Vec<String> {
    let served = flooded.times(Heard::is_served);
    let refused = flooded.times(Heard::is_refused);
    let waited = |share| quantile(&served, share).map(|took| (took - calm.took).max(0.0));
    let mib = |kib| Some(float(kib) / 1024.0);
    let rest = options.rest;
    let longest = configs::QUEUE_SECONDS * 1e3;
    vec![
        "| under ten times the load | | bar | |".to_owned(),
        "| --- | --: | --: | --- |".to_owned(),
        row("capacity, requests a second", Some(calm.capacity), None),
        row("sent a second", Some(flooded.rate()), None),
        row("sent more than 50 ms late, %", Some(flooded.late() * 100.0), None),
        at_least(
            "goodput, % of the capacity",
            flooded.goodput(calm.capacity) * 100.0,
            90.0,
        ),
        row("neither served nor refused", Some(flooded.lost()), Some(0.0)),
        row("refusal p50, ms", quantile(&refused, 0.5), Some(AT_ONCE)),
        row("refusal p99, ms", quantile(&refused, 0.99), Some(AT_ONCE)),
        row("refusal max, ms", quantile(&refused, 1.0), None),
        row("wait of the served p50, ms", waited(0.5), None),
        row("wait of the served p99, ms", waited(0.99), Some(longest)),
        row(
            "served at once again after, s",
            flooded.recovery(calm.took + AT_ONCE),
            Some(2.0),
        ),
        row("RSS idle, MiB", mib(memory.idle), None),
        row("RSS peak, MiB", mib(memory.peak), None),
        row(
            &format!("RSS {rest} s after, MiB"),
            mib(memory.after),
            mib(memory.idle).map(|idle| idle * 1.5),
        ),
    ]
}

/// A figure that may be at most `bar`. One that could not be had has missed it.
fn row(what: &str, value: Option<f64>, bar: Option<f64>) -> String {
    let verdict = match (value, bar) {
        (_, None) => "",
        (Some(value), Some(bar)) if value <= bar => "holds",
        _ => "MISSED",
    };
    format!("| {what} | {} | {} | {verdict} |", figure(value), figure(bar))
}

fn at_least(what: &str, value: f64, bar: f64) -> String {
    let verdict = if value >= bar { "holds" } else { "MISSED" };
    format!(
        "| {what} | {} | {} | {verdict} |",
        figure(Some(value)),
        figure(Some(bar))
    )
}

/// The figure that this share of all is at most; `sorted` from the smallest up.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = u32::try_from(sorted.len().checked_sub(1)?).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of an index is one"
    )]
    let at = (f64::from(last) * share).ceil() as usize;
    sorted.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_figures() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        for (share, expected) in [(0.0, 1.0), (0.5, 51.0), (0.99, 100.0), (1.0, 100.0)] {
            assert_eq!(quantile(&hundred, share), Some(expected), "{share}");
        }
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_row_tells_whether_its_bar_holds() {
        assert_eq!(row("a", Some(3.0), Some(3.0)), "| a | 3.00 | 3.00 | holds |");
        assert_eq!(row("a", Some(4.0), Some(3.0)), "| a | 4.00 | 3.00 | MISSED |");
        assert_eq!(row("a", None, Some(3.0)), "| a | - | 3.00 | MISSED |");
        assert_eq!(row("a", Some(4.0), None), "| a | 4.00 | - |  |");
        assert_eq!(at_least("a", 89.0, 90.0), "| a | 89.0 | 90.0 | MISSED |");
    }

    #[test]
    fn a_wrong_option_is_told() {
        let parse = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            Options::parse(&words)
        };
        assert!(parse("--rest 1 --seconds 5").is_ok());
        for text in ["--fast 1", "--rest", "--rest long", "--seconds 1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
