//! Memory, open files and threads of the proxy, once a second, and whether they stay where they are.

use std::fs;

use anyhow::{Context, Result};

use super::super::process::{read, resident};
use super::super::table::float;

/// Samples, and so seconds, of which the lowest counts.
const FLOOR: usize = 30;

/// One look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Seconds since the load began.
    pub(super) at: f64,
    pub(super) rss_kib: u64,
    pub(super) files: u64,
    pub(super) threads: u64,
}

impl Sample {
    /// Looks at a process.
    pub(super) fn of(pid: u32, at: f64) -> Result<Self> {
        let status = read(pid, "status")?;
        let files = fs::read_dir(format!("/proc/{pid}/fd")).context("cannot count open files")?;
        Ok(Self {
            at,
            rss_kib: resident(&status, "VmRSS:")?,
            files: u64::try_from(files.count())?,
            threads: resident(&status, "Threads:")?,
        })
    }
}

/// All samples of a run, in order.
#[derive(Default)]
pub(super) struct Vitals(pub(super) Vec<Sample>);

impl Vitals {
    /// The sample at this share of the run, from 0 to 100.
    pub(super) fn at(&self, percent: usize) -> Option<Sample> {
        let last = self.0.len().checked_sub(1)?;
        self.0.get(last * percent / 100).copied()
    }

    /// The middle one of these figures between two shares of the run.
    pub(super) fn median(&self, from: usize, to: usize, figure: impl Fn(&Sample) -> u64) -> Option<u64> {
        let (from, to) = (self.0.len() * from / 100, self.0.len() * to / 100);
        let mut figures: Vec<u64> = self.0.get(from..to)?.iter().map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied()
    }

    /// How resident memory grew in the second half, in KiB a minute: the slope of the line that fits its floor best, which
    /// is the lowest of each half-minute.
    ///
    /// From one second to the next it goes up and down by a fifth, with what the requests of the moment hold and with what
    /// the allocator has not given back yet: a line through all of it tells of chance. What is never given back
    /// raises the floor like all the rest.
    pub(super) fn slope(&self) -> Option<f64> {
        let half = self.0.get(self.0.len() / 2..)?;
        let floor = half
            .chunks_exact(FLOOR)
            .filter_map(|some| some.iter().min_by_key(|one| one.rss_kib));
        let points: Vec<(f64, f64)> = floor
            .map(|sample| (sample.at / 60.0, float(sample.rss_kib)))
            .collect();
        slope(&points)
    }

    /// All of it, a line each: seconds, KiB, open files, threads.
    pub(super) fn table(&self) -> String {
        let line = |sample: &Sample| {
            let Sample {
                at,
                rss_kib,
                files,
                threads,
            } = sample;
            format!("{at:.0}\t{rss_kib}\t{files}\t{threads}\n")
        };
        self.0.iter().map(line).collect()
    }
}

/// By least squares.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = f64::from(u32::try_from(points.len()).ok()?);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let over: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let under: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    (under > 0.0).then(|| over / under)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vitals(rss: impl Fn(u64) -> u64) -> Vitals {
        let sample = |second: u32| Sample {
            at: f64::from(second),
            rss_kib: rss(u64::from(second)),
            files: u64::from(second),
            threads: 4,
        };
        Vitals((0..=120).map(sample).collect())
    }

    #[test]
    fn the_slope_is_that_of_the_second_half() {
        let grows_then_rests = vitals(|second| 1000 + 50 * second.min(60));
        assert!(grows_then_rests.slope().expect("two samples").abs() < 1e-6);
        let grows = vitals(|second| 1000 + 50 * second);
        assert!((grows.slope().expect("two samples") - 3000.0).abs() < 1e-6);
        let tosses = |second: u64| 4000 * (second * 7 % 10) / 10;
        let noisy = vitals(|second| 30_000 + tosses(second) + if second > 100 { 2_000 } else { 0 });
        assert!(
            noisy.slope().expect("two samples").abs() < 1e-6,
            "what comes and goes is no growth"
        );
        assert_eq!(Vitals::default().slope(), None);
        assert_eq!(grows.table().lines().nth(2), Some("2\t1100\t2\t4"));
    }

    #[test]
    fn samples_are_found_by_their_share_of_the_run() {
        let vitals = vitals(|second| second);
        assert_eq!(vitals.at(50).map(|sample| sample.rss_kib), Some(60));
        assert_eq!(vitals.at(100).map(|sample| sample.rss_kib), Some(120));
        assert_eq!(vitals.median(50, 100, |sample| sample.files), Some(90));
    }

    #[test]
    fn this_process_has_memory_files_and_threads() {
        let sample = Sample::of(std::process::id(), 0.0).expect("this is Linux");
        assert!(
            sample.rss_kib > 0 && sample.files > 0 && sample.threads > 0,
            "{sample:?}"
        );
    }
}
