//! The last quarter of an hour in numbers, a point for every five seconds: what a page that has just been opened draws.
//!
//! A request adds itself when it is over, to the point that is open; the program's clock closes that one
//! ([`Series::close`]). A point in which nothing happened holds no latencies, so an idle program keeps a few kilobytes.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;

use super::access::Record;
use crate::health::Scope;

/// How long a point is.
pub const STEP: Duration = Duration::from_secs(5);
/// How many points are kept.
pub const KEPT: usize = 180;
/// So many points together give the percentiles of the last of them: of one alone they would jump.
pub const SMOOTHED: usize = 6;

/// Bounds of latencies in an octave.
const PER_OCTAVE: usize = 3;
/// The smallest that is told apart, in microseconds.
const LEAST: u64 = 250;
/// Twenty-one octaves: from a quarter of a millisecond to nine minutes.
const BOUNDS: usize = 64;

/// The numbers of one point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Requests that ended in it.
    pub requests: u32,
    /// Those of them that failed through no fault of their own.
    pub errors: u32,
    /// Those that were refused: limits, keys, and what the client asked wrongly.
    pub refused: u32,
    /// Those that another attempt answered after the first had failed.
    pub rescued: u32,
    /// Tokens that they sent.
    pub input_tokens: u32,
    /// Tokens that they got.
    pub output_tokens: u32,
    /// The most that were seen in flight.
    pub in_flight: u32,
    /// Those that waited for a place when it was closed.
    pub waiting: u32,
    /// First-byte latencies of the point and of those before it ([`SMOOTHED`]): half, nine tenths and all but one of a
    /// hundred are not above these, in milliseconds; none where nothing was answered.
    pub first_byte: Option<[f64; 3]>,
}

/// What is kept.
#[derive(Debug, Default)]
pub struct Series {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    closed: VecDeque<Kept>,
    open: Kept,
    /// How many have been closed in all.
    count: u64,
}

/// A point in the making, or as it is kept.
#[derive(Debug, Default)]
struct Kept {
    point: Point,
    latencies: Option<Box<Latencies>>,
}

impl Series {
    /// A request is over, and told as `status`; `failed`: the client did not get what it asked for.
    pub(super) fn note(&self, record: &Record, (status, failed): (u16, bool), in_flight: usize) {
        let theirs = status >= 500 || record.class.and_then(Scope::of).is_some();
        let mut inner = self.inner.lock();
        let open = &mut inner.open;
        let point = &mut open.point;
        point.requests += 1;
        point.errors += u32::from(failed && theirs);
        point.refused += u32::from(failed && !theirs);
        point.rescued += u32::from(!failed && record.attempts.len() > 1);
        more(&mut point.input_tokens, record.usage.input);
        more(&mut point.output_tokens, record.usage.output);
        point.in_flight = point.in_flight.max(small(in_flight));
        if let Some(first_byte) = record.first_byte {
            open.latencies.get_or_insert_default().note(first_byte);
        }
    }

    /// The point that is open ends, with so many in flight and waiting; another one opens. Says how many have ended.
    pub fn close(&self, in_flight: usize, waiting: usize) -> u64 {
        let mut inner = self.inner.lock();
        let mut ended = std::mem::take(&mut inner.open);
        ended.point.in_flight = ended.point.in_flight.max(small(in_flight));
        ended.point.waiting = small(waiting);
        inner.closed.push_back(ended);
        if inner.closed.len() > KEPT {
            inner.closed.pop_front();
        }
        inner.count += 1;
        inner.count
    }

    /// All points, the oldest first, the last being the open one; and how many have ended since the start.
    pub fn points(&self) -> (Vec<Point>, u64) {
        let inner = self.inner.lock();
        let all: Vec<&Kept> = inner.closed.iter().chain([&inner.open]).collect();
        let point = |at: usize| {
            let from = (at + 1).saturating_sub(SMOOTHED);
            let together = all.get(from..=at).unwrap_or_default();
            let first_byte = percentiles(together.iter().filter_map(|kept| kept.latencies.as_deref()));
            let own = all.get(at).map(|kept| kept.point).unwrap_or_default();
            Point { first_byte, ..own }
        };
        ((0..all.len()).map(point).collect(), inner.count)
    }
}

fn more(count: &mut u32, tokens: Option<u64>) {
    let tokens = u32::try_from(tokens.unwrap_or(0)).unwrap_or(u32::MAX);
    *count = count.saturating_add(tokens);
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// How often a first byte took how long.
#[derive(Debug)]
struct Latencies([u16; BOUNDS]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BOUNDS])
    }
}

impl Latencies {
    fn note(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.0.get_mut(place(micros)) {
            *count = count.saturating_add(1);
        }
    }
}

/// The first bound that is not below so many microseconds; the last one for whatever is above all.
fn place(micros: u64) -> usize {
    let first = (micros / LEAST).max(1).ilog2() as usize * PER_OCTAVE;
    let near = (first..=first + PER_OCTAVE).find(|at| bound(*at) >= micros);
    near.map_or(BOUNDS - 1, |at| at.min(BOUNDS - 1))
}

/// The bound of that number, in microseconds: three in an octave, each above the one before by the same part.
fn bound(at: usize) -> u64 {
    let (octave, third) = (at / PER_OCTAVE, at % PER_OCTAVE);
    let of_octave = LEAST << octave.min(40);
    match third {
        0 => of_octave,
        1 => of_octave * 126 / 100,
        _ => of_octave * 159 / 100,
    }
}

