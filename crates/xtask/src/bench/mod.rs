//! The proxy beside nginx, in one run on loopback: what `scripts/bench` prints.
//!
//! Every figure has its pair, measured in the same minutes: rounds are interleaved, so that a slow moment of the machine
//! hits all alike, and the median over rounds is told. The cost of a request is the target's CPU time (user and
//! system) by the count of answers, as the kernel accounts it; no target measures itself.
//!
//! This process, and with it the load and the simulated backend, belongs on core 0 (`scripts/bench` sees to that); targets run
//! on core 1, and only one of them has work at a time.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

mod client;
mod clock;
mod configs;
mod load;
pub(crate) mod overload;
mod process;
mod rig;
mod rows;
mod sink;
pub(crate) mod soak;
mod startup;
mod streams;
mod table;

use rig::Rig;

/// What the command line asks for.
pub(crate) struct Options {
    /// One short round: for a look, not for a claim.
    quick: bool,
    /// Only rows with this word in their name.
    rows: String,
    /// The binary under test.
    proxy: PathBuf,
    /// Configs and logs of the run.
    dir: PathBuf,
}

/// In how many turns a round is divided.
const TURNS: u32 = 3;

impl Options {
    /// Reads `--quick --rows WORD --proxy FILE --dir DIR`, in any order.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self {
            quick: false,
            rows: String::new(),
            proxy: PathBuf::from("target/release/llm-proxy"),
            dir: PathBuf::from("target/bench"),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} wants a value"));
            match word.as_str() {
                "--quick" => options.quick = true,
                "--rows" => options.rows.clone_from(value()?),
                "--proxy" => options.proxy = value()?.into(),
                "--dir" => options.dir = value()?.into(),
                _ => bail!("unknown option {word}"),
            }
        }
        Ok(options)
    }

    /// How often each cell is measured.
    fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// How long one cell runs: long beside the kernel's tick of 10 ms.
    fn seconds(&self) -> u64 {
        if self.quick { 2 } else { 3 }
    }

    /// How often targets take turns where their load is compared. What else a machine does comes and goes within seconds:
    /// in short turns all get their share of it.
    fn turns(&self) -> usize {
        TURNS as usize * self.rounds()
    }

    /// How long one of those turns takes.
    fn turn(&self) -> Duration {
        Duration::from_secs(self.seconds()) / TURNS
    }

    fn wants(&self, name: &str) -> bool {
        name.contains(&self.rows)
    }
}

/// Measures everything that `options` want and prints the table as it grows.
pub(crate) fn run(options: &Options) -> Result<()> {
    let rig = Rig::start(&options.proxy, &options.dir)?;
    table::head();
    for line in startup::idle_memory(&rig, options)? {
        table::row(&line);
    }
    for line in rows::measure(&rig, options)? {
        table::row(&line);
    }
    for line in rows::features(&rig, options)? {
        table::row(&line);
    }
    for line in load::added_latency(&rig, options)? {
        table::row(&line);
    }
    for line in startup::cold_start(&rig, options)? {
        table::row(&line);
    }
    for line in streams::memory(&rig, options)? {
        table::row(&line);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn options_are_read_in_any_order() {
        let options = parse("--rows JSON --quick --proxy a/b").expect("all are known");
        assert!(options.quick && options.wants("JSON, 1 KB prompt") && !options.wants("SSE"));
        assert_eq!(options.proxy, PathBuf::from("a/b"));
    }

    #[test]
    fn a_wrong_option_is_told() {
        for text in ["--fast", "--rows", "quick"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
