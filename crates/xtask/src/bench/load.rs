//! Load on a target: as fast as it goes, to learn the cost of a request, or at a fixed rate, to learn its delay.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::Options;
use super::client::Client;
use super::clock;
use super::rig::Rig;
use super::rows::{Ask, Target};
use super::table::{Line, median};

/// Connections that ask as fast as they are answered: enough to keep the target busy.
const CROWD: usize = 16;

/// Connections that share a fixed rate: more than are ever busy at once.
const CALLERS: usize = 8;

/// Requests a second of the fixed rate: moderate, so that nothing queues.
const RATE: u32 = 200;

/// How much later than nginx the median answer may be, in microseconds.
const ADDED_BAR: f64 = 50.0;

/// Microseconds of CPU that one request costs `target`, over a span of full load.
pub(super) fn cost(rig: &Rig, target: Target, ask: &Ask, span: Duration) -> Result<f64> {
    let (request, process) = (ask.for_target(target), rig.process(target));
    let before = process.cpu()?;
    let until = clock::now() + span;
    let counts = together(CROWD, |_| flat_out(rig, target, &request, until));
    let answers: u32 = counts
        .with_context(|| format!("load on {}", target.name()))?
        .iter()
        .sum();
    let spent = process.cpu()?.saturating_sub(before);
    Ok(spent.as_secs_f64() * 1e6 / f64::from(answers.max(1)))
}

/// Whether `target` can do this work at all: a refusal is told as an empty cell, not as a figure.
pub(super) fn is_served(rig: &Rig, target: Target, ask: &Ask) -> Result<bool> {
    let answer = Client::connect(rig.addr(target))?.ask(&ask.for_target(target))?;
    Ok(answer.status == 200)
}

fn flat_out(rig: &Rig, target: Target, request: &[u8], until: Instant) -> Result<u32> {
    let mut client = Client::connect(rig.addr(target))?;
    let mut answers = 0;
    while clock::now() < until {
        ask_once(&mut client, request)?;
        answers += 1;
    }
    Ok(answers)
}

fn ask_once(client: &mut Client, request: &[u8]) -> Result<()> {
    match client.ask(request)?.status {
        200 => Ok(()),
        status => bail!("an answer of {status} is no measurement"),
    }
}

/// The median delay that a target adds to a direct connection at a fixed rate.
pub(super) fn added_latency(rig: &Rig, options: &Options) -> Result<Vec<Line>> {
    let work = format!("added p50 at {RATE} requests a second, us");
    if !options.wants(&work) {
        return Ok(Vec::new());
    }
    let span = Duration::from_secs(options.seconds());
    let (mut nginx, mut proxy) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds() {
        let direct = p50(rig, Target::Direct, span)?;
        nginx.push(p50(rig, Target::Nginx, span)? - direct);
        proxy.push(p50(rig, Target::Proxy, span)? - direct);
    }
    let nginx = median(&nginx);
    Ok(vec![Line {
        work,
        nginx,
        proxy: median(&proxy),
        bar: nginx.map(|added| added + ADDED_BAR),
    }])
}

/// The median answer time at the fixed rate, in microseconds.
fn p50(rig: &Rig, target: Target, span: Duration) -> Result<f64> {
    let request = Ask::small().for_target(target);
    let plan = Plan::new(f64::from(RATE), span);
    let times = together(CALLERS, |_| on_schedule(rig, target, &request, &plan))?;
    let times: Vec<f64> = times.into_iter().flatten().collect();
    median(&times).context("no answers")
}

/// The moments of an open loop: fixed beforehand, whatever the answers do.
pub(super) struct Plan {
    next: AtomicU32,
    pub(super) start: Instant,
    every: Duration,
    span: Duration,
}

impl Plan {
    /// So many a second for `span`, from now on.
    pub(super) fn new(rate: f64, span: Duration) -> Self {
        Self {
            next: AtomicU32::new(0),
            start: clock::now(),
            every: Duration::from_secs_f64(1.0 / rate),
            span,
        }
    }

    /// The next moment that nobody has taken; `None` once the span is over.
    pub(super) fn take(&self) -> Option<Instant> {
        let after = self.every * self.next.fetch_add(1, Ordering::Relaxed);
        (after < self.span).then_some(self.start + after)
    }
}

fn on_schedule(rig: &Rig, target: Target, request: &[u8], plan: &Plan) -> Result<Vec<f64>> {
    let mut client = Client::connect(rig.addr(target))?;
    ask_once(&mut client, request)?; // the connection's first answer is not the one that we ask about
    let mut times = Vec::new();
    while let Some(moment) = plan.take() {
        thread::sleep(moment.saturating_duration_since(clock::now()));
        let sent = clock::now();
        ask_once(&mut client, request)?;
        times.push(clock::now().duration_since(sent).as_secs_f64() * 1e6);
    }
    Ok(times)
}

/// Runs `work` on `count` threads and gathers what each gave.
pub(super) fn together<T: Send>(count: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count).map(|n| scope.spawn(move || work(n))).collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_panic| Err(anyhow!("a thread panicked")))
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_evenly_spaced_and_each_is_taken_once() {
        let plan = Plan::new(200.0, Duration::from_millis(20));
        let taken: Vec<u128> = std::iter::from_fn(|| plan.take())
            .map(|moment| moment.duration_since(plan.start).as_millis())
            .collect();
        assert_eq!(taken, [0, 5, 10, 15], "200 a second for 20 ms");
    }

    #[test]
    fn one_failure_fails_all() {
        assert_eq!(together(3, Ok).expect("all fine").len(), 3);
        let failed = together(3, |n| if n == 1 { bail!("broken") } else { Ok(()) });
        assert!(failed.is_err(), "a figure with failures in it is no figure");
    }
}
