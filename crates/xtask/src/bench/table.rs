//! Figures as a Markdown table, printed row by row while the run goes on.

use crate::out;

/// A row: a figure of each target and the highest that the proxy's may be.
pub(super) struct Line {
    pub(super) work: String,
    pub(super) nginx: Option<f64>,
    pub(super) proxy: Option<f64>,
    pub(super) bar: Option<f64>,
}

pub(super) fn head() {
    out::line("| work | nginx | llm-proxy | ratio | bar | |");
    out::line("| --- | --: | --: | --: | --: | --- |");
}

pub(super) fn row(line: &Line) {
    out::line(&text(line));
}

fn text(line: &Line) -> String {
    let Line {
        work,
        nginx,
        proxy,
        bar,
    } = line;
    let both = nginx.filter(|n| *n > 0.0).zip(*proxy);
    let ratio = both.map_or_else(
        || "-".to_owned(),
        |(nginx, proxy)| format!("{:.2}", proxy / nginx),
    );
    let verdict = match proxy.zip(*bar) {
        Some((proxy, bar)) if proxy <= bar => "holds",
        Some(_) => "MISSED",
        None => "",
    };
    format!(
        "| {work} | {} | {} | {ratio} | {} | {verdict} |",
        figure(*nginx),
        figure(*proxy),
        figure(*bar)
    )
}

/// Three digits say all that a bench on a shared machine knows.
pub(super) fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() < 10.0 => format!("{value:.2}"),
        Some(value) if value.abs() < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

/// The middle figure; of two in the middle the mean. `None` of none.
pub(super) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let high = *sorted.get(middle)?;
    let low = if sorted.len().is_multiple_of(2) {
        *sorted.get(middle - 1)?
    } else {
        high
    };
    Some(f64::midpoint(low, high))
}

/// KiB as a float: exact up to 2^32, which no process here reaches; beyond it the largest.
pub(super) fn float(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_figure() {
        for (figures, expected) in [
            (vec![], None),
            (vec![3.0], Some(3.0)),
            (vec![9.0, 1.0, 2.0], Some(2.0)),
            (vec![4.0, 1.0, 2.0, 9.0], Some(3.0)),
        ] {
            assert_eq!(median(&figures), expected, "{figures:?}");
        }
    }

    #[test]
    fn a_row_tells_figures_ratio_bar_and_verdict() {
        let line = |nginx, proxy, bar| Line {
            work: "w".to_owned(),
            nginx,
            proxy,
            bar,
        };
        for (line, expected) in [
            (
                line(Some(20.0), Some(18.0), Some(20.0)),
                "| w | 20.0 | 18.0 | 0.90 | 20.0 | holds |",
            ),
            (
                line(Some(20.0), Some(300.0), Some(20.0)),
                "| w | 20.0 | 300 | 15.00 | 20.0 | MISSED |",
            ),
            (line(None, Some(5.0), None), "| w | - | 5.00 | - | - |  |"),
            (
                line(Some(0.0), Some(5.0), Some(9.0)),
                "| w | 0.00 | 5.00 | - | 9.00 | holds |",
            ),
        ] {
            assert_eq!(text(&line), expected);
        }
    }
}
