//! The load itself, and what each of its requests came to.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use super::super::client::Client;
use super::super::clock;
use super::super::load::{Plan, together};

/// Connections that share the load: more than have a place or wait for one.
const CALLERS: usize = 600;

/// The first second is not judged: all places are empty then.
pub(super) const RAMP: Duration = Duration::from_secs(1);

/// Later than this, a request was not sent when it should have been.
const LATE: Duration = Duration::from_millis(50);

/// Probes after the end, one each tenth of a second.
const PROBES: u32 = 50;
const BETWEEN_PROBES: Duration = Duration::from_millis(100);

/// What one request came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// The answer's status; none where there was no whole answer.
    status: Option<u16>,
    /// From its sending to its last byte.
    took: Duration,
    /// How long after its moment it was sent.
    late: Duration,
    /// When its last byte came, from the beginning of the load.
    at: Duration,
}

impl Heard {
    pub(super) fn is_served(&self) -> bool {
        self.status == Some(200)
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self.status, Some(429 | 503))
    }
}

/// All that was heard.
pub(super) struct Flooded {
    span: Duration,
    heard: Vec<Heard>,
    /// Probes after the end: when each was sent, and what it took if it was served.
    probes: Vec<(Duration, Option<Duration>)>,
}

/// Sends `rate` requests a second for `span`, and looks when the proxy has come to itself again.
pub(super) fn flood(addr: SocketAddr, request: &[u8], rate: f64, span: Duration) -> Result<Flooded> {
    let plan = Plan::new(rate, span);
    let (heard, probes) = thread::scope(|scope| {
        let probes = scope.spawn(|| probe(addr, request, plan.start + span));
        let heard = together(CALLERS, |_| Ok(call(addr, request, &plan)));
        let probes = probes
            .join()
            .unwrap_or_else(|_panic| Err(anyhow!("a probe panicked")));
        (heard, probes)
    });
    Ok(Flooded {
        span,
        heard: heard?.into_iter().flatten().collect(),
        probes: probes?,
    })
}

/// Takes one moment of the plan after the other.
fn call(addr: SocketAddr, request: &[u8], plan: &Plan) -> Vec<Heard> {
    let (mut client, mut heard) = (None, Vec::new());
    while let Some(moment) = plan.take() {
        thread::sleep(moment.saturating_duration_since(clock::now()));
        let sent = clock::now();
        let status = ask(&mut client, addr, request);
        let done = clock::now();
        heard.push(Heard {
            status,
            took: done.duration_since(sent),
            late: sent.duration_since(moment),
            at: done.duration_since(plan.start),
        });
    }
    heard
}

/// One request, on the connection that is there. That may have been closed while nobody looked; a fresh one may not.
fn ask(client: &mut Option<Client>, addr: SocketAddr, request: &[u8]) -> Option<u16> {
    if let Some(mut open) = client.take()
        && let Ok(answer) = open.ask(request)
    {
        *client = Some(open);
        return Some(answer.status);
    }
    let mut fresh = Client::connect(addr).ok()?;
    let answer = fresh.ask(request).ok()?;
    *client = Some(fresh);
    Some(answer.status)
}

fn probe(addr: SocketAddr, request: &[u8], end: Instant) -> Result<Vec<(Duration, Option<Duration>)>> {
    let probes = usize::try_from(PROBES)?;
    together(probes, |n| {
        let after = BETWEEN_PROBES * u32::try_from(n)?;
        thread::sleep((end + after).saturating_duration_since(clock::now()));
        let sent = clock::now();
        let served = ask(&mut None, addr, request) == Some(200);
        Ok((after, served.then(|| clock::now().duration_since(sent))))
    })
}

/// Asks one after the other, and tells the milliseconds that each took.
pub(super) fn steadily(addr: SocketAddr, request: &[u8], until: Instant) -> Result<Vec<f64>> {
    let (mut client, mut times) = (None, Vec::new());
    while clock::now() < until {
        let sent = clock::now();
        if ask(&mut client, addr, request) != Some(200) {
            bail!("a request without overload was not served");
        }
        times.push(milliseconds(clock::now().duration_since(sent)));
    }
    Ok(times)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Flooded {
    /// Milliseconds that these requests took, the shortest first.
    pub(super) fn times(&self, which: fn(&Heard) -> bool) -> Vec<f64> {
        let wanted = self.heard.iter().filter(|heard| which(heard));
        let mut times: Vec<f64> = wanted.map(|heard| milliseconds(heard.took)).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    /// Requests a second that were sent.
    pub(super) fn rate(&self) -> f64 {
        self.count(|_| true) / self.span.as_secs_f64()
    }

    /// The share that was sent late: what a load that falls behind says about the proxy is nothing.
    pub(super) fn late(&self) -> f64 {
        self.count(|heard| heard.late > LATE) / self.count(|_| true).max(1.0)
    }

    /// How many got no answer, or one that is neither an answer nor a refusal.
    pub(super) fn lost(&self) -> f64 {
        self.count(|heard| !heard.is_served() && !heard.is_refused())
    }

    /// What was served in the time of the load, as a share of `capacity`.
    pub(super) fn goodput(&self, capacity: f64) -> f64 {
        let judged = |heard: &Heard| heard.is_served() && heard.at > RAMP && heard.at <= self.span;
        self.count(judged) / (self.span.saturating_sub(RAMP).as_secs_f64() * capacity)
    }

    /// Seconds after the load until whoever comes is served within so many milliseconds, and so is everybody later.
    pub(super) fn recovery(&self, within: f64) -> Option<f64> {
        let at_once = |took: Option<Duration>| took.is_some_and(|took| milliseconds(took) <= within);
        let good = self.probes.iter().rev().take_while(|(_, took)| at_once(*took));
        good.last().map(|(after, _)| after.as_secs_f64())
    }

    fn count(&self, which: impl Fn(&Heard) -> bool) -> f64 {
        let count = self.heard.iter().filter(|heard| which(heard)).count();
        f64::from(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn heard(status: Option<u16>, at: u64) -> Heard {
        Heard {
            status,
            took: Duration::from_millis(at),
            late: Duration::ZERO,
            at: seconds(at),
        }
    }

    #[test]
    fn what_is_served_after_the_load_is_no_goodput_of_it() {
        let flooded = Flooded {
            span: seconds(11),
            heard: vec![
                heard(Some(200), 1),
                heard(Some(200), 2),
                heard(Some(503), 2),
                heard(None, 3),
                heard(Some(200), 11),
                heard(Some(200), 12),
            ],
            probes: Vec::new(),
        };
        assert!((flooded.goodput(1.0) - 0.2).abs() < 1e-9, "two in ten seconds");
        assert!((flooded.lost() - 1.0).abs() < 1e-9);
        assert_eq!(flooded.times(Heard::is_refused), [2.0]);
    }

    #[test]
    fn it_has_recovered_when_nobody_waits_any_more() {
        let took = |millis| Some(Duration::from_millis(millis));
        let flooded = |probes| Flooded {
            span: seconds(1),
            heard: Vec::new(),
            probes,
        };
        let recovering = vec![
            (seconds(0), took(9)),
            (seconds(1), took(90)),
            (seconds(2), took(9)),
            (seconds(3), took(9)),
        ];
        assert_eq!(flooded(recovering).recovery(10.0), Some(2.0));
        assert_eq!(
            flooded(vec![(seconds(0), took(9)), (seconds(1), None)]).recovery(10.0),
            None
        );
    }
}
