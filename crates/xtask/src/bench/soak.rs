//! Everything breaks around the proxy, for minutes: what `scripts/soak` prints.
//!
//! Simulated backends of all dialects answer in most cases and fail in every way that they know otherwise; they are
//! killed and come back; the config changes under way; clients leave where they like. Whatever happens, each request
//! must end in one of the ways in which a request may end, and nothing may be left when all is over.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::clock;
use super::rig::free_address;
use crate::out;
use caller::World;
use crew::Crew;
use faults::Sabotage;
use ledger::Ledger;
use proxy::Proxy;
use report::Report;
use roster::Addresses;
use vitals::{Sample, Vitals};
use weather::Reloads;

pub(crate) mod backend;
mod caller;
mod crew;
mod dice;
mod faults;
mod judge;
mod ledger;
mod order;
mod proxy;
mod report;
mod roster;
mod vitals;
mod weather;
mod wire;

/// Clients that have a stream open at any time.
const STREAMS: u64 = 200;
/// Clients that ask for JSON.
const OTHERS: u64 = 30;
/// How long a quick run is, in minutes.
const QUICK: f64 = 0.6;
/// How long the load lasts that comes before the one that is measured: long enough for everything to have happened once.
const WARM_UP: Duration = Duration::from_mins(1);
/// After that many violations a run ends early.
const MOST_VIOLATIONS: u64 = 20;
/// Longer than idle connections to backends are kept, and threads that wait for a blocking call.
const REST: Duration = Duration::from_secs(75);
/// How long requests that were left behind may take to end.
const SETTLE: Duration = Duration::from_secs(30);

/// What the command line asks for.
pub(crate) struct Options {
    /// How long the load lasts.
    minutes: f64,
    /// Without rests and warm-up, and without what needs them.
    quick: bool,
    /// What all chance comes from.
    seed: u64,
    /// The lie that backends tell, or `none`: a run with one must fail.
    sabotage: String,
    /// The binary under test.
    proxy: PathBuf,
    /// Config and log of the run.
    dir: PathBuf,
}

impl Options {
    /// Reads `--minutes N --quick --seed N --sabotage LIE --proxy FILE --dir DIR`, in any order.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self {
            minutes: 10.0,
            quick: false,
            seed: dice::fresh_seed(),
            sabotage: "none".to_owned(),
            proxy: PathBuf::from("target/release/llm-proxy"),
            dir: PathBuf::from("target/soak"),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} wants a value"));
            match word.as_str() {
                "--quick" => (options.quick, options.minutes) = (true, QUICK),
                "--minutes" => options.minutes = value()?.parse()?,
                "--seed" => options.seed = value()?.parse()?,
                "--sabotage" => options.sabotage.clone_from(value()?),
                "--proxy" => options.proxy = value()?.into(),
                "--dir" => options.dir = value()?.into(),
                _ => bail!("unknown option {word}"),
            }
        }
        if !(0.1..=10_000.0).contains(&options.minutes) {
            bail!("--minutes wants a number from 0.1 up");
        }
        if options.sabotage != "none" && Sabotage::named(&options.sabotage).is_none() {
            bail!("--sabotage is one of nonce, end, twice");
        }
        Ok(options)
    }

    /// How to have the same run again.
    fn again(&self) -> String {
        let quick = if self.quick { " --quick" } else { "" };
        format!(
            "scripts/soak{quick} --minutes {} --seed {}",
            self.minutes, self.seed
        )
    }
}

/// Runs the soak and prints what became of it; `false` if anything was as it must not be.
pub(crate) fn run(options: &Options) -> Result<bool> {
    fs::create_dir_all(&options.dir).with_context(|| format!("cannot make {}", options.dir.display()))?;
    out::line(&format!("{} begins", options.again()));
    let ledger = Arc::new(Ledger::default());
    let mut crew = Crew::start(options.seed, &options.sabotage)?;
    let addresses = Addresses {
        proxy: free_address()?,
        admin: free_address()?,
        backends: crew.addresses(),
    };
    let proxy = Proxy::start(&options.proxy, &options.dir, addresses.clone(), &ledger)?;
    let idle = Sample::of(proxy.pid(), 0.0)?;
    let world = |seed: u64, lasts: Duration| World {
        addr: addresses.proxy,
        ledger: &ledger,
        seed,
        until: clock::now() + lasts,
        most_violations: MOST_VIOLATIONS,
    };
    let warmed = if options.quick {
        None
    } else {
        // Requests of their own, so that nobody takes one for another.
        let warm_up = |lasts| world(options.seed.wrapping_add(1), lasts);
        Some(warmed(warm_up, &proxy, &mut crew)?)
    };
    let lasts = Duration::from_secs_f64(options.minutes * 60.0);
    let storm = Storm::weathered(&world(options.seed, lasts), &proxy, &mut crew)?;
    let rested = if options.quick {
        settle(&proxy, &ledger).map(|()| None)
    } else {
        rest(&proxy, &ledger).map(Some)
    }?;
    end(proxy, &ledger)?;
    fs::write(options.dir.join("vitals.tsv"), storm.vitals.table())?;
    let report = Report {
        minutes: options.minutes,
        sums: ledger.close(),
        reloads: storm.reloads,
        restarts: storm.restarts,
        idle,
        warmed,
        vitals: storm.vitals,
        rested,
    };
    Ok(tell(options, &report))
}

