//! What a soak came to, as a table, and what of it must not be.

use super::super::table::{figure, float};
use super::judge::Outcome;
use super::ledger::Sums;
use super::vitals::{Sample, Vitals};
use super::weather::Reloads;

/// Resident memory may grow by so many KiB a minute: at the load of a soak that is less than twenty bytes a request.
const SLOPE: f64 = 512.0;
/// From rest to rest it may grow by so many KiB besides, however short the run: the allocator does not give back to the
/// page what it gives back to the mebibyte.
const GRAIN: f64 = 2048.0;
/// In shorter runs a slope is as good as noise.
const JUDGED_MINUTES: f64 = 4.0;

/// Everything that was counted.
pub(super) struct Report {
    pub(super) minutes: f64,
    pub(super) sums: Sums,
    pub(super) reloads: Reloads,
    pub(super) restarts: u64,
    /// The proxy before anybody came.
    pub(super) idle: Sample,
    /// The proxy after its warm-up and a rest, if it had one.
    pub(super) warmed: Option<Sample>,
    pub(super) vitals: Vitals,
    /// The proxy after its rest, if it had one.
    pub(super) rested: Option<Sample>,
}

impl Report {
    /// What must not be, beside what the ledger knows.
    pub(super) fn violations(&self) -> Vec<String> {
        [
            self.grows(),
            self.keeps(),
            self.files(),
            self.threads(),
            self.remains(),
            self.idles(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn grows(&self) -> Option<String> {
        let slope = self
            .vitals
            .slope()
            .filter(|slope| self.minutes >= JUDGED_MINUTES && *slope > SLOPE)?;
        Some(format!(
            "memory grows by {slope:.0} KiB a minute, {SLOPE:.0} are allowed"
        ))
    }

    /// What is resident after the rest and was not after the one before has been kept.
    fn keeps(&self) -> Option<String> {
        let (warmed, rested) = (self.warmed?.rss_kib, self.rested?.rss_kib);
        let more = float(rested) - float(warmed);
        (more > self.minutes * SLOPE + GRAIN)
            .then(|| format!("{more:.0} KiB more are resident after the rest than after the one before"))
    }

    fn files(&self) -> Option<String> {
        let median = |from, to| self.vitals.median(from, to, |sample| sample.files);
        let (early, late) = (median(33, 60)?, median(75, 100)?);
        (late > early * 3 / 2 + 50)
            .then(|| format!("{late} files are open, {early} were in the middle of the run"))
    }

    fn threads(&self) -> Option<String> {
        let most = self.vitals.median(75, 100, |sample| sample.threads)?;
        // A blocking call now and then (a file read, a name looked up) has a thread for some seconds.
        (most > self.idle.threads + 4)
            .then(|| format!("{most} threads, {} before the load", self.idle.threads))
    }

    fn remains(&self) -> Option<String> {
        let (idle, rested) = (self.idle, self.rested?);
        let more = rested.files > idle.files + 8 || rested.threads > idle.threads + 2;
        more.then(|| {
            let (files, threads) = (rested.files, rested.threads);
            format!(
                "{files} files and {threads} threads after the rest, {} and {} before the load",
                idle.files, idle.threads
            )
        })
    }

    /// A run in which nothing happened has proved nothing.
    fn idles(&self) -> Option<String> {
        let kinds = [
            ("whole answers", self.count(|outcome| outcome == Outcome::Whole)),
            (
                "refusals",
                self.count(|outcome| matches!(outcome, Outcome::Refused(_))),
            ),
            ("broken streams", self.count(|outcome| outcome == Outcome::Broken)),
            (
                "clients that left",
                self.count(|outcome| matches!(outcome, Outcome::Left(_))),
            ),
            ("fallbacks", self.sums.fell_back),
            ("restarts", self.restarts),
            ("reloads", self.reloads.taken),
        ];
        let (what, _) = kinds.into_iter().find(|(_, count)| *count == 0)?;
        Some(format!("there were no {what}: the run proves nothing"))
    }

    fn count(&self, which: impl Fn(Outcome) -> bool) -> u64 {
        let outcomes = self.sums.outcomes.iter();
        outcomes
            .filter(|((_, outcome), _)| which(*outcome))
            .map(|(_, count)| count)
            .sum()
    }

    /// The table.
    pub(super) fn rows(&self) -> Vec<String> {
        let sums = &self.sums;
        let mut rows = vec!["| soak | |".to_owned(), "| --- | --: |".to_owned()];
        let mut row = |what: &str, value: String| rows.push(format!("| {what} | {value} |"));
        row("minutes", figure(Some(self.minutes)));
        row("requests", sums.begun.to_string());
        for ((what, outcome), count) in &sums.outcomes {
            row(&format!("{what}: {}", named(*outcome)), count.to_string());
        }
        row(
            "clients that left before they were read",
            sums.unheard.to_string(),
        );
        row("access lines", sums.lines.to_string());
        row("requests of more than one attempt", sums.fell_back.to_string());
        row(
            "reloads; of broken configs",
            format!("{}; {}", self.reloads.taken, self.reloads.refused),
        );
        row("restarts of backends", self.restarts.to_string());
        let sample = |show: fn(Sample) -> String| {
            let quarters =
                [25, 50, 75, 100].map(|percent| self.vitals.at(percent).map_or("-".to_owned(), show));
            let rested = self.rested.map_or("-".to_owned(), show);
            let before = self.warmed.map_or("-".to_owned(), show);
            format!("{}; {before}; {}; {rested}", show(self.idle), quarters.join(", "))
        };
        let mib = |sample: Sample| format!("{}", sample.rss_kib / 1024);
        row(
            "RSS before; after warm-up and rest; at 25, 50, 75, 100 %; after the rest, MiB",
            sample(mib),
        );
        row("open files, likewise", sample(|sample| sample.files.to_string()));
        row("threads, likewise", sample(|sample| sample.threads.to_string()));
        let slope = self
            .vitals
            .slope()
            .map_or("-".to_owned(), |slope| format!("{slope:.0}"));
        row(
            "slope of the floor of RSS over the second half, KiB a minute",
            slope,
        );
        row("violations", sums.violated.to_string());
        rows
    }
}

fn named(outcome: Outcome) -> String {
    match outcome {
        Outcome::Whole => "whole".to_owned(),
        Outcome::Refused(status) => format!("refused with {status}"),
        Outcome::Broken => "broken off, and said so".to_owned(),
        Outcome::Left(false) => "client left before the head".to_owned(),
        Outcome::Left(true) => "client left inside the answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Sample = Sample {
        at: 0.0,
        rss_kib: 10_000,
        files: 20,
        threads: 4,
    };

    fn report(samples: impl Fn(u64) -> Sample) -> Report {
        let outcomes = [
            Outcome::Whole,
            Outcome::Refused(502),
            Outcome::Broken,
            Outcome::Left(true),
        ];
        Report {
            minutes: 10.0,
            sums: Sums {
                fell_back: 1,
                outcomes: outcomes.map(|outcome| (("stream", outcome), 1)).into(),
                ..Sums::default()
            },
            reloads: Reloads { taken: 1, refused: 0 },
            restarts: 1,
            idle: IDLE,
            warmed: Some(IDLE),
            vitals: Vitals((0..600).map(samples).collect()),
            rested: Some(IDLE),
        }
    }

    fn at(second: u64) -> f64 {
        float(second)
    }

    fn steady(second: u64) -> Sample {
        Sample {
            at: at(second),
            files: 400,
            ..IDLE
        }
    }

    #[test]
    fn a_steady_proxy_is_fine() {
        assert_eq!(report(steady).violations(), [""; 0]);
    }

    #[test]
    fn whatever_grows_is_told() {
        let leaks: [fn(u64) -> Sample; 3] = [
            |second| Sample {
                rss_kib: 10_000 + second * 10,
                ..steady(second)
            },
            |second| Sample {
                files: 400 + second * 4,
                ..steady(second)
            },
            |second| Sample {
                threads: 4 + second / 20,
                ..steady(second)
            },
        ];
        for (leak, word) in leaks.into_iter().zip(["memory", "files", "threads"]) {
            let told = report(leak).violations();
            assert!(told.len() == 1 && told[0].contains(word), "{word}: {told:?}");
        }
    }

    #[test]
    fn memory_that_is_not_given_back_by_the_second_rest_is_told() {
        for (kib, fine) in [(10_000 + 5_120 + 2_048, true), (10_000 + 5_120 + 2_049, false)] {
            let rested = Some(Sample { rss_kib: kib, ..IDLE });
            let report = Report {
                rested,
                ..report(steady)
            };
            assert_eq!(report.violations().is_empty(), fine, "{kib}");
        }
    }

    #[test]
    fn what_remains_after_the_rest_is_told() {
        let left = Sample { files: 60, ..IDLE };
        let report = Report {
            rested: Some(left),
            ..report(steady)
        };
        assert_eq!(report.violations().len(), 1);
    }

    #[test]
    fn a_run_in_which_nothing_broke_proves_nothing() {
        let report = Report {
            restarts: 0,
            ..report(steady)
        };
        assert!(report.violations()[0].contains("no restarts"));
    }
}