/// The latencies that half, nine tenths and ninety-nine of a hundred are not above, in milliseconds: within a bound's
/// width, as if they were spread evenly there.
fn percentiles<'a>(all: impl Iterator<Item = &'a Latencies>) -> Option<[f64; 3]> {
    let mut together = [0_u32; BOUNDS];
    for latencies in all {
        for (sum, count) in together.iter_mut().zip(latencies.0) {
            *sum += u32::from(count);
        }
    }
    let total: u32 = together.iter().sum();
    (total > 0).then(|| [0.5, 0.9, 0.99].map(|share| percentile(&together, f64::from(total) * share)))
}

fn percentile(together: &[u32; BOUNDS], rank: f64) -> f64 {
    let mut below = 0.0;
    for (at, count) in together.iter().enumerate() {
        let count = f64::from(*count);
        if count > 0.0 && below + count >= rank {
            let lower = at
                .checked_sub(1)
                .map_or(0.0, |before| milliseconds(bound(before)));
            let part = (rank - below) / count;
            return lower + (milliseconds(bound(at)) - lower) * part;
        }
        below += count;
    }
    milliseconds(bound(BOUNDS - 1))
}

#[expect(clippy::cast_precision_loss, reason = "the highest bound is of nine minutes")]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use llm_dialect::Api;

    use proptest::prelude::*;

    use super::*;
    use crate::base::Class;
    use crate::observe::{Attempt, BackendMeters};
    use std::sync::Arc;

    fn attempt(class: Option<Class>) -> Attempt {
        Attempt {
            backend: Arc::new(BackendMeters::new("a")),
            key: Arc::from("a"),
            model: Arc::from("m"),
            api: Api::Chat,
            span: None,
            after: Duration::ZERO,
            class,
            kind: None,
            status: None,
            took: Duration::ZERO,
            cooldown: None,
        }
    }

    fn record(class: Option<Class>, attempts: Vec<Attempt>) -> Record {
        let mut record = Record {
            class,
            attempts,
            first_byte: class.is_none().then_some(Duration::from_millis(100)),
            ..Record::default()
        };
        record.usage.input = Some(7);
        record.usage.output = Some(u64::MAX);
        record
    }

    #[test]
    fn a_request_counts_once_by_what_its_client_got() {
        let series = Series::default();
        series.note(&record(None, vec![attempt(None)]), (200, false), 3);
        let after_a_failure = vec![attempt(Some(Class::Server)), attempt(None)];
        series.note(&record(None, after_a_failure), (200, false), 1);
        for (class, status) in [
            (Class::Server, 502),
            (Class::Midstream, 200),
            (Class::Rate, 429),
            (Class::Local, 503),
            (Class::Local, 429),
            (Class::Client, 400),
        ] {
            series.note(&record(Some(class), vec![]), (status, true), 1);
        }
        series.note(&record(Some(Class::ClientGone), vec![]), (499, false), 1);
        let (points, _) = series.points();
        let [open] = &points[..] else {
            panic!("none is closed: {points:?}")
        };
        assert_eq!(
            (open.requests, open.errors, open.refused, open.rescued),
            (9, 4, 2, 1)
        );
        assert_eq!((open.input_tokens, open.in_flight), (63, 3));
        assert_eq!(open.output_tokens, u32::MAX, "a backend may say anything");
        let [half, ..] = open.first_byte.unwrap();
        assert!((80.0..125.0).contains(&half), "{half}");
    }

    #[test]
    fn points_are_closed_in_their_order_and_the_oldest_are_forgotten() {
        let series = Series::default();
        for at in 0..KEPT + 3 {
            assert_eq!(series.close(at, at + 1), at as u64 + 1);
        }
        let (points, ended) = series.points();
        assert_eq!((points.len(), ended), (KEPT + 1, KEPT as u64 + 3));
        assert_eq!((points[0].in_flight, points[0].waiting), (3, 4));
        assert_eq!(points[KEPT], Point::default(), "the open one");
    }

    #[test]
    fn a_latency_counts_for_the_half_minute_after_it() {
        let series = Series::default();
        series.note(&record(None, vec![attempt(None)]), (200, false), 1);
        for _ in 0..SMOOTHED {
            series.close(0, 0);
        }
        let (points, _) = series.points();
        let told: Vec<bool> = points.iter().map(|point| point.first_byte.is_some()).collect();
        assert_eq!(told, [true, true, true, true, true, true, false]);
    }

    #[test]
    fn every_latency_lies_below_its_bound_and_above_the_one_before() {
        for micros in (0..100_000).chain([LEAST << 20, u64::MAX]) {
            let at = place(micros);
            assert!(bound(at) >= micros || at == BOUNDS - 1, "{micros}");
            assert!(at == 0 || bound(at - 1) < micros, "{micros}");
        }
    }

    proptest! {
        #[test]
        fn percentiles_are_near_the_true_ones(mut micros in prop::collection::vec(1_000_u64..60_000_000, 1..200)) {
            let mut latencies = Latencies::default();
            for micros in &micros {
                latencies.note(Duration::from_micros(*micros));
            }
            let told = percentiles([&latencies].into_iter()).unwrap();
            micros.sort_unstable();
            for (told, share) in told.into_iter().zip([50, 90, 99]) {
                let rank = (micros.len() * share).div_ceil(100).max(1);
                let exact = milliseconds(micros[rank - 1]);
                prop_assert!((0.75..1.30).contains(&(told / exact)), "{told} instead of {exact}");
            }
        }
    }
}