/// What the proxy may remember is full, all that happens has happened, and it has had its rest: from here on nothing has
/// a reason to grow. What it is like then.
fn warmed<'a>(world: impl Fn(Duration) -> World<'a>, proxy: &Proxy, crew: &mut Crew) -> Result<Sample> {
    let filling = world(Duration::from_hours(1));
    caller::fill(&filling);
    Storm::weathered(&world(WARM_UP), proxy, crew)?;
    rest(proxy, filling.ledger)
}

/// What happened while the load lasted.
struct Storm {
    vitals: Vitals,
    reloads: Reloads,
    restarts: u64,
}

impl Storm {
    /// All at once: clients, reloads, restarts, and somebody who looks on.
    fn weathered(world: &World, proxy: &Proxy, crew: &mut Crew) -> Result<Self> {
        thread::scope(|scope| {
            for caller in 0..STREAMS + OTHERS {
                scope.spawn(move || caller::call(world, caller, caller < STREAMS));
            }
            let vitals = scope.spawn(|| watch(proxy.pid(), world));
            let reloads = scope.spawn(|| weather::reload(proxy, world));
            let restarts = scope.spawn(|| weather::restart(crew, world));
            let joined = (vitals.join(), reloads.join(), restarts.join());
            let panicked = |_panic| anyhow!("a thread of the soak panicked");
            Ok(Self {
                vitals: joined.0.map_err(panicked)??,
                reloads: reloads_of(world, joined.1.map_err(panicked)?),
                restarts: joined.2.map_err(panicked)??,
            })
        })
    }
}

/// A reload that goes wrong is a finding, not an error of the soak.
fn reloads_of(world: &World, reloads: Result<Reloads>) -> Reloads {
    reloads.unwrap_or_else(|error| {
        world.ledger.violate(format!("a reload: {error:#}"));
        Reloads::default()
    })
}

fn watch(pid: u32, world: &World) -> Result<Vitals> {
    let start = clock::now();
    let mut samples = vec![Sample::of(pid, 0.0)?];
    while world.sleep(Duration::from_secs(1)) {
        let at = clock::now().duration_since(start).as_secs_f64();
        samples.push(Sample::of(pid, at).context("the proxy is gone")?);
    }
    Ok(Vitals(samples))
}

/// Waits until nothing is under way, and tells what stays so.
fn settle(proxy: &Proxy, ledger: &Ledger) -> Result<()> {
    let until = clock::now() + SETTLE;
    let unrest = loop {
        let unrest = proxy::unrest(&proxy.status()?);
        let quiet = unrest.is_empty() && ledger.unsettled() == 0;
        if quiet || clock::now() > until {
            break unrest;
        }
        thread::sleep(Duration::from_millis(100));
    };
    for what in unrest {
        ledger.violate(format!("{SETTLE:?} after the last request, {what}"));
    }
    Ok(())
}

/// The same, and lets the proxy rest. What it is like then.
fn rest(proxy: &Proxy, ledger: &Ledger) -> Result<Sample> {
    settle(proxy, ledger)?;
    thread::sleep(REST);
    Sample::of(proxy.pid(), 0.0)
}

fn end(proxy: Proxy, ledger: &Ledger) -> Result<()> {
    match proxy.end()? {
        status if status.success() => {}
        status => ledger.violate(format!("the proxy ended with {status}")),
    }
    Ok(())
}

fn tell(options: &Options, report: &Report) -> bool {
    for row in report.rows() {
        out::line(&row);
    }
    let more = report.violations();
    for violation in report.sums.violations.iter().chain(&more) {
        out::line(&format!("VIOLATION: {violation}"));
    }
    let fine = report.sums.violated == 0 && more.is_empty();
    if !fine {
        out::line(&format!(
            "FAILED; the same again, as far as chance goes: {}",
            options.again()
        ));
        out::line(&format!("The log of the proxy is in {}.", options.dir.display()));
    }
    fine
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
        let options = parse("--seed 7 --minutes 2.5").expect("all are known");
        assert_eq!(options.again(), "scripts/soak --minutes 2.5 --seed 7");
        assert!(parse("--quick").is_ok_and(|options| options.quick && options.minutes < 1.0));
    }

    #[test]
    fn a_wrong_option_is_told() {
        for text in [
            "--fast",
            "--minutes",
            "--minutes 0",
            "--seed x",
            "--sabotage everything",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
